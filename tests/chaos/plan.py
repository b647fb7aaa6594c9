"""What chaos runs add to the shop's plan: users with an old id, devices that few may share, funnels of every kind."""

from __future__ import annotations

from typing import Any, Final

_IDENTITY: Final[dict[str, Any]] = {
    "shared_device": 3,
    "alias": {"event": "account_merged", "previous": "properties.old_user_id"},
}
_FUNNELS: Final[dict[str, Any]] = {
    "in_order": {"steps": ["app_open", "view_item"], "window": "10m", "bucket": "hour", "modes": ["strict_order"]},
    "once": {
        "steps": ["view_item", "add_to_cart"], "window": "1h", "modes": ["strict_deduplication"],
        "exclude": ["account_merged"], "breakdown": ["platform"],
    },
    "later": {"steps": ["view_item", "view_item", "purchase"], "window": "7d", "modes": ["strict_increase"]},
    "no_twice": {"steps": ["search", "view_item"], "window": "1h", "modes": ["strict_once"]},
    "visits": {"steps": ["app_open", "view_item", "checkout"], "window": "1h", "per": "session"},
    "last": {
        "steps": ["view_item", "purchase"], "window": "1h", "bucket": "hour", "attribution": "last",
        "breakdown": ["channel"],
    },
    "any": {"steps": ["view_item", "add_to_cart"], "window": "1h", "attribution": "any", "breakdown": ["platform"]},
}  # fmt: skip


def with_persons(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan (as its file says it) with all that."""
    merged = {"account_merged": {"properties": {"old_user_id": "string!"}}}
    funnels = plan["funnels"] | _FUNNELS
    return plan | {"identity": _IDENTITY, "events": plan["events"] | merged, "funnels": funnels}
