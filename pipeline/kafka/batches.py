"""Record batches that aiokafka refuses to decode, decoded: a stranger's record must not stop whoever reads the log.

aiokafka decodes the name of a header as UTF-8 and raises if it isn't; Kafka itself never looks at it. Here a name keeps
its bytes (`surrogateescape`). A batch that can't be decoded at all (a compression that nobody knows, bytes that are no
records, more than may be unpacked) becomes one record that says why, with the batch's bytes as its value. What becomes
of a batch depends on its bytes alone, so that everybody who reads the log sees the same.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import ge
from typing import Any, Final, NamedTuple, cast

from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import decode_varint

from pipeline.errors import DependencyError
from pipeline.ingest.records import Unreadable
from pipeline.kafka.unpack import LIBRARIES, MAX_RECORDS, SMALL_BYTES, BatchTooLargeError, check_records, unpack

#: Base offset and length, which stand before every batch.
_OVERHEAD: Final = 12
_MAGIC_AT: Final = 16
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
#: The lower byte of the attributes.
_ATTRIBUTES_AT: Final = 22
_CODEC_MASK: Final = 0x07
_LOG_APPEND_TIME: Final = 0x08
#: The same of an old format, and the lengths that follow: attributes and time, by format.
_LEGACY_ATTRIBUTES_AT: Final = 17
_LEGACY_KEY_AT: Final = {0: 18, 1: 26}
_NO_OFFSET: Final = -(1 << 63)
#: What a header takes here, about: a pair and its place in a list.
_HEADER_BYTES: Final = 64


class _Decoded(NamedTuple):
    """A record with the attributes of aiokafka's."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_type: int


class BatchRecords(NamedTuple):
    """The records of a batch, in the order of their offsets.

    Those of a large batch are decoded one by one while they are iterated over.
    """

    records: Iterable[Any]
    offsets: Sequence[int]
    #: What they take here, about; None where each is to be weighed (`weight`), for they are not here yet.
    bytes: int | None


def placed(records: Any, data: bytes) -> Iterator[tuple[Any, slice]]:
    """The batches of a fetched piece of log (aiokafka's), and where each of them is in it."""
    at = 0
    while records.has_next():
        end = at + _OVERHEAD + int.from_bytes(data[at + 8 : at + _OVERHEAD], "big", signed=True)
        yield records.next_batch(), slice(at, end)
        at = end


def end_of(data: bytes) -> int:
    """The offset behind the last batch of a fetched piece of log in the current format; 0 if it has none."""
    at = found = 0
    while at + _HEADER.size <= len(data):
        base, length, *_ = header = _HEADER.unpack_from(data, at)
        found = base + header[6] + 1
        at += _OVERHEAD + length
    return found


def weight(record: Any) -> int:
    """What a record takes here, about."""
    return len(record.value or b"") + _HEADER_BYTES * (1 + len(record.headers))


def records_of(batch: Any, data: bytes, place: slice) -> BatchRecords:
    """The records of a batch (aiokafka's) which is at `place` in the fetched piece of log.

    Raises DependencyError if a library for its compression is missing here: others can read it.
    """
    legacy = data[place.start + _MAGIC_AT] < 2
    codec = data[place.start + (_LEGACY_ATTRIBUTES_AT if legacy else _ATTRIBUTES_AT)] & _CODEC_MASK
    # A message of an old format has one offset, that of the last in it.
    begin, end = (_NO_OFFSET if legacy else batch.base_offset), batch.next_offset
    try:
        if legacy:
            if codec:
                _check_legacy(codec, data[place])
            return _checked(lambda: batch, 0, begin, end)
        if not codec and place.stop - place.start <= SMALL_BYTES:
            return _checked(lambda: batch, 0, begin, end)
        plain = _unpacked(data[place])
        return _checked(lambda: DefaultRecordBatch(plain), len(plain), begin, end)
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        if isinstance(exc, UnsupportedCodecError) and (name := LIBRARIES.get(codec)):
            raise DependencyError(
                "the log has records compressed with {name}: pip install 'aiokafka[{name}]'", name=name
            ) from None
        if legacy:
            return _unreadable(end - 1, None, data[place], exc)
        if isinstance(exc, BatchTooLargeError):
            return _unreadable(begin, batch.max_timestamp, data[place], exc)
        return _leniently(data[place])


def damaged(batch: Any, data: bytes, place: slice) -> BatchRecords:
    """What a batch whose checksum is wrong amounts to, as `records_of`."""
    legacy = data[place.start + _MAGIC_AT] < 2
    offset = batch.next_offset - 1 if legacy else batch.base_offset
    return _unreadable(offset, None, data[place], ValueError("the checksum of the batch is wrong"))


