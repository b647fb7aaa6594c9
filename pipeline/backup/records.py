"""Records of a log, packed for a back-up and built into batches that stand at given offsets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgpack
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from pipeline.errors import UserError
from pipeline.ingest.handover import HANDOVER_HEADER
from pipeline.ingest.records import ORIGIN_HEADER

#: Values of about so many bytes are a blob; and a batch.
BLOB_BYTES: Final = 16 << 20
_BATCH_BYTES: Final = 500_000
#: Records of a batch that only takes offsets: 113 KB.
FILLER: Final = 200_000
_ZSTD: Final = 4
#: PARTITION:OFFSET of a record that was sent on; a handover has its part behind that.
_ORIGIN: Final = re.compile(rb"([0-9]{1,9}):([0-9]{1,18})(?::[0-9]{1,9})?")


class KeptRecord(NamedTuple):
    """A record of the events topic."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def pack(records: Iterable[KeptRecord]) -> Iterator[bytes]:
    """Blobs of records, in order."""
    waiting: list[Any] = []
    size = 0
    for record in records:
        # A header's name of a stranger may be no UTF-8: it goes as bytes, as it came.
        headers = [(name.encode("utf-8", "surrogateescape"), value) for name, value in record.headers]
        waiting.append((record.offset, record.timestamp, record.key, record.value, headers))
        size += len(record.value or b"") + len(record.key or b"") + 64
        if size >= BLOB_BYTES:
            yield msgpack.packb(waiting)
            waiting, size = [], 0
    if waiting:
        yield msgpack.packb(waiting)


def unpack(blob: bytes) -> list[KeptRecord]:
    """The records of a blob. Raises UserError if they are none."""
    try:
        return [_checked(*row) for row in msgpack.unpackb(blob, use_list=False)]
    except (ValueError, TypeError, msgpack.UnpackException) as exc:
        raise UserError("the back-up is damaged: its records can't be read: {why}", why=str(exc)[:100]) from None


def _checked(offset: Any, timestamp: Any, key: Any, value: Any, headers: Any) -> KeptRecord:
    if (
        type(offset) is not int
        or type(timestamp) is not int
        or not all(part is None or type(part) is bytes for part in (key, value, *(found for _, found in headers)))
    ):
        raise ValueError("another type")
    named = tuple((name.decode("utf-8", "surrogateescape"), found) for name, found in headers)
    return KeptRecord(offset, timestamp, key, value, named)


def ends_with_causes(
    tails: Mapping[int, Sequence[KeptRecord]], ends: Mapping[int, int], now: Mapping[int, int]
) -> dict[int, int]:
    """Ends of the tails by which every record that was sent on has what it was sent on for.

    A partition's record may have been sent on to another one that was asked for its end later. It names its origin;
    were that missing, the next record there would take its offset, and be taken for the one that was sent on already.
    `ends` are where the tails were meant to end, `now` the log's ends as they were asked for after that: what an origin
    names is before those, or was forged.
    """
    found = dict(ends)
    while True:
        moved = False
        for partition, records in tails.items():
            for record in records:
                if record.offset >= found[partition]:
                    break
                for name, value in record.headers:
                    if name not in (ORIGIN_HEADER, HANDOVER_HEADER) or value is None:
                        continue
                    origin = _origin(value)
                    if origin is not None and found.get(origin[0], origin[1] + 1) <= origin[1] < now.get(origin[0], 0):
                        found[origin[0]], moved = origin[1] + 1, True
        if not moved:
            return found


def _origin(value: bytes) -> tuple[int, int] | None:
    found = _ORIGIN.fullmatch(value)
    return None if found is None else (int(found[1]), int(found[2]))


def filler(count: int) -> bytes:
    """A batch of `count` empty records."""
    builder = _builder()
    for number in range(count):
        builder.append(number, 0, None, None, [])
    return bytes(builder.build())


def batches(records: Iterable[KeptRecord], start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Batches that fill the offsets from `start` to `end` without a gap, each with the offset at which it must come.

    Where the log had no record (the mark of a transaction's end, say) stands an empty one. Raises UserError if the
    records aren't in order.
    """
    at = base = start
    builder, size = _builder(), 0
    for record in records:
        if record.offset < at or record.offset >= end:
            raise UserError("the back-up is damaged: its records are not in order")
        while at < record.offset:
            builder.append(at - base, max(0, record.timestamp), None, None, [])
            at += 1
        headers = [(name, found) for name, found in record.headers]
        builder.append(at - base, record.timestamp, record.key, record.value, headers)
        at += 1
        size += len(record.value or b"") + len(record.key or b"") + 64
        if size >= _BATCH_BYTES:
            yield base, bytes(builder.build())
            builder, size, base = _builder(), 0, at
    while at < end:
        builder.append(at - base, 0, None, None, [])
        at += 1
    if at > base:
        yield base, bytes(builder.build())


def _builder() -> Any:
    return DefaultRecordBatchBuilder(
        magic=2, compression_type=_ZSTD, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 30,
    )  # fmt: skip
