"""What must become of every record of a log: a second opinion, slow and obvious, for tests and fault runs.

Plain dictionaries, one record at a time, none of the code that the worker runs. Where this and
`pipeline.ingest.classify` differ, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from aiokafka.partitioner import murmur2

from pipeline.ingest.sent import Sent
from pipeline.simulate.rules import event_of
from schemas.duration import DAY
from schemas.event import EARLIEST_TS, LATEST_TS
from schemas.plan import Plan

Outcome = Literal["accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again"]


class Logged(NamedTuple):
    """A record as it stands in its partition.

    `origin` is the header of one that was sent on. `broker_time`: the timestamp is the broker's, not the producer's.
    """

    timestamp: int
    value: bytes | None
    origin: str | None = None
    broker_time: bool = True


def home_of(actor: str, partitions: int) -> int:
    """The partition of an actor, as Kafka's Java client and aiokafka choose it."""
    hashed: int = murmur2(actor.removeprefix("$device:").encode()) & 0x7FFFFFFF
    return hashed % partitions


def expected(logs: Mapping[int, Sequence[Logged]], plan: Plan, partitions: int) -> dict[int, list[Outcome]]:
    """The outcome of each record of each partition, in the order of the log."""
    return {partition: _recount(log, plan, partition, partitions) for partition, log in logs.items()}


def _recount(log: Sequence[Logged], plan: Plan, partition: int, partitions: int) -> list[Outcome]:
    out: list[Outcome] = []
    watermark = 0
    half_horizon = max(1, plan.dedupe // 2)
    halves = [0]  # those in which the watermark stood: an id is known in its own and the next two of them
    ids: dict[str, int] = {}
    origins: dict[str, int] = {}
    clock = _Clock(max(plan.lateness, plan.max_future))

    def known(place: str | None, among: Mapping[str, int]) -> bool:
        return place is not None and place in among and among[place] in halves[-3:]

    for record in log:
        event = event_of(record.value, plan)
        has_time = EARLIEST_TS <= record.timestamp <= LATEST_TS
        if event is None or (EARLIEST_TS <= record.timestamp < event.ts - plan.max_future):
            out.append("rejected")
            continue
        if home_of(event.actor, partitions) != partition:
            out.append("forwarded")
            continue
        origin_known = known(record.origin, origins)
        if known(event.event_id, ids):
            out.append("forwarded_again" if origin_known else "duplicate")
        else:
            sure = has_time and record.broker_time
            far, believed = clock.tick(record.timestamp if has_time else event.ts, event.ts, sure)
            out.append("late" if far or event.ts < watermark - plan.lateness else "accepted")
            watermark = max(watermark, *believed, 0)
            if watermark // half_horizon != halves[-1]:
                halves.append(watermark // half_horizon)
            ids[event.event_id] = halves[-1]
        if record.origin is not None:
            origins[record.origin] = halves[-1]
    return out


class _Clock:
    """The time that the records of a partition agree on."""

    def __init__(self, tolerance: int) -> None:
        self.tolerance, self.now = tolerance, 0
        self.waiting: list[tuple[int, int]] = []

    def tick(self, time: int, ts: int, sure: bool) -> tuple[bool, list[int]]:
        """Hear a time and the event's; whether it is a month or more ahead, and the event times believed now."""
        believed = [ts] if self.now and ts <= self.now + self.tolerance else []
        if sure or (self.now and time <= self.now + self.tolerance):
            self.now, self.waiting = (time if sure else max(self.now, time)), []
            believed = [ts]
        elif not self.waiting or time < self.waiting[0][0]:
            self.waiting = [(time, ts)]
        elif time < self.waiting[0][0] + 10_000:
            self.waiting.append((time, ts))
        else:
            self.now = self.waiting[0][0]
            believed += [waited for _, waited in self.waiting]
            self.waiting = [(time, ts)]
            if time <= self.now + self.tolerance:
                self.now, self.waiting = time, []
                believed.append(ts)
        return not sure and self.now > 0 and time > self.now + 30 * DAY, believed


def delivered(records: Iterable[Sent], partitions: int, *, forward_for: Plan | None = None) -> dict[int, list[Logged]]:
    """The logs of a topic to which the records are produced in this order.

    Those without a key go round the partitions. With `forward_for`, a record in the wrong partition stands
    right away in the right one too, as if a worker had sent it on.
    """
    logs: dict[int, list[Logged]] = {partition: [] for partition in range(partitions)}
    unkeyed = 0
    for sent in records:
        partition = sent.partition
        if partition is None and sent.key is not None:
            partition = (murmur2(sent.key) & 0x7FFFFFFF) % partitions
        if partition is None:
            partition = unkeyed % partitions
            unkeyed += 1
        logs[partition].append(Logged(sent.at, sent.value))
        event = event_of(sent.value, forward_for) if forward_for is not None else None
        if event is not None and forward_for is not None and event.ts <= sent.at + forward_for.max_future:
            home = home_of(event.actor, partitions)
            if home != partition:
                origin = f"{partition}:{len(logs[partition]) - 1}"
                logs[home].append(Logged(sent.at, sent.value, origin))
    return logs