def _checked(decode: Callable[[], Iterable[Any]], size: int, begin: int, end: int) -> BatchRecords:
    """All records of a batch, once it is known that each can be decoded."""
    if size <= SMALL_BYTES:
        found = list(decode())
        offsets: Sequence[int] = [record.offset for record in found]
        _check_offsets(offsets, begin, end)
        headers = sum([len(record.headers) for record in found]) if size else 0
        return BatchRecords(found, offsets, size + _HEADER_BYTES * headers)
    offsets = array("q", _offsets(decode()))
    _check_offsets(offsets, begin, end)
    return BatchRecords(decode(), offsets, None)


def _offsets(records: Iterable[Any]) -> Iterator[int]:
    """The offsets of a large batch's records. Raises BatchTooLargeError if they have too many headers."""
    headers = 0
    for record in records:
        headers += len(record.headers)
        if headers > MAX_RECORDS:
            raise _too_many_headers()
        yield record.offset


def _too_many_headers() -> BatchTooLargeError:
    return BatchTooLargeError(f"its records have more than {MAX_RECORDS} headers")


def _unpacked(piece: bytes) -> bytes:
    """A batch without its compression."""
    codec, count = piece[_ATTRIBUTES_AT] & _CODEC_MASK, _HEADER.unpack_from(piece)[-1]
    if not codec:
        return piece
    body = unpack(codec, piece[_HEADER.size :])
    check_records(body, count)
    head = bytearray(piece[: _HEADER.size])
    head[_ATTRIBUTES_AT] &= ~_CODEC_MASK
    return bytes(head) + body


def _check_legacy(codec: int, piece: bytes) -> None:
    """Raise BatchTooLargeError if a compressed message of an old format is more than may be unpacked, or never ends."""
    at = _LEGACY_KEY_AT[piece[_MAGIC_AT]]
    key = int.from_bytes(piece[at : at + 4], "big", signed=True)
    body = unpack(codec, piece[at + 8 + max(key, 0) :])
    at = count = 0
    while at < len(body):
        length = int.from_bytes(body[at + 8 : at + _OVERHEAD], "big", signed=True)
        if length < 0 or (count := count + 1) > MAX_RECORDS:
            raise BatchTooLargeError(f"it has no length, or more than {MAX_RECORDS} records")
        at += _OVERHEAD + length


def _leniently(piece: bytes) -> BatchRecords:
    (base, _, _, _, _, attributes, last, first_time, max_time, _, _, _, count) = _HEADER.unpack_from(piece)
    records: list[_Decoded] = []
    try:
        body = bytearray(memoryview(_unpacked(piece))[_HEADER.size :])
        at, headers_left = 0, MAX_RECORDS
        for _ in range(count):
            length, at = decode_varint(body, at)
            if length < 0 or at + length > len(body):
                raise ValueError("a record is longer than its batch")
            delta, *rest = _record(memoryview(body)[at : at + length], headers_left)
            offset, key, value, headers = cast("tuple[int, bytes | None, bytes | None, Any]", tuple(rest))
            headers_left -= len(headers)
            stamp = max_time if attributes & _LOG_APPEND_TIME else _as_int64(first_time + delta)
            records.append(
                _Decoded(base + offset, stamp, key, value, headers, int(bool(attributes & _LOG_APPEND_TIME)))
            )
            at += length
        if at != len(body):
            raise ValueError("bytes are left after the last record")
        return _checked(lambda: records, 1, base, base + last + 1)._replace(bytes=len(body))
    except (MemoryError, RecursionError):
        raise
    except Exception as exc:
        return _unreadable(base, max_time, piece, exc)


def _check_offsets(offsets: Sequence[int], begin: int, end: int) -> None:
    """A record that claims a place outside of its batch would take the reader there."""
    if not offsets or (len(offsets) == 1 and offsets[0] == begin):
        return
    if offsets[0] < begin or offsets[-1] >= end or any(map(ge, offsets, offsets[1:])):
        raise ValueError("the offsets of the records are not those of the batch")


def _record(data: memoryview, headers_left: int) -> Iterator[Any]:
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
    if count > headers_left:
        raise _too_many_headers()
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


def _unreadable(offset: int, stamp: int | None, piece: bytes, exc: Exception) -> BatchRecords:
    found = Unreadable(offset, stamp, piece, f"{type(exc).__name__}: {exc}")
    return BatchRecords([found], [offset], len(piece))
