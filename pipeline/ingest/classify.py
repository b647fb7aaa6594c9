"""What becomes of each record of a partition: accepted, late, duplicate, rejected, forwarded or forwarded again.

The answer is a pure function of the partition's log up to the record. Worker and archiver run this same code
over the same log, so they agree on every record without talking to each other, and so does a replay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.errors import StreamgaugeError
from pipeline.ingest.attributes import ATTRIBUTES_HEADER, Attributes, read_attributes
from pipeline.ingest.clock import Believed, Standing, Times, believe
from pipeline.ingest.handover import HANDOVER_HEADER, Handover, handover_mark, read_handover
from pipeline.ingest.links import (
    LINK_HEADER,
    Claim,
    Link,
    Owners,
    claims_of,
    last,
    read_link,
    resolve,
    told_person,
)
from pipeline.ingest.partitioner import homes_of
from pipeline.ingest.refused import REFUSED_HEADER, refusal
from pipeline.ingest.seen import U64, HashTable, SeenIds
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import EARLIEST_TS, LATEST_TS, Event
from schemas.plan import Plan

#: Header of a record that was sent on from another partition: the original's `PARTITION:OFFSET`. One that was rejected
#: and is sent again has `:again` behind it.
ORIGIN_HEADER: Final = "streamgauge-origin"
_ORIGIN: Final = re.compile(rb"(?:0|[1-9][0-9]{0,9}):(?:0|[1-9][0-9]{0,18})(?::again)?")
#: The reason of a record that could not be judged for a reason that nobody foresaw: a mistake of ours.
UNFORESEEN = "unforeseen"
#: What says nothing of the record: another process, or a later moment, may not meet it.
NOT_OF_THE_RECORD = (MemoryError, RecursionError, OSError, StreamgaugeError)
#: Records looked at together at least, where the watermark moves on fast.
_MIN_PIECE = 64
#: Pairs of user and device that are remembered as told, each 16 bytes at most.
_MAX_TOLD = 2_000_000


class Record(NamedTuple):
    """A Kafka record without its topic and partition. All of it but the offset is what a stranger sent.

    `timestamp` is the record's, epoch ms: the broker's if `timestamp_type` is 1 (LogAppendTime), else the producer's,
    who may have written anything. Old formats have none.
    """

    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_type: int | None = 1


class Unreadable(NamedTuple):
    """A `Record` that is not one: a batch at `offset` whose bytes, its value, can't be decoded, and why."""

    offset: int
    timestamp: int | None
    value: bytes
    why: str
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_type: int | None = 0


class Outcome(IntEnum):
    """What became of a record."""

    ACCEPTED = 0  # counted live and stored
    LATE = 1  # outside of what is counted live (too old, or far ahead of all others): stored
    DUPLICATE = 2  # its event_id was seen within the horizon
    REJECTED = 3  # not an event of the plan
    FORWARDED = 4  # its actor lives in another partition: sent on there, counted there
    FORWARDED_AGAIN = 5  # a duplicate that says it was sent on from where another came from: a crash's copy, or forged
    LINK = 6  # no event: it says who an id belongs to, hands over what was counted of it, or tells attributes


@dataclass(slots=True)
class Classified:
    """One batch, record by record. `events[i]` is None where `outcomes[i]` is REJECTED."""

    records: Sequence[Record | Unreadable]
    outcomes: list[Outcome]
    events: list[Event | None]
    rejections: dict[int, Rejection] = field(default_factory=dict)  # index to reason
    forwarded: dict[int, int] = field(default_factory=dict)  # index to the partition it belongs to
    #: Claims of records of this batch that changed something, in the order of the log.
    links: list[Link] = field(default_factory=list)
    #: Claims on ids that live in other partitions, by the partition that decides: (index, partition, claim).
    tellings: list[tuple[int, int, Claim]] = field(default_factory=list)
    #: Index to the claim of a record that tells of a link.
    claims: dict[int, Claim] = field(default_factory=dict)
    #: Index to what another partition hands over.
    handovers: dict[int, Handover] = field(default_factory=dict)
    #: Index to what a record tells of a user or device, and counts as nothing.
    attributes: dict[int, Attributes] = field(default_factory=dict)
    #: Index of a handover to as whom it counts when its turn comes, and after how many links.
    handed: dict[int, tuple[str, int]] = field(default_factory=dict)
    #: Index of a record that is sent on to the number of links that it has passed by then; its person is the actor.
    hops: dict[int, int] = field(default_factory=dict)
    #: Indexes of valid events without a user.
    alone: list[int] = field(default_factory=list)
    #: Indexes of events of a device that is nobody's, after so many users claimed it.
    shared: list[int] = field(default_factory=list)
    #: The partition's watermark before the batch, and pieces of (indexes, watermarks after them).
    watermark: int = 0
    watermarks: list[tuple[Times, Times]] = field(default_factory=list)
    #: (generation, hashes) that are new in the memory of ids.
    remembered: list[tuple[int, U64]] = field(default_factory=list)
    #: Pieces of (indexes, watermarks, the clock): how the partition stood after each of these records.
    standings: list[tuple[Times, Times, Believed]] = field(default_factory=list)

    def watermarks_at(self, indexes: Sequence[int]) -> list[int]:
        """The partition's watermark after each of these records."""
        if not self.watermarks or not indexes:
            return [self.watermark] * len(indexes)
        at, after = (np.concatenate(columns) for columns in zip(*self.watermarks, strict=True))
        before = np.searchsorted(at, np.array(indexes, np.int64), "right")
        return np.where(before > 0, after[before - 1], self.watermark).tolist()  # type: ignore[no-any-return]


