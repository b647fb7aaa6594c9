"""What becomes of each record of a partition: accepted, late, duplicate, rejected, forwarded or forwarded again.

The answer is a pure function of the partition's log up to the record. Worker and archiver run this same code
over the same log, so they agree on every record without talking to each other, and so does a replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.errors import StreamgaugeError
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.seen import U64, SeenIds
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import Event
from schemas.plan import Plan

#: Header of a record that was sent on from another partition: the original's `PARTITION:OFFSET`.
ORIGIN_HEADER = "streamgauge-origin"
#: The reason of a record that could not be judged for a reason that nobody foresaw: a mistake of ours.
UNFORESEEN = "unforeseen"
#: What says nothing of the record: another process, or a later moment, may not meet it.
NOT_OF_THE_RECORD = (MemoryError, RecursionError, OSError, StreamgaugeError)
#: Records looked at together at least, where the watermark moves on fast.
_MIN_PIECE = 64


class Record(NamedTuple):
    """A Kafka record without its topic and partition. `timestamp` is the record's, epoch ms; old formats have none."""

    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Unreadable(NamedTuple):
    """A `Record` that is not one: a batch at `offset` whose bytes, its value, can't be decoded, and why."""

    offset: int
    timestamp: int | None
    value: bytes
    why: str
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_type: int | None = 0


class Outcome(IntEnum):
    """What became of a record."""

    ACCEPTED = 0  # counted live and stored
    LATE = 1  # older than the lateness allows: stored, not counted live
    DUPLICATE = 2  # its event_id was seen within the horizon
    REJECTED = 3  # not an event of the plan
    FORWARDED = 4  # its actor lives in another partition: sent on there, counted there
    FORWARDED_AGAIN = 5  # the same record, sent on a second time after a crash


@dataclass(slots=True)
class Classified:
    """One batch, record by record. `events[i]` is None where `outcomes[i]` is REJECTED."""

    records: Sequence[Record | Unreadable]
    outcomes: list[Outcome]
    events: list[Event | None]
    rejections: dict[int, Rejection] = field(default_factory=dict)  # index to reason
    forwarded: dict[int, int] = field(default_factory=dict)  # index to the partition it belongs to
    #: (generation, hashes) that are new in the memory of ids.
    remembered: list[tuple[int, U64]] = field(default_factory=list)


