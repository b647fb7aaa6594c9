"""Both ways to the measures of a plan: partitions folded in batches with crashes, and SQL over the raw events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from pydantic_core import to_json

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.measure.windows import grains
from pipeline.replay import sql
from pipeline.replay.live import collect
from pipeline.replay.measures import Measures
from pipeline.state.checkpoint import Restorer, encode
from pipeline.state.partition import PartitionState
from schemas.plan import Plan

WRITTEN = 4_000_000_000_000  # time of the records: later than all events


def logs_of(events: Sequence[dict[str, Any]], partitions: int) -> list[list[Record]]:
    """The events as the logs of so many partitions, in the order given."""
    logs: list[list[Record]] = [[] for _ in range(partitions)]
    if events:
        homes = partitions_of([event["user_id"].encode() for event in events], partitions).tolist()
        for event, home in zip(events, homes, strict=True):
            logs[home].append(Record(len(logs[home]), WRITTEN, None, to_json(event)))
    return logs


def live(plan: Plan, logs: Sequence[list[Record]], cuts: Sequence[int] = (), crashes: Sequence[int] = ()) -> Measures:
    """Fold the logs in batches that end at `cuts`; at those numbered in `crashes` the state is lost and restored.

    A checkpoint is written after every other batch, so what a crash loses is folded again.
    """
    measures, validator = Measures(plan), Validator(plan)
    batch = count()
    for partition, log in enumerate(logs):
        restorer, offsets = Restorer(), count()
        state = PartitionState(plan, validator, partition, len(logs))
        for end in [*sorted(cut for cut in cuts if cut < len(log)), len(log)]:
            state.fold(log[state.position : end])
            number = next(batch)
            if number % 2:
                for record in encode(state.checkpoint(), b"test"):
                    restorer.add(record, next(offsets))
            if number in crashes:
                state = PartitionState(plan, validator, partition, len(logs))
                state.restore(restorer.snapshot)
        state.fold(log[state.position :])
        collect(measures, state, grains(plan.zone))
    return measures


def in_sql(plan: Plan, logs: Sequence[list[Record]], archive: sql.Archive) -> Measures:
    """Classify the logs as the archiver does, and measure in ClickHouse."""
    measures, validator = Measures(plan), Validator(plan)
    archive.clear()
    for partition, log in enumerate(logs):
        if log:
            result = PartitionClassifier(plan, validator, partition, len(logs)).classify(log)
            sql.count(measures, result)
            archive.add(partition, result)
    archive.measure(measures, grains(plan.zone))
    return measures
