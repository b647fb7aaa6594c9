"""Since when a step is worse, and for whom."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.insight.breaks import Break, Day, fall
from pipeline.insight.funnel_changes import changes

FIRST = date(2026, 11, 1)


def days(*shares: float, entered: int = 200) -> list[Day]:
    return [Day(FIRST + timedelta(days=k), round(share * entered), entered) for k, share in enumerate(shares)]


def test_the_day_of_a_fall() -> None:
    found = fall(days(0.61, 0.6, 0.62, 0.6, 0.44, 0.43, 0.45))
    assert found is not None
    assert (found.since, round(found.before, 4), round(found.after, 4)) == (date(2026, 11, 5), 0.6075, 0.44)
    assert (found.n_before, found.n_after) == (800, 600)
    assert found.z < -6


def test_what_is_no_fall() -> None:
    assert fall(days(0.6, 0.59, 0.61, 0.6, 0.6)) is None
    assert fall(days(0.4, 0.4, 0.6, 0.6)) is None  # it rose
    assert fall(days(0.6, 0.6, 0.3, 0.3, entered=12)) is None  # too few users
    assert fall(days(0.6, 0.6, 0.585, 0.585, entered=100_000)) is None  # sure, and too small to matter
    assert fall([]) is None


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=20))
def test_what_is_found_is_what_the_days_say(pairs: list[tuple[int, int]]) -> None:
    given_days = [Day(FIRST + timedelta(days=k), min(p), max(p)) for k, p in enumerate(pairs)]
    found = fall(given_days)
    if found is None:
        return
    before = [d for d in given_days if d.day < found.since]
    after = [d for d in given_days if d.day >= found.since]
    assert isinstance(found, Break)
    assert found.before == sum(d.reached for d in before) / sum(d.entered for d in before)
    assert found.after == sum(d.reached for d in after) / sum(d.entered for d in after)
    assert found.before - found.after >= 0.03


def test_the_segment_that_broke_is_named_with_what_holds_beside_it() -> None:
    ten = [FIRST + timedelta(days=k) for k in range(10)]
    old = dict.fromkeys(ten, (100, 60))
    new = {day: (100, 60 if day < ten[6] else 10) for day in ten}
    ios = dict.fromkeys(ten, (100, 60))
    whole = {day: (300, old[day][1] + new[day][1] + ios[day][1]) for day in ten}
    android = {day: (200, old[day][1] + new[day][1]) for day in ten}
    (change,) = changes(
        "checkout", ["checkout", "pay"], whole,
        {"platform": {"android": android, "ios": ios},
         "platform,app_version": {"android / 5.1": old, "android / 5.2": new, "ios / 5.2": ios}},
    )  # fmt: skip
    assert change.segment is not None
    assert (change.segment.dimension, change.segment.value) == ("platform,app_version", "android / 5.2")
    assert (change.step, change.following, change.since) == ("checkout", "pay", date(2026, 11, 7))
    assert (change.segment.before, change.segment.after) == (0.6, 0.1)
    assert change.rest == (0.6, 0.6)
    assert change.siblings == (("android / 5.1", 0.6),)


def test_a_fall_of_everybody_names_nobody() -> None:
    ten = [FIRST + timedelta(days=k) for k in range(10)]
    half = {day: (100, 60 if day < ten[5] else 40) for day in ten}
    whole = {day: (200, 2 * half[day][1]) for day in ten}
    (change,) = changes("f", ["a", "b"], whole, {"platform": {"android": half, "ios": half}})
    assert change.segment is None
    assert change.since == date(2026, 11, 6)


def test_a_small_segment_is_found_though_the_whole_does_not_show_it() -> None:
    ten = [FIRST + timedelta(days=k) for k in range(10)]
    small = {day: (30, 20 if day < ten[5] else 3) for day in ten}
    rest = dict.fromkeys(ten, (2000, 1200))
    whole = {day: (2030, 1200 + small[day][1]) for day in ten}
    (change,) = changes("f", ["a", "b"], whole, {"country": {"NZ": small, "CN": rest}})
    assert change.segment is not None
    assert (change.segment.value, change.since) == ("NZ", date(2026, 11, 6))
