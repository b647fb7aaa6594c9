"""What a partition's log makes of its events' ids and times: new or seen before, in time or late.

All of it works on columns of numbers. The watermark, the log's clock and the ids seen are all that it depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.ingest.clock import Standing, Times, believe
from pipeline.ingest.records import Classified, Outcome, Record, Unreadable, origin_mark
from pipeline.ingest.seen import U64, SeenIds
from schemas.event import EARLIEST_TS, LATEST_TS, Event
from schemas.plan import Plan

#: Records looked at together at least, where the watermark moves on fast.
_MIN_PIECE: Final = 64
_OUTCOMES: Final = list(Outcome)


class EventColumns(NamedTuple):
    """The events of this partition among the records, column by column; `at` are their indexes."""

    at: Times
    ids: U64
    times: Times
    origins: U64
    #: When the record was written, by the broker's clock if `trusted`, else by the producer's.
    written: Times
    trusted: npt.NDArray[np.bool_]
    #: Which of them count as somebody of another partition, None if none does.
    leaving: npt.NDArray[np.bool_] | None = None

    def only(self, which: slice | npt.NDArray[np.bool_]) -> EventColumns:
        """Some of the rows."""
        columns: Any = [None if column is None else column[which] for column in self]
        return EventColumns(*columns)


class LogHistory:
    """What one partition remembers of its log. `since` as the classifier has it."""

    def __init__(self, plan: Plan, since: int) -> None:
        self._lateness = plan.lateness
        #: Largest event time that was accepted and believed so far, epoch ms; 0 before the first.
        self.watermark = 0
        #: What time it is by the log: a guard against producers whose clock is ahead.
        self.clock = Standing(since)
        # A clock that is ahead by no more than the lateness makes nobody's present events late.
        self._tolerance = max(plan.lateness, plan.max_future)
        self.seen = SeenIds(plan.dedupe)

    def judge(self, result: Classified, batch: EventColumns) -> None:
        """Note the outcome of each event of the batch, and move on past them."""
        start, size = 0, len(batch.at)
        while start < len(batch.at):
            done = self._one_generation(result, batch.only(slice(start, start + size)))
            # Sparse events begin a generation every few records: looking far ahead then is work for nothing.
            size = max(_MIN_PIECE, 2 * done)
            start += done

    def _one_generation(self, result: Classified, batch: EventColumns) -> int:
        """Handle records up to the one that moves the watermark into another generation; returns how many."""
        seen = self.seen
        at, ids, times, origins, written, trusted, leaving = batch
        known = seen.contains(ids)
        if leaving is None:
            fresh = ~known & _first_of_its_kind(ids)
            new = fresh
        else:
            # What counts elsewhere is judged there, unless it was counted here before its actor was linked.
            fresh = ~known & _first_or_leaving(ids, leaving)
            new = fresh & ~leaving
        # Only what is stored as an event moves the clock: an archiver finds there how it stood.
        new_at = np.flatnonzero(new)
        found = believe(self.clock, self._tolerance, written[new_at], trusted[new_at], times[new_at])
        moving, far = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
        moving[new_at], far[new_at] = found.moves, found.far
        after = np.maximum(np.maximum.accumulate(moving), self.watermark)
        before = np.concatenate([[self.watermark], after[:-1]])
        # What an id meets depends on the generation of the watermark before its record, so that must be one.
        generation = seen.generation_of(self.watermark)
        later = np.flatnonzero(before // seen.span > generation)
        count = int(later[0]) if len(later) else len(ids)
        late = (times[:count] < before[:count] - self._lateness) | far[:count]
        outcome = np.where(fresh[:count], np.where(late, Outcome.LATE, Outcome.ACCEPTED), Outcome.DUPLICATE)
        if leaving is not None:
            outcome[(fresh & leaving)[:count]] = Outcome.FORWARDED
        # Of what is sent on nothing is remembered: an archiver that takes over finds no row of it.
        marks = origins != 0 if leaving is None else (origins != 0) & ~(fresh & leaving)
        if marks.any():
            # An origin is remembered like an id, and anew each time that it comes: so an archiver that reads all rows
            # that have one remembers the same. It tells a record sent on twice from a true duplicate.
            again = marks & seen.contains(origins)
            marked = np.flatnonzero(marks)
            again[marked] |= ~_first_of_its_kind(origins[marked])
            outcome[(again & ~new)[:count]] = Outcome.FORWARDED_AGAIN
        self._note(result.outcomes, at[:count], outcome)
        if result.links or result.handovers:
            result.watermarks.append((at[:count], after[:count]))
        taken = int(np.count_nonzero(new[:count]))
        if taken:
            self.clock = found.standing(taken - 1)
            result.standings.append((at[new_at[:taken]], after[new_at[:taken]], found))
        # An id is remembered from the watermark after its record. From the one before, the first id after a
        # quiet time (or in a new partition) would be forgotten sooner.
        self.watermark = int(after[count - 1])
        then = seen.generation_of(self.watermark)
        head = count if then == generation else count - 1
        for number, part in ((generation, slice(0, head)), (then, slice(head, count))):
            seen.move_to(number)
            hashes = ids[part][new[part]]
            if marks[part].any():
                hashes = np.concatenate([hashes, seen.not_in_current(np.unique(origins[part][marks[part]]))])
            if len(hashes):
                seen.add(hashes)
                result.remembered.append((number, hashes))
        return count

    @staticmethod
    def _note(outcomes: list[Outcome], at: Times, outcome: npt.NDArray[Any]) -> None:
        found = map(_OUTCOMES.__getitem__, outcome.tolist())
        first, last = int(at[0]), int(at[-1])
        if last - first == len(at) - 1:
            outcomes[first : last + 1] = found
        else:
            for i, each in zip(at.tolist(), found, strict=True):
                outcomes[i] = each

    def restore(self, hashes: U64, watermarks: npt.NDArray[np.int64]) -> None:
        """Remember ids, each by the partition's watermark after its record (in any order within one call)."""
        if not len(hashes):
            return
        generations = watermarks // self.seen.span
        for generation in np.unique(generations).tolist():
            self.seen.move_to(int(generation))
            self.seen.add(np.unique(hashes[generations == generation]), int(generation))


