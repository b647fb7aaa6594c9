"""Properties keep what was sent: a time its text, a large integer its digits; live and in SQL they are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay.live_and_sql import in_sql, live, logs_of

from pipeline.ingest.validate import Rejection, Validator
from pipeline.replay.measures import Measures
from pipeline.replay.sql import Archive
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

START = 1_795_613_245_000
PLAN = parse_plan(
    """
product: T
dimensions: [properties.at, properties.x]
events:
  view:
    properties: {at: timestamp, n: integer, x: number}
  other:
funnels:
  at_ten:
    steps:
      - {event: view, where: {properties.at: "2026-11-25T10:00:00Z"}}
      - {event: view, where: {properties.x: {gt: 9007199254740992}}}
    window: 1h
    breakdown: [properties.at, properties.x]
"""
)


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    made = Archive()
    yield made
    made.close()


def view(number: int, **properties: Any) -> dict[str, Any]:
    fields = {"event_id": f"e{number}", "event": "view", "user_id": "u1", "ts": START + number}
    return {**fields, "properties": properties}


def both(archive: Archive, events: list[dict[str, Any]]) -> tuple[Measures, Measures]:
    logs = logs_of(events, 1)
    return live(PLAN, logs), in_sql(PLAN, logs, archive)


def values(measures: Measures, dimension: str) -> dict[str, int]:
    """Events by value of a dimension, in the one day."""
    return {
        window.value[0]: counts[0]
        for window, counts in measures.activity.items()
        if window.grain == "day" and window.dimension == dimension
    }


TIMES = ["2026-11-25T10:00:00Z", "2026-11-25 10:00:00+00:00", "2026-11-25T10:00:00.000Z", "2026-11-25T12:00:00+02:00",
         "2026-11-25T10:00:00.123456789Z", "2026-11-25t10:00:00z", "2026-11-25T10:00Z",
         "0001-01-01T00:00:00+14:00"]  # fmt: skip


def test_a_time_is_counted_and_stored_as_the_text_that_was_sent(archive: Archive) -> None:
    ours, theirs = both(archive, [view(i, at=text) for i, text in enumerate(TIMES)])
    assert values(ours, "properties.at") == values(theirs, "properties.at") == dict.fromkeys(TIMES, 1)
    assert {c.value for c, _ in ours.cohorts() if c.breakdown == "properties.at"} == {TIMES[0]}
    assert {c: cell.users for c, cell in ours.cohorts()} == {c: cell.users for c, cell in theirs.cohorts()}


NUMBERS = {
    "9007199254740993": "9007199254740993", "-9007199254740993": "-9007199254740993",
    "9223372036854775807": "9223372036854775807", "18446744073709551615": "18446744073709551615",
    "9007199254740992": "9007199254740992", "9007199254740991": "9007199254740991",
    "18446744073709551616": "18446744073709552000", "117039831458782873093": "117039831458782870000",
    "1e22": "1e22", "5": "5", "5.0": "5", "0.1e1": "1", "-0.0": "-0", "0.1": "0.1",
}  # fmt: skip


@pytest.mark.parametrize(("sent", "text"), NUMBERS.items())
def test_a_number_keeps_its_digits(archive: Archive, sent: str, text: str) -> None:
    event = view(0, at=TIMES[0], x="X")
    value = json.dumps(event).replace('"X"', sent).encode()
    logs = [[record._replace(value=value) for record in logs_of([event], 1)[0]]]
    ours, theirs = live(PLAN, logs), in_sql(PLAN, logs, archive)
    assert values(ours, "properties.x") == values(theirs, "properties.x") == {text: 1}


def test_conditions_see_the_digits(archive: Archive) -> None:
    for number, reached in ((2**53, 1), (2**53 + 1, 2)):
        ours, theirs = both(archive, [view(0, at=TIMES[0]), view(1, x=number)])
        users = [cell.users for c, cell in ours.cohorts() if not c.breakdown]
        assert users == [[1, int(reached == 2)]]
        assert {c: cell.users for c, cell in ours.cohorts()} == {c: cell.users for c, cell in theirs.cohorts()}


NO_TIMES = ["1795613245", "1795613245000", "1795613245.5", "1.795613245e9", "+1795613245000", " 1795613245000 ", "-1",
            "", "now", "2026-11-25", "20261125T100000Z", "2026-11-25T10:00:00+2", "2026-13-25T10:00:00Z",
            "2026-02-30T10:00:00Z", "2026-11-25T24:00:00Z", "2026-11-25T10:00:60Z", "٢٠٢٦-11-25T10:00:00Z",
            "2026-11-25T10:00:00Z\n", " 2026-11-25T10:00:00Z", "2026-W48-3T10:00:00Z"]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES)
def test_a_text_that_is_no_time_is_none_in_either_place(text: str) -> None:
    """Digits in a text are no time: seconds or milliseconds would have to be guessed."""
    validator = Validator(PLAN)
    for fields in (view(0, at=text), {**view(0), "ts": text}):
        with pytest.raises(Rejection) as caught:
            validator.parse(json.dumps(fields).encode())
        assert caught.value.reason == "wrong_type"


@pytest.mark.parametrize("name", ["properties", "x"])
def test_a_name_that_stands_twice_is_survived(name: str) -> None:
    """What was validated and what is read again for its digits may be two values."""
    twice = {
        "properties": b'"properties":{"x":9007199254740993},"properties":{"n":1}',
        "x": b'"properties":{"x":9007199254740993,"x":9007199254740995}',
    }
    value = b'{"event_id":"e","event":"view","user_id":"u","ts":1795613245000,' + twice[name] + b"}"
    found = Validator(PLAN).parse(value).fields["properties"]
    assert found in ({"x": 9007199254740995}, {"n": 1}, {"x": 9007199254740992.0})


@settings(max_examples=settings.default.max_examples // 6, deadline=None)
@given(st.lists(st.one_of(st.integers(-(2**64), 2**65), st.floats(allow_nan=False, allow_infinity=False)), max_size=8))
def test_any_number_is_the_same_live_and_in_sql(archive: Archive, numbers: list[float]) -> None:
    ours, theirs = both(archive, [view(i, x=number, at=TIMES[0]) for i, number in enumerate(numbers)])
    assert values(ours, "properties.x") == values(theirs, "properties.x")
    assert {c: cell.users for c, cell in ours.cohorts()} == {c: cell.users for c, cell in theirs.cohorts()}
