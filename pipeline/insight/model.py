"""A step that fell, a funnel with what changed in it, and a finding in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.insight.contribution import SegmentChange


@dataclass(frozen=True)
class Drop:
    """A step of a funnel that fell: since when, how far, and which segment explains it."""

    funnel: str
    step: str
    following: str
    since: date
    before: float
    after: float
    n_before: int
    n_after: int
    z: float
    segment: SegmentChange | None
    #: Conversion of everybody else, before and after.
    rest: tuple[float, float] | None
    #: Of the segment's own dimension the other values of the same rest, with conversions that held: (value, after).
    siblings: tuple[tuple[str, float], ...] = ()
    #: All steps of its funnel.
    titles: tuple[str, ...] = ()

    def within(self, other: Drop) -> bool:
        """Whether it is a part of the other's way: its funnel shows step by step what the other takes in one."""
        if other.step not in self.titles or other.following not in self.titles:
            return False
        begin, end = self.titles.index(other.step), self.titles.index(other.following)
        step = self.titles.index(self.step)
        return begin <= step < end and end - begin > 1


@dataclass(frozen=True)
class FunnelFacts:
    """A funnel in the period and before: users by step."""

    name: str
    titles: tuple[str, ...]
    users: tuple[int, ...]
    before: tuple[int, ...]
    daily: Sequence[tuple[date, tuple[int, ...]]] = ()
    changes: tuple[Drop, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that changed: what, how sure, what explains it, what to do. `bad` comes first."""

    what: str
    sure: str
    why: str = ""
    advice: str = ""
    bad: bool = True
    weight: float = 0.0
