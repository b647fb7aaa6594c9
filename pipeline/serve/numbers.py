"""The current numbers of one worker, from the states of the partitions it owns. Pure: states and a time in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.measure.activity import WindowKey
from pipeline.measure.windows import bounds
from pipeline.serve.answers import LiveAnswer, LiveFunnel, Today, Top
from pipeline.state.partition import PartitionState
from schemas.duration import MINUTE
from schemas.plan import Plan

#: Values of a dimension that are shown.
TOP_VALUES: Final = 20


def active_users(states: Iterable[PartitionState], since: int) -> tuple[int, int]:
    """Events and estimated users of the minute windows that start at `since` (epoch ms) or later.

    A person is counted in one partition, so users add up over partitions.
    """
    events, users = 0, 0.0
    for state in states:
        for count, found in state.activity.recent(since).values():
            events += count
            users += found
    return events, round(users)


def window_total(states: Iterable[PartitionState], grain: str, start: int) -> Today:
    """The total of one window over the partitions."""
    key = WindowKey(grain, start, "", ())
    found = [a for state in states if (a := state.activity.accumulators.get(key)) is not None]
    users, sessions, registrations = map(sum, zip((0.0, 0.0, 0.0), *[a.figures() for a in found], strict=True))
    return {
        "events": sum(a.events for a in found),
        "users": round(users),
        "sessions": round(sessions),
        "registrations": round(registrations),
        "value_micro": sum(a.value for a in found),
    }


def top_values(states: Iterable[PartitionState], dimension: str, since: int) -> dict[str, Top]:
    """Events and users per value of a dimension, over the minute windows from `since` on, most events first."""
    found: dict[str, list[float]] = {}
    for state in states:
        for value, (events, users) in state.activity.recent(since, dimension).items():
            entry = found.setdefault(" / ".join(value) or "(none)", [0, 0.0])
            entry[0] += events
            entry[1] += users
    ordered = sorted(found.items(), key=lambda item: -item[1][0])
    return {value: {"events": int(e), "users": round(u)} for value, (e, u) in ordered[:TOP_VALUES]}


def funnel_totals(states: Iterable[PartitionState], plan: Plan, now: int) -> dict[str, LiveFunnel]:
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


def snapshot(states: list[PartitionState], plan: Plan, now: int, *, lag: int | None, publish_error: str) -> LiveAnswer:
    """What `/live` answers. `now` is epoch ms, `lag` None while it is not known."""
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
        "lag": lag,
        "unpublished": sum(state.unpublished for state in states),
        "publish_error": publish_error,
    }
