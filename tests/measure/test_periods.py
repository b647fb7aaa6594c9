"""Which parts of two periods are compared: literal moments, on every weekday and where the clocks change."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from pipeline.measure.periods import Period, day_start, mature_days, moment, moment_back

SHANGHAI, BERLIN, CAIRO = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Africa/Cairo")
HOUR = 3_600_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


WEEK = Period(date(2026, 11, 23), date(2026, 11, 29))


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ("2026-11-22T23:59:59+08:00", None),
        ("2026-11-23T00:00:30+08:00", None),  # the clock shows 00:00: nothing is over
        ("2026-11-23T00:01:00+08:00", Period(date(2026, 11, 23), date(2026, 11, 23), time(0, 1))),
        ("2026-11-23T23:59:59+08:00", Period(date(2026, 11, 23), date(2026, 11, 23), time(23, 59))),
        ("2026-11-24T00:00:00+08:00", Period(date(2026, 11, 23), date(2026, 11, 23))),
        ("2026-11-25T00:01:00+08:00", Period(date(2026, 11, 23), date(2026, 11, 24))),
        ("2026-11-25T16:00:00+08:00", Period(date(2026, 11, 23), date(2026, 11, 24))),
        ("2026-11-29T23:59:59+08:00", Period(date(2026, 11, 23), date(2026, 11, 28))),
        ("2026-11-30T00:00:00+08:00", WEEK),
        ("2027-03-01T12:00:00+08:00", WEEK),
    ],
)
def test_what_of_a_week_is_over(now: str, wanted: Period | None) -> None:
    assert WEEK.over(at(now), SHANGHAI) == wanted


def test_two_days_of_a_week_are_compared_with_the_same_two() -> None:
    over = WEEK.over(at("2026-11-25T10:00:00+08:00"), SHANGHAI)
    assert over is not None
    assert over.back(7) == Period(date(2026, 11, 16), date(2026, 11, 17))
    assert over.back(7).bounds(SHANGHAI) == (at("2026-11-16T00:00+08:00"), at("2026-11-18T00:00+08:00"))


def test_a_running_day_is_compared_up_to_the_same_time_of_day() -> None:
    today = Period(date(2026, 11, 25), date(2026, 11, 25))
    over = today.over(at("2026-11-25T14:30:59+08:00"), SHANGHAI)
    assert over is not None
    assert over.bounds(SHANGHAI) == (at("2026-11-25T00:00+08:00"), at("2026-11-25T14:30+08:00"))
    assert over.back(1).bounds(SHANGHAI) == (at("2026-11-24T00:00+08:00"), at("2026-11-24T14:30+08:00"))


def test_a_day_has_23_or_25_hours_where_the_clocks_change() -> None:
    long, short = Period(date(2026, 10, 25), date(2026, 10, 25)), Period(date(2026, 3, 29), date(2026, 3, 29))
    assert [(end - start) // HOUR for start, end in (long.bounds(BERLIN), short.bounds(BERLIN))] == [25, 23]
    # Ten in the morning is ten in the morning, though an hour more or less has passed since midnight.
    over = long.over(at("2026-10-25T10:00+01:00"), BERLIN)
    assert over is not None
    start, end = over.bounds(BERLIN)
    then, until = over.back(1).bounds(BERLIN)
    assert ((end - start) // HOUR, (until - then) // HOUR) == (11, 10)
    assert until == at("2026-10-24T10:00+02:00")


def test_a_time_that_the_clocks_skip_or_show_twice() -> None:
    assert moment(date(2026, 3, 29), time(2, 30), BERLIN) == at("2026-03-29T03:00+02:00")
    assert moment(date(2026, 3, 29), time(3, 30), BERLIN) == at("2026-03-29T03:30+02:00")
    assert moment(date(2026, 10, 25), time(2, 30), BERLIN) == at("2026-10-25T02:30+02:00")
    # Cairo's clocks jump at midnight: the day begins at one.
    assert day_start(date(2026, 4, 24), CAIRO) == at("2026-04-24T01:00+03:00")


def test_a_moment_back_by_the_clock() -> None:
    assert moment_back(at("2026-03-29T12:00:40+02:00"), 1, BERLIN) == at("2026-03-28T12:00+01:00")
    assert moment_back(at("2026-03-30T02:30+02:00"), 1, BERLIN) == at("2026-03-29T03:00+02:00")
    assert moment_back(at("2026-03-29T12:00:40+02:00"), 0, BERLIN) == at("2026-03-29T12:00+02:00")


def test_months_years_and_leap_days() -> None:
    over = Period(date(2028, 2, 28), date(2028, 3, 5)).over(at("2028-03-01T00:01+08:00"), SHANGHAI)
    assert over == Period(date(2028, 2, 28), date(2028, 2, 29))
    assert Period(date(2026, 12, 28), date(2027, 1, 3)).over(at("2027-01-01T00:01+08:00"), SHANGHAI) == Period(
        date(2026, 12, 28), date(2026, 12, 31)
    )


def test_days_of_cohorts_that_have_not_had_their_time_are_left_out() -> None:
    days = Period(date(2026, 11, 18), date(2026, 11, 24))
    now = at("2026-11-25T00:30+08:00")
    assert mature_days(days, 0, now, SHANGHAI) == days
    assert mature_days(days, HOUR, now, SHANGHAI) == Period(date(2026, 11, 18), date(2026, 11, 23))
    assert mature_days(days, HOUR, at("2026-11-25T01:00+08:00"), SHANGHAI) == days
    assert mature_days(days, 7 * 24 * HOUR, now, SHANGHAI) is None