class PartitionClassifier:
    """The classification state of one partition: the watermark, the log's clock and the ids seen.

    `since` is a time (epoch ms) that is known to have passed when the log began, 0 if none is: the clock begins there.
    """

    def __init__(self, plan: Plan, validator: Validator, partition: int, partitions: int, *, since: int = 0) -> None:
        self._validator = validator
        self._partition, self._partitions = partition, partitions
        self._lateness, self._max_future = plan.lateness, plan.max_future
        #: Largest event time that was accepted and believed so far, epoch ms; 0 before the first.
        self.watermark = 0
        #: What time it is by the log: a guard against producers whose clock is ahead.
        self.clock = Standing(since)
        # A clock that is ahead by no more than the lateness makes nobody's present events late.
        self._tolerance = max(plan.lateness, plan.max_future)
        self.seen = SeenIds(plan.dedupe)
        #: Whom the ids that live here belong to.
        self.owners = Owners(plan.identity.shared_device)
        self._identity = plan.identity.on
        self._aliases = plan.aliases
        alias = plan.identity.alias
        self._alias = (alias.event, alias.previous.removeprefix("properties.")) if alias is not None else None
        #: Hashes of pairs of user and device that were told before, so that not every event tells: no part of the
        #: state, for telling again changes nothing. Two pairs of one hash are as rare as two event ids (`SeenIds`).
        self._told = HashTable()

    def classify(self, records: Sequence[Record | Unreadable]) -> Classified:
        """Classify the next records of the partition, in offset order, and move the state past them."""
        n = len(records)
        outcomes = [Outcome.REJECTED] * n
        events: list[Event | None] = [None] * n
        result = Classified(records, outcomes, events)
        between: list[tuple[int, str]] = []
        parse, max_future, identity = self._validator.parse, self._max_future, self._identity
        alone = result.alone
        # Of events that have both ids; whether a pair is known is asked of all at once.
        both: list[int] = []
        pairs: list[int] = []
        for i, record in enumerate(records):
            try:
                if record.headers and (home := self._no_event(result, i)):
                    between.append((i, home))
                    continue
                event = parse(record.value)
                written = record.timestamp
                if written is not None and EARLIEST_TS <= written < event.ts - max_future:
                    ahead = (event.ts - written) // 1000
                    raise Rejection("time_in_future", f"ts {event.ts} is {ahead} s after it was written to Kafka")
                events[i] = event
                if identity:
                    found = event.fields
                    user = found.get("user_id")
                    if not user:
                        alone.append(i)
                    elif device := found.get("anonymous_id"):
                        both.append(i)
                        pairs.append(hash((user, device)))
            except Rejection as why:
                result.rejections[i] = Rejection("unreadable", record.why) if isinstance(record, Unreadable) else why
            except NOT_OF_THE_RECORD:
                raise
            except Exception as exc:
                result.rejections[i] = unforeseen(exc)
        if between:
            self._refuse_astray(result, between)
        whole = not (result.rejections or between)
        valid = list(range(n)) if whole else [i for i, event in enumerate(events) if event is not None]
        try:
            here = self._only_here(result, valid)
            batch = self._columns(result, here)
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            # Nothing has changed the state yet, and what follows works on numbers only: find whose it is.
            valid = [i for i in valid if self._goes_on(result, i)]
            here = self._only_here(result, valid)
            batch = self._columns(result, here)
        result.watermark = self.watermark
        leaving = self._identify(result, here, self._claims(result, both, pairs)) if identity else None
        if here:
            self._duplicates_and_lateness(result, batch._replace(leaving=leaving))
        if leaving is not None:
            # What turned out to be a duplicate goes nowhere.
            result.forwarded = {i: p for i, p in result.forwarded.items() if result.outcomes[i] is Outcome.FORWARDED}
        return result

    def _no_event(self, result: Classified, i: int) -> str:
        """Of a record that is no event, but tells or hands over something: the id in whose home it should be.

        "" of all others. Raises Rejection if it should be one and can't be read.
        """
        record = result.records[i]
        names = {name for name, _ in record.headers}
        if REFUSED_HEADER in names:
            raise refusal(record.headers)
        if ATTRIBUTES_HEADER in names:
            try:
                told = result.attributes[i] = read_attributes(record.value)
            except ValueError as exc:
                raise Rejection("bad_attributes", str(exc)) from None
            return told.id
        if not self._identity or (LINK_HEADER not in names and HANDOVER_HEADER not in names):
            return ""
        try:
            if LINK_HEADER in names:
                # What becomes of it is decided when all records before it are known.
                claim = result.claims[i] = read_link(record.value, self._aliases)
                return claim.id
            if not handover_mark(record.headers):
                raise ValueError(f"{HANDOVER_HEADER}: PARTITION:OFFSET:PART")
            handover = result.handovers[i] = read_handover(record.value)
            return handover.person
        except ValueError as exc:
            raise Rejection("bad_link", str(exc)) from None

    def _refuse_astray(self, result: Classified, between: Sequence[tuple[int, str]]) -> None:
        """Of the records that are no events, reject those that lie in another one than their id."""
        homes = homes_of([one for _, one in between], self._partitions).tolist()
        for (i, one), home in zip(between, homes, strict=True):
            if home == self._partition:
                result.outcomes[i] = Outcome.LINK
                continue
            result.claims.pop(i, None)
            result.handovers.pop(i, None)
            result.attributes.pop(i, None)
            result.rejections[i] = Rejection("bad_link", f"{one!r:.60} lives in another partition")

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
        if self._identity:
            records = result.records
            for i in [i for i in valid if records[i].headers]:
                told = told_person(records[i].headers)
                if told is not None:
                    # Its actor is linked, and the partition it comes from knows that.
                    event = result.events[i]
                    assert event is not None
                    event.actor, result.hops[i] = told
        home = homes_of([event.actor for event in _picked(result.events, valid)], self._partitions)
        wrong = np.flatnonzero(home != self._partition)
        for j in wrong.tolist():
            result.outcomes[valid[j]] = Outcome.FORWARDED
            result.forwarded[valid[j]] = int(home[j])
        if len(wrong):
            away = set(wrong.tolist())
            return [i for j, i in enumerate(valid) if j not in away]
        return valid

    def _identify(
        self, result: Classified, here: list[int], claiming: list[tuple[int, Claim]]
    ) -> npt.NDArray[np.bool_] | None:
        """Find as whom each event counts, in the order of the log, and what becomes of the claims.

        Returns which of the events `here` count as somebody of another partition, None if none does.
        """
        events, hops = result.events, result.hops
        homes = homes_of([claim.id for _, claim in claiming], self._partitions) if claiming else ()
        turns: list[tuple[int, Claim | Handover | None]] = [*result.claims.items(), *result.handovers.items()]
        for (i, claim), home in zip(claiming, homes, strict=True):
            if home == self._partition:
                turns.append((i, claim))
            else:
                result.tellings.append((i, int(home), claim))
        # Nearly everybody is nobody else: only whose links are known, or become known in this batch, take a turn.
        claimed = {claim.id for _, claim in turns if isinstance(claim, Claim)}
        knows = self.owners.knows
        for i in here if self._aliases else result.alone:
            event = events[i]
            if event is not None and i not in result.forwarded and (event.actor in claimed or knows(event.actor)):
                turns.append((i, None))
        if not turns:
            return None
        turns.sort(key=lambda turn: (turn[0], turn[1] is not None))
        moved: list[int] = []
        for i, found in turns:
            if isinstance(found, Handover):
                result.handed[i] = resolve(self.owners, found.person, found.hops)
                continue
            if found is not None:
                ruling = self.owners.claim(found.id, found.person)
                if ruling is not None:
                    result.links.append(Link(i, found, ruling, *resolve(self.owners, found.id)))
                continue
            event = events[i]
            assert event is not None
            person, passed = resolve(self.owners, event.actor, hops.get(i, 0))
            if person != event.actor:
                event.actor, hops[i] = person, passed
                moved.append(i)
            elif self.owners.is_shared(person):
                result.shared.append(i)
        if not moved:
            return None
        home_of = homes_of([event.actor for event in _picked(events, moved)], self._partitions)
        away = {i: int(home) for i, home in zip(moved, home_of.tolist(), strict=True) if home != self._partition}
        if not away:
            return None
        result.forwarded |= away
        return np.fromiter((i in away for i in here), np.bool_, len(here))

    def _claims(self, result: Classified, both: list[int], pairs: list[int]) -> list[tuple[int, Claim]]:
        """What events claim that was not claimed before, as far as is remembered: nearly always nothing.

        `both` are the indexes of those that have both ids, `pairs` the hashes of these.
        """
        events, hops, forwarded = result.events, result.hops, result.forwarded
        found = np.array(pairs, np.int64).view(np.uint64) | np.uint64(1)
        new = ~self._told.contains(found)
        at: dict[int, None] = {}
        fresh: set[int] = set()
        for j, pair in zip(np.flatnonzero(new).tolist(), found[new].tolist(), strict=True):
            i = both[j]
            # One that was sent on as somebody claims where its user lives, as does one that came to a wrong partition.
            if pair not in fresh and i not in hops and i not in forwarded and events[i] is not None:
                fresh.add(pair)
                at[i] = None
        if fresh:
            if self._told.used > _MAX_TOLD:
                self._told = HashTable()
            self._told.add(np.fromiter(fresh, np.uint64, len(fresh)))
        if self._alias is not None:
            # An alias claims each time, and needs no device.
            name = self._alias[0]
            aliases = [i for i, event in enumerate(events) if event is not None and event.name == name]
            at |= dict.fromkeys(i for i in aliases if i not in hops and i not in forwarded)
        claiming: list[tuple[int, Claim]] = []
        for i in sorted(at):
            event = events[i]
            assert event is not None
            claiming += [(i, claim) for claim in claims_of(event.fields, event.name, event.ts, self._alias)]
        return claiming

    def _columns(self, result: Classified, here: list[int]) -> _Batch:
        """What the judgement needs of each record, as numbers."""
        events = _picked(result.events, here)
        ids = _hashes([event.event_id.encode() for event in events])
        times = np.array([event.ts for event in events], np.int64)
        origins = np.zeros(len(here), np.uint64)
        records = _picked(result.records, here)
        for j in [j for j, record in enumerate(records) if record.headers]:
            origins[j] = origin_mark(records[j])
        return _Batch(np.array(here, np.int64), ids, times, origins, *_written(records, times))

    def _duplicates_and_lateness(self, result: Classified, batch: _Batch) -> None:
        start, size = 0, len(batch.at)
        while start < len(batch.at):
            done = self._one_generation(result, batch.piece(start, start + size))
            # Sparse events begin a generation every few records: looking far ahead then is work for nothing.
            size = max(_MIN_PIECE, 2 * done)
            start += done

    def _one_generation(self, result: Classified, batch: _Batch) -> int:
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


