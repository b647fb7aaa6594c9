"""The archiver: every record of the events topic into ClickHouse, once in effect.

How a record is never lost: its offset is committed after its row is acknowledged. How it is never doubled: a row is
named by the record's partition and offset, so inserting it again (after a timeout, a crash, by two archivers at
once) makes an equal row, and equal rows collapse.

What became of a record depends on the log before it (duplicates, lateness). ClickHouse holds what is needed to know
that, so an archiver that takes over a partition reads it from there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownMemberIdError

from pipeline.archiver.restore import Restoring, restore
from pipeline.archiver.rows import (
    DUPLICATE_COLUMNS,
    EVENT_COLUMNS,
    REJECTED_COLUMNS,
    STORED_AT,
    ArchiveBatch,
    Columns,
    with_time,
)
from pipeline.clickhouse.client import Connection
from pipeline.ingest.classify import Outcome, PartitionClassifier
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from schemas.plan import Plan

log = logging.getLogger(__name__)

#: A back-fill may touch many months in one insert; ClickHouse's default allows 100 partitions.
_INSERT_SETTINGS: Final = {"max_partitions_per_insert_block": 0}
_POLL_MS: Final = 200
_POLL_RECORDS: Final = 10_000


class Archiver(ConsumerRebalanceListener):  # type: ignore[misc]
    """One archiver process. `run` until cancelled, `stop` to end in order."""

    def __init__(self, settings: Settings, plan: Plan, partitions: int) -> None:
        self._settings, self._plan, self._partitions = settings, plan, partitions
        self._validator = Validator(plan)
        self.connection = Connection(settings)
        self._consumer: AIOKafkaConsumer | None = None
        self._classifiers: dict[int, PartitionClassifier] = {}
        self._next: dict[int, int] = {}
        self._batch = ArchiveBatch(settings.stream)
        self._batch_since = 0.0
        self._writing: asyncio.Task[None] | None = None
        #: Counts rebalances: what was begun before one must not be finished after it.
        self._generation = 0
        #: Whether the group has given us our partitions (perhaps none), and they were not taken back since.
        self._assigned = False
        #: By partition: a gap in the offsets that was seen once (expected, found); it is believed the second time.
        self._gaps: dict[int, tuple[int, int]] = {}
        self._stopping = asyncio.Event()
        self.totals = dict.fromkeys(Outcome, 0)
        self.inserted = 0
        self.inserts = 0
        self.insert_seconds = 0.0
        #: How old the newest event of the last batch was when it could be queried, ms.
        self.freshness_ms: int | None = None
        #: By partition owned: everything before this offset is in ClickHouse.
        self.stored: dict[int, int] = {}

    # -- figures -------------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Whether records are being archived, and which dependency is ill."""
        problems = {}
        trouble = self.connection.health.problem()
        if trouble:
            problems["clickhouse"] = trouble
        if not self._assigned:
            problems["kafka"] = "not joined yet"
        lag = self.lag()
        return {
            "role": "archiver", "ready": not problems, "problems": problems,
            "lag": sum(lag.values()) if self._assigned and lag.keys() == self.stored.keys() else None,
            "stored": dict(sorted(self.stored.items())), "inserted": self.inserted,
            "totals": {outcome.name.lower(): count for outcome, count in self.totals.items()},
        }  # fmt: skip

    def lag(self) -> dict[int, int]:
        """By partition owned: the records that are not in ClickHouse yet. Partitions not looked at yet are absent."""
        topic, found = self._settings.events_topic, {}
        for partition, offset in self.stored.items():
            end = self._consumer.highwater(TopicPartition(topic, partition)) if self._consumer else None
            if end is not None:
                found[partition] = max(0, end - offset)
        return found

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Archive until `stop`. Raises what ends it otherwise."""
        settings = self._settings
        self._consumer = consumer = AIOKafkaConsumer(
            **settings.kafka_kwargs(),
            group_id=f"{settings.group}-archiver",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 4),
            max_poll_interval_ms=3_600_000,  # ClickHouse may be away for long: that is no reason to lose partitions
            max_partition_fetch_bytes=1 << 20,
            fetch_max_wait_ms=_POLL_MS,
        )
        await consumer.start()
        try:
            consumer.subscribe([settings.events_topic], listener=self)
            while not self._stopping.is_set():
                await self._step(consumer)
            await self._write_out()
        finally:
            await consumer.stop()
            await self.connection.close()

    def stop(self) -> None:
        """Ask `run` to write what it has, commit and end."""
        self._stopping.set()

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        """Take in what has arrived; start an insert when the batch is large or old enough.

        One insert is under way and one batch is filling, never more: that bounds the memory.
        """
        if self._batch.records >= self._settings.archiver_batch_rows and self._writing is not None:
            await asyncio.wait({self._writing})
        room = max(1, self._settings.archiver_batch_rows - self._batch.records)
        fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=min(room, _POLL_RECORDS))
        generation = self._generation
        for tp, records in fetched.items():
            if not self._follows(consumer, tp, records[0].offset):
                continue
            if tp.partition not in self._classifiers:
                # Everything before the first record is in ClickHouse: offsets are committed after the insert.
                restored = await self._restored(tp.partition, self._next[tp.partition])
                if generation != self._generation:
                    # The partitions have moved meanwhile. What was fetched before that is fetched again.
                    for again in fetched.keys() & consumer.assignment():
                        if again.partition in self._next:
                            consumer.seek(again, self._next[again.partition])
                    return
                self._classifiers[tp.partition] = restored
            self._take_in(tp.partition, records)
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._batch.records and self._writing is None and self._due():
            self._start_writing()

    def _due(self) -> bool:
        if self._batch.records >= self._settings.archiver_batch_rows:
            return True
        return time.monotonic() - self._batch_since >= self._settings.archiver_batch_seconds

    def _follows(self, consumer: AIOKafkaConsumer, tp: TopicPartition, first: int) -> bool:
        """Whether records that begin at `first` come next; if records seem to be missing, go back for them.

        A fetch that was under way during a rebalance may return what lies behind the place where we resume. A log
        can have gaps, too (its beginning was deleted, a transaction's markers): then the second look is the same.
        """
        expected = self._next.get(tp.partition)
        if expected is None:
            return False
        if first <= expected or self._gaps.get(tp.partition) == (expected, first):
            return True
        self._gaps[tp.partition] = (expected, first)
        consumer.seek(tp, expected)
        return False

    def _take_in(self, partition: int, records: list[Any]) -> None:
        following = self._next[partition]
        if records[0].offset < following:
            records = [record for record in records if record.offset >= following]
            if not records:
                return
        # aiokafka's records have the attributes of `Record`.
        result = self._classifiers[partition].classify(records)
        for outcome in Outcome:
            self.totals[outcome] += result.outcomes.count(outcome)
        if not self._batch.records:
            self._batch_since = time.monotonic()
        self._batch.add(partition, result)
        self._next[partition] = records[-1].offset + 1

    # -- writing -------------------------------------------------------------------------------------------------

    def _start_writing(self) -> None:
        batch, self._batch = self._batch, ArchiveBatch(self._settings.stream)
        self._writing = asyncio.create_task(self._write(batch))

    async def _finish_writing(self) -> None:
        if self._writing is not None:
            await self._writing
            self._writing = None

    async def _write_out(self) -> None:
        """Insert and commit everything taken in."""
        await self._finish_writing()
        if self._batch.records:
            self._start_writing()
            await self._finish_writing()

    async def _write(self, batch: ArchiveBatch) -> None:
        at = EVENT_COLUMNS.index("value")
        batch.events[at] = [Decimal(micro).scaleb(-6) if micro else 0 for micro in batch.events[at]]
        newest = max(batch.events[EVENT_COLUMNS.index("ts")], default=None)
        for table, names, columns in (
            ("events_raw", EVENT_COLUMNS, batch.events),
            ("rejected_raw", REJECTED_COLUMNS, batch.rejected),
            ("duplicates_raw", DUPLICATE_COLUMNS, batch.duplicates),
        ):
            if columns[0]:
                started = time.perf_counter()
                await self._insert(table, names, columns)
                self.insert_seconds += time.perf_counter() - started
                self.inserts += 1
                self.inserted += len(columns[0])
                for column in columns:
                    column.clear()  # the driver's objects are a cycle, and would hold the rows until it is collected
        if newest is not None:
            self.freshness_ms = max(0, int(time.time() * 1000) - newest)
        self.stored |= {p: offset for p, offset in batch.offsets.items() if p in self.stored}
        await self._commit(batch.offsets)

    async def _insert(self, table: str, names: Sequence[str], columns: Columns) -> None:
        # Our own clock: retention counts from here. The producers' clocks may say anything.
        names, rows = [*names, STORED_AT], with_time(columns, int(time.time() * 1000))
        await self.connection.insist(
            lambda: self.connection.insert(table, names, rows, _INSERT_SETTINGS),
            f"the insert of {len(columns[0])} rows into {table}",
        )

    async def _commit(self, offsets: dict[int, int]) -> None:
        assert self._consumer is not None
        topic = self._settings.events_topic
        owned = {tp.partition for tp in self._consumer.assignment()}
        wanted = {TopicPartition(topic, p): offset for p, offset in offsets.items() if p in owned}
        if not wanted:
            return
        try:
            await self._consumer.commit(wanted)
        except (CommitFailedError, IllegalStateError, UnknownMemberIdError) as exc:
            log.info("offsets not committed, the partitions have moved on: %r", exc)
        except KafkaError as exc:
            # The next commit covers these offsets too; until then a crash repeats inserts that change nothing.
            log.warning("offsets not committed: %r", exc)

    # -- rebalances ----------------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Write out what was taken in while the partitions are still ours, and forget their states."""
        self._generation += 1
        self._assigned = False
        try:
            await asyncio.wait_for(self._write_out(), self._settings.session_timeout_s / 2)
        except TimeoutError:
            log.warning("ClickHouse is slow: the next owner repeats what was not inserted")
        self._writing = None
        self._batch = ArchiveBatch(self._settings.stream)
        self._classifiers.clear()
        self._next.clear()
        self._gaps.clear()
        self.stored.clear()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Resume each partition after what is acknowledged; its state is read when its first record comes."""
        consumer = self._consumer
        assert consumer is not None
        self._generation += 1
        begin = await consumer.beginning_offsets(list(assigned)) if assigned else {}
        for tp in assigned:
            committed = await consumer.committed(tp)
            # Offsets before the log's beginning are gone; offsets are never skipped otherwise.
            start = max(begin[tp], committed or 0)
            consumer.seek(tp, start)
            self._next[tp.partition] = self.stored[tp.partition] = start
        self._assigned = True

    async def _restored(self, partition: int, offset: int) -> PartitionClassifier:
        """The classifier as it stood before `offset`, from the rows in ClickHouse."""
        classifier = PartitionClassifier(self._plan, self._validator, partition, self._partitions)
        if offset == 0:
            return classifier
        questions = Restoring(self._settings.stream, partition, offset, classifier.seen.span)
        await restore(classifier, questions, self._query)
        log.info("partition %s restored before offset %s: %s ids", partition, offset, len(classifier.seen))
        return classifier

    async def _query(self, sql: str, parameters: dict[str, Any]) -> Any:
        async def ask(client: Any) -> Any:
            return (await client.query(sql, parameters=parameters)).result_rows

        return await self.connection.insist(lambda: self.connection.run(ask), "reading the archive's state")
