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
from operator import ge
from typing import Any, Final, NamedTuple, cast

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.util import decode_varint

from pipeline.errors import DependencyError
from pipeline.ingest.classify import Unreadable

#: Base offset and length, which stand before every batch.
_OVERHEAD: Final = 12
_MAGIC_AT: Final = 16
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_CODEC_MASK: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
_DECODERS: Final[dict[int, Any]] = {0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
_NAMES: Final = {2: "snappy", 3: "lz4", 4: "zstd"}


class _Decoded(NamedTuple):
    """A record with the attributes of aiokafka's."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_type: int


def bytes_of(data: bytes, base_offset: int) -> bytes:
    """The batch that begins at `base_offset`, out of a fetched piece of log that holds it."""
    at = 0
    while int.from_bytes(data[at : at + 8], "big", signed=True) != base_offset:
        at += _size(data, at)
        if at >= len(data):
            raise ValueError(f"no batch begins at offset {base_offset}")
    return data[at : at + _size(data, at)]


def _size(data: bytes, at: int) -> int:
    return _OVERHEAD + int.from_bytes(data[at + 8 : at + _OVERHEAD], "big", signed=True)


def records_of(batch: Any, data: bytes) -> tuple[list[Any], list[int]]:
    """The records of a batch (aiokafka's) and their offsets; `data` is the fetched piece of log that it is in.

    Raises DependencyError if a library for its compression is missing here: others can read it.
    """
    try:
        found = list(batch)
        offsets = [record.offset for record in found]
        _check_offsets(offsets, batch.base_offset, batch.next_offset)
        return found, offsets
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        if isinstance(exc, UnsupportedCodecError) and (name := _NAMES.get(batch.compression_type)):
            raise DependencyError(
                f"the log has records compressed with {name}: pip install 'aiokafka[{name}]'"
            ) from None
        piece = bytes_of(data, batch.base_offset)
        legacy = piece[_MAGIC_AT] < 2
        found = [_unreadable(batch.base_offset, None, piece, exc)] if legacy else list(_leniently(piece))
        return found, [record.offset for record in found]


def damaged(batch: Any, data: bytes) -> tuple[list[Any], list[int]]:
    """What a batch whose checksum is wrong amounts to, as `records_of`."""
    piece = bytes_of(data, batch.base_offset)
    found = _unreadable(batch.base_offset, None, piece, ValueError("the checksum of the batch is wrong"))
    return [found], [found.offset]


def _leniently(data: bytes) -> Sequence[_Decoded | Unreadable]:
    (base, _, _, _, _, attributes, last, first_time, max_time, _, _, _, count) = _HEADER.unpack_from(data)
    records: list[_Decoded] = []
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
            records.append(
                _Decoded(base + offset, stamp, key, value, headers, int(bool(attributes & _LOG_APPEND_TIME)))
            )
            at += length
        if at != len(body):
            raise ValueError("bytes are left after the last record")
        _check_offsets([record.offset for record in records], base, base + last + 1)
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        return [_unreadable(base, max_time, data, exc)]
    return records


def _check_offsets(offsets: list[int], begin: int, end: int) -> None:
    """A record that claims a place outside of its batch would take the reader there."""
    if not offsets or (len(offsets) == 1 and offsets[0] == begin):
        return
    if offsets[0] < begin or offsets[-1] >= end or any(map(ge, offsets, offsets[1:])):
        raise ValueError("the offsets of the records are not those of the batch")


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
