"""Several partitions that write to each other, in memory: logs, states, crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from persons.oracle import Oracle
from pydantic_core import to_json

from pipeline.ingest.links import person_header
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.records import ORIGIN_HEADER, Record
from pipeline.ingest.validate import Validator
from pipeline.measure.entries import Entries
from pipeline.measure.rows import ActivityRow, FunnelRow
from pipeline.measure.windows import grains
from pipeline.replay.live import collect
from pipeline.replay.measures import Measures
from pipeline.simulate import Logged
from pipeline.state.checkpoint import Restorer, encode
from pipeline.state.disk import Disk
from pipeline.state.partition import PartitionState
from schemas.plan import Plan

WRITTEN = 4_000_000_000_000  # time of the records: later than all events


def home_of(identifier: str, partitions: int) -> int:
    """The partition that an id lives in."""
    return int(partitions_of([identifier.encode()], partitions)[0])


@dataclass
class Cluster:
    """Partitions, each with a log, a worker, and the changelog that it has written."""

    plan: Plan
    partitions: int
    new_disk: Callable[[int], Disk] | None = None
    logs: list[list[Record]] = field(default_factory=list)
    states: list[PartitionState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.validator = Validator(self.plan)
        self.logs = [[] for _ in range(self.partitions)]
        self.restorers = [Restorer() for _ in range(self.partitions)]
        self.disks = [self.new_disk(p) if self.new_disk else None for p in range(self.partitions)]
        self.states = [self._new_state(p) for p in range(self.partitions)]
        #: What is published, as ClickHouse keeps it: of two rows the one with the higher version, of equals the later.
        self.rows: dict[Any, ActivityRow | FunnelRow] = {}

    def _new_state(self, p: int) -> PartitionState:
        return PartitionState(self.plan, self.validator, p, self.partitions, self.disks[p])

    def write(self, p: int, value: bytes, headers: Sequence[tuple[str, bytes | None]] = ()) -> None:
        """Append a record to a log."""
        self.logs[p].append(Record(len(self.logs[p]), WRITTEN, None, value, tuple(headers)))

    def send(self, event: dict[str, Any], p: int | None = None) -> None:
        """Append an event where its actor lives, or to the log of partition `p`."""
        actor = event.get("user_id") or event["anonymous_id"]
        self.write(home_of(actor, self.partitions) if p is None else p, to_json(event))

    def fold(self, p: int, count: int) -> None:
        """Fold the next records of a partition; what they cause is in the logs afterwards."""
        state, log = self.states[p], self.logs[p]
        position = state.position
        result = state.fold(log[position : position + count])
        letters, state.letters = state.letters, []
        for i, home in (result.forwarded if result is not None else {}).items():
            record, event = result.records[i], result.events[i]  # type: ignore[union-attr]
            assert event is not None
            headers: list[tuple[str, bytes | None]] = [(ORIGIN_HEADER, f"{p}:{record.offset}".encode())]
            if i in result.hops:  # type: ignore[union-attr]
                headers.append(person_header(event.actor, result.hops[i]))  # type: ignore[union-attr]
            self.write(home, record.value or b"", headers)
        for letter in letters:
            self.write(letter.partition, letter.value, letter.headers)

    def save(self, p: int) -> None:
        """Write a checkpoint."""
        checkpoint = self.states[p].checkpoint()
        written = list(encode(checkpoint, b"w"))
        for part in written:
            self.restorers[p].add(part, self.restorers[p].records)
        self.states[p].acknowledged(checkpoint, len(written), self.restorers[p].records - 1)

    def publish(self, p: int) -> None:
        """Publish the rows that changed."""
        activity, funnels, _ = self.states[p].changed_rows(WRITTEN)
        rows: list[ActivityRow | FunnelRow] = [*activity, *funnels]
        for row in rows:
            key = row[:3] + row[4:6] if isinstance(row, ActivityRow) else row[:4] + row[5:7]
            if key not in self.rows or self.rows[key].version <= row.version:
                self.rows[key] = row
        self.states[p].published()

    def published(self) -> dict[Any, Any]:
        """As `figures`, of what is published once everything is."""
        windows: dict[Any, list[float]] = {}
        cohorts: dict[Any, tuple[list[int], list[list[int]]]] = {}
        for p in range(self.partitions):
            self.publish(p)
        for row in self.rows.values():
            if isinstance(row, ActivityRow):
                sums = windows.setdefault((row.grain, row.start, row.dimension, row.value), [0, 0, 0])
                for n, figure in enumerate((row.events, row.users, row.registrations)):
                    sums[n] += figure
                continue
            steps = len(row.users)
            users, times = cohorts.setdefault(
                (row.funnel, row.start, row.breakdown, row.value), ([0] * steps, [[0, 0] for _ in range(steps - 1)])
            )
            for n in range(steps):
                users[n] += row.users[n]
            for n, (count, total) in enumerate(zip(row.step_count, row.step_sum_ms, strict=True)):
                times[n][0] += count
                times[n][1] += total
        found: dict[Any, Any] = {k: (e, round(u), round(r)) for k, (e, u, r) in windows.items() if e or round(u)}
        return found | {k: (u, [tuple(t) for t in times]) for k, (u, times) in cohorts.items() if any(u)}

    def rewrite(self, p: int) -> None:
        """Write every entry again with the next checkpoint, and forget what was written before."""
        self.restorers[p] = Restorer()
        self.states[p].start_rewrite()

    def crash(self, p: int) -> None:
        """Lose the state of a partition, and restore it from what was saved."""
        self.states[p] = self._new_state(p)
        disk = self.disks[p]
        self.states[p].restore(self.restorers[p].snapshot if disk is None else disk)

    def drain(self) -> None:
        """Fold until nobody has anything left."""
        for _ in range(50):
            open_ = [p for p in range(self.partitions) if self.states[p].position < len(self.logs[p])]
            if not open_:
                return
            for p in open_:
                self.fold(p, 1000)
        raise AssertionError("the partitions write to each other without end")

    def outcomes(self) -> dict[str, int]:
        """Records by what became of them."""
        found: Counter[str] = Counter()
        for state in self.states:
            found.update({outcome.name.lower(): count for outcome, count in state.totals.items()})
        return dict(+found)

    def measures(self) -> Measures:
        """Everything that is counted, over the partitions."""
        found = Measures(self.plan)
        for state in self.states:
            collect(found, state, grains(self.plan.zone))
        return found


def held(entries: Entries) -> dict[str, bytes]:
    """What is kept of each, by id."""
    return {one: entry for one in entries.actors() if (entry := entries.get(one))}


def figures(found: Measures) -> dict[Any, Any]:
    """What is counted, without lines of nothing: windows to (events, users, registrations), cohorts to their cell."""
    windows = {
        (w.grain, w.start, w.dimension, w.value): (c.events, round(c.users), round(c.registrations))
        for w, c in found.activity.items()
        if c.events or round(c.users)
    }
    cohorts = {
        (c.funnel, c.start, c.breakdown, c.value): (cell.users, [(t.count, t.sum_ms) for t in cell.times])
        for c, cell in found.funnels.items()
        if any(cell.users)
    }
    return {**windows, **cohorts}


def oracle_of(plan: Plan, logs: Sequence[Sequence[Record]]) -> Oracle:
    """The rule applied to whole logs, one a partition."""
    found = {p: [Logged(r.timestamp or 0, r.value, r.headers) for r in log] for p, log in enumerate(logs)}
    return Oracle(plan, found, {p: [r.offset for r in log] for p, log in enumerate(logs)})
