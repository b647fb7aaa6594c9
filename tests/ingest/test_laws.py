"""Laws of classification: batches don't matter, the recount agrees, a restored state goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ingest.records import HOUR, MINUTE, PLAN, T0, classifier, event, record

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.simulate.recount import Logged, expected

#: Offsets in time that matter: within the lateness, at its edge, beyond it, and beyond the memory of ids.
GAPS = [0, 1, MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR - 1, HOUR, HOUR + 1, 90 * MINUTE, 3 * HOUR]
USERS = ["u1", "u2", "u3", "u4"]  # of two partitions, u1 and u4 live in the one, u2 and u3 in the other


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """A log in which time moves on and back, ids come again, some records are broken or foreign."""
    now, out = T0, []
    for offset in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from(GAPS))
        kind = draw(st.sampled_from(["event"] * 8 + ["broken", "future"]))
        if kind == "broken":
            out.append(record(offset, b"{", timestamp=now))
            continue
        ts = now - draw(st.sampled_from(GAPS)) + (6 * MINUTE if kind == "future" else 0)
        origin = draw(st.sampled_from([None, None, "7:1", "7:2", "7:3"]))
        fields = event(f"e{draw(st.integers(0, 8))}", ts, user=draw(st.sampled_from(USERS)))
        out.append(record(offset, fields, timestamp=now, origin=origin))
    return out


def in_batches(state: PartitionClassifier, log: Sequence[Record], cuts: Sequence[int]) -> dict[str, Any]:
    """Everything that classification says about a log that arrives cut at these places."""
    outcomes, forwarded, rejected, remembered = [], {}, {}, []
    for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True):
        found = state.classify(log[start:end])
        outcomes += [o.name.lower() for o in found.outcomes]
        forwarded.update({start + i: home for i, home in found.forwarded.items()})
        rejected.update({start + i: why.reason for i, why in found.rejections.items()})
        remembered += [(g, h) for g, hashes in found.remembered for h in hashes.tolist()]
    return {
        "outcomes": outcomes,
        "forwarded": forwarded,
        "rejected": rejected,
        "watermark": state.watermark,
        "remembered": sorted(remembered),
        "memory": [(g, sorted(h.tolist())) for g, h in state.seen.dump()],
    }


def cuts_of(log: Sequence[Record]) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(log)), max_size=6).map(sorted)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.data())
def test_how_a_log_is_cut_into_batches_changes_nothing(data: st.DataObject) -> None:
    log = data.draw(logs())
    whole = in_batches(classifier(partitions=2), log, [])
    assert in_batches(classifier(partitions=2), log, data.draw(cuts_of(log))) == whole
    assert in_batches(classifier(partitions=2), log, range(1, len(log))) == whole


@given(logs(), st.sampled_from([0, 1]))
def test_the_independent_recount_agrees(log: list[Record], partition: int) -> None:
    recounted = expected({partition: [logged(r) for r in log]}, PLAN, 2)[partition]
    assert in_batches(classifier(partition=partition, partitions=2), log, [])["outcomes"] == recounted


@settings(max_examples=settings.default.max_examples // 2)
@given(st.data())
def test_a_restored_partition_goes_on_where_it_stood(data: st.DataObject) -> None:
    """Whatever is restored from what batches remembered, the watermark and the clock: nothing else is needed."""
    log = data.draw(logs())
    cut = data.draw(st.integers(0, len(log)))
    whole, first, second = classifier(), classifier(), classifier()
    expected_outcomes = whole.classify(log).outcomes
    before = first.classify(log[:cut])
    second.watermark, second.clock = first.watermark, first.clock
    for generation, hashes in before.remembered:
        second.seen.move_to(generation)
        second.seen.add(hashes, generation)
    assert before.outcomes + second.classify(log[cut:]).outcomes == expected_outcomes


@given(logs())
def test_every_accepted_id_is_remembered_once_within_the_horizon(log: list[Record]) -> None:
    """Promise 2: an id that comes again within the horizon is never accepted again."""
    state = classifier()
    accepted: dict[str, int] = {}
    for item in log:
        found = state.classify([item])
        fields = found.events[0]
        if fields is None:
            continue
        if found.outcomes[0].name in ("ACCEPTED", "LATE"):
            last = accepted.get(fields.event_id)
            assert last is None or state.watermark - last >= PLAN.dedupe
            accepted[fields.event_id] = state.watermark


def logged(item: Record) -> Logged:
    """The record as the recount wants it."""
    return Logged(item.timestamp, item.value, item.headers)
