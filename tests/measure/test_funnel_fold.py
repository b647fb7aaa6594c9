"""Folding an actor's events gives what all of them give at once, whatever order and batches they come in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.funnel_reference import codes, modes

from pipeline.measure.entries import MemoryEntries
from pipeline.measure.funnel import Event, FunnelSpec, Key, contributions
from pipeline.measure.funnel_alone import fold_alone
from pipeline.measure.funnel_counts import FunnelCell, FunnelCounters
from pipeline.measure.funnel_extend import Change
from pipeline.measure.funnel_fold import FunnelFold
from pipeline.measure.funnel_state import MAX_EVENTS, event_count, expires_at, overflowed

A, B, C, OUT = 1, 2, 4, 8  # the steps of a funnel of three, and an exclusion


def hundreds(ts: int) -> tuple[int, int]:
    return ts // 100 * 100, ts // 100 * 100 + 100


SPEC = FunnelSpec(3, 50, hundreds)


def counted(counters: FunnelCounters) -> dict[tuple[int, str], FunnelCell]:
    """The accumulators that hold an actor."""
    accumulators = {key: counters.summary([key]) for key in counters.keys()}  # noqa: SIM118 - not a dict
    return {
        key: accumulator
        for key, accumulator in accumulators.items()
        if accumulator is not None and any(accumulator.counts)
    }


def levels(spec: FunnelSpec, *batches: Sequence[Event]) -> dict[tuple[int, str], int]:
    """The level that one actor counts with, after these batches."""
    fold, counters, entry = FunnelFold(spec), FunnelCounters(spec), None
    for batch in batches:
        entry, changes = fold.fold(entry, batch)
        counters.apply(changes)
    return {key: accumulator.counts.index(1) for key, accumulator in counted(counters).items()}


def waits(changes: Sequence[Change]) -> list[tuple[Key, list[int] | None, list[int] | None]]:
    """The changes with the times between the steps, None for no chain."""
    return [
        (key, *([b - a for a, b in pairwise(chain)] if chain else None for chain in chains))  # type: ignore[misc]
        for key, *chains in changes
    ]


def test_a_funnel_step_by_step() -> None:
    fold = FunnelFold(SPEC)
    entry, changes = fold.fold(None, [(10, A, "ios")])
    assert waits(changes) == [((0, "ios"), None, [])]
    entry, changes = fold.fold(entry, [(15, A, "ios")])
    assert waits(changes) == []
    entry, changes = fold.fold(entry, [(20, B, "")])
    assert waits(changes) == [((0, "ios"), [], [5])]  # from 15: the latest start
    entry, changes = fold.fold(entry, [(65, C, ""), (66, C, "")])
    assert waits(changes) == [((0, "ios"), [5], [5, 45])]
    assert fold.fold(entry, [(90, B, "")])[1] == []


def test_a_late_event_moves_what_was_counted() -> None:
    # Between start and end: the actor climbs.
    assert levels(SPEC, [(10, A, ""), (30, C, "")], [(20, B, "")]) == {(0, ""): 3}
    # Under strict_order: it falls.
    strict = FunnelSpec(3, 50, hundreds, frozenset({"strict_order"}))
    assert levels(strict, [(10, A, ""), (20, B, "")]) == {(0, ""): 2}
    assert levels(strict, [(10, A, ""), (20, B, "")], [(15, 0, "")]) == {(0, ""): 1}
    # An earlier first step with another value: it counts there instead.
    assert levels(SPEC, [(10, A, "web"), (20, B, "")], [(5, A, "ios")]) == {(0, "ios"): 2}


def test_the_first_value_of_a_bucket_is_the_only_one_kept() -> None:
    fold = FunnelFold(SPEC)
    one_value = fold.fold(None, [(10, A, "ios"), (20, A, "ios"), (30, B, "")])[0]
    assert fold.fold(None, [(10, A, "ios"), (20, A, "a tablet at home"), (30, B, "")])[0] == one_value
    # And so it is when they come one by one, or the earlier one late; of two at a time the smaller one counts.
    entry = fold.fold(fold.fold(None, [(10, A, "ios")])[0], [(20, A, "web"), (30, B, "")])[0]
    assert entry == one_value
    assert fold.fold(fold.fold(None, [(20, A, "web"), (30, B, "")])[0], [(10, A, "ios")])[0] == one_value
    assert (
        fold.fold(fold.fold(None, [(10, A, "web"), (20, A, "web"), (30, B, "")])[0], [(10, A, "ios")])[0] == one_value
    )
    # Another bucket has its own.
    assert levels(SPEC, [(10, A, "ios"), (20, A, "web"), (110, A, "web"), (120, B, "")]) == {
        (0, "ios"): 1,
        (100, "web"): 2,
    }


def test_steps_that_come_last_go_on_where_their_bucket_stands() -> None:
    # Ten first steps in one bucket, then another bucket with a value of its own, and one more with the first value.
    fold = FunnelFold(SPEC)
    entry, _ = fold.fold(None, [(k, A, "tv") for k in range(10)])
    steps = [(40, B, ""), (120, A, "ios"), (130, A, "web"), (150, B, ""), (160, C, ""), (230, A, "tv"), (235, B, "")]
    found = []
    for step in steps:
        entry, changes = fold.fold(entry, [step])
        found += waits(changes)
    assert found == [
        ((0, "tv"), [], [31]),
        ((100, "ios"), None, []),
        ((100, "ios"), [], [20]),
        ((100, "ios"), [20], [20, 10]),
        ((200, "tv"), None, []),
        ((200, "tv"), [], [5]),
    ]
    assert entry == FunnelFold(SPEC).fold(None, [*[(k, A, "tv") for k in range(10)], *steps])[0]
    # Together they are what they are one by one.
    entry, _ = fold.fold(None, [(k, A, "tv") for k in range(10)])
    assert waits(fold.fold(entry, steps)[1]) == [
        ((0, "tv"), [], [31]),
        ((100, "ios"), None, [20, 10]),
        ((200, "tv"), None, [5]),
    ]


def test_what_is_no_step_changes_nothing_of_an_entry_however_late_it_comes() -> None:
    fold = FunnelFold(SPEC)
    for steps in ([(2, A, "")], [(2, A, ""), (60, B, "")], [(k, A, "") for k in range(40)]):
        entry, _ = fold.fold(None, steps)
        assert fold.fold(entry, [(250, 0, "")]) == (entry, [])
        assert fold.fold(entry, []) == (entry, [])


def test_an_actor_counts_in_every_bucket_it_starts_in() -> None:
    # The second step is within 50 ms of the first only for the start at 190; 205 starts the next bucket.
    assert levels(SPEC, [(110, A, ""), (190, A, ""), (205, A, ""), (230, B, "")]) == {
        (100, ""): 2,
        (200, ""): 2,
    }
    # The first step of the next bucket is not one in this bucket: strict_order sees a foreign event.
    strict = FunnelSpec(3, 50, hundreds, frozenset({"strict_order"}))
    assert levels(strict, [(190, A, ""), (205, A, ""), (210, B, "")]) == {(100, ""): 1, (200, ""): 2}


def test_a_new_bucket_and_its_next_step_in_one_batch() -> None:
    ten = [(110 * k, A, "") for k in range(10)] + [(110 * k + 5, B, "") for k in range(10)]
    expected = {(110 * k // 100 * 100, ""): 2 for k in range(10)}
    assert levels(SPEC, ten, [(2000, A, ""), (2010, B, "")]) == {**expected, (2000, ""): 2}


def test_an_exclusion_cuts_the_timeline() -> None:
    assert levels(SPEC, [(10, A, ""), (15, OUT, ""), (20, B, "")]) == {(0, ""): 1}
    assert levels(SPEC, [(10, A, ""), (15, OUT, ""), (16, A, ""), (20, B, ""), (21, C, "")]) == {(0, ""): 3}
    # An event at the time of the exclusion belongs before it.
    assert levels(SPEC, [(10, A, ""), (15, OUT, ""), (15, B, ""), (16, C, "")]) == {(0, ""): 2}
    # A step can be the exclusion too.
    assert levels(SPEC, [(10, A, ""), (15, B | OUT, ""), (16, C, "")]) == {(0, ""): 2}
    # It can come late.
    assert levels(SPEC, [(10, A, ""), (20, B, "")], [(12, OUT, "")]) == {(0, ""): 1}
    # Of chains of the same length the earliest counts.
    _, changes = FunnelFold(SPEC).fold(None, [(10, A, ""), (12, B, ""), (15, OUT, ""), (20, A, ""), (27, B, "")])
    assert waits(changes) == [((0, ""), None, [2])]


@pytest.mark.parametrize(
    ("attribution", "expected"),
    [
        ("first", {(0, "android"): 2}),
        ("last", {(0, "web"): 2}),
        ("any", {(0, "alexa"): 2, (0, "android"): 2, (0, "ios"): 2}),
    ],
)
def test_attribution(attribution: str, expected: dict[tuple[int, str], int]) -> None:
    # Of the first steps at 10 `android` is the smaller. The last step is in the next bucket, in the window.
    timeline = [
        (10, A, "ios"),
        (10, A | B, "android"),
        (20, B, "mini"),
        (20, A, "alexa"),
        (120, C, "web"),
        (160, C, "tv"),
    ]
    spec = FunnelSpec(3, 50, hundreds, frozenset(), attribution)  # type: ignore[arg-type]
    assert levels(spec, timeline) == expected
    assert levels(spec, *([event] for event in reversed(timeline))) == expected


@st.composite
def histories(draw: st.DrawFn) -> tuple[FunnelSpec, list[Event], int]:
    """A funnel, an actor's events in the order of arrival, and the unit of their time in ms."""
    unit = draw(st.sampled_from([1, 700]))
    steps = draw(st.sampled_from([2, 3, 3, 7, 8, 15, 16]))
    width, window = draw(st.sampled_from([5, 10, 1000])) * unit, draw(st.integers(1, 25)) * unit
    attribution = draw(st.sampled_from(["first", "last", "any"]))
    spec = FunnelSpec(
        steps, window, lambda ts: (ts // width * width, ts // width * width + width), draw(modes), attribution
    )
    values = st.sampled_from(draw(st.sampled_from([[""], ["ios"], ["", "ios", "小程序"]])))
    times = st.integers(0, draw(st.sampled_from([8, 40, 100]))).map(lambda ts: ts * unit)
    most = draw(st.sampled_from([6, 12, 30]))
    events = draw(st.lists(st.tuples(times, codes(steps), values), max_size=most))
    if draw(st.booleans()):
        events.sort()
    return spec, events, unit


def relevant(spec: FunnelSpec, events: Sequence[Event]) -> list[Event]:
    return [
        (ts, code, value if spec.carries_value(code) else "")
        for ts, code, value in events
        if code or "strict_order" in spec.modes
    ]


def at_once(spec: FunnelSpec, events: Sequence[Event]) -> dict[tuple[int, str], FunnelCell]:
    counters = FunnelCounters(spec)
    counters.apply((key, (), chain) for key, chain in contributions(spec, relevant(spec, events)).items())
    return counted(counters)


def batches(draw: st.DrawFn, events: Sequence[Event]) -> list[Sequence[Event]]:
    found, start = [], 0
    while start < len(events):
        size = draw(st.sampled_from([1, 1, 1, 2, 5]))
        found.append(events[start : start + size])
        start += size
    return found


@settings(deadline=None)
@given(history=histories(), data=st.data())
def test_order_and_batches_do_not_matter(history: tuple[FunnelSpec, list[Event], int], data: st.DataObject) -> None:
    spec, events, _ = history
    linked = data.draw(st.booleans())
    fold, counters, entry = FunnelFold(spec, linked), FunnelCounters(spec), None
    for batch in data.draw(st.composite(batches)(events)):
        entry, changes = fold.fold(entry, batch)
        assert counters.apply(changes) == {key for key, _, _ in changes}
    assert counted(counters) == at_once(spec, events)
    assert FunnelFold(spec, linked).fold(None, sorted(events))[0] == entry
    if entry is not None:
        assert event_count(entry) <= len(events)


@settings(deadline=None)
@given(history=histories(), lateness=st.sampled_from([0, 3, 10, 30]), data=st.data())
def test_what_is_forgotten_does_not_matter(
    history: tuple[FunnelSpec, list[Event], int], lateness: int, data: st.DataObject
) -> None:
    spec, events, unit = history
    lateness *= unit
    accepted, horizons, watermark = [], [], 0
    for event in events:
        if event[0] >= watermark - lateness:
            accepted.append(event)
            horizons.append(max(watermark - lateness, 0))
            watermark = max(watermark, event[0])
    linked = data.draw(st.booleans())
    fold, counters, entry, done = FunnelFold(spec, linked), FunnelCounters(spec), None, 0
    for batch in data.draw(st.composite(batches)(accepted)):
        horizon = horizons[done]
        if entry is not None and expires_at(entry) <= horizon and data.draw(st.booleans()):
            entry = None
        before = {key: counters.dump(key) for key in counters.keys()}  # noqa: SIM118 - not a dict
        entry, changes = fold.fold(entry, batch, horizon)
        changed = counters.apply(changes)
        assert all(spec.final_at(bucket) > horizon for bucket, _ in changed)
        assert all(counters.dump(key) == data for key, data in before.items() if key not in changed)
        done += len(batch)
    assert counted(counters) == at_once(spec, accepted)
    # The same is kept as if everything had been there until the last batch.
    if accepted:
        whole, _ = FunnelFold(spec, linked).fold(None, accepted)
        assert FunnelFold(spec, linked).fold(whole, [], horizon)[0] == entry


@settings(deadline=None)
@given(history=histories(), lateness=st.sampled_from([0, 3, 10, 30]), linked=st.booleans(), actors=st.integers(1, 3))
def test_events_that_are_the_only_ones_of_their_actors_are_folded_in_one_pass(
    history: tuple[FunnelSpec, list[Event], int], lateness: int, linked: bool, actors: int
) -> None:
    spec, events, unit = history
    fold, watermark = FunnelFold(spec, linked), 0
    entries, expected = MemoryEntries(), MemoryEntries()
    counters, expected_counters = FunnelCounters(spec), FunnelCounters(spec)
    for n, (ts, code, value) in enumerate(relevant(spec, events)):
        horizon = watermark - lateness * unit
        if ts < horizon:
            continue
        watermark = max(watermark, ts)
        those = [str(k) for k in range(actors) if not k or (n + k) % 3]
        saved: dict[str, bytes] = {}
        changes, begun, chain = fold_alone(fold, entries, code, [(actor, ts, value) for actor in those], horizon, saved)
        changed = counters.apply(changes) | counters.begin(begun, chain)
        expected_saved, expected_changed = {}, set()
        for actor in those:
            before = expected.get(actor)
            entry, changes = FunnelFold(spec, linked).fold(before, [(ts, code, value)], horizon)
            expected_changed |= expected_counters.apply(changes)
            if entry is not None and entry != before:
                expected[actor] = expected_saved[actor] = entry
        assert (entries, saved, changed) == (expected, expected_saved, expected_changed)
        assert counted(counters) == counted(expected_counters)


@settings(max_examples=settings.default.max_examples * 4, deadline=None)
@given(history=histories(), lateness=st.sampled_from([0, 3, 10, 30]), data=st.data())
def test_what_is_taken_off_one_and_put_on_another_is_as_if_they_had_been_one(
    history: tuple[FunnelSpec, list[Event], int], lateness: int, data: st.DataObject
) -> None:
    """In every bucket that is not final when they are linked; what was final stays as it was."""
    spec, events, unit = history
    accepted, watermark = [], 0
    for event in events:
        if event[0] >= watermark - lateness * unit:
            accepted.append((event, max(watermark - lateness * unit, 0)))
            watermark = max(watermark, event[0])
    link = data.draw(st.integers(0, len(accepted)))
    owners = data.draw(st.lists(st.booleans(), min_size=len(accepted), max_size=len(accepted)))
    fold, counters = FunnelFold(spec, linked=True), FunnelCounters(spec)
    entries: list[bytes | None] = [None, None]  # the device's, the user's
    of: list[list[Event]] = [[], []]
    horizon = accepted[link][1] if link < len(accepted) else max(watermark - lateness * unit, 0)

    def merge() -> None:
        if entries[0] is not None:
            taken, changes = fold.withdraw(entries[0], horizon)
            counters.apply(changes)
            entries[0] = None
            entries[1], changes = fold.take_over(entries[1], taken, horizon)
            assert all(spec.final_at(bucket) > horizon for bucket, _ in counters.apply(changes))

    for n, (event, before) in enumerate(accepted):
        if n == link:
            merge()
        whose = 1 if n >= link else int(owners[n])
        of[whose].append(event)
        entries[whose], changes = fold.fold(entries[whose], [event], before)
        counters.apply(changes)
    if link == len(accepted):
        merge()
    expected = FunnelCounters(spec)
    both = contributions(spec, relevant(spec, of[0] + of[1]))
    expected.apply((key, (), chain) for key, chain in both.items() if spec.final_at(key[0]) > horizon)
    for own in of:
        alone = contributions(spec, relevant(spec, own))
        expected.apply((key, (), chain) for key, chain in alone.items() if spec.final_at(key[0]) <= horizon)
    assert counted(counters) == counted(expected)


@settings(deadline=None)
@given(history=histories(), data=st.data())
def test_a_copy_of_an_event_adds_nothing_by_default(
    history: tuple[FunnelSpec, list[Event], int], data: st.DataObject
) -> None:
    spec, events, _ = history
    spec = FunnelSpec(spec.steps, spec.window_ms, spec.bounds, spec.modes - {"strict_once", "strict_deduplication"})
    copies = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    assert at_once(spec, events + copies) == at_once(spec, events)
    fold = FunnelFold(spec, data.draw(st.booleans()))
    assert fold.fold(None, events + copies)[0] == fold.fold(None, events)[0]


def test_a_value_is_not_lent_to_events_that_came_without_one() -> None:
    spec = FunnelSpec(3, 50, hundreds, attribution="last")
    entry, _ = FunnelFold(spec).fold(None, [(10, B, "")])
    assert FunnelFold(spec).fold(entry, [(20, A, "ios")]) == FunnelFold(spec).fold(None, [(20, A, "ios"), (10, B, "")])


def test_an_event_at_the_time_of_the_first_step_is_kept_with_it() -> None:
    entry, changes = FunnelFold(SPEC).fold(None, [(5, B, ""), (10, B, ""), (10, A | C, "")])
    assert waits(changes) == [((0, ""), None, [0, 0])]
    entry, changes = FunnelFold(SPEC).fold(entry, [(40, B, "")], 30)
    assert entry == FunnelFold(SPEC).fold(None, [(10, B, ""), (10, A | C, ""), (40, B, "")])[0]


def test_an_event_older_than_the_horizon_is_an_error() -> None:
    with pytest.raises(ValueError, match="a funnel event at 9 is older than the horizon 10"):
        FunnelFold(SPEC).fold(None, [(12, A, ""), (9, B, "")], 10)
    with pytest.raises(ValueError, match="a funnel event at 9 is older than the horizon 10"):
        fold_alone(FunnelFold(SPEC), MemoryEntries(), A, [("a", 12, ""), ("b", 9, "")], 10, {})


def test_an_entry_expires_when_nothing_can_change_its_buckets() -> None:
    spec = FunnelSpec(3, 5000, lambda ts: (ts // 10_000 * 10_000, ts // 10_000 * 10_000 + 10_000))
    fold = FunnelFold(spec)
    entry, _ = fold.fold(None, [(10_000, A, ""), (11_000, B, "")])
    assert entry is not None
    assert expires_at(entry) == 25_000 == spec.final_at(10_000)
    # Without a first step the events matter only as long as one before them can come.
    entry, _ = fold.fold(None, [(10_000, B, ""), (11_000, C, "")])
    assert entry is not None
    assert expires_at(entry) == 12_000  # 11,001 rounded up
    # Of a returning actor the entry keeps what is not final.
    entry, _ = fold.fold(None, [(10_000, A, ""), (30_000, A, "")])
    entry, changes = fold.fold(entry, [(31_000, B, "")], 25_000)
    assert entry == fold.fold(None, [(30_000, A, ""), (31_000, B, "")])[0]
    assert [(key, len(old), len(new)) for key, old, new in changes] == [((30_000, ""), 1, 2)]


def test_of_too_many_events_the_earliest_count() -> None:
    spec = FunnelSpec(3, 500, lambda ts: (ts // 900 * 900, ts // 900 * 900 + 900))
    events = [(2 * k, A if k < MAX_EVENTS else B, "") for k in range(MAX_EVENTS + 100)]
    kept = at_once(spec, events[:MAX_EVENTS])
    assert {key: accumulator.users for key, accumulator in kept.items()} == {(900 * k, ""): [1, 0, 0] for k in range(5)}
    for order in (events, events[::-1], events[1::2] + events[::2]):
        fold, counters, entry = FunnelFold(spec), FunnelCounters(spec), None
        for start in range(0, len(order), 300):
            entry, changes = fold.fold(entry, order[start : start + 300])
            counters.apply(changes)
        assert entry is not None
        assert overflowed(entry)
        assert event_count(entry) == MAX_EVENTS
        assert fold.dropped == 100
        assert counted(counters) == kept
        assert entry == FunnelFold(spec).fold(None, events)[0]
    entry, _ = fold.fold(None, events[:MAX_EVENTS])
    assert entry is not None
    assert not overflowed(entry)


def test_an_entry_is_small() -> None:
    day = FunnelSpec(
        3, 1_800_000, lambda ts: (ts // 86_400_000 * 86_400_000, ts // 86_400_000 * 86_400_000 + 86_400_000)
    )
    start = 1_764_000_000_000
    entry, _ = FunnelFold(day).fold(None, [(start, A, "ios"), (start + 60_000, B, ""), (start + 90_000, C, "")])
    assert entry is not None
    assert len(entry) == 28


def test_long_spans_many_values_and_many_steps() -> None:
    month = 30 * 86_400_000
    spec = FunnelSpec(16, 6 * month, lambda ts: (ts // month * month, ts // month * month + month), attribution="any")
    events = [(k * 86_400_000, 1 << min(k // 10, 15), f"campaign {k}") for k in range(170)]
    events += [(k * 1000, 1, f"campaign {k}") for k in range(300)]
    fold, counters, entry = FunnelFold(spec), FunnelCounters(spec), None
    for event in events:
        entry, changes = fold.fold(entry, [event])
        counters.apply(changes)
    assert counted(counters) == at_once(spec, events)
    assert len(counted(counters)) == 300
    assert entry == FunnelFold(spec).fold(None, events[::-1])[0]
