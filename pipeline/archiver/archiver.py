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
from typing import TYPE_CHECKING, Any, Final

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownMemberIdError

from pipeline.archiver.insert import Inserter
from pipeline.archiver.progress import ArchiveProgress
from pipeline.archiver.restore import Restoring, restore
from pipeline.archiver.rows import ArchiveBatch
from pipeline.clickhouse.client import Connection
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import UNFORESEEN, Outcome
from pipeline.ingest.validate import Validator
from pipeline.kafka.consumer import MAX_POLL_INTERVAL_MS, LogConsumer
from pipeline.measure.rows import GapRow
from pipeline.settings import Settings
from schemas.plan import Plan

if TYPE_CHECKING:
    from pipeline.telemetry.spans import Spans

log = logging.getLogger(__name__)

_OTHERS: Final = [outcome for outcome in Outcome if outcome is not Outcome.ACCEPTED]
_POLL_MS: Final = 200
_POLL_RECORDS: Final = 10_000
#: Values of so many bytes are an insert, however few records they are.
_BATCH_BYTES: Final = 64 << 20


class Archiver(ConsumerRebalanceListener):  # type: ignore[misc]
    """One archiver process. `run` until cancelled, `stop` to end in order."""

    def __init__(self, settings: Settings, plan: Plan, partitions: int, topic_id: str = "") -> None:
        self._settings, self._plan, self._partitions = settings, plan, partitions
        self._validator = Validator(plan, settings.validation)
        self.connection = Connection(settings)
        self.inserter = Inserter(settings, self.connection, topic_id)
        self._consumer: LogConsumer | None = None
        self._classifiers: dict[int, PartitionClassifier] = {}
        self._next: dict[int, int] = {}
        self._batch = ArchiveBatch(settings.stream)
        self._batch_since = 0.0
        self._writing: asyncio.Task[None] | None = None
        #: Counts rebalances: what was begun before one must not be finished after it.
        self._generation = 0
        #: By partition: a gap in the offsets that was seen once (expected, found); it is believed the second time.
        self._gaps: dict[int, tuple[int, int]] = {}
        self._stopping = asyncio.Event()
        self.progress = ArchiveProgress(settings.events_topic, settings.clickhouse_timeout_s)
        #: Where traced records are told (None: nowhere), and those of the batch, with when they were taken in.
        self.spans: Spans | None = None
        self._traced: list[tuple[float, Any]] = []

    def health(self) -> dict[str, Any]:
        """Whether records are being archived, and which dependency is ill."""
        return self.progress.health(self.connection.health.problem(), self.inserter.inserted)

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Archive until `stop`. Raises what ends it otherwise."""
        try:
            await self._run()
        except BaseException as exc:
            self.progress.ended = exc
            raise

    async def _run(self) -> None:
        settings = self._settings
        self._consumer = consumer = LogConsumer(
            **settings.kafka_kwargs(),
            group_id=f"{settings.group}-archiver",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 4),
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=1 << 20,
            fetch_max_wait_ms=_POLL_MS,
        )
        self.progress.consumer = consumer
        self.inserter.start()
        try:
            await consumer.start()
            consumer.subscribe([settings.events_topic], listener=self)
            while not self._stopping.is_set():
                await self._step(consumer)
            await self._write_out()
        finally:
            self.inserter.stop()
            await consumer.stop()
            await self.connection.close()

    def stop(self) -> None:
        """Ask `run` to write what it has, commit and end."""
        self._stopping.set()

    async def _step(self, consumer: LogConsumer) -> None:
        """Take in what has arrived; start an insert when the batch is large or old enough.

        One insert is under way and one batch is filling, never more: that bounds the memory.
        """
        if self._full() and self._writing is not None:
            await asyncio.wait({self._writing})
        room = max(1, self._settings.archiver_batch_rows - self._batch.records)
        fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=min(room, _POLL_RECORDS))
        self.progress.stepped_at = time.monotonic()
        self.inserter.check()
        generation = self._generation
        # Taken without a pause after the fetch: up to where it has read.
        read_to = {tp: consumer.read_to(tp) for tp in consumer.assignment()}
        for tp, end in read_to.items():
            expected = self._next.get(tp.partition)
            if expected is None:
                continue
            if consumer.lost_its_place(tp):
                begin = await consumer.read_on_from(tp, expected)
                if generation != self._generation:
                    self._fetch_again(consumer, fetched)
                    return
                consumer.seek(tp, begin)
                consumer.found_its_place(tp)
                self._skip(tp.partition, expected, begin)
                continue
            records = fetched.get(tp)
            if not records:
                if end is not None and end > expected:
                    self._move_on(tp.partition, end)
                continue
            if not self._follows(consumer, tp, records[0].offset):
                continue
            if tp.partition not in self._classifiers:
                # Everything before the first record is in ClickHouse: offsets are committed after the insert.
                restored = await self._restored(tp.partition, expected)
                if generation != self._generation:
                    self._fetch_again(consumer, fetched)
                    return
                self._classifiers[tp.partition] = restored
            self._take_in(tp.partition, records)
            self._move_on(tp.partition, end or 0)
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._batch.offsets and self._writing is None and self._due():
            self._start_writing()

    def _fetch_again(self, consumer: LogConsumer, fetched: Any) -> None:
        """The partitions have moved meanwhile: what was fetched before that is fetched again."""
        for again in fetched.keys() & consumer.assignment():
            if again.partition in self._next:
                consumer.seek(again, self._next[again.partition])

    def _move_on(self, partition: int, end: int) -> None:
        """The log has no more records before `end`: markers of transactions, and records of aborted ones."""
        if end > self._next[partition]:
            self._begin_batch()
            self._next[partition] = self._batch.offsets[partition] = end

    def _skip(self, partition: int, first: int, end: int) -> None:
        """What lay between was gone from the log before it was read."""
        if end <= first:
            return
        self._begin_batch()
        self._next[partition] = self._batch.offsets[partition] = end
        # Nothing is lost where nothing was ever read: a log that is older than we are begins where it does.
        if first > 0:
            self.progress.lost(partition, first, end)
            classifier = self._classifiers.get(partition)
            self._batch.gaps.append(GapRow(partition, first, end, classifier.watermark if classifier else 0))

    def _begin_batch(self) -> None:
        if not self._batch.offsets:
            self._batch_since = time.monotonic()

    def _full(self) -> bool:
        return self._batch.records >= self._settings.archiver_batch_rows or self._batch.bytes >= _BATCH_BYTES

    def _due(self) -> bool:
        return self._full() or time.monotonic() - self._batch_since >= self._settings.archiver_batch_seconds

    def _follows(self, consumer: LogConsumer, tp: TopicPartition, first: int) -> bool:
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
        classifier = self._classifiers[partition]
        result = classifier.classify(records)
        # That is for checkpoints; an archiver's are the rows.
        classifier.owners.changed.clear()
        classifier.aliases.changed.clear()
        accepted = result.outcomes.count(Outcome.ACCEPTED)
        self.progress.totals[Outcome.ACCEPTED] += accepted
        if accepted < len(records):
            for outcome in _OTHERS:
                self.progress.totals[outcome] += result.outcomes.count(outcome)
        for i, why in result.rejections.items():
            if why.reason == UNFORESEEN:
                self.progress.set_aside(f"partition {partition}, offset {records[i].offset}: {why.detail}")
        self._begin_batch()
        if self.spans is not None:
            self._traced += [(time.time(), one) for one in self.spans.traced(partition, records)]
        self._batch.add(partition, result)
        self._batch.pack()
        self._next[partition] = records[-1].offset + 1

    # -- writing -------------------------------------------------------------------------------------------------

    def _start_writing(self) -> None:
        batch, self._batch = self._batch, ArchiveBatch(self._settings.stream)
        traced, self._traced = self._traced, []
        self._writing = asyncio.create_task(self._write(batch, traced))

    async def _finish_writing(self) -> None:
        if self._writing is not None:
            await self._writing
            self._writing = None

    async def _write_out(self) -> None:
        """Insert and commit everything taken in."""
        await self._finish_writing()
        if self._batch.offsets:
            self._start_writing()
            await self._finish_writing()

    async def _write(self, batch: ArchiveBatch, traced: Sequence[tuple[float, Any]] = ()) -> None:
        await self.inserter.insert(batch)
        if self.spans is not None:
            for began, one in traced:
                self.spans.done("store", [one], began, time.time())
        stored = self.progress.stored
        stored |= {p: offset for p, offset in batch.offsets.items() if p in stored}
        await self._commit(batch.offsets)

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
        self.progress.assigned = False
        try:
            await asyncio.wait_for(self._write_out(), self._settings.session_timeout_s / 2)
        except TimeoutError:
            log.warning("ClickHouse is slow: the next owner repeats what was not inserted")
        self._writing = None
        self._batch, self._traced = ArchiveBatch(self._settings.stream), []
        self._classifiers.clear()
        self._next.clear()
        self._gaps.clear()
        self.progress.stored.clear()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Resume each partition after what is acknowledged; its state is read when its first record comes."""
        consumer = self._consumer
        assert consumer is not None
        begin = await consumer.beginning_offsets(list(assigned)) if assigned else {}
        committed = {tp: await consumer.committed(tp) for tp in assigned}
        # Without a pause from here on: a step that is under way has looked at partitions where reading has not been put
        # back yet. By the generation it knows that; and it takes none for its own before all are put back.
        self._generation += 1
        for tp, offset in committed.items():
            # A place that the log has lost is found to be so at the first fetch.
            start = begin[tp] if offset is None else offset
            consumer.seek(tp, start)
            self._next[tp.partition] = self.progress.stored[tp.partition] = start
        self.progress.assigned = True

    async def _restored(self, partition: int, offset: int) -> PartitionClassifier:
        """The classifier as it stood before `offset`, from the rows in ClickHouse."""
        classifier = PartitionClassifier(
            self._plan, self._validator, partition, self._partitions, since=self._settings.log_since_ms
        )
        if offset == 0:
            return classifier
        questions = Restoring(self._settings.stream, partition, offset, classifier.seen.span)
        await restore(classifier, questions, self._query)
        log.info("partition %s restored before offset %s: %s ids", partition, offset, len(classifier.seen))
        return classifier

    async def _query(self, sql: str, parameters: dict[str, Any]) -> Any:
        return await self.connection.insist(
            lambda: self.connection.query(sql, parameters), "reading the archive's state"
        )
