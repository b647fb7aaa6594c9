"""Live activity of one partition: events, users, sessions, registrations and value per window and dimension value.

Users, sessions and registrations are sketches (`sketches`). Everything here is a function of the accepted events alone:
neither their order nor the batches they came in change a count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from pipeline.measure.accumulator import Accumulator, Lone, Whole, users_of
from pipeline.measure.batch import ActivityBatch
from pipeline.measure.grouping import Codes, near
from pipeline.measure.rows import ActivityRow
from pipeline.measure.sketches import hash_of
from pipeline.measure.windows import bounds, closing, grains
from schemas.duration import MINUTE
from schemas.event import Event
from schemas.plan import Plan

#: Windows that begin after all that a partition has reached, so that only links can have brought anybody there: at most
#: so many have counters, or a forged handover would fill the memory with windows that are never over.
MOST_AHEAD: Final = 20_000
#: Of a batch with fewer events a minute, wider windows count the events, and don't take in what the minutes counted.
FEW: Final = 4
#: The value under which a dimension's values beyond the plan's `max_values` are counted.
OTHER: Final = ("(other)",)


class WindowKey(NamedTuple):
    """What an accumulator counts. `dimension` is "" for the total, else the plan's fields joined by ","."""

    grain: str
    start: int
    dimension: str
    value: tuple[str, ...]


#: Makes a named tuple of a tuple: the class itself takes twice as long.
new_tuple: Final = tuple.__new__

#: A minute (epoch minutes) in which an id was active with these values of `Activity.fields`; whether it registered.
Visit: TypeAlias = tuple[int, tuple[str, ...], bool]
#: An id, where it was counted, and the watermark (epoch ms) at which a window must be open to change.
Counted: TypeAlias = tuple[str, Iterable[Visit], int]


