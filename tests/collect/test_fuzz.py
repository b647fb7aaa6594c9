"""What strangers send to the front door: every request is answered, and it works on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from collect import fuzz
from collect.doors import PLAN_TEXT, Door
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.model import Request
from pipeline.collect.native import Native
from pipeline.collect.reception import Reception
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import Validator
from schemas.plan_io import parse_plan

PLAN = parse_plan(PLAN_TEXT)
RECEPTION = Reception(PLAN, 1)
NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def door(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("fuzz"))
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_requests_at_random_end_nothing_and_spoil_no_good_event(door: Door) -> None:
    said, taken = fuzz.run(door, 6_000, seed=7)
    assert fuzz.check(door, taken) == []
    assert len(taken) > 200
    assert {"200", "400", "401", "404"} <= said.keys()
    assert "500" not in said


words = st.sampled_from(fuzz.WORDS)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | words | st.just(NOW)
data = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6))
bodies = st.binary(max_size=60) | data.map(lambda item: json.dumps(item).encode())


@given(bodies)
def test_the_answer_says_what_worker_and_archiver_will_say(body: bytes) -> None:
    """Law: of each part of a request the result names, and the log's records are judged, alike."""
    native = Native()
    request = Request("POST", "/v1/events", (), {}, body, NOW)
    told = native.read(request)
    taken = RECEPTION.take("native", told, "web", NOW)
    assert len(taken.results) == len(told)
    assert native.answer(request, taken.told, taken.results).status in (200, 400)
    judged = PartitionClassifier(PLAN, Validator(PLAN), 0, 1).classify(
        [Record(n, NOW, r.key, r.value, r.headers) for n, r in enumerate(taken.records)]
    )
    refused = sum(1 for result in taken.results if result.reason)
    rejected: list[Any] = list(judged.rejections.values())
    assert sorted(why.reason for why in rejected)[:refused] == sorted(r.reason for r in taken.results if r.reason) or (
        len(rejected) > refused  # an event that is good, and tells attributes that are not
    )
    assert judged.outcomes.count(Outcome.REJECTED) == len(rejected) >= refused
    assert all(record.value is not None and len(record.value) <= 1_000_000 for record in taken.records)
