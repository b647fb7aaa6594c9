"""Checkpoints: how the state of a partition is written to its changelog, and how it is put together again.

A checkpoint holds every entry that changed between two source offsets, as it stands at the second one, and the
partition's totals and watermark at that offset. It is one Kafka record, or several where it is large: it counts only
once all its parts are there, so a restored state is never half of a batch.

Restoring takes, for every entry, the value with the highest source offset. Because state is a function of the log,
two checkpoints of the same entry at the same offset are equal, whoever wrote them: replays and the late writes of
a worker that has lost the partition change nothing, in whatever order they arrive.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter
from typing import Any, Final, Protocol

import msgpack

from pipeline.errors import UserError

#: Kafka's default limit of a record is 1 MiB.
MAX_PART_BYTES: Final = 700_000
#: Of what is written: a program that doesn't know what an entry means must not read it. It rises with each change of an
#: entry's form or meaning, and with each kind of entry that is new; 2 has persons, 3 trails whose values are found by
#: where they stand.
VERSION: Final = 3

#: Key and value of one entry of the state.
Entry = tuple[bytes, bytes]


@dataclass(slots=True)
class Checkpoint:
    """Entries as of source offset `position` (the next one to fold), with totals and watermark at that offset."""

    position: int
    meta: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    #: Every entry of the state has been written since the rewrite began: older records are not needed any more.
    rewritten: bool = False
    #: Keys of entries that are not needed any more as of `position`.
    dropped: list[bytes] = field(default_factory=list)


def encode(checkpoint: Checkpoint, writer: bytes) -> Iterator[bytes]:
    """The records of one checkpoint; `writer` tells apart the parts of two: no two may have the same."""
    entries = checkpoint.entries
    ends = list(accumulate([len(key) + len(value) + 12 for key, value in entries]))
    groups: list[list[Entry]] = []
    start = size = 0
    while start < len(entries):
        end = max(bisect_right(ends, size + MAX_PART_BYTES), start + 1)
        groups.append(entries[start:end])
        start, size = end, ends[end - 1]
    groups = groups or [[]]
    for part, group in enumerate(groups):
        head = (VERSION, writer, checkpoint.position, part, len(groups), checkpoint.meta if part == 0 else None)
        yield msgpack.packb((head, group))


def readable(version: int, what: str) -> None:
    """Raise UserError if `what`, a state of `version`, is of a version that this program doesn't know yet."""
    if not 1 <= version <= VERSION:
        raise UserError(
            "{what} holds a state of format {version}, this version of Streamgauge reads up to "
            "{newest}: go on with the version that wrote it, or count anew with another "
            "PIPELINE_GROUP",
            what=what,
            version=version,
            newest=VERSION,
        )


class Positions:
    """Up to where the records of a changelog save the state: the largest position whose checkpoint is all there."""

    def __init__(self) -> None:
        self.complete: int | None = None
        self._parts: dict[tuple[bytes, int], set[int]] = {}

    def add(self, record: bytes) -> None:
        """Take a record. Raises UserError if it is not one that this version understands."""
        (version, writer, position, part, parts, _), _ = msgpack.unpackb(record)
        readable(version, "the changelog")
        seen = self._parts.setdefault((writer, position), set())
        seen.add(part)
        if len(seen) == parts:
            del self._parts[writer, position]
            self.complete = max(position, self.complete or 0)


def with_topic(record: bytes, topic_id: str) -> bytes:
    """The record of a checkpoint as if it had been counted from another topic, which holds the same log.

    Raises UserError if it is not one that this version understands.
    """
    (version, writer, position, part, parts, meta), entries = msgpack.unpackb(record)
    readable(version, "the changelog")
    changed = None if meta is None else {**meta, "topic": topic_id}
    packed: bytes = msgpack.packb(((version, writer, position, part, parts, changed), entries))
    return packed


class Snapshot(Protocol):
    """Where restored entries are put together: in memory, or on disk (`disk.Disk`)."""

    position: int | None
    meta: dict[str, Any]

    def apply(self, position: int, meta: dict[str, Any], entries: Iterable[Entry], offset: int | None) -> None:
        """Take a checkpoint, or a part of one; the changelog is complete up to `offset` then (None: unknown)."""

    def note(self, offset: int | None) -> None:
        """The changelog is read up to `offset`."""

    def items(self) -> Iterable[Entry]:
        """The entries that belong into memory."""


class MemorySnapshot:
    """Entries put together in memory."""

    def __init__(self) -> None:
        self.position: int | None = None
        self.meta: dict[str, Any] = {}
        self.values: dict[bytes, bytes] = {}
        #: What was taken: positions, ascending, and with each the hashes of its keys. Of two keys of one hash (as rare
        #: as two event ids of one) a late writer's may be passed over.
        self._taken: list[tuple[int, array[int]]] = []

    def apply(self, position: int, meta: dict[str, Any], entries: Iterable[Entry], offset: int | None) -> None:
        """Of two values of an entry the later one counts."""
        entries = list(entries)
        if self.position is None or position >= self.position:
            # Nearly always: nothing that is here can be later.
            self.values.update(entries)
            self.position, self.meta = position, meta
        else:
            at = bisect_right(self._taken, position, key=itemgetter(0))
            later = {key for _, keys in self._taken[at:] for key in keys}
            self.values.update((key, value) for key, value in entries if hash(key) not in later)
        insort(self._taken, (position, array("q", [hash(key) for key, _ in entries])), key=itemgetter(0))

    def note(self, offset: int | None) -> None:
        """Nothing is kept beyond the process."""

    def items(self) -> Iterable[Entry]:
        """All entries."""
        return self.values.items()


class Restorer:
    """Puts a partition's state together from the records of its changelog, in any order of writers."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot: Snapshot = MemorySnapshot() if snapshot is None else snapshot
        #: Checkpoints of which parts are missing: the offset of the first, and the parts.
        self._parts: dict[tuple[bytes, int], tuple[int, dict[int, tuple[Any, list[Entry]]]]] = {}
        self.records = 0
        self.bytes = 0

    def add(self, record: bytes, offset: int) -> None:
        """Take the changelog record at `offset`. Raises UserError if a newer version has written it."""
        self.records += 1
        self.bytes += len(record)
        (version, writer, position, part, parts, meta), entries = msgpack.unpackb(record, use_list=False)
        readable(version, "the changelog")
        if parts == 1:
            self.snapshot.apply(position, meta, entries, self._complete(offset))
            return
        key = (writer, position)
        _, waiting = self._parts.setdefault(key, (offset, {}))
        waiting[part] = (meta, entries)
        if len(waiting) < parts:
            self.snapshot.note(self._complete(offset))
            return
        del self._parts[key]
        together = [entry for number in range(parts) for entry in waiting[number][1]]
        self.snapshot.apply(position, waiting[0][0], together, self._complete(offset))

    def _complete(self, offset: int) -> int:
        """Up to which offset everything is taken in: a checkpoint that misses parts has to be read again."""
        return min([offset, *(first - 1 for first, _ in self._parts.values())])
