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
from schemas.plan import Plan

Outcome = Literal["accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again"]


class Logged(NamedTuple):
    """A record as it stands in its partition. `origin` is the header of one that was sent on."""

    timestamp: int
    value: bytes | None
    origin: str | None = None


def home_of(actor: str, partitions: int) -> int:
    """The partition of an actor, as Kafka's Java client and aiokafka choose it."""
    hashed: int = murmur2(actor.encode()) & 0x7FFFFFFF
    return hashed % partitions


def expected(logs: Mapping[int, Sequence[Logged]], plan: Plan, partitions: int) -> dict[int, list[Outcome]]:
    """The outcome of each record of each partition, in the order of the log."""
    return {partition: _recount(log, plan, partition, partitions) for partition, log in logs.items()}


def _recount(log: Sequence[Logged], plan: Plan, partition: int, partitions: int) -> list[Outcome]:
    out: list[Outcome] = []
    watermark = 0
    half_horizon = max(1, plan.dedupe // 2)
    ids: dict[str, int] = {}  # to the half horizon in which it was accepted: known in that and the next two
    origins: dict[str, int] = {}
    for record in log:
        event = event_of(record.value, plan)
        if event is None or event.ts > record.timestamp + plan.max_future:
            out.append("rejected")
            continue
        if home_of(event.actor, partitions) != partition:
            out.append("forwarded")
            continue
        now = watermark // half_horizon
        id_known = event.event_id in ids and now - ids[event.event_id] <= 2
        origin_known = record.origin in origins and now - origins[record.origin] <= 2
        if id_known:
            out.append("forwarded_again" if origin_known else "duplicate")
        else:
            out.append("late" if event.ts < watermark - plan.lateness else "accepted")
            watermark = max(watermark, event.ts)
            ids[event.event_id] = watermark // half_horizon
        if record.origin is not None and not origin_known:
            origins[record.origin] = watermark // half_horizon
    return out


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
