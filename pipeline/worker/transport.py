"""Faust's Kafka transport, changed in three ways: records come in batches, offsets come from the state, one thread.

Faust hands a stream one message a record, which costs more than everything we do with it. Here a message is all
the records fetched from one partition. Where Faust resumes from the committed offset, this consumer resumes
from what the restored state says it holds: a commit is a hint for whoever watches the lag, never the truth. And
where Faust fetches in a thread of its own, which competes with the folding for the interpreter's lock, this
consumer fetches in the worker's event loop (see `inline.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.serializers.schemas import Schema
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport
from faust.types import TP, AppT, ConsumerMessage

from pipeline.ingest.records import Record, Unreadable
from pipeline.kafka.consumer import LogConsumer
from pipeline.worker.inline import InlineConsumerThread

_ASK_SECONDS: Final = 5.0


class Batch(NamedTuple):
    """What one partition's log holds from `start` up to `end`: these records and no other.

    The records are aiokafka's own, which have the attributes of `Record`. There may be none: where the log has but
    markers of transactions, records of aborted ones, or (`gone`) where it was deleted before it was read.
    """

    partition: int
    start: int
    end: int
    records: Sequence[Record | Unreadable]
    gone: bool = False


class BatchSchema(Schema[Any, Any]):
    """Leaves a batch as it is: there is nothing to decode before validation."""

    def compile(self, app: AppT, *args: Any, **kwargs: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, {}, message)

        return decode


class BatchConsumer(FaustConsumer):
    """Delivers the records of the source topic as `Batch`es, everything else as Faust does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source_topic: str = cast(Any, self.app).settings.events_topic
        #: Next offset expected from each source partition, as sought.
        self._next: dict[int, int] = {}
        self._seeks = 0
        #: Where the partitions ended when that was last asked, apart from fetches.
        self._ends: dict[int, int] = {}

    @property
    def kafka(self) -> LogConsumer | None:
        """The Kafka consumer, once there is one."""
        return cast("LogConsumer | None", self._thread._consumer) if self._thread is not None else None

    def resume_offsets(self) -> Mapping[int, int]:
        """Offset to resume from, by partition that is restored; raises if restoring failed."""
        return cast(Any, self.app).resume_offsets()  # type: ignore[no-any-return]

    async def perform_seek(self) -> None:
        """Go to where the state ends, in each partition whose state is restored."""
        offsets = self.resume_offsets()
        assigned = {tp.partition for tp in self.assignment() if tp.topic == self.source_topic}
        self._seeks += 1
        self._next = {p: offset for p, offset in offsets.items() if p in assigned}
        for partition, offset in self._next.items():
            await self._seek_source(partition, offset)

    async def _seek_source(self, partition: int, offset: int) -> None:
        tp = TP(self.source_topic, partition)
        await self._seek(tp, offset)
        self._read_offset[tp] = None

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch, and hand on: one message for each batch of the source topic, one for each other record."""
        seeks = self._seeks
        records, active = await self._wait_next_records(timeout)
        log = self.kafka
        if self.should_stop or log is None:
            return
        if not self.flow_active:
            if records:
                await self.perform_seek()
            return
        # Taken without a pause after the fetch: up to where it has read.
        read_to = {p: log.read_to(TP(self.source_topic, p)) for p in self._next}
        for tp, fetched in (records or {}).items():
            if tp.topic != self.source_topic and (active is None or tp in active or tp in self._buffered_partitions):
                for record in fetched:
                    if self.flow_active:
                        yield tp, self._record_message(tp, record)
        for partition, end in read_to.items():
            tp = TP(self.source_topic, partition)
            expected = self._next.get(partition)
            if expected is None or (active is not None and tp not in active):
                continue
            if log.lost_its_place(tp):
                begin = await log.read_on_from(tp, expected)
                if seeks != self._seeks:
                    return
                await self._seek_source(partition, begin)
                log.found_its_place(tp)
                # Nothing is lost where nothing was ever read: a log that is older than we are begins where it does.
                if begin > expected:
                    self._next[partition] = begin
                    yield tp, self._batch_message(tp, Batch(partition, expected, begin, (), gone=expected > 0))
                continue
            fetched = records.get(tp, ()) if records else ()
            if seeks != self._seeks:
                # Fetched before a seek that has come in between: what lies before it would be skipped.
                if fetched:
                    await self._seek_source(partition, expected)
                continue
            if end is None or end <= expected:
                continue
            self._next[partition] = end
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            yield tp, self._batch_message(tp, Batch(partition, expected, end, fetched))

    def _new_consumer_thread(self) -> Any:
        return InlineConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _record_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return self._message(tp, record.offset, record.timestamp, record.key, record.value)

    def _batch_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        stamp = batch.records[-1].timestamp if batch.records else None
        return self._message(tp, batch.end - 1, stamp, None, cast(Any, batch))

    def _message(self, tp: TP, offset: int, timestamp: int | None, key: bytes | None, value: Any) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            offset,
            (timestamp or 0) / 1000.0,
            0,
            [],
            key,
            value,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Do nothing: offsets are committed by the checkpoint, after what they caused is acknowledged."""
        return False

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        """Commit these offsets if the partitions are still ours; whether that was done.

        Nothing depends on it but whoever watches the lag: what can't be committed is committed the next time.
        """
        assigned = self.assignment()
        owned = {TopicPartition(*tp): offset for tp, offset in offsets.items() if tp in assigned}
        if not owned or self.kafka is None:
            return False
        try:
            await self.kafka.commit(owned)
        except KafkaError as exc:
            self.log.info("offsets not committed: %r", exc)
            return False
        return True

    async def ask_ends(self) -> None:
        """Ask Kafka where the partitions end, while nothing is fetched that would tell it."""
        if self.kafka is None:
            return
        owned = [tp for tp in self.kafka.assignment() if tp.topic == self.source_topic]
        try:
            found = await asyncio.wait_for(self.kafka.end_offsets(owned), _ASK_SECONDS) if owned else {}
        except (KafkaError, TimeoutError) as exc:
            self.log.info("the ends of the partitions are not known: %r", exc)
        else:
            self._ends = {tp.partition: end for tp, end in found.items()}

    def lag(self, partition: int, position: int) -> int | None:
        """Records of a partition that can be read and are not folded yet, None before the first fetch."""
        end = self.kafka.readable_end(TP(self.source_topic, partition)) if self.kafka is not None else None
        return None if end is None else max(0, max(end, self._ends.get(partition, 0)) - position)

    def polled_at(self, partition: int) -> int | None:
        """When Kafka last told where a partition ends, epoch ms; None before the first fetch."""
        tp = TP(self.source_topic, partition)
        if self.kafka is None or tp not in self.kafka.assignment():
            return None
        return cast("int | None", self.kafka.last_poll_timestamp(tp))


class BatchTransport(FaustTransport):
    """The aiokafka transport with the consumer above."""

    Consumer: ClassVar[Any] = BatchConsumer


def partitions_of(tps: Iterable[TP], topic: str) -> set[int]:
    """The partition numbers of `topic` among `tps`."""
    return {tp.partition for tp in tps if tp.topic == topic}
