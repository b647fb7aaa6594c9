"""What is kept of an id that may yet be somebody's: whatever the batches, the same visits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.measure.entries import in_memory
from pipeline.measure.trails import Trails
from schemas.event import Event
from schemas.plan_io import parse_plan

PLAN = """
product: trails
lateness: 10m
registration: join
dimensions: [platform, event]
events: {look: {}, join: {}}
"""
T = 1_760_000_400_000  # begins a minute
MINUTE = 60_000
FIELDS = ("event", "platform")


def look(minute: int, platform: str = "web", name: str = "look", session: str = "s") -> Event:
    return Event("e", name, T + minute * MINUTE, platform=platform, session_id=session, actor="$device:d")


def trails(text: str = PLAN, fields: Sequence[str] = FIELDS) -> Trails:
    return Trails(parse_plan(text), fields, in_memory())


def test_a_minute_with_the_same_values_is_one_visit() -> None:
    found = trails()
    for event in (look(0), look(0), look(1, "ios"), look(0), look(-1, name="join"), look(1, "ios")):
        found.add([event], T)
    first = T // MINUTE
    assert found.of("$device:d", T).visits == [
        (first - 1, ("join", "web"), True),
        (first, ("look", "web"), False),
        (first + 1, ("look", "ios"), False),
    ]
    assert found.of("$device:e", T) == ([], [])


@given(
    st.lists(
        st.builds(
            look, st.integers(-300, 3_000), st.sampled_from(["web", "ios", ""]), st.sampled_from(["look", "join"])
        )
    ),
    st.lists(st.integers(0, 30), max_size=8),
    st.integers(0, 3_000),
)
def test_batches_make_no_difference_to_what_is_open(events: list[Event], cuts: list[int], minute: int) -> None:
    whole, parts = trails(), trails()
    until = T + minute * MINUTE
    whole.add(events, T)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(events)], strict=True):
        # What is not open at an earlier time isn't later.
        parts.add(events[start:end], min(T + start * MINUTE, until))
    assert parts.of("$device:d", until) == whole.of("$device:d", until)


@pytest.mark.parametrize("count", [5, 30, 300])
def test_many_values_are_kept_one_by_one_and_at_once(count: int) -> None:
    one_by_one, at_once = trails(), trails()
    events = [look(n % 3, f"p{n}") for n in range(count)]
    for event in events:
        one_by_one.add([event], T)
    at_once.add(events, T)
    assert one_by_one.of("$device:d", T) == at_once.of("$device:d", T)
    assert len(one_by_one.of("$device:d", T).visits) == count


def test_as_many_fields_as_a_plan_may_have() -> None:
    fields = [f"properties.p{n}" for n in range(60)]
    found = trails(fields=fields)
    for number in range(6):
        properties = {f"p{n}": f"{number} {n}" for n in range(60)}
        found.add([Event("e", "look", T, properties=properties, actor="$device:d")], T)
    assert [visit[1][59] for visit in found.of("$device:d", T).visits] == [f"{number} 59" for number in range(6)]


def test_sessions_are_kept_where_a_funnel_counts_them() -> None:
    text = PLAN + "funnels: {f: {steps: [look, join], window: 1d, per: session}}\n"
    found = trails(text)
    for session in ("s1", "s2", "s1", ""):
        found.add([look(0, session=session)], T)
    assert found.of("$device:d", T).sessions == ["s1", "s2"]


def test_of_minutes_that_are_over_one_visit_an_hour_is_kept() -> None:
    """Who comes every minute leaves little more than who comes now and then: as bytes, and of the same visits."""
    found = trails()
    for minute in range(600):
        found.add([look(minute)], T + minute * MINUTE)
        assert len(found.entries.get("$device:d") or b"") < 300
    # Of ten hours the last 35 minutes (half an hour and `max_future`), and the day, of which the others are one visit.
    assert len(found.of("$device:d", T + 599 * MINUTE).visits) <= 40


#: What an older state holds of visits (look on web, and on ios a minute later as it registered), with a session.
OLDER = bytes.fromhex(
    "80da32c899010000f0d200000000180000009291a2733194a46c6f6f6ba3776562a46a6f696ea3696f730000000000000101000000010203"
)


def test_an_entry_of_an_older_state_is_read_and_goes_on() -> None:
    found = trails()
    found.entries["$device:d"] = OLDER
    first = T // MINUTE
    before = [(first, ("look", "web"), False), (first + 1, ("join", "ios"), True)]
    assert found.of("$device:d", T) == (before, ["s1"])
    found.add([look(2, "ios")], T)
    assert found.of("$device:d", T) == ([*before, (first + 2, ("look", "ios"), False)], ["s1"])


#: Texts of which each may be found across the length and the beginning of others.
ODD = ["", "\x00", "\x00\x00", "\x01\x00", "\x01\x00a", "a", "\x00\x01\x00a", "b" * 255, "b" * 256, "b\x90", "é" * 200]


@given(st.lists(st.builds(look, st.integers(0, 3), st.sampled_from(ODD), st.sampled_from(ODD)), max_size=20))
def test_values_that_look_like_parts_of_others_stay_themselves(events: list[Event]) -> None:
    one_by_one, at_once = trails(), trails()
    for event in events:
        one_by_one.add([event], T)
    at_once.add(events, T)
    visits = {(event.ts // MINUTE, (event.name, event.platform)) for event in events}
    assert one_by_one.of("$device:d", T) == at_once.of("$device:d", T) == (sorted((*v, False) for v in visits), [])


def test_the_same_visit_again_leaves_the_same_bytes() -> None:
    found = trails()
    for value in ODD:
        found.add([look(0, value)], T)
    once = found.entries.get("$device:d")
    for value in ODD:
        found.add([look(0, value)], T)
    assert found.entries.get("$device:d") == once
