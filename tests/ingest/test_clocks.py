"""A bad clock is rejected and moves nothing, whoever set the record's timestamp."""

from __future__ import annotations

import json

from pipeline.ingest.classify import Outcome, PartitionClassifier, Record
from pipeline.ingest.validate import Validator
from schemas.plan_io import parse_plan

PLAN = parse_plan("product: Test\nmax_future: 5m\nevents: {look: {}}\n")
NOW = 1_790_000_000_000
YEAR = 365 * 86_400_000


def look(number: int, ts: int) -> bytes:
    return json.dumps({"event_id": f"e{number}", "event": "look", "user_id": "u", "ts": ts}).encode()


def outcomes(records: list[Record], now: int | None = NOW) -> tuple[list[str], int]:
    classifier = PartitionClassifier(PLAN, Validator(PLAN), 0, 1)
    result = classifier.classify(records, now)
    return [outcome.name for outcome in result.outcomes], classifier.watermark


def test_a_clock_that_is_ahead_of_the_brokers_is_rejected() -> None:
    records = [Record(0, NOW, None, look(0, NOW + YEAR)), Record(1, NOW, None, look(1, NOW))]
    assert outcomes(records) == (["REJECTED", "ACCEPTED"], NOW)


def test_a_producer_that_sets_the_records_time_by_its_bad_clock_is_rejected_too() -> None:
    records = [Record(0, NOW + YEAR, None, look(0, NOW + YEAR)), Record(1, NOW, None, look(1, NOW))]
    assert outcomes(records) == (["REJECTED", "ACCEPTED"], NOW)


def test_five_minutes_ahead_is_allowed_and_not_a_millisecond_more() -> None:
    assert outcomes([Record(0, NOW, None, look(0, NOW + 300_000))]) == (["ACCEPTED"], NOW + 300_000)
    assert outcomes([Record(0, NOW, None, look(0, NOW + 300_001))]) == (["REJECTED"], 0)


def test_a_record_without_a_timestamp_is_judged_by_our_clock() -> None:
    assert outcomes([Record(0, None, None, look(0, NOW))])[0] == ["ACCEPTED"]
    assert outcomes([Record(0, -1, None, look(0, NOW + YEAR))])[0] == ["REJECTED"]
    assert Outcome.REJECTED == 3
