"""When an event happened by our clock, and which id one gets that has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.clock import Corrected, corrected
from pipeline.collect.ids import Ids

R = 1_790_000_000_000
DAY = 86_400_000


@pytest.mark.parametrize(
    ("ts", "sent", "found"),
    [
        (R - 5_000, R, Corrected(R - 5_000)),
        (R - 5_000, R - 900, Corrected(R - 5_000)),  # the way took so long
        (R - 5_000, None, Corrected(R - 5_000)),
        (R + 60_000, R + 65_000, Corrected(R - 5_000)),
        ("2026-09-21T14:13:20.000Z", R - 2_000, Corrected(R + 2_000)),
        (5_000, 7_000, Corrected(R - 2_000, "the client's clock is 56 years behind: corrected")),
        (R + 3 * DAY, R + 3 * DAY, Corrected(R, "the client's clock is 3 days ahead: corrected")),
        (None, R + DAY, Corrected(R)),
        ("soon", R + DAY, Corrected("soon")),
        (True, R + DAY, Corrected(True)),
        (R, 2**60, Corrected(R)),
    ],
)
def test_the_client_s_clock_is_corrected_by_its_own_words(ts: Any, sent: int | None, found: Corrected) -> None:
    assert corrected(ts, sent, R) == found


def ids(events: list[dict[str, Any]], received: int = R, source: str = "web", protocol: str = "native") -> list[str]:
    making = Ids(protocol, source, received)
    return [making.of(event) for event in events]


LOOK = {"event": "look", "user_id": "u1", "ts": R, "properties": {"n": 1}}


def test_the_same_request_again_has_the_same_ids_and_equal_events_in_it_are_two() -> None:
    request = [LOOK, dict(LOOK), LOOK | {"ts": R + 1}]
    first = ids(request)
    assert len(set(first)) == 3
    assert ids(request, R + 60_000) == first
    assert not set(ids(request, source="app")) & set(first)
    assert not set(ids(request, protocol="segment")) & set(first)


def test_without_a_time_of_its_own_each_request_s_event_is_one() -> None:
    event = {"event": "look", "user_id": "u1"}
    assert ids([event]) == ids([event])
    assert ids([event]) != ids([event], R + 1)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
events = st.dictionaries(st.sampled_from(["event", "user_id", "ts", "properties"]), values, max_size=4)


@given(st.lists(events, max_size=6))
def test_ids_of_a_request_are_all_different_and_come_again(request: list[dict[str, Any]]) -> None:
    found = ids(request)
    assert len(set(found)) == len(request)
    assert ids(request) == found
