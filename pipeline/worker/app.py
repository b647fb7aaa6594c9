"""The worker as a Faust app: an agent that folds batches into a table."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import faust

from pipeline.errors import BrokenPromiseError, StreamgaugeError, UserError
from pipeline.ingest.records import UNFORESEEN
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from pipeline.state.disk import Disk
from pipeline.state.partition import PartitionState
from pipeline.topics import TABLE_NAME
from pipeline.worker.aside import records_of
from pipeline.worker.checkpoints import Checkpoints
from pipeline.worker.counters import Counters
from pipeline.worker.delivery import Delivery
from pipeline.worker.progress import Progress
from pipeline.worker.publishing import Publishing, RowSink
from pipeline.worker.table import StateStore, StateTable
from pipeline.worker.transport import Batch, BatchConsumer, BatchSchema, BatchTransport
from schemas.plan import Plan

log = logging.getLogger(__name__)


class WorkerApp(faust.App):
    """The Faust app of one worker process."""

    def setup(self, settings: Settings, plan: Plan, partitions: int, sink: RowSink | None, topic_id: str) -> None:
        """Declare the topic, the table and the agent. Call once, before start."""
        self.settings, self.plan, self.partition_count = settings, plan, partitions
        #: The topic's id, where Kafka tells one: a state belongs to one topic.
        self.topic_id = topic_id
        validator = Validator(plan, settings.validation)
        self.delivery = Delivery(lambda: self.producer)
        self.table = StateTable(
            self,
            name=TABLE_NAME,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            recovery_buffer_size=1,
            extra_topic_configs={"retention.ms": "-1"},
        )
        self.tables.add(self.table)
        self.store.new_state = lambda p, disk: PartitionState(
            plan, validator, p, partitions, disk, topic_id, since=settings.log_since_ms
        )
        self.store.new_disk = self._open_disk if settings.state_store == "rocksdb" else None
        source = self.topic(settings.events_topic, acks=False, schema=BatchSchema(), partitions=partitions)
        self.agent(source, name="fold")(self._fold_stream)
        self.checkpoints = Checkpoints(self, settings)
        self.publishing = Publishing(self, settings, sink)
        self.progress = Progress(self, settings)
        self.on_partitions_revoked.connect(self._before_handing_over)
        self.on_rebalance_complete.connect(self._taken_over)
        self.counters = Counters()
        #: What ended the folding; whoever waits for `failing` is told.
        self.failure: BaseException | None = None
        self._failed = asyncio.Event()
        #: The loops beside the app, while they run.
        self.loops: list[asyncio.Task[None]] = []

    def fail(self, exc: BaseException) -> None:
        """End the worker: going on would lose something."""
        if self.failure is None:
            self.failure = exc
            self._failed.set()

    async def failing(self) -> None:
        """Raise what ended the folding, as soon as it has."""
        await self._failed.wait()
        assert self.failure is not None
        raise self.failure

    @property
    def store(self) -> StateStore:
        """The states of the partitions that this worker owns."""
        return self.table.store

    def _open_disk(self, partition: int) -> Disk:
        assert self.settings.state_dir is not None
        topic = self.table.changelog_topic.get_topic_name()
        return Disk(self.settings.state_dir / self.settings.stream / topic / str(partition))

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)

    @property
    def batch_consumer(self) -> BatchConsumer:
        """The consumer, typed."""
        consumer: BatchConsumer = self.consumer
        return consumer

    def resume_offsets(self) -> Mapping[int, int]:
        """Where each restored partition resumes; raises BrokenPromiseError if one could not be restored."""
        if isinstance(self.store.failure, UserError):
            raise self.store.failure
        if self.store.failure is not None:
            raise BrokenPromiseError(f"the changelog can't be read: {self.store.failure}") from self.store.failure
        return {partition: state.position for partition, state in self.store.states.items()}

    # -- folding -------------------------------------------------------------------------------------------------

    async def _fold_stream(self, stream: Any) -> None:
        async for batch in stream:
            try:
                await self.publishing.room()
                await self._fold(batch)
            except Exception as exc:
                # Faust would start the agent again, on a state that is half of a batch.
                where = f"partition {batch.partition}, offsets {batch.start} to {batch.end - 1}"
                error = (
                    exc
                    if isinstance(exc, StreamgaugeError)
                    else BrokenPromiseError(f"folding failed: {where}: {exc!r}")
                )
                # What is half folded is neither saved nor published.
                self.fail(error)
                if (state := self.store.states.get(batch.partition)) is not None:
                    state.in_doubt = True
                log.error("%s", error, exc_info=exc)
                raise

    async def _fold(self, batch: Batch) -> None:
        state = self.store.states.get(batch.partition)
        if state is None:
            return  # handed over while the batch was waiting; its new owner reads it
        if batch.start > state.position:
            raise BrokenPromiseError(
                f"partition {batch.partition}: records {state.position} to {batch.start - 1} never arrived"
            )
        if batch.gone:
            self._skip(state, batch.end)
            return
        started, before = time.perf_counter(), state.reached
        result = state.fold(batch.records, batch.end)
        self.progress.folded()
        if result is None:
            return
        newest = state.reached if state.reached > before else None
        seconds = time.perf_counter() - started
        self.counters.folded(batch.partition, len(batch.records), batch.records[-1].timestamp or 0, newest, seconds)
        letters, state.letters = state.letters, []
        if result.rejections or result.forwarded or letters:
            for i, why in result.rejections.items():
                if why.reason == UNFORESEEN:
                    where = f"partition {batch.partition}, offset {result.records[i].offset}"
                    self.counters.set_aside(f"{where}: {why.detail}")
            outgoing = list(records_of(batch.partition, result, letters, self.settings))
            await self.checkpoints.deliver(batch.partition, outgoing)

    def _skip(self, state: PartitionState, end: int) -> None:
        if end > state.position:
            log.error(
                "partition %s: offsets %s to %s were gone from the log before they were counted: going on at %s",
                state.partition, state.position, end - 1, end,
            )  # fmt: skip
        state.skip(end)
        self.progress.folded()

    # -- rebalances ----------------------------------------------------------------------------------------------

    async def _before_handing_over(self, *_: Any, **__: Any) -> None:
        await self.checkpoints.before_handing_over()

    def _taken_over(self, *_: Any, **__: Any) -> None:
        self.checkpoints.taken_over()
