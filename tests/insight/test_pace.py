"""Today so far against other days up to the same time: literal minutes in, exact figures out."""

from __future__ import annotations

from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st

from pipeline.insight.pace import MINUTES, Against, against, pace

TODAY = date(2026, 11, 25)
YESTERDAY, LAST_WEEK = date(2026, 11, 24), date(2026, 11, 18)
COUNTS = {
    (TODAY, 0): 1.0, (TODAY, 599): 2.0,
    # The running minute counts on no day.
    (TODAY, 600): 50.0,
    (YESTERDAY, 14): 4.0, (YESTERDAY, 600): 5.0, (YESTERDAY, 1439): 1.0,
    (LAST_WEEK, 601): 7.0,
    (date(2026, 11, 23), 10): 99.0,
}  # fmt: skip


def test_each_day_counts_up_to_the_same_minute() -> None:
    found = pace(COUNTS, TODAY, time(10, 0))
    assert (found.so_far, found.last) == (3.0, 600)
    assert found.yesterday == Against(YESTERDAY, 4.0, 10.0, -0.25)
    assert found.last_week == Against(LAST_WEEK, 0.0, 7.0, None)


def test_curves_are_sums_and_todays_ends_now() -> None:
    found = pace(COUNTS, TODAY, time(10, 0))
    own, yesterday, last_week = found.curves
    assert found.places[0] == 15
    assert found.places[-1] == MINUTES
    assert own[:2] == (1.0, 1.0)
    assert [v for v in own if v is not None][-1] == 3.0
    assert own[found.places.index(615)] is None
    assert (yesterday[0], yesterday[found.places.index(615)], yesterday[-1]) == (4.0, 9.0, 10.0)
    assert last_week[-1] == 7.0


def test_a_day_without_anything_is_no_day_to_compare_with() -> None:
    found = pace({(TODAY, 1): 1.0}, TODAY, time(10, 0))
    assert (found.yesterday, found.last_week) == (None, None)
    assert set(found.curves[1]) == {None}
    assert pace({}, TODAY, time(0, 1)).last is None


def test_the_same_weekday_is_a_week_before() -> None:
    assert against(date(2026, 3, 1)) == (date(2026, 2, 28), date(2026, 2, 22))


@given(st.lists(st.integers(0, MINUTES - 1), max_size=30), st.times())
def test_what_came_by_now_and_what_came_later_are_the_day(minutes: list[int], until: time) -> None:
    counts = {(YESTERDAY, minute): float(minutes.count(minute)) for minute in minutes}
    found = pace(counts, TODAY, until).yesterday
    at = until.hour * 60 + until.minute
    assert (found is None) is (not minutes)
    if found is not None:
        assert found.whole == len(minutes)
        assert found.by_now == sum(minute < at for minute in minutes)
