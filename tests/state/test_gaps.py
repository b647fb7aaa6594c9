"""Where the log has lost records before they were read, and where it has offsets that are no records."""

from __future__ import annotations

import pytest

from pipeline.errors import AnotherTopicError
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.measure.rows import GapRow
from pipeline.state.checkpoint import Restorer, encode
from pipeline.state.partition import PartitionState
from schemas.plan_io import load_plan

PLAN = load_plan("shop")
START = 1_748_768_400_000


def state(topic: str = "") -> PartitionState:
    return PartitionState(PLAN, Validator(PLAN), 0, 1, topic_id=topic)


def record(offset: int) -> Record:
    value = b'{"event_id":"e%d","event":"app_open","user_id":"u","ts":%d}' % (offset, START + offset)
    return Record(offset, START, None, value)


def restored(saved: PartitionState, topic: str = "") -> PartitionState:
    restorer = Restorer()
    for n, part in enumerate(encode(saved.checkpoint(), b"w")):
        restorer.add(part, n)
    found = state(topic)
    found.restore(restorer.snapshot)
    return found


def test_offsets_that_are_no_records_move_the_position_alone() -> None:
    one = state()
    one.fold([record(0), record(3)], end=5)
    assert (one.position, one.totals[0], one.gaps) == (5, 2, [])
    assert one.fold([], end=8) is None
    assert (one.position, one.unsaved) == (8, True)
    assert restored(one).position == 8
    one.fold([], end=7)
    assert one.position == 8


def test_a_gap_is_stated_until_it_is_published_and_survives_a_restart() -> None:
    one = state()
    one.fold([record(0), record(1)])
    one.skip(100)
    one.fold([record(100)])
    assert (one.position, one.totals[0], one.missing) == (101, 3, 98)
    gap = GapRow(0, 2, 100, START + 1)
    one.changed_rows(START)
    assert one.changed_gaps() == [gap]
    one.publish_again()
    one.changed_rows(START)
    assert one.changed_gaps() == [gap]
    one.published()
    assert one.changed_gaps() == []
    again = restored(one)
    assert (again.missing, again.changed_gaps()) == (98, [gap])


def test_a_gap_that_was_skipped_already_is_not_stated_again() -> None:
    one = state()
    one.fold([record(0)])
    one.skip(10)
    one.skip(10)
    assert one.gaps == [(1, 10, START)]


def test_the_state_of_another_topic_is_refused() -> None:
    one = state("aa")
    one.fold([record(0)])
    assert restored(one, "aa").position == 1
    assert restored(one, "").position == 1  # a broker that tells no id
    with pytest.raises(AnotherTopicError, match=r"made anew: its id was aa .* and is bb"):
        restored(one, "bb")
