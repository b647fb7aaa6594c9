"""Which steps of a funnel fell, since when, and which segment explains it. Pure: users by day, step and segment in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from pipeline.insight.breaks import Break, Day, fall
from pipeline.insight.contribution import SegmentChange, segment_of_share
from pipeline.insight.model import Drop
from pipeline.insight.significance import ENOUGH

#: A segment on its own must have fallen more surely than the whole: of many segments some fall by chance.
SURE_ALONE: Final = 5.0

#: Users by step, of each day.
Days = Mapping[date, Sequence[int]]
#: Dimension to value to days.
Segments = Mapping[str, Mapping[str, Days]]


def changes(funnel: str, titles: Sequence[str], whole: Days, segments: Segments) -> tuple[Drop, ...]:
    """The steps that fell, the surest first. The days of `whole` end with the last one of the report."""
    found = []
    for step in range(1, len(titles)):
        broke = fall(_series(whole, step))
        change = _explained(funnel, titles, step, broke, whole, segments) if broke else None
        if change is None or change.segment is None:
            alone = _alone(funnel, titles, step, whole, segments)
            # A segment that fell by far more surely than the whole is the finding, not the whole.
            if alone is not None and (change is None or abs(alone.z) > abs(change.z)):
                change = alone
        if change is not None:
            found.append(change)
    return tuple(sorted(found, key=lambda c: c.z))


def _explained(funnel: str, titles: Sequence[str], step: int, broke: Break, whole: Days, segments: Segments) -> Drop:
    """The fall of the whole, with the segment that explains it if there is one."""
    part = segment_of_share({
        dimension: (
            {value: _counts(days, step, None, broke.since) for value, days in values.items()},
            {value: _counts(days, step, broke.since, None) for value, days in values.items()},
        )
        for dimension, values in segments.items()
    })  # fmt: skip
    return _change(funnel, titles, step, broke, part, whole, segments)


def _alone(funnel: str, titles: Sequence[str], step: int, whole: Days, segments: Segments) -> Drop | None:
    """The segment whose own conversion fell most surely, though it doesn't explain the whole."""
    surest: tuple[Break, str, str] | None = None
    for dimension, values in segments.items():
        for value, days in values.items():
            broke = fall(_series(days, step)) if value else None
            if broke is not None and broke.z <= -SURE_ALONE and (surest is None or broke.z < surest[0].z):
                surest = (broke, dimension, value)
    if surest is None:
        return None
    broke, dimension, value = surest
    entered = _counts(whole, step, None, broke.since)[1]
    own = _counts(segments[dimension][value], step, None, broke.since)[1]
    size = own / entered if entered else 0.0
    part = SegmentChange(
        dimension, value, broke.before, broke.after, 0.0, size, broke.z, broke.n_before, broke.n_after
    )  # fmt: skip
    k0, n0 = _counts(whole, step, None, broke.since)
    k1, n1 = _counts(whole, step, broke.since, None)
    if not n0 or not n1:
        return None
    of_whole = Break(broke.since, k0 / n0, k1 / n1, int(n0), int(n1), broke.z)
    return _change(funnel, titles, step, of_whole, part, whole, segments)


def _change(
    funnel: str,
    titles: Sequence[str],
    step: int,
    broke: Break,
    part: SegmentChange | None,
    whole: Days,
    segments: Segments,
) -> Drop:
    rest: tuple[float, float] | None = None
    siblings: tuple[tuple[str, float], ...] = ()
    since = broke.since
    if part is not None:
        values = segments[part.dimension]
        # The segment's own days show its beginning more clearly than the whole does.
        own = fall(_series(values[part.value], step))
        since = own.since if own is not None else since
        k0, n0 = _counts(whole, step, None, since)
        k1, n1 = _counts(whole, step, since, None)
        a0, b0 = _counts(values[part.value], step, None, since)
        a1, b1 = _counts(values[part.value], step, since, None)
        if n0 > b0 and n1 > b1:
            rest = ((k0 - a0) / (n0 - b0), (k1 - a1) / (n1 - b1))
        siblings = _siblings(part, values, step, since)
    return Drop(
        funnel, titles[step - 1], titles[step], since, broke.before, broke.after, broke.n_before, broke.n_after, broke.z,
        part, rest, siblings, tuple(titles),
    )  # fmt: skip


def _siblings(part: SegmentChange, values: Mapping[str, Days], step: int, since: date) -> tuple[tuple[str, float], ...]:
    """Other values beside the one that broke (of the same platform, for a pair) whose conversion held."""
    head = part.value.split(" / ")[0] + " / " if " / " in part.value else ""
    found = []
    for value, days in values.items():
        k, n = _counts(days, step, since, None)
        if (
            value
            and value != part.value
            and value.startswith(head)
            and n >= ENOUGH
            and k / n > (part.before + part.after) / 2
        ):
            found.append((n, value, k / n))
    return tuple((value, rate) for _, value, rate in sorted(found, reverse=True))


def _series(days: Days, step: int) -> list[Day]:
    return [Day(day, users[step], users[step - 1]) for day, users in sorted(days.items())]


def _counts(days: Days, step: int, first: date | None, end: date | None) -> tuple[float, float]:
    """Users that reached the step, and that could have, from `first` up to but not on `end`."""
    chosen = [u for day, u in days.items() if (first is None or day >= first) and (end is None or day < end)]
    return float(sum(u[step] for u in chosen)), float(sum(u[step - 1] for u in chosen))
