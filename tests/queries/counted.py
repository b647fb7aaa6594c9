"""Events as worker and archiver would have written them, to be verified."""

from __future__ import annotations

import json
import time
from typing import Any

from migrated import give_back, take

from pipeline.archiver.rows import (
    DUPLICATE_COLUMNS,
    EVENT_COLUMNS,
    HANDOVER_COLUMNS,
    LINK_COLUMNS,
    REJECTED_COLUMNS,
    STORED_AT,
    ArchiveBatch,
    with_time,
)
from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.queries.comparison import Verification
from pipeline.queries.verify import verify
from pipeline.state.partition import PartitionState
from pipeline.worker.publisher import Publisher, decimal
from schemas.plan import Plan
from schemas.plan_io import parse_plan

PLAN = parse_plan(
    """
product: Test
timezone: Asia/Shanghai
lateness: 1h
registration: join
max_values: 2
dimensions: [platform, [event, platform]]
events:
  join: {}
  look: {}
  buy: {value: amount, properties: {amount: number!}}
funnels:
  buying: {steps: [look, buy], window: 5m, bucket: hour, breakdown: [platform]}
  once: {steps: [look, look, buy], window: 1h, modes: [strict_once], attribution: any, breakdown: [platform]}
"""
)
START = 1_790_000_000_000 - 1_790_000_000_000 % 3_600_000
NOW = int(time.time() * 1000)  # of the records: older rows would be removed by their retention


def event(
    number: int, user: str, name: str, ts: int, platform: str = "ios", session: str = "", amount: float = 19.99
) -> dict[str, Any]:
    fields: dict[str, Any] = {"event_id": f"e{number}", "event": name, "user_id": user, "ts": ts, "platform": platform}
    if session:
        fields["session_id"] = session
    if name == "buy":
        fields["properties"] = {"amount": amount}
    return fields


class System:
    """What worker and archiver would have written for these events, in the given partitions, folded by `batch`."""

    def __init__(
        self,
        server: EmbeddedClickHouse,
        events: list[dict[str, Any]],
        partitions: int = 2,
        now: int = START,
        batch: int = 1_000_000,
    ) -> None:
        self.server, self.now, self.batch = server, now, batch
        actors = [fields.get("user_id") or fields["anonymous_id"] for fields in events]
        homes = partitions_of([actor.encode() for actor in actors], partitions).tolist()
        self.logs: list[list[Record]] = [[] for _ in range(partitions)]
        for fields, home in zip(events, homes, strict=True):
            log = self.logs[home]
            log.append(Record(len(log), NOW, None, json.dumps(fields).encode()))
        self.validator = Validator(PLAN)

    async def __aenter__(self) -> System:
        self.settings = await take(self.server)
        self.connection = Connection(self.settings)
        publisher = Publisher(self.settings, PLAN)
        batch = ArchiveBatch(self.settings.stream)
        for partition, log in enumerate(self.logs):
            if log:
                state = PartitionState(PLAN, self.validator, partition, len(self.logs))
                for first in range(0, len(log), self.batch):
                    state.fold(log[first : first + self.batch])
                activity, funnels, row = state.changed_rows(self.now)
                await publisher.publish(activity, funnels, [row])
                batch.add(partition, PartitionClassifier(PLAN, self.validator, partition, len(self.logs)).classify(log))
        await publisher.close()
        at = EVENT_COLUMNS.index("value")
        batch.events[at] = [decimal(micro) for micro in batch.events[at]]
        for table, names, columns in (
            ("events_raw", EVENT_COLUMNS, batch.events),
            ("rejected_raw", REJECTED_COLUMNS, batch.rejected),
            ("duplicates_raw", DUPLICATE_COLUMNS, batch.duplicates),
            ("links_raw", LINK_COLUMNS, batch.links),
            ("handovers_raw", HANDOVER_COLUMNS, batch.handovers),
        ):
            if columns[0]:
                await self.connection.run(
                    lambda client, table=table, names=names, columns=columns: client.insert(
                        table, with_time(columns, NOW), column_names=[*names, STORED_AT], column_oriented=True
                    )
                )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await give_back(self.server, self.settings)

    async def run(self, sql: str) -> None:
        await self.connection.run(lambda client: client.command(sql))

    async def verify(self, plan: Plan = PLAN) -> Verification:
        return await verify(self.settings, plan)


EVENTS = [
    event(1, "u1", "join", START, session="s1"),
    event(2, "u1", "look", START + 1_000, session="s1"),
    event(3, "u1", "buy", START + 61_000, session="s1"),
    event(4, "u2", "look", START + 2_000, "web"),
    event(4, "u2", "look", START + 2_000, "web"),  # sent again
    event(7, "u3", "look", START + 3_000, "tv"),
    event(8, "u3", "nothing", START + 3_000),  # rejected
    event(5, "u2", "look", START + 7_200_000, "web"),
    event(6, "u2", "look", START + 1_000, "web"),  # more than an hour late
]


def again(table: str, changes: str, where: str) -> str:
    """Insert a row again with changed columns and a higher version, which the partition's row has too."""
    return f"INSERT INTO {table} SELECT * REPLACE ({changes}) FROM (SELECT * FROM {table} FINAL WHERE {where})"
