"""Since when: the day on which a share fell and stayed low. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from pipeline.insight.significance import ALMOST_CERTAIN, z_of_shares

#: Points that it must fall by to matter, and users on either side.
MATTERS: Final = 0.03
ENOUGH: Final = 50


@dataclass(frozen=True)
class Day:
    """One day of a step: of `entered` users `reached` got further."""

    day: date
    reached: int
    entered: int


@dataclass(frozen=True)
class Break:
    """A share that fell: `since` is the first low day, with the shares and users before and from then on."""

    since: date
    before: float
    after: float
    n_before: int
    n_after: int
    z: float


def fall(days: Sequence[Day]) -> Break | None:
    """The most likely day since which the share is lower, if it fell surely, by enough, and is low at the end.

    A scan over all days for the largest two-proportion z between what lies before and what lies from it on (the
    likelihood-ratio change point of a binomial series, for one change).
    """
    found: Break | None = None
    k = sum(d.reached for d in days)
    n = sum(d.entered for d in days)
    k0 = n0 = 0
    for index, day in enumerate(days):
        if index and min(n0, n - n0) >= ENOUGH:
            z = z_of_shares(k0, n0, k - k0, n - n0)
            before, after = k0 / n0, (k - k0) / (n - n0)
            # Of some 30 days the best is chosen: likely is not enough.
            if z <= -ALMOST_CERTAIN and before - after >= MATTERS and (found is None or z < found.z):
                found = Break(day.day, before, after, n0, n - n0, z)
        k0 += day.reached
        n0 += day.entered
    return found
