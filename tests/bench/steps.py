"""A plain ordered funnel, as one would write it in another framework: enough work for a yardstick, and no more.

It knows one walk a user and no late steps, so it is less than what the worker computes.
"""

from __future__ import annotations

from typing import Final

FUNNELS: Final = {
    "checkout": ("view_item", "add_to_cart", "checkout", "pay", "purchase"),
    "purchase": ("add_to_cart", "checkout", "purchase"),
}
WINDOW_MS: Final = 3_600_000


def walk(times: list[int], steps: tuple[str, ...], event: str, ts: int) -> bool:
    """Note a step in `times`, the moments (epoch ms) of the steps so far; whether it changed anything."""
    if event == steps[0] and (not times or ts - times[0] > WINDOW_MS):
        times[:] = [ts]
        return True
    if times and len(times) < len(steps) and event == steps[len(times)] and 0 <= ts - times[0] <= WINDOW_MS:
        times.append(ts)
        return True
    return False