class PartitionClassifier:
    """The classification state of one partition: the watermark and the ids seen."""

    def __init__(self, plan: Plan, validator: Validator, partition: int, partitions: int) -> None:
        self._validator = validator
        self._partition, self._partitions = partition, partitions
        self._lateness, self._max_future = plan.lateness, plan.max_future
        #: Largest event time accepted so far, epoch ms; 0 before the first event.
        self.watermark = 0
        self.seen = SeenIds(plan.dedupe)

    def classify(self, records: Sequence[Record | Unreadable], now: int | None = None) -> Classified:
        """Classify the next records of the partition, in offset order, and move the state past them.

        `now` (epoch ms) guards against record timestamps that are ahead of our clock: where producers set them
        (message.timestamp.type=CreateTime), a producer whose clock is a year ahead would expire everybody's windows.
        Where the broker sets them it never matters, and the answer depends on the log alone.
        """
        n = len(records)
        outcomes = [Outcome.REJECTED] * n
        events: list[Event | None] = [None] * n
        result = Classified(records, outcomes, events)
        parse, max_future = self._validator.parse, self._max_future
        latest = _NEVER if now is None else now + max_future
        for i, record in enumerate(records):
            try:
                event = parse(record.value)
                ts, stamp = event.ts, record.timestamp
                if ts > latest or (stamp is not None and 0 <= stamp < ts - max_future):
                    written = latest - max_future if stamp is None or stamp < 0 else min(stamp, latest - max_future)
                    ahead = (ts - written) // 1000
                    raise Rejection("time_in_future", f"ts {ts} is {ahead} s after it was written to Kafka")
                events[i] = event
            except Rejection as why:
                result.rejections[i] = Rejection("unreadable", record.why) if isinstance(record, Unreadable) else why
            except NOT_OF_THE_RECORD:
                raise
            except Exception as exc:
                result.rejections[i] = unforeseen(exc)
        valid = [i for i, event in enumerate(events) if event is not None] if result.rejections else list(range(n))
        try:
            here = self._only_here(result, valid)
            columns = self._columns(result, here)
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            # Nothing has changed the state yet, and what follows works on numbers only: find whose it is.
            valid = [i for i in valid if self._goes_on(result, i)]
            here = self._only_here(result, valid)
            columns = self._columns(result, here)
        if here:
            self._duplicates_and_lateness(result, here, *columns)
        return result

    def _goes_on(self, result: Classified, i: int) -> bool:
        """Whether one record can be judged further; rejects it if it raises what nobody foresaw."""
        try:
            self._columns(result, self._only_here(result, [i]))
        except NOT_OF_THE_RECORD:
            raise
        except Exception as exc:
            result.rejections[i] = unforeseen(exc)
            result.outcomes[i], result.events[i] = Outcome.REJECTED, None
            result.forwarded.pop(i, None)
            return False
        return True

    def _only_here(self, result: Classified, valid: list[int]) -> list[int]:
        """The indexes whose actor lives in this partition; marks the others as forwarded."""
        if not valid:
            return valid
        actors = [event.actor.encode() for event in _picked(result.events, valid)]
        home = partitions_of(actors, self._partitions)
        wrong = np.flatnonzero(home != self._partition)
        for j in wrong.tolist():
            result.outcomes[valid[j]] = Outcome.FORWARDED
            result.forwarded[valid[j]] = int(home[j])
        if len(wrong):
            away = set(wrong.tolist())
            return [i for j, i in enumerate(valid) if j not in away]
        return valid

    def _columns(self, result: Classified, here: list[int]) -> tuple[U64, npt.NDArray[np.int64], U64]:
        """Hash of the id, event time and mark of the origin of each record."""
        events = _picked(result.events, here)
        ids = _hashes([event.event_id.encode() for event in events])
        times = np.array([event.ts for event in events], np.int64)
        origins = np.zeros(len(here), np.uint64)
        records = _picked(result.records, here)
        for j in [j for j, record in enumerate(records) if record.headers]:
            origins[j] = origin_mark(records[j])
        return ids, times, origins

    def _duplicates_and_lateness(
        self, result: Classified, here: list[int], ids: U64, times: npt.NDArray[np.int64], origins: U64
    ) -> None:
        at = np.array(here, np.int64)
        start, size = 0, len(at)
        while start < len(at):
            piece = slice(start, start + size)
            done = self._one_generation(result, at[piece], ids[piece], times[piece], origins[piece])
            # Sparse events begin a generation every few records: looking far ahead then is work for nothing.
            size = max(_MIN_PIECE, 2 * done)
            start += done

    def _one_generation(
        self,
        result: Classified,
        at: npt.NDArray[np.int64],
        ids: U64,
        times: npt.NDArray[np.int64],
        origins: U64,
    ) -> int:
        """Handle records up to the one that moves the watermark into another generation; returns how many."""
        seen = self.seen
        fresh = ~seen.contains(ids) & _first_of_its_kind(ids)
        after = np.maximum(np.maximum.accumulate(np.where(fresh, times, 0)), self.watermark)
        before = np.concatenate([[self.watermark], after[:-1]])
        # What an id meets depends on the generation of the watermark before its record, so that must be one.
        generation = seen.generation_of(self.watermark)
        later = np.flatnonzero(before // seen.span > generation)
        count = int(later[0]) if len(later) else len(ids)
        late = times[:count] < before[:count] - self._lateness
        outcome = np.where(fresh[:count], np.where(late, Outcome.LATE, Outcome.ACCEPTED), Outcome.DUPLICATE)
        marks = origins != 0
        if marks.any():
            # An origin is remembered like an id: it tells a record sent on twice from a true duplicate.
            again = marks & (seen.contains(origins) | ~_first_of_its_kind(origins))
            outcome[(again & ~fresh)[:count]] = Outcome.FORWARDED_AGAIN
            marks &= ~again
        outcomes, found = result.outcomes, map(_OUTCOMES.__getitem__, outcome.tolist())
        first, last = int(at[0]), int(at[count - 1])
        if last - first == count - 1:
            outcomes[first : last + 1] = found
        else:
            for i, each in zip(at[:count].tolist(), found, strict=True):
                outcomes[i] = each
        # An id is remembered from the watermark after its record. From the one before, the first id after a
        # quiet time (or in a new partition) would be forgotten the moment it has moved the watermark.
        self.watermark = int(after[count - 1])
        then = seen.generation_of(self.watermark)
        head = count if then == generation else count - 1
        for number, part in ((generation, slice(0, head)), (then, slice(head, count))):
            seen.move_to(number)
            new = np.concatenate([ids[part][fresh[part]], origins[part][marks[part]]])
            if len(new):
                seen.add(new)
                result.remembered.append((number, new))
        return count

    def restore(self, hashes: U64, watermarks: npt.NDArray[np.int64]) -> None:
        """Remember ids, each by the partition's watermark after its record (in any order within one call)."""
        if not len(hashes):
            return
        generations = watermarks // self.seen.span
        for generation in np.unique(generations).tolist():
            self.seen.move_to(int(generation))
            self.seen.add(np.unique(hashes[generations == generation]), int(generation))


def unforeseen(exc: Exception) -> Rejection:
    """The rejection of a record that raised what nobody foresaw."""
    return Rejection(UNFORESEEN, f"{type(exc).__name__}: {exc}")


def _picked(items: Sequence[Any], indexes: list[int]) -> Sequence[Any]:
    """The items at `indexes` (ascending): nearly always all of them."""
    return items if len(indexes) == len(items) else [items[i] for i in indexes]


def _hashes(texts: Sequence[bytes]) -> U64:
    found = np.fromiter(map(xxhash.xxh3_64_intdigest, texts), np.uint64, len(texts))
    found[found == 0] = 1  # the tables' mark of an empty slot
    return found


_OUTCOMES = list(Outcome)
_NEVER = 1 << 62


def origin_mark(record: Record | Unreadable) -> int:
    """The hash by which a record that was sent on is known again; 0 for one that came by itself."""
    if record.headers:
        for name, value in record.headers:
            if name == ORIGIN_HEADER and value is not None:
                return xxhash.xxh3_64_intdigest(b"origin:" + value) or 1
    return 0


def _first_of_its_kind(hashes: U64) -> npt.NDArray[np.bool_]:
    """Which of the hashes stand in this array for the first time."""
    first = np.zeros(len(hashes), np.bool_)
    first[np.unique(hashes, return_index=True)[1]] = True
    return first
