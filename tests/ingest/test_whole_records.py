"""Everything in a record that is not its value is a stranger's too: key, headers, timestamp, size."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest.records import PLAN, T0

from pipeline.archiver.rows import ArchiveBatch
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import ORIGIN_HEADER, Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.state.checkpoint import Restorer, encode
from pipeline.state.partition import PartitionState

int64 = st.integers(-(2**63), 2**63 - 1)
times = st.one_of(st.none(), st.sampled_from([-1, 0, T0, T0 + 1, T0 - 400_000, 2**63 - 1, -(2**63)]), int64)
origins = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from([b"0:1", b"0:1", b"3:17:again", b"00:1", b"-1:5", b"1:" + b"9" * 40]),
)
#: As the client decodes them: a name that is no UTF-8 has surrogates.
names = st.one_of(st.sampled_from([ORIGIN_HEADER, ORIGIN_HEADER.upper(), "", "\udcff"]), st.text(max_size=4))
headers = st.lists(st.tuples(st.one_of(st.just(ORIGIN_HEADER), names), origins), max_size=5)
values = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.builds(
        lambda number, ts, user, more: json.dumps(
            {"event_id": f"e{number}", "event": "look", "user_id": user, "ts": ts, **more}
        ).encode(),
        st.integers(0, 6),
        st.sampled_from([T0, T0 + 1, T0 + 3_600_000, T0 - 9_000_000, 946_684_800_000, 7_258_118_400_000, 0]),
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from([{}, {"platform": "ios"}, {"x": 1}]),
    ),
)
keys = st.one_of(st.none(), st.binary(max_size=8))
records = st.builds(
    lambda timestamp, key, value, found, kind: Record(0, timestamp, key, value, found, kind),
    times, keys, values, headers, st.sampled_from([0, 1, None]),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(records, max_size=25), st.lists(st.integers(0, 25), max_size=3), st.integers(0, 25))
def test_both_roles_decide_alike_and_no_record_is_nowhere(log: list[Record], cuts: list[int], crash: int) -> None:
    """The worker folds in other batches than the archiver, and dies once."""
    log = [record._replace(offset=i) for i, record in enumerate(log)]
    validator = Validator(PLAN)
    archiver, batch = PartitionClassifier(PLAN, validator, 0, 2), ArchiveBatch("main")
    found: list[Outcome] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(log)], strict=True):
        if log[start:end]:
            result = archiver.classify(log[start:end])
            found += result.outcomes
            batch.add(0, result)
    worker, restorer = PartitionState(PLAN, validator, 0, 2), Restorer()
    worker.fold(log[:crash])
    for part in encode(worker.checkpoint(), b"w"):
        restorer.add(part, restorer.records)
    worker = PartitionState(PLAN, validator, 0, 2)
    worker.restore(restorer.snapshot)
    worker.fold(log)
    assert worker.totals == {outcome: found.count(outcome) for outcome in Outcome}
    assert (worker.watermark, worker.classifier.clock) == (archiver.watermark, archiver.clock)
    stored = sorted([*batch.events[2], *batch.rejected[2], *batch.duplicates[2]])
    forwarded = [i for i, outcome in enumerate(found) if outcome is Outcome.FORWARDED]
    assert sorted(stored + forwarded) == list(range(len(log)))
    for columns in (batch.events, batch.rejected, batch.duplicates):
        assert len({len(column) for column in columns}) == 1
    assert all(0 <= at <= 7_258_118_400_000 for at in [*batch.rejected[3], *batch.duplicates[3]])


@pytest.mark.parametrize("records", [1, 200])
def test_a_state_of_before_the_clock_was_kept_goes_on(records: int) -> None:
    validator = Validator(PLAN)

    def look(number: int) -> Record:
        ts = T0 + number * 60_000
        fields: dict[str, Any] = {"event_id": f"e{number}", "event": "look", "user_id": "u1", "ts": ts}
        return Record(number, ts, None, json.dumps(fields).encode(), (), 0)

    log = [look(i) for i in range(records)]
    old = PartitionState(PLAN, validator, 0, 1)
    old.fold([record._replace(timestamp_type=1) for record in log])
    checkpoint = old.checkpoint()
    del checkpoint.meta["clock"]
    restorer = Restorer()
    for part in encode(checkpoint, b"w"):
        restorer.add(part, restorer.records)
    state = PartitionState(PLAN, validator, 0, 1)
    state.restore(restorer.snapshot)
    result = state.fold([look(records), log[-1]._replace(offset=records + 1)])
    assert result is not None
    assert [outcome.name for outcome in result.outcomes] == ["ACCEPTED", "DUPLICATE"]
    assert state.watermark == T0 + records * 60_000


def test_a_forged_origin_makes_a_duplicate_no_record_that_is_nowhere() -> None:
    """Sent three times with the header that a worker writes: the second and third are stored, and nothing is lost."""
    value = json.dumps({"event_id": "e1", "event": "look", "user_id": "u1", "ts": T0}).encode()
    log = [Record(i, T0, None, value, [(ORIGIN_HEADER, b"0:1")]) for i in range(3)]
    batch = ArchiveBatch("main")
    result = PartitionClassifier(PLAN, Validator(PLAN), 0, 1).classify(log)
    batch.add(0, result)
    assert [outcome.name for outcome in result.outcomes] == ["ACCEPTED", "FORWARDED_AGAIN", "FORWARDED_AGAIN"]
    assert list(batch.events[2]) == [0]
    assert list(batch.duplicates[2]) == [1, 2]
