"""What the archiver has collected, into ClickHouse: one batch as one insert a table, tried until it is acknowledged."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Final

from pipeline.archiver.rows import (
    EVENT_COLUMNS,
    EVENTS_TABLE,
    STORED_AT,
    ArchiveBatch,
    Columns,
    with_time,
)
from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.gaps import GAP_COLUMNS, GAPS_TABLE, gap_columns
from pipeline.clickhouse.topic import same_topic
from pipeline.settings import Settings

#: A back-fill may touch many months in one insert; ClickHouse's default allows 100 partitions.
_INSERT_SETTINGS: Final = {"max_partitions_per_insert_block": 0}


class Inserter:
    """Inserts batches. Nothing is inserted before it is known that the topic is the stream's.

    `topic_id` is the topic's id, "" where Kafka tells none.
    """

    def __init__(self, settings: Settings, connection: Connection, topic_id: str) -> None:
        self._settings, self._connection, self._topic_id = settings, connection, topic_id
        self._same_topic: asyncio.Task[None] | None = None
        #: Rows, inserts, and the seconds that these took.
        self.inserted = 0
        self.inserts = 0
        self.insert_seconds = 0.0
        #: How old the newest event of the last batch was when it could be queried, ms.
        self.freshness_ms: int | None = None

    def start(self) -> None:
        """Begin to ask which topic the stream is of."""
        if self._topic_id:
            self._same_topic = asyncio.create_task(
                self._connection.insist(
                    lambda: same_topic(self._connection, self._settings, self._topic_id),
                    "asking which topic the stream is of",
                )
            )

    def check(self) -> None:
        """Raise AnotherTopicError if the stream is known to be another topic's."""
        if self._same_topic is not None and self._same_topic.done():
            self._same_topic.result()

    def stop(self) -> None:
        """Ask no longer."""
        if self._same_topic is not None:
            self._same_topic.cancel()

    async def insert(self, batch: ArchiveBatch) -> None:
        """Store a batch, however long that takes."""
        await self._insert_all(batch)
        # The driver's objects are cycles. An archiver makes hardly anything else that has to be collected, so they
        # would lie between its large buffers, or hold its rows, for hundreds of inserts: a back-fill of 10 million
        # events took 1.3 GB. To look for them takes 3 ms, once an insert.
        gc.collect()

    async def _insert_all(self, batch: ArchiveBatch) -> None:
        if self._same_topic is not None:
            await self._same_topic
        if batch.gaps:
            await self._insert(GAPS_TABLE, GAP_COLUMNS, gap_columns(self._settings.stream, "archiver", batch.gaps))
        for table, names, columns in batch.tables():
            if table == EVENTS_TABLE:
                await self._insert_events(batch)
            elif columns[0]:
                started = time.perf_counter()
                rows = with_time(columns, _now())
                await self._insert(table, [*names, STORED_AT], rows)
                self._done(len(columns[0]), started)

    async def _insert_events(self, batch: ArchiveBatch) -> None:
        rows, data = batch.native(_now())
        if not rows:
            return
        started = time.perf_counter()
        await self._connection.insist(
            lambda: self._connection.insert_native(EVENTS_TABLE, [*EVENT_COLUMNS, STORED_AT], data, _INSERT_SETTINGS),
            f"the insert of {rows} rows into {EVENTS_TABLE}",
        )
        self._done(rows, started)
        if batch.newest is not None:
            self.freshness_ms = max(0, _now() - batch.newest)

    async def _insert(self, table: str, names: Sequence[str], columns: Columns) -> None:
        await self._connection.insist(
            lambda: self._connection.insert(table, names, columns, _INSERT_SETTINGS),
            f"the insert of {len(columns[0])} rows into {table}",
        )

    def _done(self, rows: int, started: float) -> None:
        self.insert_seconds += time.perf_counter() - started
        self.inserts += 1
        self.inserted += rows


def _now() -> int:
    """Our own clock: retention counts from here. The producers' clocks may say anything."""
    return int(time.time() * 1000)
