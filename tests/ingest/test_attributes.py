"""What the log tells of users besides events: stored, and counted as nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.archiver.rows import ArchiveBatch
from pipeline.ingest.attributes import ATTRIBUTES_HEADER, Attributes, attributes_value, read_attributes
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.links import LINK_HEADER, Claim, link_value
from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import Validator
from schemas.plan_io import parse_plan

T = 1_790_000_000_000
PLAIN = "product: T\nevents:\n  look:\n"
HEADER = ((ATTRIBUTES_HEADER, b"1"),)


def test_what_is_written_is_read_again_as_text() -> None:
    value = attributes_value("$device:d7", T, {"plan": "pro", "seats": 3, "beta": True, "tags": ["a", "ü"], "no": None})
    assert read_attributes(value) == Attributes(
        "$device:d7", T, {"plan": "pro", "seats": "3", "beta": "true", "tags": '["a","ü"]', "no": "null"}
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "null"}, "id: 'null' is nobody's"),
        ({"id": "$device:d"}, "id: no user's id begins with $device:"),
        ({"ts": 1}, "ts: Input should be greater than or equal to 946684800000"),
        ({"attributes": {"": "x"}}, "attributes: '' can't be the name of one"),
        ({"attributes": {"a\nb": "x"}}, "attributes: 'a\\nb' can't be the name of one"),
        ({"attributes": {"a": "x" * 10_001}}, "attributes: 'a' has 10001 characters, and may have 10000"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"change": "add"}, "change_id: a change has one, and nothing else has"),
        ({"change_id": "c1"}, "change_id: a change has one, and nothing else has"),
        (
            {"change": "add", "change_id": "c1"},
            "attributes: 'plan' can only be added to with a number, not pro",
        ),
        (
            {"change": "add", "change_id": "c1", "attributes": {"n": True}},
            "attributes: 'n' can only be added to with a number, not true",
        ),
        (
            {"change": "double", "change_id": "c1"},
            "change: Input should be 'add', 'append', 'prepend', 'union', 'union_first', 'remove', 'unset', 'clear' "
            "or ''",
        ),
    ],
)
def test_what_can_not_be_told_is_rejected_with_words(change: dict[str, Any], words: str) -> None:
    record = {"id": "u1", "device": False, "ts": T, "attributes": {"plan": "pro"}} | change
    with pytest.raises(ValueError) as told:
        read_attributes(json.dumps(record).encode())
    assert str(told.value) == words


@pytest.mark.parametrize("identity", ["", "identity: {link: never}\n"])
def test_attributes_are_stored_and_count_as_nothing(identity: str) -> None:
    plan = parse_plan(PLAIN + identity)
    classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
    records = [
        Record(0, T, b"u1", attributes_value("u1", T, {"plan": "pro"}, "web"), HEADER),
        Record(1, T, b"u1", b'{"event_id": "e1", "event": "look", "user_id": "u1", "ts": %d}' % T),
        Record(2, T, b"u1", b"{}", HEADER),
    ]
    result = classifier.classify(records)
    assert result.outcomes == [Outcome.LINK, Outcome.ACCEPTED, Outcome.REJECTED]
    assert (result.rejections[2].reason, result.rejections[2].detail) == ("bad_attributes", "id: Field required")
    batch = ArchiveBatch("main")
    batch.add(0, result)
    assert batch.attributes == [["u1"], ["plan"], ["pro"], [T]]
    assert batch.events[3] == ["look"]


@pytest.mark.parametrize(("section", "outcome"), [("", Outcome.REJECTED), ("collect: {}\n", Outcome.LINK)])
def test_a_plan_with_a_front_door_takes_aliases(section: str, outcome: Outcome) -> None:
    plan = parse_plan(PLAIN + section)
    classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
    claim = Claim("old", "new", "alias", T)
    event = b'{"event_id": "e1", "event": "look", "user_id": "old", "ts": %d}' % T
    result = classifier.classify(
        [Record(0, T, b"old", link_value(claim), ((LINK_HEADER, b"1"),)), Record(1, T, b"old", event)]
    )
    assert result.outcomes[0] == outcome
    person = result.events[1]
    assert person is not None
    assert person.actor == ("new" if section else "old")


def test_events_of_bots_are_left_out_of_counts_unless_the_plan_keeps_them() -> None:
    record = b'{"event_id": "e1", "event": "look", "anonymous_id": "d", "ts": %d, "bot": "Googlebot"}' % T
    for section, outcome in (("", Outcome.REJECTED), ("bots: keep\n", Outcome.ACCEPTED)):
        plan = parse_plan(PLAIN + section)
        result = PartitionClassifier(plan, Validator(plan), 0, 1).classify([Record(0, T, b"d", record)])
        assert result.outcomes == [outcome]
    assert parse_plan(PLAIN).bots == "reject"
