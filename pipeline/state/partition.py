"""The state of one partition of the events topic: everything that its log up to an offset amounts to.

Pure: records in, changed rows and checkpoint entries out. The Faust worker, the offline replay and the tests all
fold through this class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgpack
import numpy as np

from pipeline.errors import AnotherTopicError
from pipeline.ingest.aliases import Aliases
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.clock import Standing
from pipeline.ingest.links import Owners
from pipeline.ingest.records import Classified, Outcome, Record, Unreadable
from pipeline.ingest.seen import U64, SeenIds, distinct
from pipeline.ingest.validate import Validator
from pipeline.measure.accumulator import end_of
from pipeline.measure.activity import Activity, WindowKey
from pipeline.measure.entries import Entries, in_memory
from pipeline.measure.funnel_view import CounterKey
from pipeline.measure.funnels import Funnels
from pipeline.measure.rows import ActivityRow, FunnelRow, GapRow, PartitionRow
from pipeline.measure.windows import SLIDING
from pipeline.state.checkpoint import Checkpoint, Entry, Snapshot
from pipeline.state.disk import LOOKED_UP, Disk, DiskEntries
from pipeline.state.persons import Letter, Persons
from schemas.duration import MINUTE
from schemas.event import Event
from schemas.plan import Plan

_ACTIVITY, _FUNNEL_COUNTER, _FUNNEL_ACTOR, _IDS = "a", "c", "f", "i"
_OWNER, _TRAIL, _TAKEN, _ALIAS = "o", "d", "h", "l"
#: Numbers of pieces of ids that are written again begin here, apart from those of new ids.
_REWRITTEN: Final = 1_000_000
#: Entries written again with one checkpoint: some 50 ms of work.
REWRITE_SLICE: Final = 20_000


class PartitionState:
    """Folds one partition. `position` is the next offset to fold: all before it is in, nothing after it.

    With a `disk` the funnels' actors are there, not in memory. `topic_id` names the topic whose log it is, "" where
    that is not known.
    """

    def __init__(
        self,
        plan: Plan,
        validator: Validator,
        partition: int,
        partitions: int,
        disk: Disk | None = None,
        topic_id: str = "",
        *,
        since: int = 0,
    ) -> None:
        self.plan = plan
        self.partition = partition
        self.topic_id = topic_id
        self.position = 0
        self.totals = dict.fromkeys(Outcome, 0)
        self.reasons: dict[str, int] = {}
        self.classifier = PartitionClassifier(plan, validator, partition, partitions, since=since)
        self.activity = Activity(plan)
        self.disk = disk
        self._entries: dict[bytes, DiskEntries] = {}
        self._in_memory: dict[bytes, Entries] = {}
        self.funnels = Funnels(plan, self._view_entries)
        self._owners = self._new_entries(_OWNER)
        self.classifier.owners = Owners(plan.identity.shared_device, self._owners)
        self._aliases = self._new_entries(_ALIAS)
        self.classifier.aliases = Aliases(plan.identity.shared_device, self._aliases)
        self.persons = Persons(
            plan, partition, partitions, self.classifier, self.activity, self.funnels, self._new_entries(_TRAIL)
        )
        #: What other partitions have to be told; whoever folds sends it before the next checkpoint counts.
        self.letters: list[Letter] = []
        #: Source offset of the last checkpoint handed out.
        self.saved_position = -1
        #: Set while a checkpoint is being written: until it is acknowledged, only the changelog knows the truth.
        self.in_doubt = False
        self._rewrite: Iterator[Entry] | None = None
        self._expired_minute = 0
        #: Every window and bucket of counters that is over before this (epoch ms) has been published: nobody needs it.
        self.settled = self._saved_settled = 0
        #: Keys that are not needed any more, until a later checkpoint says so; kept with a disk only.
        self._dropped: list[bytes] = []
        self._generation = 0
        self._in_flight_position = self.published_position = 0
        #: What the log had lost before it was read: first offset, the one after the last, the watermark then.
        self.gaps: list[tuple[int, int, int]] = []
        self._in_flight_gaps = self._published_gaps = 0
        self._unsaved_accumulators: set[WindowKey] = set()
        self._unsaved_counters: set[CounterKey] = set()
        self._unsaved_ids: list[tuple[int, U64]] = []
        self._unpublished_accumulators: set[WindowKey] = set()
        self._unpublished_counters: set[CounterKey] = set()
        self._in_flight: tuple[set[WindowKey], set[CounterKey]] = (set(), set())

    def _view_entries(self, *view: str) -> Entries:
        return self._new_entries(_FUNNEL_ACTOR, *view)

    def _new_entries(self, *kind: str) -> Entries:
        """Entries by actor or id, in memory or on disk."""
        prefix = _prefix(*kind)
        if self.disk is None:
            found = self._in_memory[prefix] = in_memory()
            return found
        entries = self._entries[prefix] = DiskEntries(self.disk, prefix)
        return entries

    @property
    def watermark(self) -> int:
        """Largest event time accepted, epoch ms; 0 before the first event."""
        return self.classifier.watermark

    @property
    def reached(self) -> int:
        """How far the events have come, epoch ms: the watermark, and until there is one what waits to be believed."""
        return self.watermark or self.classifier.clock.claimed

    def fold(self, records: Sequence[Record | Unreadable], end: int | None = None) -> Classified | None:
        """Fold the next records, in offset order; those before `position` are in already and are skipped.

        The log has nothing else before `end`, if that is given. Returns what became of each new record, None if there
        was none.
        """
        if records and records[0].offset < self.position:
            records = [record for record in records if record.offset >= self.position]
        if not records:
            self.position = max(self.position, end or 0)
            return None
        watermark = self.watermark
        result = self.classifier.classify(records)
        version = records[-1].offset + 1
        outcomes = result.outcomes
        if outcomes.count(Outcome.ACCEPTED) < len(outcomes):
            for outcome in Outcome:
                if outcome is not Outcome.ACCEPTED:
                    self.totals[outcome] += outcomes.count(outcome)
        for why in result.rejections.values():
            self.reasons[why.reason] = self.reasons.get(why.reason, 0) + 1
        events = self.persons.counted_as(result)
        self._measure(events, version, watermark)
        if self.plan.identity.on:
            self.persons.note(result, events, watermark)
            letters, changed = self.persons.follow(result, version)
            self.letters += letters
            self._changed(*changed)
        self._unsaved_ids += result.remembered
        self.position = max(version, end or 0)
        return result

    def fold_accepted(self, events: Sequence[Event], version: int) -> None:
        """Fold events that are accepted already, in offset order. Their ids are not remembered.

        `version` is the offset after them.
        """
        before = self.watermark
        self.classifier.watermark = max([before, *[event.ts for event in events]])
        self._measure(events, version, before)

    def _measure(self, events: Sequence[Event], version: int, watermark: int) -> None:
        """Count accepted events; `watermark` is the partition's before them."""
        self.position = version
        if not events:
            return
        self._changed(self.activity.fold(events, version), self.funnels.fold(events, version, watermark))
        self.totals[Outcome.ACCEPTED] += len(events)

    def _changed(self, accumulators: set[WindowKey], counters: set[CounterKey]) -> None:
        self._unsaved_accumulators |= accumulators
        self._unpublished_accumulators |= accumulators
        self._unsaved_counters |= counters
        self._unpublished_counters |= counters

    def skip(self, end: int) -> None:
        """Go on at `end`: the log has lost what lay between before it was read."""
        if end > self.position:
            self.gaps.append((self.position, end, self.watermark))
            self.position = end

    @property
    def missing(self) -> int:
        """Offsets that were lost."""
        return sum(end - first for first, end, _ in self.gaps)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    @property
    def unsaved(self) -> bool:
        """Whether there is something that the last checkpoint doesn't hold."""
        return self.position != self.saved_position or self.settled != self._saved_settled

    def checkpoint(self, rewrite: int = REWRITE_SLICE) -> Checkpoint:
        """Everything that changed since the last checkpoint, as of `position`.

        While a rewrite is under way, `rewrite` other entries come with it; `rewritten` says that it is complete.
        """
        entries: list[Entry] = []
        pack_one = _packer.pack
        accumulator_of = self.activity.accumulators.get
        for key in self._unsaved_accumulators:
            accumulator = accumulator_of(key)
            if accumulator is not None:
                entries.append((pack_one((_ACTIVITY, *key)), accumulator.dump()))
        entries += [(_pack(_FUNNEL_COUNTER, *key), value) for key, value in self.funnels.dump(self._unsaved_counters)]
        packed = _Packed()  # most actors have changed in several funnels
        for view, changed in self.funnels.changed_actors():
            prefix = _prefix(_FUNNEL_ACTOR, *view)
            entries += [(prefix + packed[actor], entry) for actor, entry in changed.items()]
        for number, (generation, hashes) in enumerate(_joined(self._unsaved_ids)):
            entries.append((_pack(_IDS, generation, self.position, number), hashes.tobytes()))
        entries += [(_pack(_OWNER, one), value) for one, value in self.persons.changed_owners()]
        entries += [(_pack(_ALIAS, one), value) for one, value in self.persons.changed_aliases()]
        entries += [(_pack(_TRAIL, one), value) for one, value in self.persons.changed_trails()]
        for number, (generation, marks) in enumerate(_joined(self.persons.unsaved_taken)):
            entries.append((_pack(_TAKEN, generation, self.position, number), marks.tobytes()))
        self._unsaved_accumulators, self._unsaved_counters, self._unsaved_ids = set(), set(), []
        self.persons.unsaved_taken = []
        self.saved_position, self._saved_settled = self.position, self.settled
        if self.disk is not None and self._generation != self.classifier.seen.generation:
            self._generation = self.classifier.seen.generation
            self._dropped += self._old_marks(self.disk, _IDS, self.classifier.seen)
            self._dropped += self._old_marks(self.disk, _TAKEN, self.persons.taken)
        dropped, self._dropped = self._dropped, []
        rewritten = False
        if self._rewrite is not None:
            again = list(islice(self._rewrite, rewrite))
            entries += again
            if len(again) < rewrite:
                self._rewrite, rewritten = None, True
        return Checkpoint(self.position, self._meta(), entries, rewritten, dropped)

    def start_rewrite(self) -> None:
        """Begin to write every entry again, a slice with each checkpoint; older records can go when it is complete."""
        self._rewrite = self._everything()

    def stop_rewrite(self) -> None:
        """Give up a rewrite that is under way."""
        self._rewrite = None

    def _everything(self) -> Iterator[Entry]:
        # Each part lists its keys when it is reached; what has gone by its turn needs no writing.
        for view, actors in self.funnels.all_actors():
            yield from _one_by_one(_prefix(_FUNNEL_ACTOR, *view), actors)
        for key, value in self.funnels.dump(None):
            yield _pack(_FUNNEL_COUNTER, *key), value
        for cell_key in list(self.activity.accumulators):
            accumulator = self.activity.accumulators.get(cell_key)
            if accumulator is not None:
                yield _pack(_ACTIVITY, *cell_key), accumulator.dump()
        yield from _one_by_one(_prefix(_OWNER), self._owners)
        yield from _one_by_one(_prefix(_ALIAS), self._aliases)
        yield from _one_by_one(_prefix(_TRAIL), self.persons.trails.entries)
        for kind, seen in ((_IDS, self.classifier.seen), (_TAKEN, self.persons.taken)):
            for number, (generation, hashes) in enumerate(seen.dump()):
                yield _pack(kind, generation, self.position, _REWRITTEN + number), hashes.tobytes()

    def _meta(self) -> dict[str, Any]:
        return {
            "watermark": self.watermark,
            "clock": list(self.classifier.clock),
            "totals": [self.totals[outcome] for outcome in Outcome],
            "reasons": self.reasons,
            "gaps": self.gaps,
            "settled": self.settled,
            "topic": self.topic_id,
        }

    @staticmethod
    def _old_marks(disk: Disk, kind: str, seen: SeenIds) -> list[bytes]:
        oldest = min(seen.tables, default=0)
        prefix = _pack(kind, 0, 0, 0)[:-3]
        return [key for key in disk.keys(prefix) if msgpack.unpackb(key)[1] < oldest]

    def acknowledged(self, checkpoint: Checkpoint, records: int, last: int) -> None:
        """A checkpoint is in the changelog: in `records` records of which the last is at offset `last`."""
        if self.disk is None:
            return
        offset = self.disk.offset
        # Only what follows without a gap: another writer's records in between are not on disk.
        if last == (-1 if offset is None else offset) + records:
            offset = last
        self.disk.apply(checkpoint.position, checkpoint.meta, checkpoint.entries, offset)
        for key, value in checkpoint.entries:
            if key.startswith(LOOKED_UP):
                *_, actor = msgpack.unpackb(key)
                self._entries[key[: -len(_pack(actor)) + 1]].written(actor, value)
        self.disk.drop(checkpoint.dropped)

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what a changelog holds, without what is settled.

        All else is published again: what was in flight is not known.

        Raises AnotherTopicError if that was counted from another topic.
        """
        if snapshot.position is None:
            return
        counted = snapshot.meta.get("topic", "")
        if self.topic_id and counted and counted != self.topic_id:
            raise AnotherTopicError(
                "the events topic was made anew: its id was {before} when it was counted, and is {now}",
                before=counted,
                now=self.topic_id,
            )
        self.position = self.saved_position = snapshot.position
        meta = snapshot.meta
        self.classifier.watermark = meta["watermark"]
        # A state of before the clock was kept: what the watermark has reached was believed.
        self.classifier.clock = Standing(*meta["clock"]) if "clock" in meta else Standing(now=self.watermark)
        # A state of before has no place for outcomes that came later.
        self.totals = dict(zip(Outcome, [*meta["totals"], *[0] * len(Outcome)], strict=False))
        self.reasons = dict(meta["reasons"])
        self.gaps = [(first, end, watermark) for first, end, watermark in meta.get("gaps", ())]
        self.settled = self._saved_settled = meta.get("settled", 0)
        ids: dict[int, list[U64]] = {}
        taken: dict[int, list[U64]] = {}
        gone: list[bytes] = []
        prefixes = tuple(self._in_memory)
        for key, value in snapshot.items():
            if not value:
                continue  # of an id that was handed over
            if key.startswith(prefixes):
                # Nearly all of them: what they are is not worth unpacking.
                prefix = next(prefix for prefix in prefixes if key.startswith(prefix))
                self._in_memory[prefix][_text(key, len(prefix))] = value
                continue
            kind, *rest = msgpack.unpackb(key, use_list=False)
            if kind == _ACTIVITY:
                name, start, dimension, values = rest
                if end_of(value) <= self.settled:
                    gone.append(key)
                else:
                    self.activity.load(WindowKey(name, start, dimension, values), value)
            elif kind == _FUNNEL_COUNTER:
                counter = CounterKey(*rest)
                if self.funnels.final_at(counter) < self.settled:
                    gone.append(key)
                else:
                    self.funnels.load_counter(counter, value)
            elif kind in (_IDS, _TAKEN):
                marks = ids if kind == _IDS else taken
                marks.setdefault(rest[0], []).append(np.frombuffer(value, np.uint64))
            else:
                raise ValueError(f"an entry of the kind {kind!r}, which no state has")
        seen = self.classifier.seen
        for generation in sorted(ids)[-seen.KEPT - 1 :]:
            seen.move_to(generation)
            seen.add(distinct(np.concatenate(ids[generation])))
        self.persons.restore_taken(taken)
        if self.disk is not None:
            self._dropped += gone
        self._unpublished_accumulators = set(self.activity.accumulators)
        self._unpublished_counters = set(self.funnels.counter_keys())

    # -- publishing ----------------------------------------------------------------------------------------------

    def changed_rows(self, now: int) -> tuple[list[ActivityRow], list[FunnelRow], PartitionRow]:
        """The rows that changed since the last call. If publishing them fails, call `publish_again`.

        `now` (epoch ms) is for the sliding spans: the last 1, 5 and 30 minutes.
        """
        self._in_flight_position = self.position
        self._in_flight = (self._unpublished_accumulators, self._unpublished_counters)
        self._unpublished_accumulators, self._unpublished_counters = set(), set()
        accumulators, counters = self._in_flight
        return (
            list(self.activity.rows(accumulators, self.partition)),
            list(self.funnels.rows(counters, self.partition)),
            self.partition_row(now),
        )

    def changed_gaps(self) -> list[GapRow]:
        """The gaps that are not published yet."""
        self._in_flight_gaps = len(self.gaps)
        return [GapRow(self.partition, *gap) for gap in self.gaps[self._published_gaps :]]

    @property
    def unpublished(self) -> int:
        """Rows that changed and are not published, plus one if the partition's own row is behind."""
        return (
            len(self._unpublished_accumulators)
            + len(self._unpublished_counters)
            + (self.position != self.published_position)
        )

    def published(self) -> None:
        """The rows of the last `changed_rows` are stored."""
        self.published_position = self._in_flight_position
        self._published_gaps = self._in_flight_gaps
        self._in_flight = (set(), set())

    def publish_again(self) -> None:
        """Put the rows of the last `changed_rows` back among the changed ones."""
        accumulators, counters = self._in_flight
        self._unpublished_accumulators |= accumulators
        self._unpublished_counters |= counters
        self._in_flight = (set(), set())

    @property
    def waiting(self) -> int:
        """Windows and counters that changed and are not known to be stored: they can't be forgotten."""
        return (
            len(self._unpublished_accumulators)
            + len(self._unpublished_counters)
            + sum(len(keys) for keys in self._in_flight)
        )

    def partition_row(self, now: int) -> PartitionRow:
        """Where the partition stands, and who is active, at `now` (epoch ms)."""
        minute = now - now % MINUTE
        active = [self.active_users(minute - span * MINUTE) for span in (1, 4, SLIDING - 1)]
        totals = (self.totals[outcome] for outcome in Outcome)
        return PartitionRow._make((self.partition, self.position, self.reached, *totals, now, *active))

    def active_users(self, since: int) -> float:
        """Estimated users of the minute windows that start at `since` (epoch ms) or later."""
        found = self.activity.recent(since).get(())
        return found[1] if found else 0.0

    def expire(self) -> None:
        """Forget what no event can change any more and what has been published.

        Looks only once a minute of stream time, and for the funnels' actors, of which there are many, every ten
        minutes.
        """
        minute = self.watermark // MINUTE
        if minute == self._expired_minute:
            return
        ten_minutes = minute // 10 != self._expired_minute // 10
        self._expired_minute = minute
        closed = self.activity.closed(self.watermark)
        if kept := self._unpublished_accumulators.intersection(closed):
            closed = [key for key in closed if key not in kept]
        self.activity.drop(closed)
        settled = self.activity.all_closed(self.watermark)
        over = any(self.funnels.final_at(key) < settled for key in self._unpublished_counters)
        if not (kept or over or any(self._in_flight)):
            self.settled = max(self.settled, settled)
        counters = self.funnels.expire(self.watermark, self._unpublished_counters) if ten_minutes else []
        if ten_minutes:
            self.persons.trails.expire(self.watermark - self.plan.lateness)
        if self.disk is not None:
            self._dropped += [_pack(_ACTIVITY, *key) for key in closed]
            self._dropped += [_pack(_FUNNEL_COUNTER, *key) for key in counters]


