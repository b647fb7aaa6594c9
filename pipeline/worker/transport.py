"""Faust's Kafka transport, changed in three ways: records come in batches, offsets come from the state, one thread.

Faust hands a stream one message a record, which costs more than everything we do with it. Here a message is all
the records fetched from one partition. Where Faust resumes from the committed offset, this consumer resumes
from what the restored state says it holds: a commit is a hint for whoever watches the lag, never the truth. And
where Faust fetches in a thread of its own, which competes with the folding for the interpreter's lock, this
consumer fetches in the worker's event loop (see `inline.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import aiokafka.consumer.fetcher as aiokafka_fetcher
from faust.serializers.schemas import Schema
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport
from faust.types import TP, AppT, ConsumerMessage

from pipeline.ingest.classify import Record
from pipeline.worker.inline import InlineConsumerThread


class _LightRecords(aiokafka_fetcher.PartitionRecords):
    """Fetched records as aiokafka's decoder leaves them: wrapping each in a ConsumerRecord costs 2 µs."""

    def __iter__(self) -> Any:
        return self._records_iterator  # not through a `__next__` in Python for each record

    def _consumer_record(self, tp: Any, record: Any) -> Any:
        # Only for the topic that we read in batches: other consumers of the process want what they know.
        return record if tp.topic == BatchConsumer.source_topic else super()._consumer_record(tp, record)


aiokafka_fetcher.PartitionRecords = _LightRecords


class Batch(NamedTuple):
    """Records fetched from one partition; nothing lies between `start` and the first of them.

    The records are aiokafka's own, which have the attributes of `Record`.
    """

    partition: int
    start: int
    records: Sequence[Record]


class BatchSchema(Schema[Any, Any]):
    """Leaves a batch as it is: there is nothing to decode before validation."""

    def compile(self, app: AppT, *args: Any, **kwargs: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, {}, message)

        return decode


class BatchConsumer(FaustConsumer):
    """Delivers the records of the source topic as `Batch`es, everything else as Faust does."""

    #: Set by the app: the source topic, and where each owned partition resumes (None: not restored yet).
    source_topic: ClassVar[str] = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Next offset expected from each source partition, as sought.
        self._next: dict[int, int] = {}
        self._seeks = 0

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
        if not records or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, fetched in records.items():
            if not fetched:
                continue
            if tp.topic != self.source_topic:
                if active is None or tp in active or tp in self._buffered_partitions:
                    for record in fetched:
                        if self.flow_active:
                            yield tp, self._record_message(tp, record)
                continue
            expected = self._next.get(tp.partition)
            if expected is None:
                continue
            if seeks != self._seeks:
                # Fetched before a seek that has come in between: what lies before it would be skipped.
                await self._seek_source(tp.partition, expected)
                continue
            batch = Batch(tp.partition, expected, fetched)
            self._next[tp.partition] = fetched[-1].offset + 1
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
            yield tp, self._batch_message(tp, batch)

    def _new_consumer_thread(self) -> Any:
        return InlineConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _record_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return self._message(tp, record.offset, record.timestamp, record.key, record.value)

    def _batch_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        last = batch.records[-1]
        return self._message(tp, last.offset, last.timestamp, None, cast(Any, batch))

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
        """Commit these offsets if the partitions are still ours."""
        return bool(await self._commit(offsets))

    def lag(self, partition: int, position: int) -> int | None:
        """Records of a partition that are not folded yet, None before the first fetch."""
        try:
            highwater = self.highwater(TP(self.source_topic, partition))
        except Exception as exc:  # aiokafka raises several kinds for a partition that just left us
            self.log.debug("no high watermark of partition %s: %r", partition, exc)
            return None
        return None if highwater is None else max(0, highwater - position)

    def polled_at(self, partition: int) -> int | None:
        """When Kafka last told where a partition ends, epoch ms; None before the first fetch."""
        consumer = getattr(self._thread, "_consumer", None)
        tp = TP(self.source_topic, partition)
        if consumer is None or tp not in consumer.assignment():
            return None
        return cast("int | None", consumer.last_poll_timestamp(tp))


class BatchTransport(FaustTransport):
    """The aiokafka transport with the consumer above."""

    Consumer: ClassVar[Any] = BatchConsumer


def partitions_of(tps: Iterable[TP], topic: str) -> set[int]:
    """The partition numbers of `topic` among `tps`."""
    return {tp.partition for tp in tps if tp.topic == topic}
