"""Which parts of two periods may be compared: the one rule for tiles, pages, reports and metrics. Pure.

What isn't over is compared with the same part of the other period. Of several days the whole ones count and the running
one is left out; a single running day counts up to the minute, by the clock on the wall, and is compared with the other
day up to the same time. Where nothing is over there is nothing to compare.

A cohort goes on changing after its days: of a funnel with a window of an hour, whoever began just now may still go on.
So each period is looked at as it stood when as much time had passed since it (`moment_back`), and a series of days
holds only those whose cohort has had its whole time (`mature_days`).

Days are those of the plan's zone: one has 23 or 25 hours where the clocks change. Moments are epoch ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from schemas.duration import MINUTE

_MIDNIGHT: Final = time()


def moment(day: date, at: time, zone: ZoneInfo) -> int:
    """The moment at which the clocks of `zone` show `at` on `day`: of two the first, of none the one of the jump."""
    early, late = (
        int(datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC).timestamp() * 1000) for fold in (0, 1)
    )
    if early <= late:
        return early
    # The clocks jumped over it: early and late lie after and before the jump, which is where the offset changes.
    low, high, offset = late, early, _offset(late, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
    return high


def day_start(day: date, zone: ZoneInfo) -> int:
    """The first moment of a day, though its midnight may not exist."""
    return moment(day, _MIDNIGHT, zone)


def local(now: int, zone: ZoneInfo) -> datetime:
    """What the clocks of `zone` show at a moment, to the minute."""
    return datetime.fromtimestamp(now // MINUTE * MINUTE / 1000, zone)


def moment_back(now: int, days: int, zone: ZoneInfo) -> int:
    """The moment `days` days before at which the clocks showed the same, to the minute."""
    shown = local(now, zone)
    return moment(shown.date() - timedelta(days=days), shown.time(), zone) if days else now // MINUTE * MINUTE


@dataclass(frozen=True)
class Period:
    """Days of a zone, both included: whole ones, or one day up to the time `until`."""

    first: date
    last: date
    until: time | None = None

    @property
    def days(self) -> int:
        """How many days it touches."""
        return (self.last - self.first).days + 1

    def back(self, days: int) -> Period:
        """The same part of the days `days` earlier."""
        back = timedelta(days=days)
        return Period(self.first - back, self.last - back, self.until)

    def bounds(self, zone: ZoneInfo) -> tuple[int, int]:
        """Its moments, the end excluded."""
        start = day_start(self.first, zone)
        if self.until is None:
            return start, day_start(self.last + timedelta(days=1), zone)
        return start, moment(self.last, self.until, zone)

    def over(self, now: int, zone: ZoneInfo) -> Period | None:
        """What of it is over at `now`: all of it, its whole days, or the running day so far; None if nothing is."""
        shown = local(now, zone)
        today = shown.date()
        if self.last < today:
            return self
        if self.first < today:
            return Period(self.first, today - timedelta(days=1))
        at = shown.time().replace(fold=0)
        if self.first > today or at == _MIDNIGHT:
            return None
        return Period(today, today, at)


def mature_days(period: Period, window: int, now: int, zone: ZoneInfo) -> Period | None:
    """The days of a period whose cohorts have all had `window` ms at `now`; None if none has."""
    last = period.last
    while last >= period.first and day_start(last + timedelta(days=1), zone) + window > now:
        last -= timedelta(days=1)
    return Period(period.first, last) if last >= period.first else None


def _offset(at: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(at / 1000, zone).utcoffset()
