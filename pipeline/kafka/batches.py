"""Record batches that aiokafka refuses to decode, decoded: a stranger's record must not stop whoever reads the log.

aiokafka decodes the name of a header as UTF-8 and raises if it isn't; Kafka itself never looks at it. Here a name keeps
its bytes (`surrogateescape`). A batch that can't be decoded at all (a compression that nobody knows, bytes that are no
records) becomes one record that says why, with the batch's bytes as its value. What becomes of a batch depends on its
bytes alone, so that everybody who reads the log sees the same.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from pipeline.errors import DependencyError
from pipeline.ingest.classify import Record, Unreadable

#: Base offset and length, which stand before every batch.
_OVERHEAD: Final = 12
_MAGIC_AT: Final = 16
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_CODEC_MASK: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
_DECODERS: Final[dict[int, Any]] = {0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
_NAMES: Final = {2: "snappy", 3: "lz4", 4: "zstd"}


class Batches:
    """The batches of a fetched piece of log, one by one; an incomplete one at the end is left to the next fetch."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[tuple[Any, bytes]]:
        """aiokafka's batch and its bytes."""
        data, at = self._data, 0
        while len(data) - at >= _OVERHEAD:
            end = at + _OVERHEAD + int.from_bytes(data[at + 8 : at + _OVERHEAD], "big", signed=True)
            if end > len(data) or end <= at + _MAGIC_AT:
                return
            piece = data if at == 0 and end == len(data) else data[at:end]
            yield MemoryRecords(piece).next_batch(), piece
            at = end


def records_of(batch: Any, data: bytes) -> Sequence[Any]:
    """The records of a batch: aiokafka's where it can decode them, else ours.

    Raises DependencyError if a library for its compression is missing here: others can read it.
    """
    try:
        return list(batch)
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        if isinstance(exc, UnsupportedCodecError) and (name := _NAMES.get(batch.compression_type)):
            raise DependencyError(
                f"the log has records compressed with {name}: pip install 'aiokafka[{name}]'"
            ) from None
        if data[_MAGIC_AT] < 2:
            return [_unreadable(batch.base_offset, None, data, exc)]
        return _leniently(data)


def damaged(batch: Any, data: bytes) -> Sequence[Unreadable]:
    """What a batch whose checksum is wrong amounts to."""
    return [_unreadable(batch.base_offset, None, data, ValueError("the checksum of the batch is wrong"))]


def _leniently(data: bytes) -> Sequence[Record | Unreadable]:
    (base, _, _, _, _, attributes, _, first_time, max_time, _, _, _, count) = _HEADER.unpack_from(data)
    records: list[Record] = []
    try:
        codec = attributes & _CODEC_MASK
        if codec not in _DECODERS:
            raise ValueError(f"compression {codec} is not known")
        body = bytearray(_DECODERS[codec](data[_HEADER.size :]))
        at = 0
        for _ in range(count):
            length, at = decode_varint(body, at)
            if length < 0 or at + length > len(body):
                raise ValueError("a record is longer than its batch")
            delta, *rest = _record(memoryview(body)[at : at + length])
            offset, key, value, headers = cast("tuple[int, bytes | None, bytes | None, Any]", tuple(rest))
            stamp = max_time if attributes & _LOG_APPEND_TIME else _as_int64(first_time + delta)
            records.append(Record(base + offset, stamp, key, value, headers))
            at += length
        if at != len(body):
            raise ValueError("bytes are left after the last record")
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        return [_unreadable(base, max_time, data, exc)]
    return records


def _record(data: memoryview) -> Iterator[Any]:
    """Delta of the time, delta of the offset, key, value and headers of one record."""
    body = bytearray(data)
    delta, at = decode_varint(body, 1)
    yield delta
    offset, at = decode_varint(body, at)
    yield offset
    for _ in range(2):
        found, at = _bytes(body, at)
        yield found
    count, at = decode_varint(body, at)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _bytes(body, at)
        found, at = _bytes(body, at)
        headers.append(((name or b"").decode("utf-8", "surrogateescape"), found))
    if count < 0 or at != len(body):
        raise ValueError("a record's length is not that of its parts")
    yield headers


def _as_int64(number: int) -> int:
    """As aiokafka's 64 bits would hold it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _bytes(body: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(body, at)
    if length < 0:
        return None, at
    if at + length > len(body):
        raise ValueError("a field is longer than its record")
    return bytes(body[at : at + length]), at + length


def _unreadable(offset: int, stamp: int | None, data: bytes, exc: Exception) -> Unreadable:
    return Unreadable(offset, stamp, data, f"{type(exc).__name__}: {exc}")
