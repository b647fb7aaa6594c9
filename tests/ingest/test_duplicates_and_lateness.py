"""Duplicates, lateness and forwarding, as literal logs of one partition."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from cost import cpu_seconds
from ingest.records import HOUR, MINUTE, PLAN, SECOND, T0, classifier, event, outcomes, record

from pipeline.ingest.records import ORIGIN_HEADER

BATCHES = pytest.mark.parametrize("batch", [1, 2, 3, 1000])


@BATCHES
def test_a_repeated_event_id_is_a_duplicate(batch: int) -> None:
    log = [
        record(0, event("a", T0)),
        record(1, event("b", T0 + SECOND)),
        record(2, event("a", T0)),
        record(3, event("a", T0 + MINUTE, user="other")),  # the id decides, not the rest
        record(4, event("c", T0 + MINUTE)),
    ]
    assert outcomes(log, batch=batch) == ["accepted", "accepted", "duplicate", "duplicate", "accepted"]


@BATCHES
def test_the_first_event_of_a_partition_is_remembered(batch: int) -> None:
    # It moves the watermark from 0, so far that nothing older is remembered: but itself is.
    log = [record(0, event("a", T0)), record(1, event("a", T0))]
    assert outcomes(log, batch=batch) == ["accepted", "duplicate"]


@BATCHES
def test_a_quiet_time_forgets_no_id(batch: int) -> None:
    log = [
        record(0, event("a", T0)),
        record(1, event("b", T0 + 10 * HOUR)),  # moves the watermark by ten horizons
        record(2, event("b", T0 + 10 * HOUR)),
        record(3, event("a", T0 + 10 * HOUR)),  # the last but one half horizon in which there were events
        record(4, event("c", T0 + 20 * HOUR)),
        record(5, event("d", T0 + 30 * HOUR)),
        record(6, event("a", T0 + 30 * HOUR)),
        record(7, event("b", T0 + 30 * HOUR)),
    ]
    expected = ["accepted", "accepted", "duplicate", "duplicate", "accepted", "accepted", "accepted", "duplicate"]
    assert outcomes(log, batch=batch) == expected


@BATCHES
def test_an_id_is_known_for_the_horizon_and_forgotten_after_one_and_a_half(batch: int) -> None:
    def after(gap: int) -> str:
        steady = [record(i, event(f"e{i}", T0 + i * MINUTE)) for i in range(1, gap // MINUTE + 1)]
        log = [record(0, event("a", T0)), *steady, record(200, event("b", T0 + gap)), record(201, event("a", T0 + gap))]
        return outcomes(log, batch=batch)[-1]

    assert after(HOUR) == "duplicate"
    assert after(90 * MINUTE - 1) == "duplicate"
    assert after(90 * MINUTE) == "accepted"


@BATCHES
def test_late_is_older_than_the_watermark_less_the_lateness(batch: int) -> None:
    log = [
        record(0, event("a", T0 + 2 * HOUR)),
        record(1, event("b", T0 + HOUR)),  # exactly the lateness: in time
        record(2, event("c", T0 + HOUR - 1)),  # 1 ms more: late
        record(3, event("c", T0 + HOUR - 1)),  # a late event is remembered too
        record(4, event("d", T0 + 2 * HOUR + 1)),  # moves the watermark by 1 ms
        record(5, event("e", T0 + HOUR)),
    ]
    assert outcomes(log, batch=batch) == ["accepted", "accepted", "late", "duplicate", "accepted", "late"]


@BATCHES
def test_an_event_is_judged_before_it_moves_the_watermark(batch: int) -> None:
    log = [
        record(0, event("a", T0)),
        record(1, event("b", T0 + 5 * HOUR)),
        record(2, event("c", T0 + 4 * HOUR)),
    ]
    assert outcomes(log, batch=batch) == ["accepted", "accepted", "accepted"]


@BATCHES
def test_rejected_and_duplicate_records_do_not_move_the_watermark(batch: int) -> None:
    log = [
        record(0, event("a", T0)),
        record(1, event("x", T0 + 9 * HOUR, name="nothing")),  # rejected: not in the plan
        record(2, event("y", T0 + 9 * HOUR), timestamp=T0),  # rejected: nine hours ahead of its record
        record(3, event("a", T0 + 9 * HOUR)),  # a duplicate with another time
        record(4, event("b", T0)),
    ]
    assert outcomes(log, batch=batch) == ["accepted", "rejected", "rejected", "duplicate", "accepted"]


@BATCHES
def test_a_record_sent_on_twice_is_told_from_a_duplicate(batch: int) -> None:
    log = [
        record(0, event("a", T0), origin="3:17"),
        record(1, event("a", T0), origin="3:17"),  # the same record, sent on again after a crash
        record(2, event("a", T0), origin="3:18"),  # a producer's retry, which was in the wrong partition too
        record(3, event("a", T0)),
        record(4, event("b", T0 + 5 * HOUR)),
        record(5, event("c", T0 + 5 * HOUR), origin="3:19"),
        record(6, event("c", T0 + 5 * HOUR), origin="3:19"),
    ]
    expected = ["accepted", "forwarded_again", "duplicate", "duplicate", "accepted", "accepted", "forwarded_again"]
    assert outcomes(log, batch=batch) == expected


@BATCHES
def test_a_forged_origin_loses_no_event(batch: int) -> None:
    log = [
        record(0, event("origin:3:17", T0)),
        record(1, event("a", T0), origin="3:17"),
        record(2, event("b", T0), origin="3:17"),  # another event that claims to be the same record
        record(3, event("c", T0), origin="3:18"),
        record(4, event("origin:3:18", T0)),  # an id that looks like an origin that was sent before
    ]
    assert outcomes(log, batch=batch) == ["accepted"] * 5


OURS = [b"0:0", b"3:17", b"4294967295:9223372036854775807", b"3:17:again"]
ODD: list[bytes | None] = [
    None, b"", b" ", b":", b"3", b"3:", b":17", b"-1:17", b"3:-17", b"+3:17", b"03:17", b"3:017", b"3:17 ", b" 3:17",
    b"3:17\n", b"3:17\x00", b"3:1_7", b"3.0:17", b"3:17:", b"3:17:17", b"3:17:AGAIN", b"3:17:again:again", b"\xff\xfe",
    "٣:١٧".encode(), b"99999999999:1", b"1:99999999999999999999", b"9" * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("value", OURS)
def test_an_origin_is_what_we_write_ourselves(value: bytes) -> None:
    log = [record(i, event("a", T0))._replace(headers=((ORIGIN_HEADER, value),)) for i in range(3)]
    assert outcomes(log) == ["accepted", "forwarded_again", "forwarded_again"]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:40])
def test_a_header_that_we_would_not_write_is_no_origin(value: bytes | None) -> None:
    log = [record(i, event("a", T0))._replace(headers=((ORIGIN_HEADER, value),)) for i in range(3)]
    assert outcomes(log) == ["accepted", "duplicate", "duplicate"]


@pytest.mark.parametrize("name", ["Streamgauge-Origin", "STREAMGAUGE-ORIGIN", "streamgauge-origin ", "", "\udcff"])
def test_another_header_is_no_origin(name: str) -> None:
    log = [record(i, event("a", T0))._replace(headers=((name, b"3:17"),)) for i in range(3)]
    assert outcomes(log) == ["accepted", "duplicate", "duplicate"]


def test_of_many_origins_the_last_one_counts() -> None:
    """It is the one that a worker has put behind all that it found."""
    many = [(ORIGIN_HEADER, b"%d:1" % n) for n in range(10_000)]
    log = [
        record(0, event("a", T0))._replace(headers=(*many, (ORIGIN_HEADER, b"7:8"))),
        record(1, event("a", T0), origin="5:1"),
        record(2, event("a", T0), origin="7:8"),
        record(3, event("a", T0))._replace(headers=((ORIGIN_HEADER, b"7:8"), (ORIGIN_HEADER, None))),
    ]
    assert outcomes(log) == ["accepted", "duplicate", "forwarded_again", "duplicate"]


def test_future_is_measured_from_the_time_the_record_was_written() -> None:
    state = classifier()
    found = state.classify(
        [
            record(0, event("a", T0 + 5 * MINUTE), timestamp=T0),
            record(1, event("b", T0 + 5 * MINUTE + 1), timestamp=T0),
        ]
    )
    assert [o.name for o in found.outcomes] == ["ACCEPTED", "REJECTED"]
    assert found.rejections[1].reason == "time_in_future"
    assert state.watermark == T0 + 5 * MINUTE


def test_an_actor_of_another_partition_is_moved_and_leaves_no_trace() -> None:
    # In a topic of 4 partitions Kafka's default partitioner puts u1 into 0 and u2 into 2.
    state = classifier(partition=0, partitions=4)
    found = state.classify(
        [record(0, event("a", T0 + HOUR, user="u2")), record(1, event("a", T0, user="u1")), record(2, b"{")]
    )
    assert [o.name for o in found.outcomes] == ["FORWARDED", "ACCEPTED", "REJECTED"]
    assert found.forwarded == {0: 2}
    assert state.watermark == T0
    assert [e and e.actor for e in found.events] == ["u2", "u1", None]


@BATCHES
def test_what_was_remembered_restores_the_memory(batch: int) -> None:
    log = [record(i, event(f"e{i}", T0 + i * 10 * MINUTE), origin=f"1:{i}" if i % 3 == 0 else None) for i in range(20)]
    again = [log[i]._replace(offset=20 + n) for n, i in enumerate([19, 18, 15, 12, 11, 10, 9, 8, 3, 0])]
    state, restored = classifier(), classifier()
    for start in range(0, len(log), batch):
        for generation, hashes in state.classify(log[start : start + batch]).remembered:
            restored.seen.move_to(generation)
            restored.seen.add(hashes, generation)
    restored.watermark = state.watermark
    assert restored.classify(again).outcomes == state.classify(again).outcomes


def test_restore_takes_ids_by_the_watermark_after_each() -> None:
    log = [record(i, event(f"e{i}", T0 + i * 10 * MINUTE)) for i in range(20)]
    state, restored = classifier(), classifier()
    state.classify(log)
    hashes = np.array([xxhash.xxh3_64_intdigest(f"e{i}".encode()) for i in range(20)], np.uint64)
    restored.restore(hashes, np.array([T0 + i * 10 * MINUTE for i in range(20)], np.int64))
    restored.watermark = state.watermark
    assert restored.classify(log).outcomes == state.classify(log).outcomes


def test_sparse_events_cost_no_more_in_a_large_batch() -> None:
    """Each event begins a generation: the work must not grow with the square of the batch."""
    log = [record(i, event(f"e{i}", T0 + i * HOUR)) for i in range(6_000)]

    def judge(batch: int) -> None:
        assert set(outcomes(log, PLAN, batch=batch)) == {"accepted"}

    assert cpu_seconds(lambda: judge(6_000)) < 4 * cpu_seconds(lambda: judge(60))
