"""Records in a back-up: packed and unpacked as they were, in batches at their offsets, and none without its cause."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backup.log import retention_for
from pipeline.backup.records import KeptRecord, batches, ends_with_causes, filler, pack, unpack
from pipeline.errors import UserError
from pipeline.state.checkpoint import Checkpoint, Positions, encode, with_topic

records = st.builds(
    KeptRecord,
    st.integers(0, 1 << 40), st.integers(-1, 1 << 42), st.none() | st.binary(max_size=30),
    st.none() | st.binary(max_size=300),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=3).map(tuple),
)  # fmt: skip


@given(st.lists(records, max_size=20))
def test_records_come_back_as_they_were(found: list[KeptRecord]) -> None:
    assert [record for blob in pack(found) for record in unpack(blob)] == found


@pytest.mark.parametrize(
    "blob", [b"", b"\xc1", b"\x91\x01", b"\x91\x95\xa1a\x00\xc0\xc0\x90", b"\x91\x95\x00\x00\xa1a\xc0\x90"]
)
def test_what_is_no_records_is_refused_in_one_line(blob: bytes) -> None:
    with pytest.raises(UserError, match=r"^the back-up is damaged: its records can't be read"):
        unpack(blob)


def decoded(batch: bytes) -> list[tuple[int, int, bytes | None, bytes | None]]:
    return [(one.offset, one.timestamp, one.key, one.value) for one in DefaultRecordBatch(bytearray(batch))]


def record(offset: int, value: bytes = b"v", *headers: tuple[str, bytes]) -> KeptRecord:
    return KeptRecord(offset, 1_000 + offset, b"k", value, headers)


def test_batches_stand_at_their_offsets_and_gaps_are_filled() -> None:
    """At 12 was a transaction's mark, and 14 is the end."""
    [(base, batch)] = batches([record(10), record(11), record(13)], 10, 15)
    assert base == 10
    assert decoded(batch) == [
        (0, 1010, b"k", b"v"), (1, 1011, b"k", b"v"), (2, 1013, None, None), (3, 1013, b"k", b"v"), (4, 0, None, None),
    ]  # fmt: skip
    assert list(batches([], 7, 7)) == []
    large = [record(n, b"x" * 300_000) for n in range(5)]
    assert [(base, len(decoded(batch))) for base, batch in batches(large, 0, 5)] == [(0, 2), (2, 2), (4, 1)]


@pytest.mark.parametrize("offsets", [[11, 10], [10, 10], [9], [20]])
def test_records_out_of_order_are_refused(offsets: list[int]) -> None:
    with pytest.raises(UserError, match="not in order"):
        list(batches([record(offset) for offset in offsets], 10, 15))


def test_a_filler_takes_offsets_and_little_room() -> None:
    assert len(decoded(filler(1_000))) == 1_000
    assert len(filler(200_000)) < 200_000


def sent_on(offset: int, origin: bytes) -> KeptRecord:
    return record(offset, b"v", ("streamgauge-origin", origin))


def test_a_record_that_was_sent_on_is_not_kept_without_what_it_was_sent_on_for() -> None:
    """Partition 1 was asked for its end first: what 0 has at 7 comes of its 30."""
    tails = {0: [record(6), sent_on(7, b"1:30")], 1: [record(28), record(29)]}
    assert ends_with_causes(tails, {0: 8, 1: 30}, {0: 9, 1: 40}) == {0: 8, 1: 31}
    # And that of a third partition's 5, which is seen once it has been read.
    tails[1].append(sent_on(30, b"2:5"))
    tails[2] = []
    assert ends_with_causes(tails, {0: 8, 1: 31, 2: 5}, {0: 9, 1: 40, 2: 6}) == {0: 8, 1: 31, 2: 6}


@pytest.mark.parametrize("origin", [
    b"1:40", b"1:999999999999999999999999", b"7:1", b"1:", b":5", b"1:-5", b"x:y", b"", b"1:3 0", b"\xff:\xff", b"1:29",
    "١:٣٠".encode(),
])  # fmt: skip
def test_a_forged_origin_moves_nothing(origin: bytes) -> None:
    tails = {0: [sent_on(7, origin)], 1: [record(29)]}
    assert ends_with_causes(tails, {0: 8, 1: 30}, {0: 9, 1: 40}) == {0: 8, 1: 30}


def test_a_handover_names_its_cause_too() -> None:
    tails = {0: [record(7, b"v", ("streamgauge-handover", b"1:30:2"))], 1: []}
    assert ends_with_causes(tails, {0: 8, 1: 30}, {0: 9, 1: 40}) == {0: 8, 1: 31}


def test_a_state_is_as_far_as_its_last_whole_checkpoint() -> None:
    """Of the checkpoint at 200 a part is missing; and the topic that it was counted from is named anew."""
    meta = {"topic": "old", "watermark": 5}
    first = list(encode(Checkpoint(100, meta, [(b"a", b"1")]), b"w"))
    large = list(encode(Checkpoint(200, meta, [(b"b", b"x" * 600_000), (b"c", b"x" * 600_000)]), b"w"))
    assert (len(first), len(large)) == (1, 2)
    positions = Positions()
    assert positions.complete is None
    for value in (first[0], large[1]):
        positions.add(value)
    assert positions.complete == 100
    positions.add(large[0])
    assert positions.complete == 200
    renamed = [with_topic(value, "new") for value in large]
    assert [with_topic(value, "old") for value in renamed] == large
    assert b"new" in renamed[0]
    assert renamed[1] == large[1]


@pytest.mark.parametrize(
    ("usual_days", "age_days", "set_days"), [(30, 1, None), (30, 90, 97), (7, 1, 8), (-1, 90, None), (7, None, None)]
)
def test_a_log_that_was_put_back_is_not_too_old_at_once(usual_days: int, age_days: int | None, set_days: int) -> None:
    """Kafka removes what is older than its retention within minutes, read or not."""
    now, day = 1_795_168_755_000, 86_400_000
    found = retention_for(
        -1 if usual_days < 0 else usual_days * day, None if age_days is None else now - age_days * day, now
    )
    assert found == ({} if set_days is None else {"retention.ms": str(set_days * day)})
