"""Whether a system's rows say what our fold makes of the same log."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer

from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.measure.sketches import LG_K
from pipeline.measure.windows import grains
from pipeline.replay.live import collect
from pipeline.replay.measures import Measures
from pipeline.state.partition import PartitionState
from schemas.plan import Plan

#: Four standard errors of the difference of two sketches.
_ERROR: Final = 4 * sqrt(2) * 1.04 / sqrt(1 << LG_K)
_OUTCOMES: Final = (Outcome.ACCEPTED, Outcome.LATE, Outcome.DUPLICATE, Outcome.REJECTED)
_SAID: Final = 5


class Activity(NamedTuple):
    """What a window counts; the last three are estimates."""

    events: int
    amount: int
    users: float
    sessions: float
    registrations: float


@dataclass
class Figures:
    """What a system found in a log, over all partitions."""

    totals: dict[str, int] = field(default_factory=dict)
    #: By grain, start, dimension and value.
    activity: dict[tuple[str, int, str, str], Activity] = field(default_factory=dict)
    #: By funnel, start, breakdown and value: users by step, summed times by transition, and their histograms.
    funnels: dict[tuple[str, int, str, str], tuple[Any, ...]] = field(default_factory=dict)


async def folded(plan: Plan, bootstrap: str, topic: str) -> Figures:
    """What the worker's fold makes of a topic."""
    states: dict[int, PartitionState] = {}
    validator = Validator(plan)
    async for records in _read(bootstrap, topic):
        partition = records[0].partition
        if partition not in states:
            states[partition] = PartitionState(plan, validator, partition, await _partitions(bootstrap, topic))
        states[partition].fold([Record(r.offset, r.timestamp, r.key, r.value, (), r.timestamp_type) for r in records])
    measures = Measures(plan)
    for state in states.values():
        collect(measures, state, grains(plan.zone))
    return figures_of(measures)


def figures_of(measures: Measures) -> Figures:
    """What a replay has measured, as figures."""
    found = Figures({outcome.name.lower(): measures.totals.outcomes[outcome] for outcome in _OUTCOMES})
    for window, counts in measures.activity.items():
        found.activity[window.grain, window.start, window.dimension, ",".join(window.value)] = Activity(*counts)
    for cohort, cell in measures.cohorts():
        bins = [dict(times.bins) for times in cell.times]
        sums = [times.sum_ms for times in cell.times]
        found.funnels[cohort.funnel, cohort.start, cohort.breakdown, cohort.value] = (list(cell.users), sums, bins)
    return found


async def written(bootstrap: str, topic: str) -> Figures:
    """What a system has written into its topic of rows: the last one of each key counts."""
    last: dict[bytes, bytes] = {}
    async for records in _read(bootstrap, topic):
        last |= {record.key: record.value for record in records}
    return figures_in(map(json.loads, last.values()))


def figures_in(rows: Iterable[dict[str, Any]]) -> Figures:
    """What rows say, one a partition and key, all partitions together."""
    found = Figures(dict.fromkeys([outcome.name.lower() for outcome in _OUTCOMES], 0))
    cells: dict[tuple[str, int, str, str], tuple[list[int], list[int], list[dict[int, int]]]] = {}
    for row in rows:
        if row["kind"] == "partition":
            found.totals = {name: count + row[name] for name, count in found.totals.items()}
        elif row["kind"] == "activity":
            key = (row["grain"], row["start"], row["dimension"], row["value"])
            counts = Activity(*[row[name] for name in Activity._fields])
            before = found.activity.get(key)
            found.activity[key] = counts if before is None else _sum(before, counts)
        else:
            key = (row["funnel"], row["start"], row["breakdown"], row["value"])
            bins = [dict(zip(one[::2], one[1::2], strict=True)) for one in row["bins"]]
            cells[key] = _added(cells[key], row["users"], row["sums"], bins) if key in cells else (
                row["users"], row["sums"], bins
            )  # fmt: skip
    found.funnels = {key: cell for key, cell in cells.items() if any(cell[0])}
    return found


def _sum(one: Activity, other: Activity) -> Activity:
    (events, amount, *estimates), (more, of_it, *others) = one, other
    return Activity(events + more, amount + of_it, *[a + b for a, b in zip(estimates, others, strict=True)])


def _added(
    cell: tuple[list[int], list[int], list[dict[int, int]]],
    users: list[int],
    sums: list[int],
    bins: list[dict[int, int]],
) -> tuple[list[int], list[int], list[dict[int, int]]]:
    merged: list[dict[int, int]] = []
    for mine, theirs in zip(cell[2], bins, strict=True):
        both: dict[int, int] = defaultdict(int, mine)
        for index, count in theirs.items():
            both[index] += count
        merged.append(dict(both))
    return (
        [a + b for a, b in zip(cell[0], users, strict=True)],
        [a + b for a, b in zip(cell[1], sums, strict=True)],
        merged,
    )


def differences(ours: Figures, theirs: Figures) -> list[str]:
    """In what `theirs` is not what `ours` is, in words; the first few."""
    found = list(_differences(ours, theirs))
    more = len(found) - _SAID
    return found[:_SAID] + ([f"and {more} more"] if more > 0 else [])


def _differences(ours: Figures, theirs: Figures) -> Iterator[str]:
    for name, count in ours.totals.items():
        if theirs.totals.get(name) != count:
            yield f"{name}: {theirs.totals.get(name)}, not {count}"
    for what, own, other in (
        ("activity", ours.activity, theirs.activity),
        ("funnel", ours.funnels, theirs.funnels),
    ):
        mine: dict[Any, Any] = dict(own)
        others: dict[Any, Any] = dict(other)
        for key in sorted(mine.keys() | others.keys()):
            if key not in others:
                yield f"{what} {key} is missing"
            elif key not in mine:
                yield f"{what} {key} should not be there"
            elif not (_alike(mine[key], others[key]) if what == "activity" else mine[key] == others[key]):
                yield f"{what} {key}: {others[key]}, not {mine[key]}"


def _alike(mine: Activity, theirs: Activity) -> bool:
    """Whether counts are equal and estimates near enough: exact where they are few."""
    near = [abs(a - b) <= max(0.5, _ERROR * max(a, b)) for a, b in zip(mine[2:], theirs[2:], strict=True)]
    return mine[:2] == theirs[:2] and all(near)


async def _partitions(bootstrap: str, topic: str) -> int:
    consumer: AIOKafkaConsumer[Any, Any] = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return len(consumer.partitions_for_topic(topic) or ())
    finally:
        await consumer.stop()


async def _read(bootstrap: str, topic: str) -> Any:
    """Everything that is committed in a topic by now, in lists of one partition each."""
    consumer: AIOKafkaConsumer[Any, Any] = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        while [one for one in ends if await consumer.position(one) < ends[one]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                yield records
    finally:
        await consumer.stop()
