"""The current numbers of one worker, from the states of the partitions it owns. Pure: states and a time in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.measure.activity import WindowKey
from pipeline.measure.windows import MINUTE, bounds
from pipeline.state.partition import PartitionState
from schemas.plan import Plan


def active_users(states: Iterable[PartitionState], since: int) -> tuple[int, int]:
    """Events and estimated users of the minute windows that start at `since` (epoch ms) or later.

    An actor lives in one partition, so users add up over partitions.
    """
    events, users = 0, 0.0
    for state in states:
        for count, sketch in state.activity.recent(since).values():
            events += count
            users += sketch.get_estimate()
    return events, round(users)


def window_total(states: Iterable[PartitionState], grain: str, start: int) -> dict[str, int]:
    """The total of one window over the partitions."""
    total = {"events": 0, "users": 0.0, "sessions": 0.0, "registrations": 0.0, "value_micro": 0}
    for state in states:
        accumulator = state.activity.accumulators.get(WindowKey(grain, start, "", ()))
        if accumulator is not None:
            total["events"] += accumulator.events
            total["value_micro"] += accumulator.value
            total["users"] += accumulator.users.get_estimate()
            total["sessions"] += accumulator.sessions.get_estimate() if accumulator.sessions else 0.0
            total["registrations"] += accumulator.registrations.get_estimate() if accumulator.registrations else 0.0
    return {name: round(number) for name, number in total.items()}


def top_values(states: Iterable[PartitionState], dimension: str, since: int) -> dict[str, dict[str, int]]:
    """Events and users per value of a dimension, over the minute windows from `since` on, most events first."""
    found: dict[str, list[float]] = {}
    for state in states:
        for value, (events, sketch) in state.activity.recent(since, dimension).items():
            entry = found.setdefault(" / ".join(value) or "(none)", [0, 0.0])
            entry[0] += events
            entry[1] += sketch.get_estimate()
    ordered = sorted(found.items(), key=lambda item: -item[1][0])
    return {value: {"events": int(e), "users": round(u)} for value, (e, u) in ordered[:20]}


def funnel_totals(states: Iterable[PartitionState], plan: Plan, now: int) -> dict[str, Any]:
    """Per funnel: users that reached each step in the bucket around `now`, over all breakdown values."""
    reached: dict[str, list[int]] = {}
    for state in states:
        for name, users in state.funnels.current(now).items():
            so_far = reached.setdefault(name, [0] * len(users))
            reached[name] = [a + b for a, b in zip(so_far, users, strict=True)]
    return {
        name: {
            "bucket": funnel.bucket,
            "steps": [step.title for step in funnel.steps],
            "users": reached.get(name, [0] * len(funnel.steps)),
        }
        for name, funnel in plan.funnels.items()
    }


def snapshot(states: list[PartitionState], plan: Plan, now: int) -> dict[str, Any]:
    """Everything that the terminal view and `/live` show. `now` is epoch ms."""
    watermark = max((state.reached for state in states), default=0)
    minute = now - now % MINUTE
    day_start, _ = bounds("day", now, plan.zone)
    totals: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for state in states:
        for outcome, count in state.totals.items():
            totals[outcome.name.lower()] = totals.get(outcome.name.lower(), 0) + count
        for reason, count in state.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        "product": plan.product,
        "time": now,
        "watermark": watermark,
        "freshness_ms": max(0, now - watermark) if watermark else None,
        "totals": totals,
        "rejected_by_reason": reasons,
        "active": {
            "now": active_users(states, minute - MINUTE)[1],
            "last_5m": active_users(states, minute - 4 * MINUTE)[1],
            "last_30m": active_users(states, minute - 29 * MINUTE)[1],
        },
        "today": window_total(states, "day", day_start),
        "top": {
            ",".join(dimension): top_values(states, ",".join(dimension), minute - 4 * MINUTE)
            for dimension in plan.dimensions
        },
        "funnels": funnel_totals(states, plan, now),
        "partitions": {state.partition: state.position for state in states},
    }