def _text(packed: bytes, start: int) -> str:
    """The text at the end of what msgpack has packed, which begins there."""
    head = packed[start]
    return packed[start + (1 if head < 0xC0 else 2 if head == 0xD9 else 3) :].decode()


def _pack(*parts: Any) -> bytes:
    return _packer.pack(parts)  # type: ignore[no-any-return]


def _prefix(*kind: str) -> bytes:
    """The key of an entry without its last part, the actor."""
    return _pack(*kind, "")[:-1]


def _one_by_one(prefix: bytes, entries: Entries) -> Iterator[Entry]:
    """Every entry that holds something, as it is when its turn comes: entries may be put and dropped meanwhile."""
    pack, get = _packer.pack, entries.get
    for one in entries.actors():
        if entry := get(one):
            yield prefix + pack(one), entry


class _Packed(dict[str, bytes]):
    """Texts as msgpack packs them, each packed when it is first asked for."""

    def __missing__(self, text: str) -> bytes:
        self[text] = found = _packer.pack(text)
        return found  # type: ignore[no-any-return]


_packer = msgpack.Packer()  # `packb` makes a new one each time, which is most of its work


def _joined(pieces: Iterable[tuple[int, U64]]) -> Iterable[tuple[int, U64]]:
    """One array a generation."""
    by_generation: dict[int, list[U64]] = {}
    for generation, hashes in pieces:
        by_generation.setdefault(generation, []).append(hashes)
    return [(generation, np.concatenate(parts)) for generation, parts in by_generation.items()]
