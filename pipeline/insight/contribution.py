"""Which segment explains a change. Pure: figures by segment in, shares of the change out.

For sums (revenue, orders) a segment's part of the change is its own change. For a share (conversion of a step) the change
is parted into what segments' own conversions did and what the mix of segments did; the parts add up to the whole, by the
midpoint form of the Oaxaca-Blinder decomposition:

    R1 - R0 = sum_i (r1_i - r0_i) * (w1_i + w0_i) / 2  +  sum_i (w1_i - w0_i) * ((r1_i + r0_i) / 2 - (R1 + R0) / 2)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

#: A segment explains a change if it makes up this much of it, and clearly more than its size.
EXPLAINS: Final = 0.5
BEYOND_SIZE: Final = 0.2

Counts = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """A segment's part in a change: `explained` is its share of the whole change, `size` its share of what there was."""

    dimension: str
    value: str
    before: float
    after: float
    explained: float
    size: float
    #: Of a share: how many it rests on, before and after.
    n_before: float = 0.0
    n_after: float = 0.0


def sum_parts(dimension: str, before: Mapping[str, float], after: Mapping[str, float]) -> list[Part]:
    """The parts of a change of a sum, the largest first; none without a change."""
    whole = sum(after.values()) - sum(before.values())
    total = sum(before.values())
    if not whole:
        return []
    parts = [
        Part(
            dimension, value, before.get(value, 0.0), after.get(value, 0.0),
            (after.get(value, 0.0) - before.get(value, 0.0)) / whole, before.get(value, 0.0) / total if total else 0.0,
        )
        for value in {**before, **after}
    ]  # fmt: skip
    return sorted(parts, key=lambda part: (-part.explained, part.value))


def share_parts(dimension: str, before: Counts, after: Counts) -> list[Part]:
    """The parts of a change of a share, by segments' own conversions; the largest first.

    Values are (reached, of how many). A segment without users before or after has no conversion to compare: it is part
    of the mix, and none of these.
    """
    n0, n1 = sum(n for _, n in before.values()), sum(n for _, n in after.values())
    if not n0 or not n1:
        return []
    whole = sum(k for k, _ in after.values()) / n1 - sum(k for k, _ in before.values()) / n0
    if not whole:
        return []
    parts = []
    for value in before:
        (k0, m0), (k1, m1) = before[value], after.get(value, (0.0, 0.0))
        if not m0 or not m1:
            continue
        effect = (k1 / m1 - k0 / m0) * (m1 / n1 + m0 / n0) / 2
        parts.append(Part(dimension, value, k0 / m0, k1 / m1, effect / whole, m0 / n0, m0, m1))
    return sorted(parts, key=lambda part: (-part.explained, part.value))


def mix_effect(before: Counts, after: Counts) -> float:
    """How much of a change of a share comes from the mix of segments: with the parts of `share_parts`, all of it."""
    n0, n1 = sum(n for _, n in before.values()), sum(n for _, n in after.values())
    r0, r1 = sum(k for k, _ in before.values()) / n0, sum(k for k, _ in after.values()) / n1
    effect = 0.0
    for value in {**before, **after}:
        (k0, m0), (k1, m1) = before.get(value, (0.0, 0.0)), after.get(value, (0.0, 0.0))
        own = [k / m for k, m in ((k0, m0), (k1, m1)) if m]
        level = sum(own) / len(own) if own else 0.0
        effect += (m1 / n1 - m0 / n0) * (level - (r0 + r1) / 2)
    return effect


def best(parts: list[Part]) -> Part | None:
    """The segment that explains the change: most of it, and clearly more than its size; the smallest such one.

    `parts` may be of several dimensions. A small segment that explains all says more than the large one it is in.
    """
    explaining = [p for p in parts if p.explained >= EXPLAINS and p.explained - p.size >= BEYOND_SIZE and p.value != ""]
    return max(explaining, key=lambda p: (round(min(p.explained, 1.0) - p.size, 2), p.value), default=None)


def z_of_shares(k0: float, n0: float, k1: float, n1: float) -> float:
    """z of the two-proportion test (pooled): how many standard errors the second share lies above the first."""
    if not n0 or not n1:
        return 0.0
    pooled = (k0 + k1) / (n0 + n1)
    spread = sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    return (k1 / n1 - k0 / n0) / spread if spread else 0.0


def z_of_counts(before: float, after: float) -> float:
    """z of two counts over equal times, as of Poisson: clustering of users makes it too large, so ask more of it."""
    return (after - before) / sqrt(after + before) if after + before > 0 else 0.0
