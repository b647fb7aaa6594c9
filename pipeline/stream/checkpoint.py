"""Checkpoints: how the state of a partition is written to its changelog, and how it is put together again.

A checkpoint holds every entry that changed between two source offsets, as it stands at the second one, and the
partition's marks at that offset. It is one Kafka record, or several where it is large: it counts only once all
its parts are there, so a restored state is never half of a batch.

Restoring takes, for every entry, the value with the highest source offset. Because state is a function of the log,
two checkpoints of the same entry at the same offset are equal, whoever wrote them: replays and the late writes of
a worker that has lost the partition change nothing, in whatever order they arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack

#: Kafka's default limit of a record is 1 MiB.
MAX_PART_BYTES: Final = 700_000
_VERSION: Final = 1

#: Key and value of one entry of the state.
Entry = tuple[bytes, bytes]


@dataclass(slots=True)
class Checkpoint:
    """Entries as of source offset `mark` (the next one to fold), and the marks that go with them."""

    mark: int
    meta: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    #: Every entry of the state has been written since the rewrite began: older records are not needed any more.
    rewritten: bool = False


def encode(checkpoint: Checkpoint, writer: bytes) -> Iterator[bytes]:
    """The records of one checkpoint; `writer` tells apart the parts of two workers' checkpoints."""
    groups: list[list[Entry]] = [[]]
    size = 0
    for key, value in checkpoint.entries:
        if size + len(key) + len(value) > MAX_PART_BYTES and groups[-1]:
            groups.append([])
            size = 0
        groups[-1].append((key, value))
        size += len(key) + len(value) + 12
    for part, entries in enumerate(groups):
        head = (_VERSION, writer, checkpoint.mark, part, len(groups), checkpoint.meta if part == 0 else None)
        yield msgpack.packb((head, entries))


class Restorer:
    """Puts a partition's state together from the records of its changelog, in any order of writers."""

    def __init__(self) -> None:
        self.mark: int | None = None
        self.meta: dict[str, Any] = {}
        self.values: dict[bytes, bytes] = {}
        self._as_of: dict[bytes, int] = {}
        self._parts: dict[tuple[bytes, int], dict[int, tuple[Any, list[Entry]]]] = {}
        self.records = 0
        self.bytes = 0

    def add(self, record: bytes) -> None:
        """Take one changelog record. Raises ValueError if it is not one that this version understands."""
        self.records += 1
        self.bytes += len(record)
        (version, writer, mark, part, parts, meta), entries = msgpack.unpackb(record)
        if version != _VERSION:
            raise ValueError(f"changelog record of version {version}; this program reads version {_VERSION}")
        if parts == 1:
            self._apply(mark, meta, entries)
            return
        key = (writer, mark)
        waiting = self._parts.setdefault(key, {})
        waiting[part] = (meta, entries)
        if len(waiting) == parts:
            del self._parts[key]
            for number in range(parts):
                self._apply(mark, waiting[number][0] or waiting[0][0], waiting[number][1])

    def _apply(self, mark: int, meta: dict[str, Any], entries: Iterable[Entry]) -> None:
        as_of, values = self._as_of, self.values
        for key, value in entries:
            if as_of.get(key, -1) <= mark:
                as_of[key] = mark
                values[key] = value
        if self.mark is None or mark > self.mark:
            self.mark, self.meta = mark, meta
