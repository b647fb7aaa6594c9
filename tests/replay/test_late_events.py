"""Events that come late, within the lateness, move the counters to where they would be in order: up and down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.state.partition import PartitionState
from schemas.plan import Plan

START = 1_790_006_400_000
MINUTE = 60_000


def state_of(**funnel: Any) -> PartitionState:
    plan = Plan.model_validate({
        "product": "Test", "lateness": "10m", "events": dict.fromkeys("abcx"),
        "funnels": {"f": {"steps": ["a", "b", "c"], "window": "5m", "bucket": "hour", **funnel}},
    })  # fmt: skip
    return PartitionState(plan, Validator(plan), 0, 1)


def send(state: PartitionState, name: str, minute: float, user: str = "u", **more: Any) -> Outcome:
    fields = {
        "event_id": f"e{state.position}",
        "event": name,
        "user_id": user,
        "ts": START + int(minute * MINUTE),
        **more,
    }
    result = state.fold([Record(state.position, START * 2, None, json.dumps(fields).encode())])
    assert result is not None
    return result.outcomes[0]


def funnel(state: PartitionState) -> dict[tuple[int, str], tuple[int, ...]]:
    rows = state.funnels.rows(list(state.funnels.counter_keys()), 0)
    return {((row.start - START) // MINUTE, row.value): row.users for row in rows if any(row.users)}


def test_an_event_in_between_breaks_a_strict_order() -> None:
    state = state_of(modes=["strict_order"])
    for name, minute in (("a", 0), ("b", 2), ("c", 4)):
        send(state, name, minute)
    assert funnel(state) == {(0, ""): (1, 1, 1)}
    assert send(state, "x", 3) is Outcome.ACCEPTED
    assert funnel(state) == {(0, ""): (1, 1, 0)}
    send(state, "x", 1)
    assert funnel(state) == {(0, ""): (1, 0, 0)}


def test_an_exclusion_takes_a_user_back() -> None:
    state = state_of(exclude=["x"])
    for name, minute in (("a", 0), ("b", 2), ("c", 4)):
        send(state, name, minute)
    send(state, "x", 3)
    assert funnel(state) == {(0, ""): (1, 1, 0)}


def test_a_missing_step_that_comes_late_moves_a_user_up() -> None:
    state = state_of()
    send(state, "a", 0)
    send(state, "c", 4)
    assert funnel(state) == {(0, ""): (1, 0, 0)}
    send(state, "b", 2)
    assert funnel(state) == {(0, ""): (1, 1, 1)}


def test_an_earlier_first_step_moves_a_user_to_another_cohort() -> None:
    state = state_of(breakdown=["platform"])
    send(state, "a", 61, platform="web")
    send(state, "b", 62)
    assert funnel(state) == {(60, "web"): (1, 1, 0), (60, ""): (1, 1, 0)}
    send(state, "a", 60, platform="ios")
    assert funnel(state) == {(60, "ios"): (1, 1, 0), (60, ""): (1, 1, 0)}
    send(state, "a", 59, platform="tv")
    assert funnel(state) == {
        (0, "tv"): (1, 1, 0), (0, ""): (1, 1, 0), (60, "ios"): (1, 1, 0), (60, ""): (1, 1, 0),
    }  # fmt: skip


@pytest.mark.parametrize(("minute", "outcome"), [(10, Outcome.ACCEPTED), (9.999, Outcome.LATE)])
def test_the_lateness_is_inclusive_and_what_is_older_does_not_count(minute: float, outcome: Outcome) -> None:
    state = state_of()
    send(state, "x", 20)
    assert send(state, "a", minute) is outcome
    assert funnel(state) == ({(0, ""): (1, 0, 0)} if outcome is Outcome.ACCEPTED else {})
