"""What a question is compared with: the same question of other days as far as they had come by now, or of others."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.explore.question import BuiltFunnel, Compare, Trend
from pipeline.measure.periods import moment_back

#: Days back; 364, so that weekdays meet.
_BACK: Final[dict[Compare, int]] = {"week": 7, "year": 364}


def compared(question: Trend | BuiltFunnel, now: int, zone: ZoneInfo) -> Trend | BuiltFunnel | None:
    """The question to compare with, at `now` (epoch ms) in the plan's zone; None if nothing is compared.

    Where the days asked for are not over, the earlier ones end at the same time of the day: like is compared with like.
    """
    scope = question.scope
    if not question.compare:
        return None
    if question.compare == "segment":
        return replace(question, scope=replace(scope, segment=question.versus), compare="", versus=None)
    back = _BACK.get(question.compare, scope.days)
    moved = scope.moved(back)
    if scope.last >= datetime.fromtimestamp(now / 1000, zone).date():
        moved = replace(moved, until=moment_back(now, back, zone))
    return replace(question, scope=moved, compare="", versus=None)