def columns_of(
    at: list[int], events: Sequence[Event], records: Sequence[Record | Unreadable], *, headed: bool
) -> EventColumns:
    """What the judgement needs of each event and its record, as numbers; `at` are their indexes.

    `headed`: some of the records may have headers.
    """
    ids = _hashes([event.event_id.encode() for event in events])
    times = np.array([event.ts for event in events], np.int64)
    origins = np.zeros(len(at), np.uint64)
    for j in [j for j, record in enumerate(records) if record.headers] if headed else ():
        origins[j] = origin_mark(records[j])
    return EventColumns(np.array(at, np.int64), ids, times, origins, *_written(records, times))


def _hashes(texts: Sequence[bytes]) -> U64:
    found = np.fromiter(map(xxhash.xxh3_64_intdigest, texts), np.uint64, len(texts))
    found[found == 0] = 1  # the tables' mark of an empty slot
    return found


def _written(records: Sequence[Record | Unreadable], times: Times) -> tuple[Times, npt.NDArray[np.bool_]]:
    """When each record was written, and whether it is the broker who says so.

    One that doesn't say (-1, 0, a time before 2000 or after 2200) was written when its event happened.
    """
    n = len(records)
    said = np.fromiter([record.timestamp or 0 for record in records], np.int64, n)
    trusted = np.fromiter([record.timestamp_type == 1 for record in records], np.bool_, n)
    known = (said >= EARLIEST_TS) & (said <= LATEST_TS)
    return np.where(known, said, times), trusted & known


def _first_or_leaving(hashes: U64, leaving: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which have none of their kind before them among those that stay: what leaves is not remembered here."""
    found = np.ones(len(hashes), np.bool_)
    stay = np.flatnonzero(~leaving)
    found[stay] = _first_of_its_kind(hashes[stay])
    kinds, first = np.unique(hashes[stay], return_index=True)
    for i in np.flatnonzero(leaving).tolist():
        place = int(np.searchsorted(kinds, hashes[i]))
        found[i] = not (place < len(kinds) and kinds[place] == hashes[i] and stay[first[place]] < i)
    return found


def _first_of_its_kind(hashes: U64) -> npt.NDArray[np.bool_]:
    """Which of the hashes stand in this array for the first time."""
    ordered = np.sort(hashes)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.ones(len(hashes), np.bool_)  # as nearly always
    first = np.zeros(len(hashes), np.bool_)
    first[np.unique(hashes, return_index=True)[1]] = True
    return first
