"""Nobody's clock moves the others' events, and ours is not asked: outcomes are a function of the log."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.simulate.recount import Logged, expected
from schemas.plan_io import parse_plan

PLAN = parse_plan("product: Test\nmax_future: 5m\nlateness: 1h\nevents: {look: {}}\n")
NOW = 1_790_000_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
YEAR = 365 * DAY
IN_2099 = 4_070_908_800_000
BROKER, PRODUCER = 1, 0


def look(number: int, ts: int) -> bytes:
    return json.dumps({"event_id": f"e{number}", "event": "look", "user_id": "u", "ts": ts}).encode()


def log_of(*times: int | tuple[int | None, int], by: int = PRODUCER) -> list[Record]:
    """Records as (time of the record, time of the event), or one number for both."""
    pairs = [time if isinstance(time, tuple) else (time, time) for time in times]
    return [Record(i, at, None, look(i, ts), (), by) for i, (at, ts) in enumerate(pairs)]


def outcomes(records: list[Record]) -> tuple[list[str], int]:
    classifier = PartitionClassifier(PLAN, Validator(PLAN), 0, 1)
    found = [outcome.name for record in records for outcome in classifier.classify([record]).outcomes]
    whole = PartitionClassifier(PLAN, Validator(PLAN), 0, 1)
    assert [outcome.name for outcome in whole.classify(records).outcomes] == found
    assert (whole.watermark, whole.clock) == (
        classifier.watermark, classifier.clock,
    )  # fmt: skip
    return found, classifier.watermark


def test_a_clock_that_is_ahead_of_the_brokers_is_rejected() -> None:
    assert outcomes(log_of((NOW, NOW + YEAR), NOW, by=BROKER)) == (["REJECTED", "ACCEPTED"], NOW)


def test_five_minutes_ahead_is_allowed_and_not_a_millisecond_more() -> None:
    assert outcomes(log_of((NOW, NOW + 300_000), by=BROKER)) == (["ACCEPTED"], NOW + 300_000)
    assert outcomes(log_of((NOW, NOW + 300_001), by=BROKER)) == (["REJECTED"], 0)


def test_a_time_of_the_broker_moves_the_watermark_at_once() -> None:
    assert outcomes(log_of(NOW, NOW + 30 * DAY, by=BROKER)) == (["ACCEPTED"] * 2, NOW + 30 * DAY)


@pytest.mark.parametrize("bad", [IN_2099, NOW + YEAR, NOW + 3 * DAY, NOW + 2 * HOUR])
def test_a_producer_with_a_bad_clock_makes_nobody_else_late(bad: int) -> None:
    """It sets the records' times by that clock too, its records are many, and the first of all is one of them."""
    log = log_of(bad, NOW, bad, bad + 1, NOW + SECOND, NOW + 11 * SECOND, bad + MINUTE, NOW + 12 * SECOND)
    found, watermark = outcomes(log)
    assert [found[i] for i in (1, 4, 5, 7)] == ["ACCEPTED"] * 4
    assert watermark == NOW + 12 * SECOND


def test_what_is_a_month_ahead_of_all_others_is_stored_and_not_counted_live() -> None:
    found, watermark = outcomes(log_of(NOW, NOW + 10 * SECOND, IN_2099, NOW + 11 * SECOND))
    assert found == ["ACCEPTED", "ACCEPTED", "LATE", "ACCEPTED"]
    assert watermark == NOW + 11 * SECOND


@pytest.mark.parametrize("pause", [0, 30 * MINUTE, HOUR])
def test_after_a_short_pause_the_first_record_moves_the_watermark(pause: int) -> None:
    start = [NOW, NOW + 10 * SECOND]
    assert outcomes(log_of(*start, start[1] + pause)) == (["ACCEPTED"] * 3, start[1] + pause)


def test_after_a_night_everything_is_counted_and_ten_seconds_later_the_watermark_follows() -> None:
    morning = NOW + 8 * HOUR
    log = log_of(NOW, NOW + 10 * SECOND, morning, morning + SECOND, morning + 9_999)
    assert outcomes(log) == (["ACCEPTED"] * 5, NOW + 10 * SECOND)
    log = log_of(NOW, NOW + 10 * SECOND, morning, morning + SECOND, morning + 10_000)
    assert outcomes(log) == (["ACCEPTED"] * 5, morning + 10_000)