class Activity:
    """All activity accumulators of one partition that may still change."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.accumulators: dict[WindowKey, Accumulator | Lone] = {}
        #: Those of minutes by dimension and start: whoever asks for the last ones must not go through all windows.
        self._minutes: dict[str, dict[int, dict[tuple[str, ...], Accumulator | Lone]]] = {}
        #: The start of the latest minute that there ever was.
        self._latest = 0
        #: How many values each window's dimension has taken up; bounds `accumulators`.
        self._values: dict[tuple[str, int, str], int] = {}
        #: And how many links have brought persons to, whether these have events or not.
        self._brought: dict[tuple[str, int, str], int] = {}
        self._grains = grains(plan.zone)
        #: By grain: the end of the last window that is closed, less the watermark.
        self._closing = [closing(plan, grain, 0) for grain in self._grains]
        fields = sorted({name for dimension in plan.dimensions for name in dimension})
        self._fields = tuple(fields)
        # A dimension is the positions of its fields among the fields that a group is keyed by.
        self._dimensions = [
            (",".join(dimension), tuple(fields.index(name) for name in dimension)) for dimension in plan.dimensions
        ]

    def fold(self, events: Sequence[Event], version: int) -> set[WindowKey]:
        """Count accepted events; `version` is the offset after the batch.

        Returns the keys of the accumulators that changed.
        """
        changed: set[WindowKey] = set()
        if not events:
            return changed
        batch = ActivityBatch(events, self._fields, self.plan.registration)
        starts: list[int] = (batch.minutes * MINUTE).tolist()
        self._latest = max(self._latest, max(starts))
        of_minute, (of_span, spans) = near(batch.minutes), self._wider(batch.minutes)
        span_of: list[int] = of_span.tolist()
        several = len(set(starts)) * FEW <= len(events)
        for name, at in [("", ()), *self._dimensions]:
            wholes: dict[tuple[int, tuple[str, ...]], Whole] = {}
            minutes = self._minutes.setdefault(name, {})
            for row, value, group in batch.groups(of_minute, at):
                start = starts[row]
                key = new_tuple(WindowKey, ("minute", start, name, value))
                narrow: Accumulator | None = None
                if group is None and start not in minutes:
                    # The first of its minute, and so far the only one: it has a place.
                    lone = batch.lone(row, version)
                    self.accumulators[key], minutes[start] = lone, {value: lone}
                    if name:
                        self._values["minute", start, name] = 1
                elif group is None and key not in self.accumulators and self._take_place(key):
                    self._put(key, batch.lone(row, version))
                else:
                    group = group or batch.group(row)
                    key, narrow = self._accumulator(key, start + MINUTE)
                    narrow.count(group, version)
                changed.add(key)
                if several:
                    whole = wholes.get((span_of[row], value))
                    if whole is None:
                        whole = wholes[span_of[row], value] = Whole()
                    # A minute's `(other)` is several values, of which its hour may count some by themselves.
                    whole.add(group or batch.group(row), None if key.value == OTHER else narrow)
            for (span, value), whole in wholes.items():
                for grain, start, end in spans[span]:
                    key, wide = self._accumulator(new_tuple(WindowKey, (grain, start, name, value)), end)
                    wide.take(whole, version)
                    changed.add(key)
            if not several:
                for row, value, group in batch.groups(of_span, at):
                    group = group or batch.group(row)
                    for grain, start, end in spans[span_of[row]]:
                        key, wide = self._accumulator(new_tuple(WindowKey, (grain, start, name, value)), end)
                        wide.count(group, version)
                        changed.add(key)
        return changed

    def _wider(self, minutes: Codes) -> tuple[Codes, list[list[tuple[str, int, int]]]]:
        """Which wider windows are around each of these minutes: their place among all that there are."""
        found: list[list[tuple[str, int, int]]] = []
        places: dict[tuple[int, ...], int] = {}
        # A quarter of an hour lies within one day of all zones.
        quarters, inverse = np.unique(minutes // 15, return_inverse=True)
        of_quarter = []
        for quarter in quarters.tolist():
            spans = self._spans(quarter * 15)[1:]
            place = places.setdefault(tuple([start for _, start, _ in spans]), len(found))
            if place == len(found):
                found.append(spans)
            of_quarter.append(place)
        return np.array(of_quarter, np.int64)[inverse], found

    def _take_place(self, key: WindowKey) -> bool:
        """Take the place of a value in its window, if there is one left."""
        if not key.dimension:
            return True
        slot = (key.grain, key.start, key.dimension)
        count = self._values.get(slot, 0)
        if count >= self.plan.max_values:
            return False
        self._values[slot] = count + 1
        return True

    def _accumulator(self, key: WindowKey, end: int) -> tuple[WindowKey, Accumulator]:
        """Where events are counted: `(other)` once the window holds as many values of the dimension as the plan allows.

        Whoever asks counts at once: the order of first events decides who gets a place, not that of batches.
        """
        found = self._opened(key)
        # One without events, whose persons came by a link, has no place of its own.
        if (found is None or not found.events) and not self._take_place(key):
            key = key._replace(value=OTHER)
            found = self._opened(key)
        return key, found or self._new(key, end)

    def _opened(self, key: WindowKey) -> Accumulator | None:
        """An accumulator that can count more, None if there is none yet."""
        found = self.accumulators.get(key)
        if isinstance(found, Lone):
            found = found.opened()
            self._put(key, found)
        return found

    def _new(self, key: WindowKey, end: int) -> Accumulator:
        accumulator = Accumulator(end, key.grain != "minute")
        self._put(key, accumulator)
        return accumulator

    def _has_place(self, key: WindowKey) -> bool:
        """Whether a value has a place of its own. One without events, whose persons came by a link, has none."""
        found = self.accumulators.get(key)
        return found is not None and found.events > 0

    def _is_brought(self, key: WindowKey) -> bool:
        """Whether links bring persons to a value itself."""
        found = self.accumulators.get(key)
        return found is not None and found.brought

    def _put(self, key: WindowKey, accumulator: Accumulator | Lone) -> None:
        self.accumulators[key] = accumulator
        if key.grain == "minute":
            self._latest = max(self._latest, key.start)
            starts = self._minutes.get(key.dimension)
            if starts is None:
                starts = self._minutes[key.dimension] = {}
            values = starts.get(key.start)
            if values is None:
                starts[key.start] = {key.value: accumulator}
            else:
                values[key.value] = accumulator

    def rows(self, keys: Iterable[WindowKey], partition: int) -> Iterator[ActivityRow]:
        """The rows of these accumulators; those that are gone are left out."""
        for key in keys:
            accumulator = self.accumulators.get(key)
            if accumulator is not None:
                one = accumulator
                counts = (one.end, key.dimension, key.value, one.version, one.events, one.value)
                yield new_tuple(ActivityRow, (partition, key.grain, key.start, *counts, *one.figures()))

    # -- persons -------------------------------------------------------------------------------------------------

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the values of a visit are of."""
        return self._fields

    def take_off(self, those: Iterable[Counted], version: int) -> set[WindowKey]:
        """Count ids no longer where their events were counted; returns the windows that changed."""
        return self._take(those, version, self._has_place)

    def take_back(self, those: Iterable[Counted], version: int) -> set[WindowKey]:
        """Count ids no longer where links have brought them (`put_on`); returns the windows that changed."""
        return self._take(those, version, self._is_brought)

    def _take(self, those: Iterable[Counted], version: int, has_place: Callable[[WindowKey], bool]) -> set[WindowKey]:
        changed: set[WindowKey] = set()
        for (key, _), (hashes, registered) in self._gathered(those).items():
            # Who has a place keeps it, and who has none by then gets none later: so it is where they were counted.
            found = key if not key.dimension or has_place(key) else key._replace(value=OTHER)
            accumulator = self._opened(found)
            if accumulator is not None:
                accumulator.take_off(hashes, registered, version)
                changed.add(found)
        return changed

    def put_on(self, those: Iterable[Counted], version: int, watermark: int) -> set[WindowKey]:
        """Count ids in their windows; returns those that changed. `watermark` is the partition's own."""
        changed: set[WindowKey] = set()
        ahead: int | None = None
        for (key, end), (hashes, registered) in self._gathered(those).items():
            if key.start > watermark and key not in self.accumulators:
                ahead = sum(one.start > watermark for one in self.accumulators) if ahead is None else ahead
                if ahead >= MOST_AHEAD:
                    continue
                ahead += 1
            # It takes no place from a value that events have: whoever counts those alone must find the same places.
            # And events take none from it: links come after the events of their batch, which must change nothing.
            if not self._bring(key, end):
                key = key._replace(value=OTHER)
            accumulator = self._opened(key) or self._new(key, end)
            accumulator.put_on(hashes, registered, version)
            changed.add(key)
        return changed

    def _bring(self, key: WindowKey, end: int) -> bool:
        """Whether a link may bring persons to this value: to so many of each window as it may have of events."""
        accumulator = self._opened(key)
        if not key.dimension or key.value == OTHER or (accumulator is not None and accumulator.brought):
            return True
        slot = (key.grain, key.start, key.dimension)
        if self._brought.get(slot, 0) >= self.plan.max_values:
            return False
        self._brought[slot] = self._brought.get(slot, 0) + 1
        accumulator = accumulator or self._new(key, end)
        accumulator.brought = True
        return True

    def _gathered(self, those: Iterable[Counted]) -> dict[tuple[WindowKey, int], tuple[list[int], list[int]]]:
        """By open window (and its end): the hashes of the ids in it, and of those who registered there."""
        # The ids of one batch lie in few minutes and values, and fewer of each dimension: what they have in common is
        # worked out once.
        places: dict[tuple[tuple[int, ...], str, tuple[str, ...]], tuple[int, list[int], list[int]]] = {}
        by_visit: dict[tuple[tuple[int, ...], tuple[str, ...]], list[tuple[int, list[int], list[int]]]] = {}
        ends: dict[tuple[int, int], tuple[int, ...]] = {}
        spans: dict[int, list[tuple[str, int, int]]] = {}
        dimensions = [("", ()), *self._dimensions]
        for who, visits, watermark in those:
            digest = hash_of(who)
            for minute, values, registered in visits:
                open_ = ends.get((minute, watermark))
                if open_ is None:
                    around = spans[minute] = spans.get(minute) or self._spans(minute)
                    open_ = ends[minute, watermark] = self._open(around, watermark)
                own = by_visit.get((open_, values))
                if own is None:
                    own = by_visit[open_, values] = [
                        places.setdefault((open_, name, tuple([values[p] for p in at])), (minute, [], []))
                        for name, at in dimensions
                    ]
                for _, hashes, registrations in own:
                    hashes.append(digest)
                    if registered:
                        registrations.append(digest)
        found: dict[tuple[WindowKey, int], tuple[list[int], list[int]]] = {}
        for (open_, name, value), (minute, hashes, registrations) in places.items():
            for (grain, start, end), is_open in zip(spans[minute], open_, strict=True):
                if is_open:
                    all_ = found.setdefault((WindowKey(grain, start, name, value), end), ([], []))
                    all_[0].extend(hashes)
                    all_[1].extend(registrations)
        return found

    def _open(self, spans: Iterable[tuple[str, int, int]], watermark: int) -> tuple[int, ...]:
        """By grain, the end of these windows around a minute if that is open at `watermark`, else 0."""
        ends = zip(spans, self._closing, strict=True)
        return tuple([end if end > watermark + ahead else 0 for (_, _, end), ahead in ends])

    def _spans(self, minute: int) -> list[tuple[str, int, int]]:
        return [(grain, *bounds(grain, minute * MINUTE, self.plan.zone)) for grain in self._grains]

    def closed(self, watermark: int) -> list[WindowKey]:
        """The accumulators that nothing can change any more."""
        horizon = {grain: closing(self.plan, grain, watermark) for grain in self._grains}
        return [key for key, accumulator in self.accumulators.items() if accumulator.end <= horizon[key.grain]]

    def all_closed(self, watermark: int) -> int:
        """Up to when (epoch ms) windows of every kind that end by then are closed."""
        return min(closing(self.plan, grain, watermark) for grain in self._grains)

    def drop(self, keys: Iterable[WindowKey]) -> None:
        """Forget accumulators (closed, and kept by whoever needs them)."""
        for key in keys:
            gone = self.accumulators.pop(key, None)
            if gone is None:
                continue
            if key.grain == "minute":
                starts = self._minutes[key.dimension]
                del starts[key.start][key.value]
                if not starts[key.start]:
                    del starts[key.start]
            if gone.events and key.dimension:
                _one_less(self._values, (key.grain, key.start, key.dimension))
            if gone.brought and key.dimension:
                _one_less(self._brought, (key.grain, key.start, key.dimension))

    def close(self) -> None:
        """Forget everything: sketches that live when the interpreter ends are reported as leaks by their library."""
        self.accumulators.clear()
        self._minutes.clear()

    def load(self, key: WindowKey, data: bytes) -> None:
        """Put back an accumulator that was dumped."""
        accumulator = Accumulator.load(data, key.grain != "minute")
        if accumulator.events and key.dimension and key.value != OTHER and not self._has_place(key):
            slot = (key.grain, key.start, key.dimension)
            self._values[slot] = self._values.get(slot, 0) + 1
        before = self.accumulators.get(key)
        accumulator.brought = accumulator.brought and key.value != OTHER
        if accumulator.brought and key.dimension and (before is None or not before.brought):
            slot = (key.grain, key.start, key.dimension)
            self._brought[slot] = self._brought.get(slot, 0) + 1
        self._put(key, accumulator)

    def recent(self, since: int, dimension: str = "") -> dict[tuple[str, ...], tuple[int, float]]:
        """Per value of a dimension: events and users of the minute windows that start at `since` (ms) or later."""
        found: dict[tuple[str, ...], list[Accumulator | Lone]] = {}
        minutes = self._minutes.get(dimension, {})
        all_since = range(-(-since // MINUTE) * MINUTE, self._latest + MINUTE, MINUTE)
        # Of many minutes few are recent; of few, with one in the far future, there are fewer than since then.
        few = len(all_since) < len(minutes)
        for start in all_since if few else [start for start in minutes if start >= since]:
            for value, accumulator in minutes.get(start, {}).items():
                found.setdefault(value, []).append(accumulator)
        return {
            value: (
                sum(accumulator.events for accumulator in accumulators),
                users_of(accumulators),
            )
            for value, accumulators in found.items()
        }


def _one_less(counts: dict[tuple[str, int, str], int], slot: tuple[str, int, str]) -> None:
    left = counts.get(slot, 1) - 1
    if left > 0:
        counts[slot] = left
    else:
        counts.pop(slot, None)
