"""Which segment explains a change: pure, numbers in, numbers out.

A count splits by plain difference. A rate splits into the users that would have come further at the segment's rate
of then, and did not: so a segment that merely grew or shrank is not taken for one that broke.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Part(NamedTuple):
    """One segment at one time: a count, and for a rate also of how many (else 0)."""

    number: float
    of: float = 0.0


class Contribution(NamedTuple):
    """What one value of a field has to do with a change."""

    field: str
    value: str
    #: How much it changed by: now minus then (of a rate: now minus expected).
    change: float
    #: Its share of the whole change; above 1 if others went the other way.
    share: float
    #: Its share of what there was then: what it would explain if all had changed alike.
    weight: float
    now: Part
    then: Part

    @property
    def surprise(self) -> float:
        """How much more of the change it explains than its size does."""
        return self.share - self.weight


def contributions(field: str, now: Mapping[str, Part], then: Mapping[str, Part]) -> list[Contribution]:
    """Every value's contribution to the change from `then` to `now`, the largest share first.

    Without anything then, a rate is compared with that of all segments together. Empty if nothing changed.
    """
    rate = any(part.of for part in (*now.values(), *then.values()))
    basis = then if any(part.of or part.number for part in then.values()) else now
    overall = _rate(_sum(basis))
    changes: dict[str, float] = {}
    for value in now.keys() | then.keys():
        after, before = now.get(value, Part(0)), then.get(value, Part(0))
        expected = after.of * (_rate(before) if before.of else overall) if rate else before.number
        changes[value] = after.number - expected
    whole = sum(changes.values())
    if basis is now and rate:
        # Against their own mean the segments' differences add up to nothing: those below it explain each other.
        whole = sum(change for change in changes.values() if change < 0)
    if not whole:
        return []
    size = sum(part.of if rate else part.number for part in basis.values())
    found = []
    for value, change in changes.items():
        part = basis.get(value, Part(0))
        weight = (part.of if rate else part.number) / size if size else 0.0
        after, before = now.get(value, Part(0)), then.get(value, Part(0))
        found.append(Contribution(field, value, change, change / whole, weight, after, before))
    return sorted(found, key=lambda c: (-c.share, c.value))


def most_telling(fields: Mapping[str, tuple[Mapping[str, Part], Mapping[str, Part]]]) -> Contribution | None:
    """Of several fields (each: now, then) the value that explains most beyond its size; None if none stands out."""
    found = [c for field, (now, then) in fields.items() for c in contributions(field, now, then) if c.share > 0]
    best = max(found, key=lambda c: (c.surprise, c.field, c.value), default=None)
    # A tenth is within what chance does to segments of ordinary size.
    return best if best is not None and best.surprise > 0.1 else None


def _sum(parts: Mapping[str, Part]) -> Part:
    return Part(sum(p.number for p in parts.values()), sum(p.of for p in parts.values()))


def _rate(part: Part) -> float:
    return part.number / part.of if part.of else 0.0
