"""Today so far against other days up to the same time of day, from counts by the minute. Pure.

All days come from one question to one source, so that a difference between them is the product's and not that of two
ways to count. Minutes are those of the clock on the wall: where the clocks change, a day has minutes twice or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from itertools import accumulate
from typing import Final

MINUTES: Final = 24 * 60
#: Minutes between two points of a curve.
STEP: Final = 15
#: By day and minute of the day: what came new in that minute.
ByMinute = Mapping[tuple[date, int], float]


@dataclass(frozen=True)
class Against:
    """Another day: by the same time, all of it, and how today differs from the first (None without anything then)."""

    day: date
    by_now: float
    whole: float
    change: float | None


@dataclass(frozen=True)
class Pace:
    """Today until `until`: the sum, the days it is held against, and the curves of all (today's first)."""

    until: time
    so_far: float
    #: The last minute of today that has anything; None while nothing is stored of it.
    last: int | None
    yesterday: Against | None
    last_week: Against | None
    #: Places on the curve, as minutes of the day, and of each day the sum up to there; None where it is not over.
    places: tuple[int, ...]
    curves: tuple[tuple[float | None, ...], ...]


def pace(counts: ByMinute, today: date, until: time) -> Pace:
    """What `counts` say of today up to the minute `until`, of yesterday and of the same weekday before."""
    minute = until.hour * 60 + until.minute
    sums = {day: _sums(counts, day) for day in (today, *against(today))}
    places = tuple(range(STEP, MINUTES + 1, STEP))
    own = sums[today]
    curves = [tuple(own[at] if at <= minute else None for at in places)]
    others = []
    for day in against(today):
        had = _last(counts, day) is not None
        curves.append(tuple(sums[day][at] if had else None for at in places))
        others.append(_against(day, sums[day], own[minute], minute) if had else None)
    return Pace(until, own[minute], _last(counts, today, minute), others[0], others[1], places, tuple(curves))


def against(today: date) -> tuple[date, date]:
    """The days that today is held against: yesterday, and the same weekday of the week before."""
    return today - timedelta(days=1), today - timedelta(days=7)


def _against(day: date, sums: list[float], so_far: float, minute: int) -> Against:
    by_now = sums[minute]
    return Against(day, by_now, sums[-1], (so_far - by_now) / by_now if by_now > 0 else None)


def _sums(counts: ByMinute, day: date) -> list[float]:
    """The sum before each minute of the day, and of all of it at the end."""
    return list(accumulate((float(counts.get((day, minute), 0)) for minute in range(MINUTES)), initial=0.0))


def _last(counts: ByMinute, day: date, until: int = MINUTES) -> int | None:
    return max((minute for minute in _minutes(counts, day) if minute <= until), default=None)


def _minutes(counts: ByMinute, day: date) -> Iterable[int]:
    return (minute for of_day, minute in counts if of_day == day)
