"""What a stranger may send is decoded, or becomes one record that says why not; nothing raises."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords
from chaos.raw import Raw, batch

from pipeline.ingest.records import Unreadable
from pipeline.kafka.batches import placed, records_of

GOOD = Raw(b"one", b"k", [(b"trace", b"1")], 1000)


def read(data: bytes) -> list[Any]:
    return [
        record for batch, place in placed(MemoryRecords(data), data) for record in records_of(batch, data, place)[0]
    ]


def plain(record: Any) -> tuple[Any, ...]:
    return record.offset, record.timestamp, record.key, record.value, list(record.headers)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_header_name_that_is_not_utf8_keeps_its_bytes(codec: str) -> None:
    bad = Raw(b"two", None, [(b"\xff\xfe", b"x"), (b"", None), (b"ok", b"")], 1007)
    assert [plain(record) for record in read(batch([GOOD, bad, GOOD], codec))] == [
        (0, 1000, b"k", b"one", [("trace", b"1")]),
        (1, 1007, None, b"two", [("\udcff\udcfe", b"x"), ("", None), ("ok", b"")]),
        (2, 1000, b"k", b"one", [("trace", b"1")]),
    ]
    assert read(batch([bad], codec))[0].headers[0][0].encode("utf-8", "surrogateescape") == b"\xff\xfe"


@pytest.mark.parametrize("bad", [[], [(b"\xff", b"")]])
@pytest.mark.parametrize("timestamp", [-1, 0, -(10**15), 2**62, 2**63 - 1, -(2**63)])
def test_both_ways_of_decoding_tell_the_same(timestamp: int, bad: list[Any]) -> None:
    records = [Raw(b"v", None, bad, 1000), Raw(None, b"", [], timestamp), Raw(b"", b"k", [], timestamp)]
    assert [plain(record)[:4] for record in read(batch(records))] == [
        (0, 1000, None, b"v"),
        (1, timestamp, b"", None),
        (2, timestamp, b"k", b""),
    ]


def test_a_hundred_thousand_headers_are_decoded() -> None:
    [record] = read(batch([Raw(b"v", None, [(b"\xff%d" % n, None) for n in range(100_000)])]))
    assert len(record.headers) == 100_000


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (batch([GOOD], attributes=5), "ValueError: compression 5 is not known"),
        (batch([GOOD, GOOD], number=3), "ValueError: a record is longer than its batch"),
        (batch([GOOD, GOOD], number=1), "ValueError: bytes are left after the last record"),
        (batch([GOOD], number=2_000_000_000), "ValueError: a record is longer than its batch"),
        (batch([GOOD, GOOD], offsets=[0, 10**9]), "ValueError: the offsets of the records are not those of the batch"),
        (batch([GOOD, GOOD], offsets=[1, 0]), "ValueError: the offsets of the records are not those of the batch"),
        (batch([GOOD, GOOD], offsets=[-7, 1]), "ValueError: the offsets of the records are not those of the batch"),
        (
            batch([GOOD], "gzip", damage=lambda data: b"no gzip"),
            "error: Error -3 while decompressing data: incorrect header check",
        ),
        (batch([GOOD], damage=lambda data: data[:5] + b"\x7f" * 10), "ValueError: a record is longer than its batch"),
    ],
    ids=["codec", "too many", "too few", "far too many", "beyond", "backwards", "before", "gzip", "length"],
)
def test_a_batch_that_can_not_be_decoded_is_one_record_that_says_why(data: bytes, why: str) -> None:
    [record] = read(data)
    assert isinstance(record, Unreadable)
    assert (record.offset, record.key, record.value) == (0, None, data)
    assert record.why == why


def test_a_piece_that_ends_in_the_middle_of_a_batch_is_left_to_the_next_fetch() -> None:
    whole, half = batch([GOOD]), batch([GOOD])[:-3]
    assert [record.value for record in read(whole + half)] == [b"one"]
    assert read(half) == []
    assert read(b"") == []


def test_the_batches_of_a_piece_have_their_own_offsets() -> None:
    second = bytearray(batch([GOOD._replace(headers=[(b"\xff", b"")])]))
    struct.pack_into(">q", second, 0, 7)
    third = bytearray(batch([GOOD], attributes=6))
    struct.pack_into(">q", third, 0, 8)
    found = read(batch([GOOD, GOOD]) + second + third)
    assert [record.offset for record in found] == [0, 1, 7, 8]
    assert found[-1].value == bytes(third)
