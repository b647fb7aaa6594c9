"""Records as literals: what the tests of classification are written with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import ORIGIN_HEADER, Record
from pipeline.ingest.validate import Validator
from schemas.plan import Plan
from schemas.plan_io import parse_plan

#: 2026-10-01T00:00:00Z, a multiple of every horizon used in the tests.
T0 = 1_790_812_800_000
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000

PLAN = parse_plan(
    """
product: Tests
lateness: 1h
dedupe: 1h
max_future: 5m
events:
  look:
  buy:
    value: amount
    properties:
      amount: {type: number, min: 0}
"""
)


def event(event_id: str, ts: int, *, user: str = "u1", name: str = "look", **more: Any) -> dict[str, Any]:
    """An event of the plan above."""
    return {"event_id": event_id, "event": name, "user_id": user, "ts": ts, **more}


def record(
    offset: int,
    fields: dict[str, Any] | bytes | None,
    *,
    timestamp: int | None = None,
    origin: str | None = None,
) -> Record:
    """A record written at the time of its event, unless told otherwise."""
    if isinstance(fields, dict):
        timestamp = fields["ts"] if timestamp is None else timestamp
        fields = json.dumps(fields).encode()
    headers = ((ORIGIN_HEADER, origin.encode()),) if origin else ()
    return Record(offset, T0 if timestamp is None else timestamp, None, fields, headers)


def classifier(plan: Plan = PLAN, partition: int = 0, partitions: int = 1) -> PartitionClassifier:
    """A new partition."""
    return PartitionClassifier(plan, Validator(plan), partition, partitions)


def outcomes(records: Sequence[Record], plan: Plan = PLAN, *, batch: int = 1_000_000) -> list[str]:
    """What becomes of the records of a new partition that are handed over in batches of this size."""
    state = classifier(plan)
    found: list[str] = []
    for start in range(0, len(records), batch):
        found += [o.name.lower() for o in state.classify(records[start : start + batch]).outcomes]
    return found