def test_a_bad_clock_among_those_who_come_after_a_night_is_not_believed() -> None:
    morning = NOW + 8 * HOUR
    log = log_of(NOW, NOW + 10 * SECOND, IN_2099, morning, IN_2099 + MINUTE, morning + SECOND, morning + 20 * SECOND)
    found, watermark = outcomes(log)
    assert [found[i] for i in (3, 5, 6)] == ["ACCEPTED"] * 3
    assert watermark == morning + 20 * SECOND


def test_events_that_are_days_apart_are_all_counted() -> None:
    found, watermark = outcomes(log_of(*[NOW + i * 3 * DAY for i in range(6)]))
    assert found == ["ACCEPTED"] * 6
    assert watermark == NOW + 4 * 3 * DAY  # the last one waits to be confirmed


def test_a_retry_after_a_pause_is_a_duplicate_also_when_the_watermark_has_leapt() -> None:
    morning = NOW + 8 * HOUR
    log = log_of(NOW, NOW + 10 * SECOND, morning, morning + 10 * SECOND)
    retries = [record._replace(offset=4 + i) for i, record in enumerate(log)]
    assert outcomes(log + retries)[0] == ["ACCEPTED"] * 4 + ["DUPLICATE"] * 4


@pytest.mark.parametrize("time", [None, -1, 0, 1_000_000, 2**63 - 1, -(2**63)])
def test_a_record_that_does_not_say_when_it_was_written_was_written_when_it_happened(time: int | None) -> None:
    log = log_of((time, NOW), (time, NOW + 10 * SECOND), (time, IN_2099), (time, NOW + 11 * SECOND))
    assert outcomes(log) == (["ACCEPTED", "ACCEPTED", "LATE", "ACCEPTED"], NOW + 11 * SECOND)


def test_an_old_record_of_an_old_event_is_an_event() -> None:
    assert outcomes(log_of(NOW - 5 * YEAR, NOW - 5 * YEAR + 10 * SECOND))[0] == ["ACCEPTED"] * 2


STAMPS = st.sampled_from([0, SECOND, 10 * SECOND, HOUR, HOUR + 1, 8 * HOUR, 3 * DAY, 31 * DAY, -HOUR, YEAR])
steps = st.lists(st.tuples(STAMPS, st.sampled_from([0, -MINUTE, -2 * HOUR, 6 * MINUTE]), st.sampled_from([0, 0, 1]),
                           st.sampled_from([None, None, -1]), st.integers(0, 25)), max_size=30)  # fmt: skip


@settings(deadline=None)
@given(steps, st.lists(st.integers(0, 30), max_size=4))
def test_batches_change_nothing_and_the_recount_agrees(log: list[tuple[int, ...]], cuts: list[int]) -> None:
    now, records = NOW, []
    for offset, (step, back, by, none, number) in enumerate(log):
        at = now + step
        now = at if step <= HOUR else now
        records.append(Record(offset, none or at, None, look(number, at + back), (), by))
    state = PartitionClassifier(PLAN, Validator(PLAN), 0, 1)
    found: list[str] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(records)], strict=True):
        found += [outcome.name.lower() for outcome in state.classify(records[start:end]).outcomes]
    whole = PartitionClassifier(PLAN, Validator(PLAN), 0, 1)
    assert [outcome.name.lower() for outcome in whole.classify(records).outcomes] == found
    assert (whole.watermark, whole.clock) == (
        state.watermark, state.clock,
    )  # fmt: skip
    plain = [Logged(r.timestamp or 0, r.value, (), r.timestamp_type == BROKER) for r in records]
    assert expected({0: plain}, PLAN, 1)[0] == found


def test_a_log_that_is_known_to_begin_at_a_time_knows_lateness_from_its_first_record_on() -> None:
    """And a producer with a bad clock is not believed there either."""
    log = log_of(NOW + 1, (NOW + 2, NOW - 2 * HOUR), IN_2099, NOW + 3)
    began = PartitionClassifier(PLAN, Validator(PLAN), 0, 1, since=NOW)
    assert [outcome.name for outcome in began.classify(log).outcomes] == ["ACCEPTED", "LATE", "LATE", "ACCEPTED"]
    assert began.watermark == NOW + 3
    assert outcomes(log)[0][1] == "ACCEPTED"  # else nothing is late until 10 s have gone by
