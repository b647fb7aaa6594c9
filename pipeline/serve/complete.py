"""Figures of complete minutes, from the states of partitions. Pure: states and a time in.

A minute is complete `settle` after its end, once everything that Kafka had by then is folded. The minute under way
is never shown here: whoever compares these figures compares like with like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pipeline.measure.accumulator import Accumulator, Lone, users_of
from pipeline.measure.activity import WindowKey
from pipeline.measure.windows import bounds
from pipeline.state.partition import PartitionState
from schemas.duration import MINUTE
from schemas.plan import Plan

#: Values of a dimension that become labels; the rest is one label.
MAX_VALUES: Final = 100
OTHER: Final = "(other)"
SPANS: Final = {"5m": 5, "30m": 30}


class MinuteCounts(NamedTuple):
    """What was counted in a minute. `revenue` is in 10^-6 units."""

    events: int = 0
    users: float = 0.0
    sessions: float = 0.0
    registrations: float = 0.0
    revenue: int = 0

    def plus(self, other: MinuteCounts) -> MinuteCounts:
        """The sum of both."""
        events, users, sessions, registrations, revenue = (a + b for a, b in zip(self, other, strict=True))
        return MinuteCounts(int(events), users, sessions, registrations, int(revenue))


class Minute(NamedTuple):
    """A complete minute of one partition."""

    start: int
    #: By dimension ("" for the total, else fields joined by ",") and value (joined by " / ").
    counts: dict[tuple[str, str], MinuteCounts]
    #: Users of the complete minutes up to this one, by span.
    active: dict[str, float]


class FunnelUsers(NamedTuple):
    """Users that reached each step so far, of one cohort bucket and breakdown value."""

    funnel: str
    breakdown: str
    value: str
    bucket: str
    users: tuple[int, ...]


def last_minute(now: int, settle: int) -> int:
    """The start of the minute that is complete at `now`; all in ms."""
    return (now - settle) // MINUTE * MINUTE - MINUTE


class Minutes:
    """The last complete minute of each partition, worked out once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._labels = {",".join(label) for label in plan.alerting.labels if label in plan.dimensions}
        self._found: dict[int, tuple[PartitionState, Minute]] = {}

    def of(self, state: PartitionState, now: int) -> Minute | None:
        """The minute; None if its windows were forgotten before anybody asked. Ask for current partitions only."""
        start = last_minute(now, self._plan.alerting.settle)
        found = self._found.get(state.partition)
        if found is not None and found[0] is state and found[1].start == start:
            return found[1]
        if start + MINUTE <= state.watermark - self._plan.lateness:
            return None
        minute = Minute(start, self._counts(state, start), _active(state, start))
        self._found[state.partition] = (state, minute)
        return minute

    def forget(self, owned: set[int]) -> None:
        """Drop what belongs to partitions that are no longer ours."""
        for partition in self._found.keys() - owned:
            del self._found[partition]

    def _counts(self, state: PartitionState, start: int) -> dict[tuple[str, str], MinuteCounts]:
        day = bounds("day", start, self._plan.zone)[0]
        found: dict[tuple[str, str], MinuteCounts] = {}
        #: Events of the day by value: what has been seen today is 0 this minute, not unknown.
        today: dict[str, dict[str, int]] = {name: {} for name in self._labels}
        if "event" in today:
            today["event"] = dict.fromkeys(self._plan.events, 0)
        for key, accumulator in list(state.activity.accumulators.items()):
            if key.dimension not in today:
                continue
            if key.grain == "minute" and key.start == start:
                found[key.dimension, _text(key.value)] = _counted(accumulator)
            elif key.grain == "day" and key.start == day:
                today[key.dimension][_text(key.value)] = accumulator.events
        for dimension, values in today.items():
            for value in values:
                found.setdefault((dimension, value), MinuteCounts())
        self._bound(found, today)
        total = state.activity.accumulators.get(WindowKey("minute", start, "", ()))
        found["", ""] = _counted(total) if total is not None else MinuteCounts()
        return found

    @staticmethod
    def _bound(found: dict[tuple[str, str], MinuteCounts], today: dict[str, dict[str, int]]) -> None:
        """Put the rare values of each dimension together."""
        for dimension, counts in today.items():
            values = sorted(
                (value for name, value in found if name == dimension), key=lambda value: (-counts.get(value, 0), value)
            )
            for value in values[MAX_VALUES:]:
                rest = found.get((dimension, OTHER), MinuteCounts())
                found[dimension, OTHER] = rest.plus(found.pop((dimension, value)))


def _text(value: tuple[str, ...]) -> str:
    return " / ".join(part or "(none)" for part in value)


def _counted(accumulator: Accumulator | Lone) -> MinuteCounts:
    return MinuteCounts(accumulator.events, *accumulator.figures(), accumulator.value)


def _active(state: PartitionState, start: int) -> dict[str, float]:
    active = {}
    for span, minutes in SPANS.items():
        keys = [WindowKey("minute", start - n * MINUTE, "", ()) for n in range(minutes)]
        accumulators = [state.activity.accumulators[key] for key in keys if key in state.activity.accumulators]
        active[span] = users_of(accumulators)
    return active


def funnel_users(state: PartitionState, plan: Plan, now: int) -> Iterator[FunnelUsers]:
    """The counts of every funnel's current bucket and of the one before: in total, and by fields that are labels."""
    fields = {label[0] for label in plan.alerting.labels if len(label) == 1}
    totalled: set[str] = set()
    for found in state.funnels.reached(now):
        by_bucket = {"current": found.current, "previous": found.previous}
        nobody = (0,) * found.steps
        if found.funnel not in totalled:
            # The first breakdown of a funnel counts each actor under one value.
            totalled.add(found.funnel)
            for bucket, counts in by_bucket.items():
                yield FunnelUsers(found.funnel, "", "", bucket, _sum(counts.values(), nobody))
        if found.breakdown not in fields:
            continue
        known = {*found.current, *found.previous}
        kept = sorted(known, key=lambda v: (-max(c.get(v, nobody)[0] for c in by_bucket.values()), v))[:MAX_VALUES]
        for bucket, counts in by_bucket.items():
            for value in kept:
                yield FunnelUsers(found.funnel, found.breakdown, value or "(none)", bucket, counts.get(value, nobody))
            if len(known) > len(kept):
                rest = [users for value, users in counts.items() if value not in kept]
                yield FunnelUsers(found.funnel, found.breakdown, OTHER, bucket, _sum(rest, nobody))


def _sum(counts: Iterable[tuple[int, ...]], nobody: tuple[int, ...]) -> tuple[int, ...]:
    total = nobody
    for users in counts:
        total = tuple(a + b for a, b in zip(total, users, strict=True))
    return total
