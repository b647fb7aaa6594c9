"""The compressed part of a record batch, unpacked within bounds.

A broker bounds what a batch takes in its log, not what becomes of it: a few KB of zeros are GBs once they are
unpacked. What goes beyond the bounds here is refused before there is room for it. The bounds are constants: everybody
who reads a log must judge a batch alike.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

from aiokafka.codec import snappy_decode
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.util import decode_varint

#: What the records of a compressed batch may amount to: 64 times what a topic takes in a batch, unless it is told to.
MAX_BYTES: Final = 64 << 20
#: And how many they may be: each is an object here, and a row of somebody's.
MAX_RECORDS: Final = 300_000
#: And what one of them may amount to, twice what an event may: a header of two bytes becomes 64.
MAX_RECORD_BYTES: Final = 2 << 20
#: A batch that is no larger can't have too many records, nor too large ones.
SMALL_BYTES: Final = 1 << 20

_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
#: The names of those that need a library.
LIBRARIES: Final = {_SNAPPY: "snappy", _LZ4: "lz4", _ZSTD: "zstd"}
_FULL: Final = "failed to write whole buffer"
#: What stands before blocks of snappy, each with its length.
_XERIAL: Final = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1"


class BatchTooLargeError(ValueError):
    """A batch that is more than may be unpacked."""


def unpack(codec: int, data: bytes) -> bytes:
    """The bytes that were compressed with `codec` (its number in the format of a batch).

    Raises BatchTooLargeError if they are more than MAX_BYTES, UnsupportedCodecError if a library is missing here,
    ValueError for a codec that nobody knows, and what the library raises for bytes that are not compressed so.
    """
    if codec == _GZIP:
        return _gunzip(data)
    if codec not in LIBRARIES:
        raise ValueError(f"compression {codec} is not known")
    try:
        import cramjam
    except ImportError:
        raise UnsupportedCodecError(f"no library for {LIBRARIES[codec]}") from None
    if codec == _SNAPPY:
        if _snappy_bytes(data, cramjam.snappy.decompress_raw_len) > MAX_BYTES:
            raise _too_large()
        return bytes(snappy_decode(data))
    return _into_room(data, (cramjam.lz4 if codec == _LZ4 else cramjam.zstd).decompress_into)


def _gunzip(data: bytes) -> bytes:
    """Unpack all members of a gzip file."""
    parts, left = [], MAX_BYTES + 1
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        parts.append(unpacker.decompress(data, left))
        left -= len(parts[-1])
        if not left:
            raise _too_large()
        if not unpacker.eof:
            raise EOFError("the compressed bytes end too early")
        data = unpacker.unused_data.lstrip(b"\0")  # zeros fill it up, and are none of it
    return b"".join(parts)


def _into_room(data: bytes, decompress_into: Callable[[bytes, bytearray], int]) -> bytes:
    """Unpack into a place that is as large as may be at most; smaller ones are tried first, for they are cheaper."""
    size = 16 * len(data) + 65_536
    while True:
        room = bytearray(min(size, MAX_BYTES))
        try:
            return bytes(memoryview(room)[: decompress_into(data, room)])
        except Exception as exc:
            if str(exc) != _FULL:
                raise
            if size >= MAX_BYTES:
                raise _too_large() from None
        size *= 8


def _snappy_bytes(data: bytes, length_of: Callable[[Any], int]) -> int:
    """How many bytes snappy's blocks say that they are. They are no more: a block of another length is an error."""
    if not (data.startswith(_XERIAL) and len(data) > len(_XERIAL)):
        return int(length_of(data))
    at, found = len(_XERIAL), 0
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        if size < 0:
            raise ValueError("a block has a negative length")
        found += int(length_of(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def check_records(body: bytes, count: int) -> None:
    """Raise BatchTooLargeError if the records of an unpacked batch are too many, or one of them is too large."""
    if len(body) <= SMALL_BYTES:
        return
    if count > MAX_RECORDS:
        raise BatchTooLargeError(f"it has {count} records, and a compressed batch may have {MAX_RECORDS}")
    found, at = bytearray(body), 0
    for _ in range(count):
        if at >= len(found):
            return  # they are fewer: told by whoever decodes them
        length, at = decode_varint(found, at)
        if length > MAX_RECORD_BYTES:
            raise BatchTooLargeError(
                f"a record of it has {length} bytes, and one in a compressed batch may have {MAX_RECORD_BYTES}"
            )
        at += max(length, 0)


def _too_large() -> BatchTooLargeError:
    return BatchTooLargeError(f"unpacked it is more than {MAX_BYTES} bytes")
