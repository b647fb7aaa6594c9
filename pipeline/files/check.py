"""Checking events against a plan without a broker: what is wrong in which line, and what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.ingest.validate import Rejection, Validator
from schemas.plan import Plan


class Problem(NamedTuple):
    """Why a line would be rejected: a stable code, and words for a person."""

    line: int
    reason: str
    detail: str


@dataclass(slots=True)
class Summary:
    """What was found in all lines."""

    lines: int = 0
    valid: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    #: Earliest and latest time of the valid events, epoch ms; 0 without any.
    first_ts: int = 0
    last_ts: int = 0


class Check:
    """Checks lines as they come. `now_ms`, if given, is when they would be sent: later times are rejected."""

    def __init__(self, plan: Plan, *, now_ms: int | None = None) -> None:
        self._validator = Validator(plan)
        self._latest = None if now_ms is None else now_ms + plan.max_future
        self.summary = Summary()

    def problems(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[Problem]:
        """The problems of (number, line) pairs, one after the other; `summary` grows meanwhile."""
        summary = self.summary
        for number, line in lines:
            summary.lines += 1
            try:
                event = self._validator.parse(line)
                if self._latest is not None and event.ts > self._latest:
                    raise Rejection("time_in_future", f"ts {event.ts} lies in the future")
            except Rejection as why:
                summary.reasons[why.reason] += 1
                yield Problem(number, why.reason, why.detail)
                continue
            summary.valid += 1
            summary.events[event.name] += 1
            summary.first_ts = min(summary.first_ts or event.ts, event.ts)
            summary.last_ts = max(summary.last_ts, event.ts)
