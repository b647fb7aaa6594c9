"""Funnels for the plans of the benchmark: the shop's two again and again, and as many different ones."""

from __future__ import annotations

import random
from typing import Any, Final

from schemas.funnel import Funnel
from schemas.plan import Plan

from .events import SEED

#: What people do, in this order; the events of the benchmark have all of it.
_JOURNEY: Final = ("app_open", "sign_up", "search", "view_item", "share", "add_to_cart", "checkout", "pay", "purchase")
_WINDOWS: Final = ("10m", "30m", "1h", "1d", "7d")
_BREAKDOWNS: Final = ((), ("platform",), ("channel",), ("app_version",), ("platform", "channel"))
_CONDITIONS: Final[tuple[dict[str, Any], ...]] = (
    {"platform": "ios"}, {"platform": "web"}, {"channel": ["ads", "email"]}, {"platform": "android"},
)  # fmt: skip
_MODES: Final = ("strict_order", "strict_increase", "strict_deduplication", "strict_once")


def repeated(shop: Plan, count: int) -> dict[str, Funnel]:
    """The shop's funnels in turn."""
    ready = list(shop.funnels.items())
    return {f"{ready[i % 2][0]}_{i}": ready[i % 2][1] for i in range(count)}


def different(count: int) -> dict[str, Funnel]:
    """Funnels of two to five steps, no two alike; every fourth asks for more than a name, every tenth has a mode, and
    now and then one counts sessions, has an exclusion, or counts under the last or any value. The same each time."""
    rng = random.Random(SEED)
    found: dict[str, Funnel] = {}
    for n in range(count):
        chosen = rng.sample(_JOURNEY, rng.randint(2, 5))
        steps: list[Any] = sorted(chosen, key=_JOURNEY.index)
        if n % 4 == 0:
            steps[0] = {"event": steps[0], "where": rng.choice(_CONDITIONS)}
        fields: dict[str, Any] = {
            "steps": steps,
            "window": rng.choice(_WINDOWS),
            "bucket": rng.choice(("day", "hour")),
            "breakdown": rng.choice(_BREAKDOWNS),
            "modes": [_MODES[n // 10 % 4]] if n % 10 == 9 else [],
            "per": "session" if n % 12 == 5 else "user",
            "exclude": ["share"] if n % 10 == 7 and "share" not in steps else [],
            "attribution": ("last", "any")[n % 2] if n % 6 == 3 else "first",
        }
        found[f"funnel_{n}"] = Funnel.model_validate(fields)
    return found
