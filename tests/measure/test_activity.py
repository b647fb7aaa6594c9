"""Live activity: what is counted in which window, how exact users are, and how sketches merge."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgpack
import pytest
from datasketches import hll_sketch, tgt_hll_type
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.measure.accumulator import Accumulator, Group
from pipeline.measure.activity import Activity, WindowKey
from pipeline.measure.sketches import LG_K, dumped, hash_of, sketch_of, union, update
from schemas.event import Event
from schemas.plan import Plan

START = 1_790_006_400_000  # 2026-09-21 16:00 UTC: midnight in Shanghai
#: Four standard errors of the sketch.
ERROR = 4 * 1.04 / 4096**0.5


def plan(**changes: Any) -> Plan:
    return Plan.model_validate(
        {"product": "Test", "dimensions": ["platform"], "events": {"look": None, "join": None}, **changes}
    )


def event(user: str, ts: int, name: str = "look", value: int = 0, **fields: Any) -> Event:
    return Event.of({"event_id": "e", "event": name, "ts": ts, "user_id": user, **fields}, user, value)


def fold(activity: Activity, events: list[Event], version: int = 1) -> None:
    activity.fold(events, version)


def rows(activity: Activity) -> dict[tuple[str, int, str, tuple[str, ...]], tuple[Any, ...]]:
    return {
        (r.grain, r.start - START, r.dimension, r.value): (
            r.events, r.amount, round(r.users), round(r.sessions), round(r.registrations)
        )
        for r in activity.rows(list(activity.accumulators), 0)
    }  # fmt: skip


def test_literal_events() -> None:
    activity = Activity(plan(timezone="Asia/Shanghai", registration="join"))
    fold(activity, [
        event("u1", START - 1, session_id="s1", platform="ios"),  # the last millisecond of the day before
        event("u1", START, value=19_990_000, session_id="s1", platform="ios"),
        event("u2", START + 59_999, "join", value=-5, session_id="s2"),
        event("u2", START + 60_000, platform=""),
    ])  # fmt: skip
    minute, hour, day = 60_000, 3_600_000, 86_400_000
    assert rows(activity) == {
        ("minute", -minute, "", ()): (1, 0, 1, 1, 0),
        ("minute", -minute, "platform", ("ios",)): (1, 0, 1, 1, 0),
        ("minute", 0, "", ()): (2, 19_989_995, 2, 2, 1),
        ("minute", 0, "platform", ("ios",)): (1, 19_990_000, 1, 1, 0),
        ("minute", 0, "platform", ("",)): (1, -5, 1, 1, 1),
        ("minute", minute, "", ()): (1, 0, 1, 0, 0),
        ("minute", minute, "platform", ("",)): (1, 0, 1, 0, 0),
        ("hour", -hour, "", ()): (1, 0, 1, 1, 0),
        ("hour", -hour, "platform", ("ios",)): (1, 0, 1, 1, 0),
        ("hour", 0, "", ()): (3, 19_989_995, 2, 2, 1),
        ("hour", 0, "platform", ("ios",)): (1, 19_990_000, 1, 1, 0),
        ("hour", 0, "platform", ("",)): (2, -5, 1, 1, 1),
        ("day", -day, "", ()): (1, 0, 1, 1, 0),
        ("day", -day, "platform", ("ios",)): (1, 0, 1, 1, 0),
        ("day", 0, "", ()): (3, 19_989_995, 2, 2, 1),
        ("day", 0, "platform", ("ios",)): (1, 19_990_000, 1, 1, 0),
        ("day", 0, "platform", ("",)): (2, -5, 1, 1, 1),
        ("day_utc", -16 * hour, "", ()): (4, 19_989_995, 2, 2, 1),
        ("day_utc", -16 * hour, "platform", ("ios",)): (2, 19_990_000, 1, 1, 0),
        ("day_utc", -16 * hour, "platform", ("",)): (2, -5, 1, 1, 1),
    }


@pytest.mark.parametrize(("users", "error"), [(100, 0.0), (10_000, ERROR), (1_000_000, ERROR)])
def test_users_are_exact_when_few_and_within_the_error_when_many(users: int, error: float) -> None:
    activity = Activity(plan(dimensions=[]))
    for begin in range(0, users, 50_000):
        several = [event(f"user-{n}", START) for n in range(begin, min(users, begin + 50_000))]
        fold(activity, several)
        fold(activity, several[:1000])  # who comes again is no other user
    (found,) = {users for (grain, *_), (_, _, users, _, _) in rows(activity).items() if grain == "hour"}
    assert abs(found - users) <= error * users


def test_merged_minutes_are_their_hour() -> None:
    """Each user comes in two minutes: the sum of the minutes would be twice the hour."""
    activity = Activity(plan(dimensions=[]))
    for minute in range(60):
        first, again = range(minute * 500, minute * 500 + 500), range(minute * 500 - 500, minute * 500)
        fold(activity, [event(f"u{n % 30_000}", START + minute * 60_000) for n in (*first, *again)])
    accumulators = activity.accumulators.items()
    merged = union(accumulator.users for key, accumulator in accumulators if key.grain == "minute").get_estimate()
    (hour,) = (accumulator.users.get_estimate() for key, accumulator in accumulators if key.grain == "hour")
    assert abs(merged - 30_000) <= ERROR * 30_000
    assert abs(hour - 30_000) <= ERROR * 30_000
    assert sum(accumulator.users.get_estimate() for key, accumulator in accumulators if key.grain == "minute") > 50_000


@pytest.mark.parametrize("minutes", [1, 3])
def test_the_figures_of_many_depend_on_nothing_but_the_events(minutes: int) -> None:
    """Not on who looked when, nor on batches, nor on a restart: an estimate of a sketch may know how it was made."""
    events = [event(f"u{n}", START + n % minutes * 60_000, session_id=f"s{n}") for n in range(6_000)]

    def folded(size: int, *, look: bool, restart_at: int = 0) -> dict[Any, Any]:
        activity = Activity(plan(dimensions=[]))
        for begin in range(0, len(events), size):
            fold(activity, events[begin : begin + size], begin + size)
            if look:
                list(activity.rows(list(activity.accumulators), 0))
            if begin + size == restart_at:
                before, activity = activity, Activity(plan(dimensions=[]))
                for key, accumulator in before.accumulators.items():
                    activity.load(key, accumulator.dump())
        return {key: accumulator.figures() for key, accumulator in activity.accumulators.items()}

    expected = folded(6_000, look=False)
    assert folded(300, look=True) == expected
    assert folded(1_000, look=False) == expected
    assert folded(500, look=True, restart_at=3_000) == expected


@pytest.mark.parametrize("first", ["put on", "folded", "taken off"])
def test_the_figures_of_many_who_come_and_go_do_not_depend_on_the_order(first: str) -> None:
    minute = START // 60_000
    events = [event(f"u{n}", START) for n in range(2_000)]
    come = [(f"c{n}", [(minute, ("",), True)], START) for n in range(1_500)]
    gone = [(f"u{n}", [(minute, ("",), False)], START) for n in range(1_000)]

    def done(order: list[str], size: int) -> dict[Any, Any]:
        activity = Activity(plan(registration="join"))
        activity.fold([event("u0", START)], 1)  # the window and the value are there
        for what in order:
            for begin in range(0, 2_000, size):
                until = begin + size
                match what:
                    case "folded":
                        activity.fold(events[begin:until], until)
                    case "put on":
                        activity.put_on(come[begin:until], until, START)
                    case "taken off":
                        activity.take_off(gone[begin:until][::-1], until)
                list(activity.rows(list(activity.accumulators), 0))
        return {key: accumulator.figures() for key, accumulator in activity.accumulators.items()}

    order = ["folded", "put on", "taken off"]
    expected = done(order, 2_000)
    (users, _, registrations) = expected["hour", START, "", ()]
    assert abs(users - 2_500) <= ERROR * 4_500
    assert abs(registrations - 1_500) <= ERROR * 1_500
    assert done([first, *[what for what in order if what != first]], 250) == expected


def test_whom_links_brought_to_an_hour_is_read_where_an_earlier_version_kept_them_apart() -> None:
    key = WindowKey("hour", START, "", ())
    users, come, registered = (dumped(sketch_of(hashes)) for hashes in ([1, 2], [2, 3], [3]))
    activity = Activity(plan())
    activity.load(key, msgpack.packb((START + 3_600_000, 7, 2, "0", users, None, None, [come], [registered])))
    assert [round(one) for one in activity.accumulators[key].figures()] == [3, 0, 1]
    again = Activity(plan())
    again.load(key, activity.accumulators[key].dump())
    assert again.accumulators[key].figures() == activity.accumulators[key].figures()


@pytest.mark.parametrize("grain", ["minute", "hour"])
@pytest.mark.parametrize("users", [3, 500, 2_000])
def test_sketches_of_half_a_byte_a_register_are_read_as_earlier_versions_wrote_them(grain: str, users: int) -> None:
    old = hll_sketch(LG_K, tgt_hll_type.HLL_4)
    hashes = [hash_of(f"u{n}") for n in range(users)]
    update(old, hashes)
    key, more = WindowKey(grain, START, "", ()), [hash_of(f"v{n}") for n in range(users)]
    figures = []
    for sketch in (old, sketch_of(hashes)):
        activity = Activity(plan())
        activity.load(key, msgpack.packb((START + 60_000, 7, users, "0", sketch.serialize_compact(), None, None)))
        accumulator = activity.accumulators[key]
        assert isinstance(accumulator, Accumulator)
        before = accumulator.figures()
        accumulator.count(Group(users, 0, more, [], []), 8)
        figures.append((before, accumulator.figures()))
    assert figures[0] == figures[1]
    assert figures[0][0][0] == pytest.approx(users, rel=4 * 0.01625)
    assert figures[0][1][0] == pytest.approx(2 * users, rel=4 * 0.01625)


def test_recent_users_come_from_the_minutes() -> None:
    activity = Activity(plan())
    fold(activity, [event("u1", START), event("u2", START + 60_000, platform="ios"), event("u2", START + 120_000)])
    found = {value: (events, round(users)) for value, (events, users) in
             activity.recent(START + 60_000).items()}  # fmt: skip
    assert found == {(): (2, 1)}
    by_platform = activity.recent(START, "platform")
    assert {value: events for value, (events, _) in by_platform.items()} == {("",): 2, ("ios",): 1}


def test_of_recent_minutes_none_is_there_that_was_dropped_and_each_that_was_put_back() -> None:
    activity = Activity(plan())
    fold(activity, [event("u1", START), event("u2", START, platform="ios"), event("u2", START + 60_000)])
    dumped = {key: accumulator.dump() for key, accumulator in activity.accumulators.items()}
    activity.drop([key for key in dumped if key.start == START])
    assert {value: events for value, (events, _) in activity.recent(0).items()} == {(): 1}
    assert {value: events for value, (events, _) in activity.recent(0, "platform").items()} == {("",): 1}
    fold(activity, [event("u3", START, platform="ios")])
    assert {value: events for value, (events, _) in activity.recent(0, "platform").items()} == {("",): 1, ("ios",): 1}
    again = Activity(plan())
    for key, data in dumped.items():
        again.load(key, data)
    assert {value: events for value, (events, _) in again.recent(0, "platform").items()} == {("",): 2, ("ios",): 1}
    activity.drop(list(activity.accumulators))
    assert activity.recent(0) == activity.recent(0, "platform") == {}


def test_the_first_values_of_a_window_have_places_the_rest_is_other() -> None:
    activity = Activity(plan(max_values=2))
    fold(activity, [event("u", START + i, platform=p) for i, p in enumerate("abcdabc")])
    fold(activity, [event("u", START + 60_000 + i, platform=p) for i, p in enumerate("dcba")])
    found = {key[3][0]: counts[0] for key, counts in rows(activity).items() if key[0] == "hour" and key[2]}
    assert found == {"a": 3, "b": 3, "(other)": 5}
    second = {
        key[3][0]: counts[0] for key, counts in rows(activity).items() if key[:3] == ("minute", 60_000, "platform")
    }
    assert second == {"d": 1, "c": 1, "(other)": 2}


_events = st.builds(
    event,
    st.sampled_from(["u1", "u2", "u3"]),
    st.integers(0, 8).map(lambda n: START - 100_000 + n * 45_000),
    st.sampled_from(["look", "join"]),
    st.integers(-3, 3),
    platform=st.sampled_from(["a", "b", None]),
    session_id=st.sampled_from(["s1", "s2", None]),
)


@given(st.lists(_events, max_size=40), st.lists(st.integers(0, 40), max_size=4), st.randoms(use_true_random=False))
def test_neither_order_nor_batches_change_a_count(events: list[Event], cuts: list[int], random: Any) -> None:
    whole, pieces = (Activity(plan(registration="join", timezone="Europe/Berlin")) for _ in range(2))
    fold(whole, events)
    shuffled = list(events)
    random.shuffle(shuffled)
    begin = 0
    for end in [*sorted(cuts), len(events)]:
        if begin < end:
            fold(pieces, shuffled[begin:end])
            begin = end
    assert rows(pieces) == rows(whole)


@given(st.lists(_events, max_size=40), st.lists(st.integers(0, 40), max_size=4), st.integers(1, 2))
def test_batches_do_not_decide_which_values_have_places(events: list[Event], cuts: list[int], most: int) -> None:
    own = plan(dimensions=["platform", ["platform", "event"]], max_values=most, registration="join")
    whole, pieces = Activity(own), Activity(own)
    fold(whole, events)
    for begin, end in pairwise([0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]):
        fold(pieces, events[begin:end])
    assert rows(pieces) == rows(whole)


def test_the_windows_of_one_event_are_like_any_other() -> None:
    own = plan(registration="join", timezone="Asia/Shanghai")
    first = [event("u1", START, "join", 5, session_id="s"), event("u2", START + 60_000), event("u3", START + 120_000)]
    activity, again = Activity(own), Activity(own)
    fold(activity, first)
    for key, accumulator in activity.accumulators.items():
        again.load(key, accumulator.dump())
    for number in range(4):
        assert list(activity.rows(activity.accumulators, 0)) == list(again.rows(activity.accumulators, 0))
        assert {key: one.dump() for key, one in activity.accumulators.items()} == {
            key: one.dump() for key, one in again.accumulators.items()
        }
        minute = START // 60_000 + number
        for one in (activity, again):
            if number == 0:
                one.fold([event("u4", START, platform="ios")], 2)
            elif number == 1:
                one.take_off([("u2", [(minute, ("",), False)], 0)], 3)
            else:
                one.put_on([("u9", [(minute, ("",), True)], 0)], 4, START)
    assert rows(activity)["minute", 0, "", ()] == (2, 5, 2, 1, 1)
    assert rows(activity)["minute", 60_000, "platform", ("",)] == (1, 0, 0, 0, 0)
    assert rows(activity)["minute", 120_000, "platform", ("",)] == (1, 0, 2, 0, 1)


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [([["platform"], "platform"], "stands here twice"), ([[]], "the total, which is always counted")],
)
def test_dimensions_that_would_be_counted_twice_are_refused(dimensions: list[Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        plan(dimensions=dimensions)


@pytest.mark.parametrize("future", [[], [50_000]])
def test_the_last_minutes_are_the_same_among_many_and_with_one_far_ahead(future: list[int]) -> None:
    activity = Activity(plan(dimensions=[]))
    fold(activity, [event(f"u{minute}", START + minute * 60_000) for minute in [*range(100), *future]])
    more = len(future)
    assert activity.recent(START + 97 * 60_000) == {(): (3 + more, pytest.approx(3 + more))}
    assert activity.recent(START + 97 * 60_000 + 1) == {(): (2 + more, pytest.approx(2 + more))}
    assert activity.recent(START + 50_001 * 60_000) == {}
    assert activity.recent(0) == {(): (100 + more, pytest.approx(100 + more))}


def test_a_value_named_other_is_not_taken_for_what_has_no_place() -> None:
    """Where a minute has no place for a value that its hour has, the hour's `(other)` doesn't count it."""
    activity = Activity(plan(max_values=2))
    fold(activity, [event("u1", START, platform="ios"), event("u2", START, platform="web")])
    fold(activity, [event("u3", START + 60_000, platform="(other)")])
    fold(activity, [event("u4", START + 120_000, platform="a"), event("u5", START + 120_000, platform="b")])
    fold(activity, [event("u6", START + 120_000, platform="ios"), event("u7", START + 120_000, platform="(other)")])
    hour = {
        value: counts
        for (grain, _, name, value), counts in rows(activity).items()
        if (grain, name) == ("hour", "platform")
    }
    assert hour == {
        ("ios",): (2, 0, 2, 0, 0), ("web",): (1, 0, 1, 0, 0), ("(other)",): (4, 0, 4, 0, 0),
    }  # fmt: skip
