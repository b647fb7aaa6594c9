"""Records on their way to Kafka: acknowledged by all in-sync replicas, bounded in bytes and in time.

aiokafka makes a future for every record. A request here waits for all of its records together, so records are put into
batches by partition ourselves: that costs a fraction, and whoever has been told that Kafka is away can be left out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline.process import at_most, cancelled

log = logging.getLogger(__name__)

#: Of a batch: below the million and a bit that a topic takes, unless it was told to take less.
_BATCH_BYTES: Final = 1 << 19
#: How often it is looked whether Kafka is back, and how long leaving it may take.
_LOOK_SECONDS: Final = 1.0
#: How often it is looked who has waited too long.
_LATE_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 1.0
#: What a record takes besides its key and value, about.
_OVERHEAD: Final = 100


class Sendable(msgspec.Struct, frozen=True, gc=False):
    """A Kafka record. `partition` is where its key lives."""

    partition: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def size(self) -> int:
        """Bytes that it takes while it waits, about."""
        return len(self.value) + len(self.key or b"") + _OVERHEAD


class Unavailable(Exception):
    """Kafka did not acknowledge records in time, or as many wait as may: to be sent again later."""


class _Waiting:
    """The records of one request: how many are not acknowledged, until when they may be, and who is told."""

    __slots__ = ("done", "left", "until")

    def __init__(self, left: int, until: float, done: asyncio.Future[None]) -> None:
        self.left, self.until, self.done = left, until, done


class Producer:
    """Sends records to one topic. `max_bytes` may wait for their acknowledgement, each for `timeout_s`."""

    def __init__(self, kafka: Mapping[str, Any], topic: str, partitions: int, max_bytes: int, timeout_s: float) -> None:
        self._topic, self._max_bytes, self._timeout_s = topic, max_bytes, timeout_s
        self._producer = AIOKafkaProducer(
            **kafka,
            acks="all",
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            max_request_size=4 << 20,
            request_timeout_ms=int(timeout_s * 1000),
        )
        self._queues: list[deque[tuple[Sendable, int, _Waiting]]] = [deque() for _ in range(partitions)]
        self._arrived = [asyncio.Event() for _ in range(partitions)]
        self._pumps: list[asyncio.Task[None]] = []
        #: The requests that wait, the longest first.
        self._waiting: deque[_Waiting] = deque()
        #: Bytes of records that are not acknowledged yet.
        self.waiting_bytes = 0
        #: Records acknowledged since the start.
        self.acknowledged = 0
        #: Why Kafka takes nothing, "" while it does; since when, by `time.monotonic`.
        self.problem = ""
        self.problem_since = 0.0

    async def start(self) -> None:
        """Connect. Raises KafkaError."""
        await self._producer.start()
        self._pumps = [asyncio.create_task(self._pump(p), name=f"producing {p}") for p in range(len(self._queues))]
        self._pumps.append(asyncio.create_task(self._look_again(), name="looking whether Kafka is back"))
        self._pumps.append(asyncio.create_task(self._end_in_time(), name="telling who has waited too long"))

    async def stop(self) -> None:
        """End. What waits still is not sent."""
        await cancelled(*self._pumps)
        await at_most(_STOP_SECONDS, "leaving Kafka", self._producer.stop())

    def give_up(self) -> None:
        """Whoever waits, and whoever comes, is told to send again later: this process is about to end."""
        self.problem = "the front door is asked to end"
        for waiting in self._waiting:
            if not waiting.done.done():
                waiting.done.set_exception(Unavailable(self.problem))

    @property
    def pumps(self) -> Sequence[asyncio.Task[None]]:
        """The tasks that send; none of them ends by itself."""
        return self._pumps

    def send(self, records: Sequence[Sendable], timestamp_ms: int) -> asyncio.Future[None]:
        """A future that is done when Kafka has acknowledged all records.

        Raises Unavailable, as the future may: then some of them may be stored.
        """
        done = asyncio.get_running_loop().create_future()
        if not records:
            done.set_result(None)
            return done
        if self.problem:
            raise Unavailable(self.problem)
        size = sum([record.size for record in records])
        # One request larger than the bound is let in where nothing waits.
        if self.waiting_bytes and self.waiting_bytes + size > self._max_bytes:
            raise Unavailable(f"{self.waiting_bytes} bytes wait for Kafka, as many as may")
        waiting = _Waiting(len(records), time.monotonic() + self._timeout_s, done)
        self._waiting.append(waiting)
        self.waiting_bytes += size
        for record in records:
            self._queues[record.partition].append((record, timestamp_ms, waiting))
            self._arrived[record.partition].set()
        return done

    async def _end_in_time(self) -> None:
        """What is not acknowledged in time is said so, and what of it is not sent yet is left out."""
        waiting = self._waiting
        while True:
            await asyncio.sleep(_LATE_SECONDS)
            now = time.monotonic()
            while waiting and (waiting[0].done.done() or waiting[0].until < now):
                one = waiting.popleft()
                if not one.done.done():
                    why = self.problem or f"no acknowledgement within {self._timeout_s:g} s"
                    one.done.set_exception(Unavailable(why))

    async def _look_again(self) -> None:
        """While Kafka is away requests are refused at once, so somebody else has to notice that it is back."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self.problem:
                continue
            try:
                async with asyncio.timeout(self._timeout_s):
                    if await self._producer.client.force_metadata_update():
                        self.problem = ""
            except (KafkaError, OSError, TimeoutError):
                pass  # it is not

    async def _pump(self, partition: int) -> None:
        queue, arrived = self._queues[partition], self._arrived[partition]
        while True:
            if not queue:
                arrived.clear()
                await arrived.wait()
            batch = self._producer.create_batch()
            taken: list[tuple[Sendable, int, _Waiting]] = []
            while queue:
                record, timestamp, waiting = queue[0]
                if waiting.done.done():
                    self.waiting_bytes -= record.size
                    queue.popleft()
                    continue
                added = batch.append(
                    key=record.key, value=record.value, timestamp=timestamp, headers=list(record.headers)
                )
                if added is None:
                    break
                taken.append(queue.popleft())
            if not taken:
                continue
            batch.close()
            await self._deliver(batch, partition, taken)

    async def _deliver(self, batch: Any, partition: int, taken: list[tuple[Sendable, int, _Waiting]]) -> None:
        try:
            future = await self._producer.send_batch(batch, self._topic, partition=partition)
            await future
        except (KafkaError, OSError) as exc:
            self._failed(exc, taken)
        else:
            self.problem = ""
            self.acknowledged += len(taken)
            for _, _, waiting in taken:
                waiting.left -= 1
                if not waiting.left and not waiting.done.done():
                    waiting.done.set_result(None)
        finally:
            self.waiting_bytes -= sum(record.size for record, _, _ in taken)

    def _failed(self, exc: Exception, taken: list[tuple[Sendable, int, _Waiting]]) -> None:
        what = f"{type(exc).__name__}: {exc}".rstrip(": ")
        if not self.problem:
            self.problem_since = time.monotonic()
        if self.problem != what:
            log.warning("Kafka does not take records of the front door: %s", what)
        # A record that is too large is no trouble of Kafka's; the door lets none pass that could be.
        self.problem = what if not isinstance(exc, MessageSizeTooLargeError) else self.problem
        for _, _, waiting in taken:
            if not waiting.done.done():
                waiting.done.set_exception(Unavailable(what))
