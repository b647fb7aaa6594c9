"""The live figures of several workers as one. Pure: an actor lives in one partition, so figures add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def merge(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The `/live` documents of all workers as one document of the same shape. Raises ValueError for none."""
    if not parts:
        raise ValueError("no worker has answered")
    first = parts[0]
    watermarks = [part["watermark"] for part in parts if part["watermark"]]
    now = max(part["time"] for part in parts)
    return {
        **first,
        "time": now,
        "watermark": max(watermarks, default=0),
        "freshness_ms": max(0, now - max(watermarks)) if watermarks else None,
        "totals": _add([part["totals"] for part in parts]),
        "rejected_by_reason": _add([part["rejected_by_reason"] for part in parts]),
        "active": _add([part["active"] for part in parts]),
        "today": _add([part["today"] for part in parts]),
        "top": {name: _top([part["top"].get(name, {}) for part in parts]) for name in first["top"]},
        "funnels": {
            name: {
                **funnel,
                "users": [sum(k) for k in zip(*(p["funnels"][name]["users"] for p in parts), strict=True)],
            }
            for name, funnel in first["funnels"].items()
        },
        "partitions": {p: position for part in parts for p, position in part["partitions"].items()},
        "lag": sum(part.get("lag") or 0 for part in parts),
        "unpublished": sum(part.get("unpublished") or 0 for part in parts),
        "publish_error": next((part["publish_error"] for part in parts if part.get("publish_error")), ""),
    }


def _add(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for name, number in part.items():
            total[name] = total.get(name, 0) + number
    return total


def _top(parts: Sequence[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for part in parts:
        for value, numbers in part.items():
            total[value] = _add([total.get(value, {}), numbers])
    return dict(sorted(total.items(), key=lambda item: -item[1]["events"])[:20])
