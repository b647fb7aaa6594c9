"""What a question is compared with: the same question of other days, as far as they had come by now, or of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pipeline.dashboard.bar import segment_name
from pipeline.dashboard.context import Context
from pipeline.explore.question import BuiltFunnel, Compare, Trend
from pipeline.measure.periods import moment_back

#: Days back; 364, so that weekdays meet.
_BACK: Final[dict[Compare, int]] = {"week": 7, "year": 364}


def compared(context: Context, question: Trend | BuiltFunnel) -> Trend | BuiltFunnel | None:
    """The question to compare with; None if nothing is compared.

    Where the days asked for are not over, the earlier ones end at the same time of the day: like is compared with like.
    """
    scope = question.scope
    if not question.compare:
        return None
    if question.compare == "segment":
        return replace(question, scope=replace(scope, segment=question.versus), compare="", versus=None)
    back = _BACK.get(question.compare, scope.days)
    moved = scope.moved(back)
    if scope.last >= context.today:
        moved = replace(moved, until=moment_back(context.now, back, context.plan.zone))
    return replace(question, scope=moved, compare="", versus=None)


def compared_words(context: Context, question: Trend | BuiltFunnel) -> str:
    """What it is compared with, in words."""
    t = context.t
    if question.compare == "segment" and question.versus is not None:
        return segment_name(context, question.versus)
    other = compared(context, question)
    if other is None:
        return ""
    first, last = other.scope.first, other.scope.last
    return t.day(first) if first == last else t(f"{t.day(first)} to {t.day(last)}", f"{t.day(first)}至{t.day(last)}")