class _Batch(NamedTuple):
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

    def piece(self, start: int, end: int) -> _Batch:
        columns: Any = [None if column is None else column[start:end] for column in self]
        return _Batch(*columns)


def _written(records: Sequence[Record | Unreadable], times: Times) -> tuple[Times, npt.NDArray[np.bool_]]:
    """When each record was written, and whether it is the broker who says so.

    One that doesn't say (-1, 0, a time before 2000 or after 2200) was written when its event happened.
    """
    n = len(records)
    said = np.fromiter([record.timestamp or 0 for record in records], np.int64, n)
    trusted = np.fromiter([record.timestamp_type == 1 for record in records], np.bool_, n)
    known = (said >= EARLIEST_TS) & (said <= LATEST_TS)
    return np.where(known, said, times), trusted & known


def origin_mark(record: Record | Unreadable) -> int:
    """The hash by which a record that was sent on is known again; 0 for one that came by itself.

    Headers are a stranger's: what is not exactly what we write is no origin. Of several the last one counts, which is
    the one that a worker puts behind all that it found.
    """
    found = last(record.headers, ORIGIN_HEADER)
    if found is None or not _ORIGIN.fullmatch(found):
        return 0
    # No event_id has a control character, so none is ever taken for an origin.
    return xxhash.xxh3_64_intdigest(b"\x00origin:" + found) or 1


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
    first = np.zeros(len(hashes), np.bool_)
    first[np.unique(hashes, return_index=True)[1]] = True
    return first
