"""Steps of one funnel: where most are lost, and which one fell against another time. Pure: users by step in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from pipeline.insight.significance import ENOUGH, VERY_LIKELY, z_of_shares

#: Points that a step's conversion must fall by to matter.
MATTERS: Final = 0.02


def worst_step(users: Sequence[int]) -> int | None:
    """The index of the step that loses the largest share of those before it; None while too few got there."""
    shares = [(after / before, k) for k, (before, after) in enumerate(pairwise(users), 1) if before >= ENOUGH]
    return min(shares)[1] if shares else None


def fallen_step(now: Sequence[int], before: Sequence[int]) -> int | None:
    """The index of the step whose conversion fell most, if it matters and is more than chance; else None."""
    found: list[tuple[float, int]] = []
    for k in range(1, len(now)):
        n, m = now[k - 1], before[k - 1]
        if min(n, m) < ENOUGH:
            continue
        fall = before[k] / m - now[k] / n
        if fall >= MATTERS and z_of_shares(before[k], m, now[k], n) <= -VERY_LIKELY:
            found.append((fall, k))
    return max(found)[1] if found else None
