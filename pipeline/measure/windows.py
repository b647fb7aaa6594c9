"""Tumbling windows of event time, `[start, end)`: minute, hour, and day in the plan's time zone and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from schemas.duration import DAY, HOUR, MINUTE
from schemas.plan import Plan

#: Minutes of the longest sliding span.
SLIDING: Final = 30


@lru_cache(maxsize=4096)
def _local_day(quarter: int, zone: ZoneInfo) -> tuple[int, int]:
    """Start and end (ms) of the local day around a quarter of an hour: no zone changes its offset within one."""
    moment = datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone)
    start = datetime(moment.year, moment.month, moment.day, tzinfo=zone)
    following = moment.date() + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    return round(start.timestamp()) * 1000, round(end.timestamp()) * 1000


def bounds(grain: str, ts: int, zone: ZoneInfo) -> tuple[int, int]:
    """The window `[start, end)` of `grain` around `ts`, all in epoch ms.

    A local day has 23 or 25 hours where the clocks change.
    """
    match grain:
        case "minute":
            start = ts - ts % MINUTE
            return start, start + MINUTE
        case "hour":
            start = ts - ts % HOUR
            return start, start + HOUR
        case "day_utc":
            start = ts - ts % DAY
            return start, start + DAY
        case "day":
            return _local_day(ts // 900_000, zone)
    raise ValueError(f"no such window: {grain}")


def grains(zone: ZoneInfo) -> tuple[str, ...]:
    """The windows counted for a plan: the UTC day only where it is not the plan's day."""
    return ("minute", "hour", "day") if zone.key == "UTC" else ("minute", "hour", "day", "day_utc")


def closing(plan: Plan, grain: str, watermark: int) -> int:
    """A window that ends at or before this time (epoch ms) is closed: nothing changes it any more.

    For events a window is closed `lateness` after its end. The minutes of the sliding spans stay, for whom links make
    one of two, as long as they are in a span, however short the lateness is: the clock is behind the watermark by at
    most `max_future`.
    """
    late = watermark - plan.lateness
    return min(late, watermark - plan.max_future - SLIDING * MINUTE) if grain == "minute" else late
