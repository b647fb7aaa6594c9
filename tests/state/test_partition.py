"""The state of a partition is a function of its log: not of batches, restarts, or who wrote its checkpoints."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.state.checkpoint import MAX_PART_BYTES, Checkpoint, MemorySnapshot, Restorer, encode
from pipeline.state.partition import PartitionState
from schemas.plan_io import parse_plan

PLAN = parse_plan(
    """
product: Test
timezone: Asia/Shanghai
lateness: 10m
dedupe: 10m
registration: join
dimensions: [event, platform]
max_values: 3
events:
  join: {}
  look: {}
  buy: {value: amount, properties: {amount: number!}}
funnels:
  buying: {steps: [look, buy], window: 5m, bucket: hour, breakdown: [platform]}
  fast:
    {steps: [join, look, buy], window: 1m, attribution: any, breakdown: [platform], modes: [strict_increase]}
"""
)
VALIDATOR = Validator(PLAN)
START = 1_790_000_000_000


def event(number: int, actor: str, name: str, ts: int, platform: str | None = "ios", amount: float = 1.5) -> bytes:
    fields: dict[str, Any] = {"event_id": f"e{number}", "event": name, "user_id": actor, "ts": ts}
    if platform is not None:
        fields["platform"] = platform
    if name == "buy":
        fields["properties"] = {"amount": amount}
    return json.dumps(fields).encode()


def new_state() -> PartitionState:
    return PartitionState(PLAN, VALIDATOR, 0, 1)


def facts(state: PartitionState) -> dict[str, Any]:
    """Everything that people see of a state, without what may differ (estimates depend on the order of merging)."""
    activity = sorted(state.activity.rows(list(state.activity.accumulators), 0))
    return {
        "mark": state.position,
        "watermark": state.watermark,
        "totals": state.totals,
        "reasons": state.reasons,
        "activity": [row._replace(version=0, users=round(row.users), sessions=0, registrations=round(row.registrations))
                     for row in activity],
        "funnels": sorted(
            (row._replace(version=0, bins=tuple(sorted(b.items()) for b in row.bins))
             for row in state.funnels.rows(list(state.funnels.counter_keys()), 0) if any(row.users)),
            key=repr),
        "ids": sorted(int(h) for _, part in state.classifier.seen.dump() for h in part),
    }  # fmt: skip


def restored(records: list[bytes]) -> PartitionState:
    restorer = Restorer()
    for offset, record in enumerate(records):
        restorer.add(record, offset)
    state = new_state()
    state.restore(restorer.snapshot)
    return state


def changelog(state: PartitionState, writer: bytes = b"a") -> list[bytes]:
    return list(encode(state.checkpoint(), writer))


values = st.one_of(
    st.builds(
        event,
        st.integers(0, 30),
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["join", "look", "buy"]),
        st.integers(0, 40).map(lambda n: START + n * 45_000),
        st.sampled_from(["ios", "web", "android", "tv", "car", None]),
        st.sampled_from([0.1, 2.25, 100.0]),
    ),
    st.sampled_from([b"{", b"", b'{"event":"nothing"}']),
)


def numbered(values: list[bytes]) -> list[Record]:
    """The values as a log."""
    return [Record(i, START + 10**10, None, value) for i, value in enumerate(values)]


logs = st.lists(values, max_size=60).map(numbered)


@given(logs, st.lists(st.integers(0, 60), max_size=5))
@settings(deadline=None)
def test_batches_do_not_matter(log: list[Record], cuts: list[int]) -> None:
    whole, pieces = new_state(), new_state()
    whole.fold(log)
    bounds = [0, *sorted(cuts), len(log)]
    for begin, end in pairwise(bounds):
        pieces.fold(log[begin:end])
    assert facts(pieces) == facts(whole)


@given(logs, st.lists(st.integers(0, 60), max_size=4), st.integers(0, 60), st.booleans())
@settings(deadline=None)
def test_a_crash_anywhere_does_not_matter(log: list[Record], saves: list[int], crash: int, publish: bool) -> None:
    whole = new_state()
    whole.fold(log)
    state, written, at = new_state(), [], 0
    for save in sorted(min(s, crash) for s in saves):
        state.fold(log[at:save])
        at = max(at, save)
        written += changelog(state)
        if publish:
            state.changed_rows(START)
    state.fold(log[at:crash])  # folded, never saved: lost with the process
    again = restored(written)
    again.fold(log)  # what was folded before the mark is skipped
    assert facts(again) == facts(whole)


@given(logs, st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=8), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_checkpoints_of_two_owners_in_any_order_make_one_truth(
    log: list[Record], turns: list[tuple[bool, int]], random: Any
) -> None:
    """A worker that lost the partition goes on writing: its checkpoints are true too, only older or newer."""
    owners = [new_state(), new_state()]
    written: list[bytes] = []
    for second, until in turns:
        owner = owners[second]
        owner.fold(log[:until])
        if owner.unsaved:
            written += changelog(owner, b"b" if second else b"a")
    mark = max((owner.saved_position for owner in owners), default=0)
    random.shuffle(written)
    state = restored(written)
    whole = new_state()
    whole.fold(log[: max(mark, 0)])
    assert facts(state) == facts(whole)
    state.fold(log)
    whole.fold(log)
    assert facts(state) == facts(whole)


@given(logs, st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 6), st.integers(0, 3))
@settings(deadline=None)
def test_a_complete_rewrite_holds_everything(log: list[Record], saves: list[int], slice_: int, begin: int) -> None:
    """What was written since a rewrite began is the whole state once the rewrite is complete."""
    state = new_state()
    written: list[bytes] = []
    complete = False
    for number, save in enumerate(sorted(saves)):
        state.fold(log[:save])
        if number == begin:
            state.start_rewrite()
            written.clear()  # deleted, once the rewrite is complete
        checkpoint = state.checkpoint(rewrite=slice_)
        written += encode(checkpoint, b"a")
        complete = complete or checkpoint.rewritten
    while not complete and len(saves) > begin:
        state.fold(log[: state.position + 1])
        checkpoint = state.checkpoint(rewrite=slice_)
        written += encode(checkpoint, b"a")
        complete = checkpoint.rewritten
    again = restored(written)
    assert facts(again) == facts(state)
    # What is kept of each actor shows only in what later events change.
    again.fold(log)
    state.fold(log)
    assert facts(again) == facts(state)


def test_half_a_checkpoint_counts_for_nothing() -> None:
    big = [(bytes([n]), b"x" * (MAX_PART_BYTES // 2)) for n in range(5)]
    parts = list(encode(Checkpoint(7, {"watermark": 1}, big), b"w"))
    assert len(parts) == 5
    kept = MemorySnapshot()
    restorer = Restorer(kept)
    for offset, part in enumerate(parts[:-1]):
        restorer.add(part, offset)
    assert (kept.position, kept.values) == (None, {})
    restorer.add(parts[-1], 4)
    assert kept.position == 7
    assert kept.meta == {"watermark": 1}
    assert len(kept.values) == 5


def test_a_changelog_of_another_version_is_refused() -> None:
    with pytest.raises(UserError, match="format 99"):
        Restorer().add(msgpack.packb(((99, b"w", 1, 0, 1, {}), [])), 0)


def test_what_a_reader_sees() -> None:
    state = new_state()
    state.fold(
        [
            Record(0, START, None, event(1, "u1", "look", START)),
            Record(1, START, None, event(2, "u1", "buy", START + 60_000, amount=19.99)),
            Record(2, START, None, event(2, "u1", "buy", START + 60_000, amount=19.99)),  # sent again
            Record(3, START, None, event(3, "u2", "look", START, platform="web")),
            Record(4, START, None, b"{"),
        ]
    )
    assert {outcome.name: n for outcome, n in state.totals.items() if n} == {
        "ACCEPTED": 3,
        "DUPLICATE": 1,
        "REJECTED": 1,
    }
    rows, _, partition = state.changed_rows(START)
    hour = {row.value: (row.events, row.amount, round(row.users)) for row in rows
            if row.grain == "hour" and row.dimension == "platform"}  # fmt: skip
    assert hour == {("ios",): (2, 19_990_000, 1), ("web",): (1, 0, 1)}
    assert (partition.version, partition.watermark, partition.accepted) == (5, START + 60_000, 3)
    funnel = {row.value: row.users for row in state.funnels.rows(list(state.funnels.counter_keys()), 0)
              if row.funnel == "buying"}  # fmt: skip
    assert funnel == {"ios": (1, 1), "web": (1, 0), "": (2, 1)}


def test_where_an_actor_counted_for_a_moment_is_told_again_by_whoever_reads_it_at_once() -> None:
    """Somebody else may have published the moment, or saved it: it must not stay."""
    log = numbered([event(0, "u", "look", START + 1000, "web"), event(1, "u", "look", START, "ios")])
    before = new_state()
    before.fold(log[:1])
    published = {(row.funnel, row.breakdown, row.value): row for row in before.changed_rows(START)[1]}
    saved = changelog(before, b"before")
    after = new_state()
    after.fold(log)
    for row in after.changed_rows(START)[1]:
        at = row.funnel, row.breakdown, row.value
        if at not in published or row.version > published[at].version:
            published[at] = row
    found = {
        value: row.users for (funnel, by, value), row in published.items() if (funnel, by) == ("buying", "platform")
    }
    assert found == {"web": (0, 0), "ios": (1, 0)}
    own = changelog(after)
    for records in ([*own, *saved], [*saved, *own]):
        assert facts(restored(records)) == facts(after)


def test_values_beyond_the_bound_are_counted_as_other() -> None:
    state = new_state()
    platforms = ["ios", "web", "android", "tv", "car", "ios", "tv"]
    state.fold([Record(i, START, None, event(i, "u", "look", START, p)) for i, p in enumerate(platforms)])
    rows = state.activity.rows(list(state.activity.accumulators), 0)
    found = {row.value[0]: row.events for row in rows if row.grain == "hour" and row.dimension == "platform"}
    assert found == {"ios": 2, "web": 1, "android": 1, "(other)": 3}


def test_closed_windows_leave_memory_once_they_are_published() -> None:
    state = new_state()
    state.fold([Record(0, START, None, event(0, "u", "look", START))])
    minute = START - START % 60_000
    later = START + 3 * 3_600_000
    state.fold([Record(1, later, None, event(1, "u", "look", later))])
    state.expire()
    assert any(key.grain == "minute" and key.start == minute for key in state.activity.accumulators)
    state.changed_rows(later)
    state.fold([Record(2, later, None, event(2, "u", "look", later + 60_000))])
    state.expire()
    assert not any(key.grain == "minute" and key.start == minute for key in state.activity.accumulators)
    assert Outcome.ACCEPTED in state.totals


def test_what_is_closed_and_published_is_not_restored() -> None:
    """A burst leaves a million windows in the changelog: whoever starts again needs those alone that may change."""
    state = new_state()
    state.fold([Record(0, START, None, event(0, "u", "look", START))])
    later = START + 3 * 3_600_000
    state.fold([Record(1, later, None, event(1, "u", "look", later))])
    before = changelog(state)
    assert {key.start for key in restored(before).activity.accumulators if key.grain == "minute"} == {
        START - START % 60_000,
        later - later % 60_000,
    }
    state.changed_rows(later)
    state.published()
    state.expire()
    assert state.unsaved  # though no record has come
    again = restored([*before, *changelog(state)])
    assert not again.unsaved
    assert {(key.grain, key.start) for key in again.activity.accumulators} == {
        ("minute", later - later % 60_000),
        ("hour", later - later % 3_600_000),
        ("day", 1_790_006_400_000),
        ("day_utc", 1_789_948_800_000),
    }
    assert {key.bucket for key in again.funnels.counter_keys() if key.funnel == "buying"} == {later - later % 3_600_000}


steps = st.lists(
    st.one_of(st.integers(1, 12), st.sampled_from(["publish", "lost", "save", "crash"])), min_size=1, max_size=30
)


@given(logs, steps)
@settings(deadline=None)
def test_what_is_published_in_the_end_is_the_same_whatever_crashed(log: list[Record], steps: list[int | str]) -> None:
    """Nothing is forgotten that readers have not got."""

    def publish(state: PartitionState, into: dict[Any, Any]) -> None:
        rows, counters, _ = state.changed_rows(START)
        for row in [*rows, *counters]:
            key = row[: row._fields.index("version")]
            if key not in into or into[key].version <= row.version:
                into[key] = row
        state.published()
        state.expire()

    def told(rows: dict[Any, Any]) -> dict[Any, Any]:
        return {
            key: (row.events, row.amount, round(row.users), round(row.registrations)) if hasattr(row, "events")
            else (row.users, row.step_count, tuple(sorted(each.items()) for each in row.bins))
            for key, row in rows.items() if hasattr(row, "events") or any(row.users)
        }  # fmt: skip

    state, written, published = new_state(), list[bytes](), dict[Any, Any]()
    for step in steps:
        if isinstance(step, int):
            state.fold(log[state.position : state.position + step])
        elif step == "publish":
            publish(state, published)
        elif step == "lost":
            state.changed_rows(START)
            state.publish_again()
        elif step == "save":
            written += changelog(state)
        else:
            state = restored(written)
    state.fold(log[state.position :])
    publish(state, published)
    whole, expected = new_state(), dict[Any, Any]()
    whole.fold(log)
    publish(whole, expected)
    assert told(published) == told(expected)


def test_the_last_half_hour_is_whole_with_a_shorter_lateness() -> None:
    """A window that is closed and published still counts in the sliding spans."""
    state = new_state()
    values = [event(n, f"u{n}", "look", START + n * 60_000) for n in range(29)]
    state.fold(numbered(values))
    state.changed_rows(START)
    state.published()
    state.expire()
    row = state.partition_row(START + 28 * 60_000)
    assert [round(n) for n in (row.active_1m, row.active_5m, row.active_30m)] == [2, 5, 29]


@given(st.lists(values, max_size=40))
@settings(deadline=None)
def test_events_that_are_accepted_already_are_measured_as_their_records_are(found: list[bytes]) -> None:
    log = numbered(found)
    by_records, by_events = new_state(), new_state()
    for record in log:
        result = by_records.fold([record])
        assert result is not None
        accepted = [e for e, o in zip(result.events, result.outcomes, strict=True) if o is Outcome.ACCEPTED]
        by_events.fold_accepted(accepted, record.offset + 1)  # type: ignore[arg-type]
    mine, theirs = facts(by_events), facts(by_records)
    for what in ("mark", "watermark", "activity", "funnels"):
        assert mine[what] == theirs[what], what
    assert by_events.totals[Outcome.ACCEPTED] == by_records.totals[Outcome.ACCEPTED]


def test_a_property_as_long_as_a_record_stops_nobody() -> None:
    """As a dimension, and as the value that somebody's funnel counts under."""
    plan = parse_plan(
        """
product: Test
dimensions: [properties.text]
events: {look: {}, buy: {}}
funnels: {buying: {steps: [look, buy], window: 1h, breakdown: [properties.text], attribution: last}}
"""
    )
    state = PartitionState(plan, Validator(plan), 0, 1)
    records = [
        Record(i, START, None, json.dumps({"event_id": f"e{i}", "event": name, "user_id": "u", "ts": START + i,
                                           "properties": {"text": text}}).encode())
        for i, (name, text) in enumerate([("look", "y" * 100_000), ("buy", "支" * 100_000), ("look", "short")])
    ]  # fmt: skip
    state.fold(records)
    assert state.totals[Outcome.ACCEPTED] == 3
    values = {row.value[0] for row in state.activity.rows(state.activity.accumulators, 0) if row.dimension}
    assert values == {"y" * 256, "支" * 256, "short"}
    parts = list(encode(state.checkpoint(), b"w"))
    assert sum(map(len, parts)) < 20_000
    restorer = Restorer()
    for part in parts:
        restorer.add(part, restorer.records)
    again = PartitionState(plan, Validator(plan), 0, 1)
    again.restore(restorer.snapshot)
    assert list(again.funnels.rows(again.funnels.counter_keys(), 0))


def test_a_total_that_is_published_late_has_all_its_values() -> None:
    """One value's row is stored, another's changes meanwhile, and the bucket is final by then: both make the total."""
    state = new_state()
    at = START // 3_600_000 * 3_600_000
    state.fold([Record(0, START, None, event(0, "u0", "look", at, "ios"))])
    state.changed_rows(START)
    late = [event(1, "u1", "look", at + 1, "web"), event(2, "u2", "join", at + 90_000_000)]
    state.fold([Record(1 + i, START + 90_000_000, None, value) for i, value in enumerate(late)])
    state.published()
    state.expire()
    rows = state.changed_rows(START)[1]
    totals = {row.breakdown: row.users for row in rows if row.funnel == "buying" and row.value == ""}
    assert totals == {"": (2, 0)}
