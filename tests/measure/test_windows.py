"""Windows are half open, in UTC but for the days of the plan's time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.measure.windows import bounds, grains

ZONES = ["UTC", "Asia/Shanghai", "Asia/Kathmandu", "Europe/Berlin", "America/Havana", "Pacific/Apia"]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("grain", "zone", "at", "start", "end"),
    [
        ("minute", "UTC", "2026-09-21 14:13:20", "2026-09-21 14:13", "2026-09-21 14:14"),
        ("minute", "UTC", "2026-09-21 14:13:00", "2026-09-21 14:13", "2026-09-21 14:14"),
        ("hour", "Asia/Kathmandu", "2026-09-21 14:13:20", "2026-09-21 14:00", "2026-09-21 15:00"),
        ("day_utc", "Asia/Shanghai", "2026-09-21 23:59:59", "2026-09-21 00:00", "2026-09-22 00:00"),
        ("day", "Asia/Shanghai", "2026-09-21 15:59:59", "2026-09-20 16:00", "2026-09-21 16:00"),
        ("day", "Asia/Shanghai", "2026-09-21 16:00:00", "2026-09-21 16:00", "2026-09-22 16:00"),
        ("day", "Europe/Berlin", "2026-03-29 12:00:00", "2026-03-28 23:00", "2026-03-29 22:00"),  # 23 hours
        ("day", "Europe/Berlin", "2026-10-25 12:00:00", "2026-10-24 22:00", "2026-10-25 23:00"),  # 25 hours
        ("day", "America/Havana", "2026-03-08 12:00:00", "2026-03-08 05:00", "2026-03-09 04:00"),  # begins at 1 o'clock
        (
            "day",
            "America/Havana",
            "2026-11-01 05:30:00",
            "2026-11-01 04:00",
            "2026-11-02 05:00",
        ),  # midnight comes twice
    ],
)
def test_bounds(grain: str, zone: str, at: str, start: str, end: str) -> None:
    assert bounds(grain, ms(at), ZoneInfo(zone)) == (ms(start), ms(end))


@given(
    st.sampled_from(["minute", "hour", "day", "day_utc"]),
    st.sampled_from(ZONES),
    st.integers(ms("2000-01-01"), ms("2100-01-01")),
)
def test_windows_follow_one_another_without_a_gap(grain: str, name: str, ts: int) -> None:
    zone = ZoneInfo(name)
    start, end = bounds(grain, ts, zone)
    assert start <= ts < end
    assert bounds(grain, start, zone) == bounds(grain, end - 1, zone) == (start, end)
    assert bounds(grain, end, zone)[0] == end


def test_the_utc_day_is_counted_only_where_it_is_another() -> None:
    assert grains(ZoneInfo("UTC")) == ("minute", "hour", "day")
    assert grains(ZoneInfo("Europe/Berlin")) == ("minute", "hour", "day", "day_utc")


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(ValueError, match="no such window: week"):
        bounds("week", 0, ZoneInfo("UTC"))
