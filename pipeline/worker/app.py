"""The worker as a Faust app: an agent that folds batches into a table, checkpoints, and live rows to publish."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import faust
from faust.types import TP

from pipeline.errors import BrokenPromiseError, StreamgaugeError, UserError
from pipeline.ingest.links import person_header
from pipeline.ingest.records import ORIGIN_HEADER, UNFORESEEN, Classified
from pipeline.ingest.validate import Validator
from pipeline.kafka.consumer import LogFetcher
from pipeline.measure.rows import ActivityRow, FunnelRow, GapRow, PartitionRow
from pipeline.process import cancelled
from pipeline.settings import Settings
from pipeline.state.checkpoint import encode
from pipeline.state.disk import Disk
from pipeline.state.partition import PartitionState
from pipeline.state.persons import Letter
from pipeline.topics import TABLE_NAME
from pipeline.worker.counters import Counters
from pipeline.worker.delivery import Delivery, Headers, Outgoing
from pipeline.worker.table import PromptTableManager, StateStore, StateTable
from pipeline.worker.transport import Batch, BatchConsumer, BatchSchema, BatchTransport
from pipeline.worker.truncation import Truncation
from schemas.event import plain_id
from schemas.plan import Plan

log = logging.getLogger(__name__)

#: Rejected and sent-on records of one partition that may wait for acknowledgement before folding waits too.
MAX_UNDELIVERED = 20_000
#: And what their values may amount to.
MAX_UNDELIVERED_BYTES = 64 << 20


class RowSink(Protocol):
    """Where changed live rows go (ClickHouse)."""

    async def publish(
        self,
        activity: list[ActivityRow],
        funnels: list[FunnelRow],
        partitions: list[PartitionRow],
        gaps: list[GapRow],
    ) -> None:
        """Store the rows; raises if that failed, and the rows will come again."""


class WorkerApp(faust.App):
    """The Faust app of one worker process."""

    def setup(self, settings: Settings, plan: Plan, partitions: int, sink: RowSink | None, topic_id: str) -> None:
        """Declare the topic, the table and the agent. Call once, before start."""
        self.settings, self.plan, self.partition_count, self.sink = settings, plan, partitions, sink
        #: The topic's id, where Kafka tells one: a state belongs to one topic.
        self.topic_id = topic_id
        validator = Validator(plan, settings.validation)
        self.delivery = Delivery(lambda: self.producer)
        self.writer = os.urandom(8)
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
        self.on_partitions_revoked.connect(self._before_handing_over)
        self.on_rebalance_complete.connect(self._taken_over)
        self._undelivered: dict[int, list[asyncio.Task[int]]] = {}
        #: By partition, how many records those are, and of how many bytes.
        self._undelivered_size: dict[int, tuple[int, int]] = {}
        self._checkpointing = asyncio.Lock()
        self._periodic: asyncio.Future[None] | None = None
        self.truncation = Truncation(settings, self.table.changelog_topic.get_topic_name())
        self._rewritten: set[int] = set()
        #: Offset committed by us since the last rebalance, by partition.
        self._committed: dict[int, int] = {}
        self.last_batch_at = time.monotonic()
        self.last_checkpoint_at = time.monotonic()
        self.last_publish_at: float | None = None
        self.publish_error = ""
        self.counters = Counters()
        #: What ended the folding; whoever waits for `failing` is told.
        self.failure: BaseException | None = None
        self._failed = asyncio.Event()
        #: The loops beside the app, while they run.
        self.loops: list[asyncio.Task[None]] = []
        #: Since when records wait and none is folded.
        self.progress_at = time.monotonic()
        #: Since when folding waits because too many rows do.
        self.holding_since: float | None = None
        self.publishing_since: float | None = None
        #: Since when there has been something that waits for an open transaction.
        self.held_since: float | None = None
        self._publish_now, self._published = asyncio.Event(), asyncio.Event()

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
                await self._room()
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

    async def _room(self) -> None:
        """Wait while as many rows wait for ClickHouse as may: what is not folded yet is kept by Kafka."""
        while self.waiting_rows > self.settings.max_unpublished_rows and not self.rebalancing and not self.should_stop:
            self.holding_since = self.holding_since or time.monotonic()
            self._publish_now.set()
            self._published.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._published.wait(), 0.5)
        self.holding_since = None

    @property
    def waiting_rows(self) -> int:
        """Changed rows that ClickHouse has not acknowledged."""
        return sum(state.waiting for state in self.store.states.values())

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
        self.last_batch_at = self.progress_at = time.monotonic()
        if result is None:
            return
        newest = state.reached if state.reached > before else None
        seconds = time.perf_counter() - started
        self.counters.folded(batch.partition, len(batch.records), batch.records[-1].timestamp or 0, newest, seconds)
        letters, state.letters = state.letters, []
        if result.rejections or result.forwarded or letters:
            await self._send_aside(batch.partition, result, letters)

    def _skip(self, state: PartitionState, end: int) -> None:
        if end > state.position:
            log.error(
                "partition %s: offsets %s to %s were gone from the log before they were counted: going on at %s",
                state.partition, state.position, end - 1, end,
            )  # fmt: skip
        state.skip(end)
        self.last_batch_at = self.progress_at = time.monotonic()

    async def _send_aside(self, partition: int, result: Classified, letters: Sequence[Letter]) -> None:
        """Send rejected records to their topic, others to where they count, and letters, in the background."""
        topic = self.settings.events_topic
        outgoing = [Outgoing(topic, to, key, value, headers) for to, key, value, headers in letters]
        for i, why in result.rejections.items():
            record = result.records[i]
            if why.reason == UNFORESEEN:
                self.counters.set_aside(f"partition {partition}, offset {record.offset}: {why.detail}")
            headers: Headers = (
                ("reason", why.reason.encode()),
                ("detail", why.detail.encode("utf-8", "backslashreplace")),
                (ORIGIN_HEADER, f"{partition}:{record.offset}".encode()),
            )
            # aiokafka sends no record that has neither key nor value.
            value = b"" if record.key is None and record.value is None else record.value
            rejected = Outgoing(self.settings.rejected_topic, None, record.key, value, headers, cut=True)
            outgoing.append(rejected)
        for i, home in result.forwarded.items():
            record, event = result.records[i], result.events[i]
            assert event is not None
            # Nothing but the value, its origin and its person: never larger than the limit of a value and a bit.
            headers = ((ORIGIN_HEADER, f"{partition}:{record.offset}".encode()),)
            if i in result.hops:
                headers = (*headers, person_header(event.actor, result.hops[i]))
            outgoing.append(Outgoing(topic, home, plain_id(event.actor).encode(), record.value, headers))
        task = asyncio.create_task(self.delivery.deliver(outgoing))
        self._undelivered.setdefault(partition, []).append(task)
        waiting, size = self._undelivered_size.get(partition, (0, 0))
        waiting, size = waiting + len(outgoing), size + sum(len(record.value or b"") for record in outgoing)
        self._undelivered_size[partition] = waiting, size
        if waiting > MAX_UNDELIVERED or size > MAX_UNDELIVERED_BYTES:
            await self.checkpoint()

    # -- checkpoints ---------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Write what changed, then commit the offsets it covers: nothing is committed before it is durable."""
        async with self._checkpointing:
            started = time.perf_counter()
            saved: dict[int, int] = {}
            await asyncio.gather(
                *[self._checkpoint_partition(p, state, saved) for p, state in list(self.store.states.items())]
            )
            generation = self.consumer_generation_id
            # Also what was saved earlier and not committed: by a former owner that died in between, say. Nothing
            # else would commit it while no event comes, and whoever watches the lag would wait.
            saved = {p: position for p, position in saved.items() if self._committed.get(p) != position}
            offsets = {TP(self.settings.events_topic, p): position for p, position in saved.items()}
            committed = bool(offsets) and await self.batch_consumer.commit_offsets(offsets)
            rewritten, self._rewritten = self._rewritten, set()
            if committed:
                self._committed |= saved
                for partition in rewritten:
                    await self.truncation.finish(partition, generation)
            self.last_checkpoint_at = time.monotonic()
            self.counters.took("checkpoint", started)

    async def _checkpoint_partition(self, partition: int, state: PartitionState, saved: dict[int, int]) -> None:
        if state.in_doubt:
            # It has lost track of changes: they were in a checkpoint that was broken off. One that came after it
            # would hide that they are missing.
            return
        if not state.unsaved:
            saved[partition] = state.position
            return
        # Taken in one step, without a pause: these deliveries belong to the records before this position.
        waiting = self._undelivered.pop(partition, [])
        self._undelivered_size.pop(partition, None)
        state.in_doubt = True
        restored = self.store.restored_bytes.pop(partition, None)
        if restored is not None:
            self.truncation.note_restored(partition, restored)
        if self.truncation.due(partition):
            self.truncation.begin(partition, self.store.read_up_to.get(partition, -1) + 1, self.consumer_generation_id)
            state.start_rewrite()
        checkpoint = state.checkpoint()
        if waiting:
            await asyncio.gather(*waiting)
        topic = self.table.changelog_topic.get_topic_name()
        parts = [Outgoing(topic, partition, None, value) for value in encode(checkpoint, self.writer)]
        last = await self.delivery.deliver(parts)
        self.truncation.wrote(partition, sum(len(part.value or b"") for part in parts))
        if checkpoint.rewritten:
            self._rewritten.add(partition)
        if self.store.states.get(partition) is state:
            self.store.read_up_to[partition] = max(last, self.store.read_up_to.get(partition, -1))
            if state.disk is not None:
                state.disk.changelog_bytes = self.truncation.size(partition)
            state.acknowledged(checkpoint, len(parts), last)
        state.in_doubt = False
        saved[partition] = checkpoint.position

    def _taken_over(self, *_: Any, **__: Any) -> None:
        self.truncation.forget()
        self._rewritten.clear()
        self._committed.clear()
        for state in self.store.states.values():
            state.stop_rewrite()

    async def _before_handing_over(self, *_: Any, **__: Any) -> None:
        """Save what is folded while the partitions are still ours; a new owner then has less to repeat."""
        try:
            await asyncio.wait_for(self.checkpoint(), timeout=self.settings.session_timeout_s / 2)
        except TimeoutError:
            log.warning("no checkpoint before the rebalance: the records since the last one are folded again")

    async def run_checkpoints(self) -> None:
        """Checkpoint at the interval of the settings until cancelled."""
        while True:
            await asyncio.sleep(self.settings.checkpoint_interval_s)
            if not self.rebalancing:
                # When this loop is cancelled, a checkpoint under way goes on: the one at the end waits for it.
                self._periodic = asyncio.ensure_future(self.checkpoint())
                await asyncio.shield(self._periodic)

    # -- publishing ----------------------------------------------------------------------------------------------

    async def publish(self) -> None:
        """Send changed rows to the sink; on failure they stay changed."""
        if self.failure is not None:
            return
        states = list(self.store.states.values())
        now = int(time.time() * 1000)
        activity: list[ActivityRow] = []
        funnels: list[FunnelRow] = []
        partitions: list[PartitionRow] = []
        gaps: list[GapRow] = []
        for state in states:
            accumulators, counters, row = state.changed_rows(now)
            activity += accumulators
            funnels += counters
            partitions.append(row)
            gaps += state.changed_gaps()
        started = time.perf_counter()
        self.publishing_since = time.monotonic()
        try:
            if partitions and self.sink is not None:
                await self.sink.publish(activity, funnels, partitions, gaps)
        except BaseException as exc:
            for state in states:
                state.publish_again()
            if not isinstance(exc, Exception):
                raise
            self.publish_error = f"{type(exc).__name__}: {exc}"
            self.counters.publish_failures += 1
            log.warning("live rows not published (%s): trying again", self.publish_error[:300])
        else:
            self.publish_error = ""
            self.counters.took("publish", started)
            self.counters.published_rows += len(activity) + len(funnels) + len(partitions)
            self.last_publish_at = time.monotonic()
            for state in states:
                state.published()
                state.expire()
            self._published.set()
        finally:
            self.publishing_since = None

    async def run_publishing(self) -> None:
        """Publish at the interval of the settings until cancelled."""
        delay = self.settings.publish_interval_s
        while True:
            if self.publish_error:
                await asyncio.sleep(delay)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._publish_now.wait(), delay)
            self._publish_now.clear()
            await self.publish()
            delay = min(delay * 2, 15.0) if self.publish_error else self.settings.publish_interval_s

    # -- watching ------------------------------------------------------------------------------------------------

    def total_lag(self) -> int | None:
        """Records not folded yet in the partitions owned; None while nothing is known."""
        lags = [self.batch_consumer.lag(p, state.position) for p, state in self.store.states.items()]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if known else None

    def fetching(self) -> LogFetcher | None:
        """What fetches from Kafka, once it is there."""
        consumer = self.batch_consumer.kafka
        return consumer.fetcher if consumer is not None else None

    def silent_for(self) -> float:
        """Seconds without an answer of Kafka to a fetch, while nothing that it had brought was left to fold."""
        fetcher = self.fetching()
        if fetcher is None or not self.store.states:
            return 0.0
        return time.monotonic() - max(fetcher.answered_at, self.last_batch_at)

    def held_back(self) -> int:
        """Offsets that wait for open transactions."""
        consumer = self.batch_consumer.kafka
        if consumer is None:
            return 0
        return sum(consumer.held_back(TP(self.settings.events_topic, p)) for p in self.store.states)

    async def watch(self) -> None:
        """End the process if it has no prospect: fetching has ended, or there is lag and no progress for long."""
        positions: dict[int, int] = {}
        while True:
            await asyncio.sleep(1.0)
            fetcher = self.fetching()
            if fetcher is not None and fetcher.failure is not None:
                raise BrokenPromiseError(f"nothing is fetched any more: {fetcher.failure!r}") from fetcher.failure
            if self.holding_since is not None:
                await self.batch_consumer.ask_ends()
            self.held_since = (self.held_since or time.monotonic()) if self.held_back() else None
            now = {p: state.position for p, state in self.store.states.items()}
            waits = self.delivery.failing_since is not None or self.holding_since is not None
            if now != positions or not self.total_lag() or waits:
                positions, self.progress_at = now, time.monotonic()
            elif time.monotonic() - self.progress_at > self.settings.watchdog_seconds:
                raise BrokenPromiseError(
                    f"no progress for {self.settings.watchdog_seconds:.0f} s with {self.total_lag()} records waiting"
                )


