"""What a question of a page is compared with, and how that is called."""

from __future__ import annotations

from pipeline.dashboard.bar import segment_name
from pipeline.dashboard.context import Context
from pipeline.explore import comparing
from pipeline.explore.question import BuiltFunnel, Trend


def compared(context: Context, question: Trend | BuiltFunnel) -> Trend | BuiltFunnel | None:
    """The question to compare with; None if nothing is compared."""
    return comparing.compared(question, context.now, context.plan.zone)


def compared_words(context: Context, question: Trend | BuiltFunnel) -> str:
    """What it is compared with, in words."""
    t = context.t
    if question.compare == "segment" and question.versus is not None:
        return segment_name(context, question.versus)
    other = compared(context, question)
    if other is None:
        return ""
    first, last = other.scope.first, other.scope.last
    return t.day(first) if first == last else t("{first} to {last}", first=t.day(first), last=t.day(last))
