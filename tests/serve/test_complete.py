"""Complete minutes and funnel counts, from literal events."""

from __future__ import annotations

import json
from typing import Any

from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.serve.complete import FunnelUsers, MinuteCounts, Minutes, funnel_users, last_minute
from pipeline.state.partition import PartitionState
from schemas.plan_io import parse_plan

#: 2026-10-01T00:00:00Z
T0 = 1_790_812_800_000
MINUTE, HOUR = 60_000, 3_600_000
PLAN = parse_plan(
    """
product: Test
lateness: 1h
registration: join
dimensions: [event, platform, channel]
events:
  join:
  look:
  buy: {value: amount, properties: {amount: number!}}
funnels:
  buying: {steps: [look, buy], window: 10m, bucket: hour, breakdown: [platform, channel]}
alerting:
  labels: [event, platform]
  settle: 10s
"""
)


def fold(state: PartitionState, *events: tuple[int, str, str, dict[str, Any]]) -> None:
    records = []
    for number, (ts, user, name, more) in enumerate(events, start=state.position):
        fields: dict[str, Any] = {"event_id": f"e{number}", "event": name, "user_id": user, "ts": ts, **more}
        records.append(Record(number, ts, None, json.dumps(fields).encode()))
    state.fold(records)


def new_state() -> PartitionState:
    return PartitionState(PLAN, Validator(PLAN), 0, 1)


def test_a_minute_is_complete_when_it_has_settled_and_not_before() -> None:
    assert last_minute(T0 + MINUTE + 9_999, 10_000) == T0 - MINUTE
    assert last_minute(T0 + MINUTE + 10_000, 10_000) == T0


def test_the_minute_under_way_is_not_in_the_figures() -> None:
    state = new_state()
    ios, web = {"platform": "ios", "channel": "ads"}, {"platform": "web"}
    fold(
        state,
        (T0 + 1_000, "u1", "join", ios),
        (T0 + 2_000, "u1", "buy", {**ios, "properties": {"amount": 2.5}}),
        (T0 + 59_999, "u2", "look", web),
        (T0 + MINUTE, "u3", "look", web),  # begins the next minute
    )
    minute = Minutes(PLAN).of(state, T0 + MINUTE + 15_000)
    assert minute is not None
    assert minute.start == T0
    found = {key: f._replace(users=round(f.users), registrations=round(f.registrations))
             for key, f in minute.counts.items()}  # fmt: skip
    assert found == {
        ("", ""): MinuteCounts(3, 2, 0.0, 1, 2_500_000),
        ("event", "join"): MinuteCounts(1, 1, 0.0, 1, 0),
        ("event", "buy"): MinuteCounts(1, 1, 0.0, 0, 2_500_000),
        ("event", "look"): MinuteCounts(1, 1, 0.0, 0, 0),
        ("platform", "ios"): MinuteCounts(2, 1, 0.0, 1, 2_500_000),
        ("platform", "web"): MinuteCounts(1, 1, 0.0, 0, 0),
    }  # channel is counted live, but is no label


def test_what_was_seen_today_is_zero_in_a_minute_without_it() -> None:
    state = new_state()
    fold(state, (T0 + 1_000, "u1", "look", {"platform": "ios"}), (T0 + 5 * MINUTE, "u2", "look", {"platform": "web"}))
    minute = Minutes(PLAN).of(state, T0 + 4 * MINUTE)
    assert minute is not None
    assert minute.start == T0 + 2 * MINUTE
    assert set(minute.counts) == {
        ("", ""), ("event", "join"), ("event", "look"), ("event", "buy"), ("platform", "ios"), ("platform", "web"),
    }  # fmt: skip
    assert set(minute.counts.values()) == {MinuteCounts()}
    assert {span: round(users) for span, users in minute.active.items()} == {"5m": 1, "30m": 1}


def test_a_minute_that_was_forgotten_already_is_unknown_not_empty() -> None:
    state = new_state()
    fold(state, (T0, "u1", "look", {}), (T0 + MINUTE + HOUR, "u2", "look", {}))
    assert Minutes(PLAN).of(state, T0 + MINUTE + 10_000) is None


def test_rare_values_share_one_label() -> None:
    state = new_state()
    fold(state, *[(T0 + n, "u1", "look", {"platform": f"p{n % 120:03}"}) for n in range(240)])
    fold(state, (T0 + 500, "u1", "look", {"platform": "p119"}))
    minute = Minutes(PLAN).of(state, T0 + 2 * MINUTE - 1)
    assert minute is not None
    platforms = {value: f.events for (name, value), f in minute.counts.items() if name == "platform"}
    assert len(platforms) == 101
    assert platforms["(other)"] == 40
    assert platforms["p119"] == 3
    assert sum(platforms.values()) == 241


def test_funnel_counts_are_of_the_current_bucket_and_the_one_before() -> None:
    state = new_state()
    pay = {"properties": {"amount": 1}}
    fold(
        state,
        (T0 - HOUR, "u0", "look", {"platform": "ios"}),  # two buckets ago when we ask
        (T0 + 1, "u1", "look", {"platform": "ios"}),
        (T0 + 2, "u1", "buy", {"platform": "ios", **pay}),
        (T0 + HOUR, "u2", "look", {"platform": "web"}),
    )
    assert list(funnel_users(state, PLAN, T0 + HOUR + 1)) == [
        FunnelUsers("buying", "", "", "current", (1, 0)),
        FunnelUsers("buying", "", "", "previous", (1, 1)),
        FunnelUsers("buying", "platform", "ios", "current", (0, 0)),
        FunnelUsers("buying", "platform", "web", "current", (1, 0)),
        FunnelUsers("buying", "platform", "ios", "previous", (1, 1)),
        FunnelUsers("buying", "platform", "web", "previous", (0, 0)),
    ]