def _credentials(settings: Settings) -> Any:
    context = settings.kafka_ssl_context()
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return faust.SSLCredentials(context=context) if context is not None else None


def make_app(settings: Settings, plan: Plan, partitions: int, sink: RowSink | None, topic_id: str = "") -> WorkerApp:
    """The app of a worker, ready to start."""
    servers = settings.kafka_bootstrap.split(",")
    app = WorkerApp(
        settings.group,
        broker=[f"kafka://{server.strip()}" for server in servers],
        broker_credentials=_credentials(settings),
        store="memory://",
        TableManager=PromptTableManager,
        autodiscover=False,
        web_enabled=False,
        datadir=str(settings.state_dir or Path(tempfile.gettempdir()) / "streamgauge"),
        topic_disable_leader=True,
        topic_replication_factor=settings.replication,
        topic_partitions=partitions,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_request_timeout=max(40.0, settings.session_timeout_s * 2),
        broker_max_poll_records=5000,
        consumer_max_fetch_size=1 << 20,
        producer_acks=-1,
        producer_request_timeout=40.0,
        producer_max_request_size=16 << 20,
        producer_linger_ms=0,
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        stream_wait_empty=True,
        stream_publish_on_commit=False,
    )
    app.setup(settings, plan, partitions, sink, topic_id)
    return app


@contextlib.asynccontextmanager
async def background(app: WorkerApp) -> Any:
    """Run the app's loops beside it; yields the tasks, whose first failure ends the worker."""
    tasks = [
        asyncio.create_task(app.run_checkpoints(), name="checkpoints"),
        asyncio.create_task(app.run_publishing(), name="publishing"),
        asyncio.create_task(app.watch(), name="watchdog"),
        asyncio.create_task(app.failing(), name="folding"),
    ]
    app.loops = tasks
    try:
        yield tasks
    finally:
        await cancelled(*tasks)
