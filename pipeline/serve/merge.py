"""The live figures of several workers as one. Pure: an actor lives in one partition, so figures add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.serve.answers import LiveAnswer, LiveFunnel, Top
from pipeline.serve.numbers import TOP_VALUES


def merge(parts: Sequence[LiveAnswer]) -> LiveAnswer:
    """The `/live` documents of all workers as one. Raises ValueError for none."""
    if not parts:
        raise ValueError("no worker has answered")
    first = parts[0]
    watermark = max(part["watermark"] for part in parts)
    now = max(part["time"] for part in parts)
    today, active = [part["today"] for part in parts], [part["active"] for part in parts]
    lags = [part["lag"] for part in parts]
    return {
        "product": first["product"],
        "time": now,
        "watermark": watermark,
        "freshness_ms": max(0, now - watermark) if watermark else None,
        "totals": _add(part["totals"] for part in parts),
        "rejected_by_reason": _add(part["rejected_by_reason"] for part in parts),
        "active": {
            "now": sum(a["now"] for a in active),
            "last_5m": sum(a["last_5m"] for a in active),
            "last_30m": sum(a["last_30m"] for a in active),
        },
        "today": {
            "events": sum(t["events"] for t in today),
            "users": sum(t["users"] for t in today),
            "sessions": sum(t["sessions"] for t in today),
            "registrations": sum(t["registrations"] for t in today),
            "value_micro": sum(t["value_micro"] for t in today),
        },
        "top": {name: _top(part["top"].get(name, {}) for part in parts) for name in first["top"]},
        "funnels": {name: _funnel(name, funnel, parts) for name, funnel in first["funnels"].items()},
        "partitions": {p: position for part in parts for p, position in part["partitions"].items()},
        # Of a sum with an unknown part nothing is known.
        "lag": None if None in lags else sum(lag or 0 for lag in lags),
        "unpublished": sum(part["unpublished"] for part in parts),
        "publish_error": next((part["publish_error"] for part in parts if part["publish_error"]), ""),
    }


def _add(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total


def _top(parts: Iterable[Mapping[str, Top]]) -> dict[str, Top]:
    total: dict[str, Top] = {}
    for part in parts:
        for value, numbers in part.items():
            so_far = total.get(value, {"events": 0, "users": 0})
            total[value] = {
                "events": so_far["events"] + numbers["events"],
                "users": so_far["users"] + numbers["users"],
            }
    return dict(sorted(total.items(), key=lambda item: -item[1]["events"])[:TOP_VALUES])


def _funnel(name: str, funnel: LiveFunnel, parts: Sequence[LiveAnswer]) -> LiveFunnel:
    """A worker whose plan has the funnel with other steps, or not at all, is on its way to the same plan."""
    same = [f for part in parts if (f := part["funnels"].get(name)) is not None and f["steps"] == funnel["steps"]]
    return {**funnel, "users": [sum(users) for users in zip(*(f["users"] for f in same), strict=True)]}
