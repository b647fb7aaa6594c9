"""Batches of a few KB that are GBs, or millions of objects, once they are unpacked: set aside, in bounded memory."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cramjam
import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from chaos.raw import Raw, batch, bomb

from pipeline.ingest.records import Unreadable
from pipeline.kafka.batches import BatchRecords, placed, records_of, weight

CODECS = ["gzip", "snappy", "lz4", "zstd"]
#: So much of a value is too much for a batch: more than a record may be, or than a batch may.
MEGABYTES = {"gzip": 70, "snappy": 20, "lz4": 70, "zstd": 70}


def read(data: bytes) -> BatchRecords:
    [found] = [records_of(one, data, place) for one, place in placed(MemoryRecords(data), data)]
    return found


def why(data: bytes) -> str:
    [record] = read(data).records
    assert isinstance(record, Unreadable)
    assert (record.offset, record.key, record.value) == (0, None, data)
    return record.why


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_one_record_that_says_why_and_keeps_its_bytes(codec: str) -> None:
    said = why(bomb(codec, [Raw(b"before")], megabytes=MEGABYTES[codec]))
    if codec == "snappy":  # which makes nothing 64 times smaller
        size = (20 << 20) + 9
        assert (
            said
            == f"BatchTooLargeError: a record of it has {size} bytes, and one in a compressed batch may have 2097152"
        )
    else:
        assert said == "BatchTooLargeError: unpacked it is more than 67108864 bytes"


def test_all_members_of_gzip_are_read_and_one_that_is_cut_is_not() -> None:
    whole = gzip.compress(batch([Raw(b"one"), Raw(b"two")])[61:])
    parts = [gzip.compress(part) for part in (b"", gzip.decompress(whole)[:7], gzip.decompress(whole)[7:], b"")]
    for packed in (whole, b"".join(parts), whole + bytes(20)):
        data = batch([Raw(b"one"), Raw(b"two")], "gzip", damage=lambda _, packed=packed: packed)
        assert [record.value for record in read(data).records] == [b"one", b"two"]
    for packed in (whole[:-3], whole + b"more", whole[:-8] + bytes(8)):
        assert why(batch([Raw(b"one"), Raw(b"two")], "gzip", damage=lambda _, packed=packed: packed))


def test_a_block_of_snappy_that_says_it_is_large() -> None:
    for body in (b"\xff\xff\xff\xff\x0f", b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + b"\0\0\0\5\xff\xff\xff\xff\x0f" * 2):
        data = batch([Raw(b"")], "snappy", damage=lambda _, body=body: body)
        assert why(data) == "BatchTooLargeError: unpacked it is more than 67108864 bytes"


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_several_members_count_together(codec: str) -> None:
    one = bomb(codec, [], megabytes=40)[61:]
    assert why(batch([Raw(b"")], codec, damage=lambda _: one + one)) == (
        "BatchTooLargeError: unpacked it is more than 67108864 bytes"
    )


@pytest.mark.parametrize("codec", CODECS)
def test_a_million_records_in_a_few_kb(codec: str) -> None:
    assert why(batch([Raw(bytes(1 << 20))], codec, number=300_001)) == (
        "BatchTooLargeError: it has 300001 records, and a compressed batch may have 300000"
    )


def test_a_million_headers_in_a_record() -> None:
    said = why(bomb("zstd", [Raw(b"v", None, [(b"", None)] * 1_100_000, 0)]))
    assert said.startswith("BatchTooLargeError: a record of it has 2200010 bytes")
    for name in (b"", b"\xff"):
        many = bomb("zstd", [Raw(bytes(400_000), None, [(name, None)] * 200_000, 0)] * 2)
        assert why(many) == "BatchTooLargeError: its records have more than 300000 headers"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", [b"trace", b"\xff"])
def test_a_large_batch_of_a_producer_that_means_well_is_read_whole(codec: str, name: bytes) -> None:
    """10 MB of events in one batch."""
    values = [b'{"event_id":"e%d","event":"share","pad":"%s"}' % (n, b"p" * 960) for n in range(10_000)]
    found = read(bomb(codec, (Raw(value, b"k", [(name, b"1")], 0) for value in values)))
    assert list(found.offsets) == list(range(10_000))
    assert [record.value for record in found.records] == values


def test_what_a_record_weighs() -> None:
    assert weight(Raw(b"12345")) == 69
    assert weight(Raw(None, None, [(b"", None)] * 10)) == 704


def _legacy(magic: int, codec: int, values: list[bytes], last: int) -> bytes:
    builder = LegacyRecordBatchBuilder(magic=magic, compression_type=codec, batch_size=1 << 30)
    for n, value in enumerate(values):
        builder.append(n, timestamp=1000, key=b"k", value=value)
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, last)  # as a broker does
    return bytes(data)


@pytest.mark.parametrize(("magic", "codec"), [(0, 1), (1, 1), (0, 2), (1, 2), (1, 3)])
def test_messages_of_an_old_format(magic: int, codec: int) -> None:
    data = _legacy(magic, codec, [b"one", b"two"], 8 if magic else 1)
    assert [(record.offset, record.value) for record in read(data).records] == (
        [(7, b"one"), (8, b"two")] if magic else [(0, b"one"), (1, b"two")]
    )
    [alone] = read(_legacy(magic, 0, [b"one"], 5)).records
    assert (alone.offset, alone.key, alone.value) == (5, b"k", b"one")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (bytes(100 << 20), "BatchTooLargeError: unpacked it is more than 67108864 bytes"),
        (
            b"\0" * 8 + b"\xff\xff\xff\xf4" + b"\0" * 30,
            "BatchTooLargeError: it has no length, or more than 300000 records",
        ),
        (
            (b"\0" * 11 + b"\x0e" + b"\0" * 14) * 300_001,
            "BatchTooLargeError: it has no length, or more than 300000 records",
        ),
    ],
    ids=["large", "never ends", "many"],
)
def test_a_bomb_of_an_old_format(body: bytes, said: str) -> None:
    packed = bytes(cramjam.lz4.compress(body))
    tail = struct.pack(">bbqi", 1, 3, 1000, -1) + struct.pack(">i", len(packed)) + packed
    [record] = read(struct.pack(">qiI", 41, len(tail) + 4, zlib.crc32(tail)) + tail).records
    assert (record.offset, record.why) == (41, said)


_READS = """
import resource, sys
from pathlib import Path
from aiokafka.record.memory_records import MemoryRecords
from pipeline.kafka.batches import placed, records_of
data = Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for batch, place in placed(MemoryRecords(data), data):
    for record in records_of(batch, data, place).records:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """In a process of its own: less than 400 MB for 1.4 GB of zeros, 20,000,000 headers, 300,000 records."""
    path = tmp_path / "log"
    path.write_bytes(
        b"".join(bomb(codec, [], megabytes=size) for codec, size in (("gzip", 200), ("lz4", 200), ("zstd", 1000)))
        + bomb("zstd", [Raw(b"v", None, [(b"", None)] * 1_000_000, 0)] * 20)
        + bomb("zstd", (Raw(None, timestamp=0) for _ in range(300_000)))
    )
    done = subprocess.run([sys.executable, "-c", _READS, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400_000
