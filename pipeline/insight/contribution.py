"""Which segment explains a change: the one answer of report, dashboard and alerts. Pure: figures by segment in.

For sums (revenue, orders, users) a segment's part of the change is its own change. For a share (conversion of a step) the
change is parted into what segments' own conversions did and what the mix of segments did; the parts add up to the whole,
by the midpoint form of the Oaxaca-Blinder decomposition:

    R1 - R0 = sum_i (r1_i - r0_i) * (w1_i + w0_i) / 2  +  sum_i (w1_i - w0_i) * ((r1_i + r0_i) / 2 - (R1 + R0) / 2)

A segment is named only if

- the whole changed by more than chance (|z| >= LIKELY): a change that is none has no reason,
- the segment makes up most of the change (EXPLAINS), and clearly more of it than its size does (BEYOND_SIZE),
- and its own change is far beyond chance (|z| >= SURE_OF_ONE): of many segments some explain "most" by luck.

Of pure noise these name a segment in at most 1 of 100 changes (`tests/insight/test_contribution.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipeline.insight.significance import LIKELY, z_of_shares, z_of_sums

EXPLAINS: Final = 0.5
BEYOND_SIZE: Final = 0.2
#: p = 0.1 %: some forty segments are looked at.
SURE_OF_ONE: Final = 3.3


class Amount(NamedTuple):
    """A sum, and the sum of the squares of what it is made of: how much it may vary by chance."""

    total: float
    squares: float


def counted(number: float) -> Amount:
    """A count: a sum of ones."""
    return Amount(number, number)


#: By a segment's value: its sum at one time.
Amounts = Mapping[str, Amount]
#: By a segment's value: how many got there, of how many.
Counts = Mapping[str, tuple[float, float]]
_NOTHING: Final = Amount(0.0, 0.0)


@dataclass(frozen=True)
class SegmentChange:
    """A segment's part in a change: `explained` is its share of the whole change, `size` its share of what there was."""

    dimension: str
    value: str
    before: float
    after: float
    explained: float
    size: float
    #: How surely the segment itself changed.
    z: float
    #: Of a share: how many it rests on, before and after.
    n_before: float = 0.0
    n_after: float = 0.0


def segment_of_sum(changes: Mapping[str, tuple[Amounts, Amounts]]) -> SegmentChange | None:
    """The segment that explains a change of a sum; None if none does. By dimension: before and after."""
    found: list[SegmentChange] = []
    for dimension, (before, after) in changes.items():
        if abs(_z(_whole(before), _whole(after))) >= LIKELY:
            found += sum_parts(dimension, before, after)
    return _most_telling(found)


def segment_of_share(changes: Mapping[str, tuple[Counts, Counts]]) -> SegmentChange | None:
    """The segment that explains a change of a share; None if none does. By dimension: before and after."""
    found: list[SegmentChange] = []
    for dimension, (before, after) in changes.items():
        if abs(z_of_shares(*_reached(before), *_reached(after))) >= LIKELY:
            found += share_parts(dimension, before, after)
    return _most_telling(found)


def sum_parts(dimension: str, before: Amounts, after: Amounts) -> list[SegmentChange]:
    """The parts of a change of a sum, the largest first; none without a change."""
    total, whole = _whole(before).total, _whole(after).total - _whole(before).total
    if not whole:
        return []
    parts = []
    for value in {**before, **after}:
        then, now = before.get(value, _NOTHING), after.get(value, _NOTHING)
        size = then.total / total if total else 0.0
        change = (now.total - then.total) / whole
        parts.append(SegmentChange(dimension, value, then.total, now.total, change, size, _z(then, now)))
    return sorted(parts, key=lambda part: (-part.explained, part.value))


def share_parts(dimension: str, before: Counts, after: Counts) -> list[SegmentChange]:
    """The parts of a change of a share, by segments' own conversions; the largest first.

    A segment without users before or after has no conversion to compare: it is part of the mix, and none of these.
    """
    (reached0, n0), (reached1, n1) = _reached(before), _reached(after)
    if not n0 or not n1:
        return []
    whole = reached1 / n1 - reached0 / n0
    if not whole:
        return []
    parts = []
    for value in before:
        (k0, m0), (k1, m1) = before[value], after.get(value, (0.0, 0.0))
        if not m0 or not m1:
            continue
        effect = (k1 / m1 - k0 / m0) * (m1 / n1 + m0 / n0) / 2
        z = z_of_shares(k0, m0, k1, m1)
        parts.append(SegmentChange(dimension, value, k0 / m0, k1 / m1, effect / whole, m0 / n0, z, m0, m1))
    return sorted(parts, key=lambda part: (-part.explained, part.value))


def _most_telling(parts: list[SegmentChange]) -> SegmentChange | None:
    """Of several dimensions' parts the one to name. A small segment that explains all says more than the large one
    it is in; what nobody stated (the value "") names nobody."""
    explaining = [
        p for p in parts
        if p.explained >= EXPLAINS and p.explained - p.size >= BEYOND_SIZE and abs(p.z) >= SURE_OF_ONE and p.value
    ]  # fmt: skip
    return max(explaining, key=lambda p: (round(min(p.explained, 1.0) - p.size, 2), p.value), default=None)


def _whole(amounts: Amounts) -> Amount:
    return Amount(sum(a.total for a in amounts.values()), sum(a.squares for a in amounts.values()))


def _z(before: Amount, after: Amount) -> float:
    return z_of_sums(before.total, after.total, before.squares + after.squares)


def _reached(counts: Counts) -> tuple[float, float]:
    return sum(k for k, _ in counts.values()), sum(n for _, n in counts.values())
