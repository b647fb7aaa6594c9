"""Records as bytes on the wire, so that a test can send what no client library lets it: see `RawProducer`.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple

import cramjam
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

CODECS: Final[dict[str, tuple[int, Callable[[bytes], bytes]]]] = {
    "none": (0, bytes),
    "gzip": (1, lambda data: gzip_encode(data, compresslevel=1)),
    "snappy": (2, snappy_encode),
    "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
}
CONTROL: Final = 0x20
_CRC_AT, _CRC_OF = 17, 21


class Raw(NamedTuple):
    """A record as a producer may send it: names of headers are any bytes."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp: int = 1_748_768_400_000


def varint(number: int) -> bytes:
    """A zigzag variable-length integer."""
    left = ((number << 1) ^ (number >> 63)) & 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def batch(
    records: Sequence[Raw],
    codec: str = "none",
    *,
    attributes: int = 0,
    number: int | None = None,
    offsets: Sequence[int] | None = None,
    damage: Callable[[bytes], bytes] = bytes,
    crc: int = 0,
) -> bytes:
    """A record batch.

    `number` lies about how many records there are, `offsets` about their places; `damage` changes the (compressed)
    records, `crc` is added to the checksum, `attributes` to the bits of the codec.
    """
    first = records[0].timestamp if records else -1
    places = range(len(records)) if offsets is None else offsets
    body = b"".join(_record(i, record, first) for i, record in zip(places, records, strict=True))
    bits, compress = CODECS[codec]
    last = max(0, len(records) - 1)
    newest = max((record.timestamp for record in records), default=-1)
    count = len(records) if number is None else number
    tail = struct.pack(">hiqqqhii", bits | attributes, last, first, newest, -1, -1, -1, count)
    tail += damage(compress(body))
    checked = struct.pack(">I", (calc_crc32c(tail) + crc) & 0xFFFF_FFFF)
    return struct.pack(">qiib", 0, len(tail) + 9, -1, 2) + checked + tail


def bomb(codec: str, records: Iterable[Raw], *, megabytes: int = 0) -> bytes:
    """A batch of `records`, and one whose value is so many MB of zeros behind them; it is never here as a whole."""
    bits, compress = CODECS[codec]
    parts, number = [], 0
    headers, packed = None, b""
    for record in records:
        if record.headers is not headers:  # a million may stand in each record
            headers, packed = record.headers, _headers(record.headers)
        parts.append(_record(number, record, 0, packed))
        number += 1
    if megabytes:
        size = megabytes << 20
        head = b"".join([b"\0", varint(0), varint(number), varint(-1), varint(size)])
        parts.append(varint(len(head) + size + 1) + head)
        parts += [bytes(1 << 20)] * megabytes
        parts.append(varint(0))
        number += 1
    if codec == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        body = b"".join([*map(packer.compress, parts), packer.flush()])
    elif codec in ("lz4", "zstd"):
        # Kafka takes no blocks of lz4 that depend on each other.
        independent: dict[str, Any] = {"content_checksum": False, "block_linked": False}
        made = cramjam.lz4.Compressor(**independent) if codec == "lz4" else cramjam.zstd.Compressor()
        for part in parts:
            made.compress(part)
        body = bytes(made.finish())
    else:
        body = compress(b"".join(parts))
    tail = struct.pack(">hiqqqhii", bits, number - 1, 0, 0, -1, -1, -1, number) + body
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, calc_crc32c(tail)) + tail


def _headers(headers: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    return varint(len(headers)) + b"".join([part for pair in headers for part in map(_bytes, pair)])


def _record(number: int, record: Raw, first: int, headers: bytes | None = None) -> bytes:
    """A record; `headers`, where they are packed already."""
    # Times wrap around as the broker's 64 bits do.
    delta = (record.timestamp - first + (1 << 63)) % (1 << 64) - (1 << 63)
    parts = [b"\0", varint(delta), varint(number), _bytes(record.key), _bytes(record.value)]
    parts.append(_headers(record.headers) if headers is None else headers)
    body = b"".join(parts)
    return varint(len(body)) + body


def _bytes(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


class RawProducer:
    """Sends whole batches. `async with RawProducer(bootstrap, topic) as producer`."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=30_000)
        self._topic = topic

    async def __aenter__(self) -> RawProducer:
        await self._client.bootstrap()
        await self._client._wait_on_metadata(self._topic)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def send(self, partition: int, *batches: bytes) -> int:
        """Send batches one after the other; the offset of the last. Raises what the broker answers."""
        offset = -1
        for one in batches:
            offset = await self._send(partition, one)
        return offset

    async def send_records(self, partition: int, *records: Raw) -> int:
        """Send records, uncompressed, in one batch."""
        return await self.send(partition, batch(records))

    async def _send(self, partition: int, data: bytes) -> int:
        for attempt in range(20):
            leader = self._client.cluster.leader_for_partition(TopicPartition(self._topic, partition))
            request = ProduceRequest(None, -1, 20_000, [(self._topic, [(partition, data)])])
            try:
                answer: Any = await self._client.send(leader, request)
            except KafkaError:
                if attempt == 19:
                    raise
                await asyncio.sleep(0.2)
                continue
            _, code, offset, *_ = answer.topics[0][1][0]
            error = for_code(code)
            if not code:
                return int(offset)
            if not error.retriable or attempt == 19:
                raise error()
            await self._client.force_metadata_update()
            await asyncio.sleep(0.2)
        raise AssertionError
