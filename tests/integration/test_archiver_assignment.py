"""An archiver that is given partitions while it is at work reads each of them from where it was stored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from aiokafka import TopicPartition
from whole_system import Start, rows, until

from pipeline.archiver import archiver as module
from pipeline.archiver.archiver import Archiver
from pipeline.files.sender import send
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.sent import Sent
from pipeline.kafka.consumer import LogConsumer
from pipeline.settings import plan_of

pytestmark = pytest.mark.integration
#: A moment that the other way never comes to: there reading is not begun before all partitions are put back.
PATIENCE = 3.0


class Slow(LogConsumer):
    """Learns where the second partition is stored while the first is being restored."""

    first: int | None = None
    restoring: asyncio.Event

    def assignment(self) -> Any:
        # In this order; a set has any.
        return dict.fromkeys(sorted(super().assignment(), key=lambda tp: tp.partition != self.first)).keys()

    async def committed(self, partition: TopicPartition) -> Any:
        found = await super().committed(partition)
        if Slow.first is None:
            Slow.first = partition.partition
        elif partition.partition != Slow.first:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.restoring.wait(), PATIENCE)
        return found


class Watched(Archiver):
    """Takes the first partition in a step after both were read, and restores it once both are put back."""

    both_read = False

    def _follows(self, consumer: LogConsumer, tp: TopicPartition, first: int) -> bool:
        if tp.partition != Slow.first or self.both_read:
            return super()._follows(consumer, tp, first)
        other = TopicPartition(tp.topic, 1 - tp.partition)
        self.both_read = consumer.read_to(other) == consumer.readable_end(other) is not None
        consumer.seek(tp, self._next[tp.partition])
        return False

    async def _restored(self, partition: int, offset: int) -> PartitionClassifier:
        if partition == Slow.first:
            Slow.restoring.set()

            async def put_back() -> bool:
                return len(self._next) == 2

            await until(put_back, "putting the second partition back")
        return await super()._restored(partition, offset)


async def test_nothing_is_passed_over_that_was_read_before_the_place_was_known(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = await start(partitions=2, archiver_batch_seconds=0.2)
    # Beside the system's own archiver, into a stream of its own.
    settings = system.settings.model_copy(update={"group": "second", "stream": "second"})
    now = int(time.time() * 1000)

    async def sent(first: int) -> None:
        users = [f"u{n}" for n in range(first, first + 40)]
        values = [json.dumps({"event_id": u, "event": "app_open", "user_id": u, "ts": now}).encode() for u in users]
        records = [Sent(0, u.encode(), value) for u, value in zip(users, values, strict=True)]
        assert set(partitions_of([u.encode() for u in users], 2)) == {0, 1}
        await send(records, kafka=settings.kafka_kwargs(), topic=settings.events_topic)

    async def stored(count: int) -> bool:
        return await rows(system, "SELECT count() FROM events WHERE stream = 'second'") == [(count,)]

    async def archive(archiver: Archiver, count: int) -> None:
        running = asyncio.create_task(archiver.run())
        try:
            await until(lambda: stored(count), f"storing {count} events", 20)
        finally:
            archiver.stop()
            await running

    plan = plan_of(settings)
    await sent(0)
    await archive(Archiver(settings, plan, 2), 40)
    await sent(40)
    monkeypatch.setattr(module, "LogConsumer", Slow)
    monkeypatch.setattr(Slow, "first", None)
    monkeypatch.setattr(Slow, "restoring", asyncio.Event(), raising=False)
    await archive(Watched(settings, plan, 2), 80)
