"""Sending records to Kafka: every one acknowledged by all in-sync replicas, or counted as failed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline.errors import DependencyError
from pipeline.ingest.sent import Sent

#: Records that wait for their acknowledgement at most: what is sent faster waits.
MAX_IN_FLIGHT: Final = 20_000
#: How often the loop looks at the clock, and lets others run.
_SLICE: Final = 256
_TICK_SECONDS: Final = 0.01
_PROGRESS_SECONDS: Final = 0.5


@dataclass(slots=True)
class Sending:
    """How far a sending is: records acknowledged, refused for good, and why the first one was."""

    sent: int = 0
    failed: int = 0
    first_error: str = ""
    seconds: float = 0.0


async def send(
    records: Iterable[Sent] | AsyncIterable[Sent],
    *,
    kafka: Mapping[str, Any],
    topic: str,
    rate: float | None = None,
    live: bool = False,
    progress: Callable[[Sending], None] | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> Sending:
    """Send all records in their order, keyed, to Kafka's default partition of the key unless they name one.

    `kafka` is how a client connects (`Settings.kafka_kwargs()`). `rate` is the most records a second. `live`
    waits for the time `at` of each record. An `at` that is not 0 becomes the record's timestamp. A plain
    iterable is asked in the event loop: what may block (standard input) belongs into `in_thread`.

    Returns the counts when everything is acknowledged; raises DependencyError if Kafka can't be reached or
    doesn't answer within the client's bounds.
    """
    state = Sending()
    begun = time.monotonic()
    # Up to 4 MB: the broker's limit decides, and a record beyond it is a failure of its own.
    producer = AIOKafkaProducer(**kafka, acks="all", linger_ms=5, max_batch_size=1 << 18, max_request_size=4 << 20)
    try:
        await producer.start()
    except (KafkaError, OSError) as exc:
        await producer.stop()
        raise DependencyError(
            "Kafka at {address} can't be reached: {why}", address=kafka.get("bootstrap_servers"), why=exc
        ) from exc
    window = _Window(state, max_in_flight)
    try:
        pace = _Pace(rate, live)
        count = 0
        last_report = begun
        async for record in _each(records):
            if window.broken is not None:
                break
            await pace.wait(count, record.at)
            await window.room()
            await _send_one(producer, topic, record, window)
            count += 1
            if not count % _SLICE:
                await asyncio.sleep(0)
                now = time.monotonic()
                if progress is not None and now - last_report >= _PROGRESS_SECONDS:
                    last_report, state.seconds = now, now - begun
                    progress(state)
        await producer.flush()
        await window.empty()
    except (KafkaError, OSError) as exc:
        window.broken = window.broken or exc
    finally:
        await producer.stop()
    state.seconds = time.monotonic() - begun
    if progress is not None:
        progress(state)
    if window.broken is not None:
        reason = f"{type(window.broken).__name__}: {window.broken}".rstrip(": ")
        raise DependencyError(
            "Kafka stopped taking records for topic {topic} ({reason}): {sent} were acknowledged",
            topic=topic,
            reason=reason,
            sent=state.sent,
        ) from window.broken
    return state


class _Pace:
    """Holds the sender back to a rate, or to the times of the records."""

    def __init__(self, rate: float | None, live: bool) -> None:
        self._rate, self._live = rate, live
        self._begun = time.monotonic()

    async def wait(self, count: int, at: int) -> None:
        if self._rate is not None:
            ahead = self._begun + count / self._rate - time.monotonic()
            if ahead > _TICK_SECONDS:
                await asyncio.sleep(ahead)
        if self._live:
            ahead = at / 1000 - time.time()
            if ahead > 0:
                await asyncio.sleep(max(_TICK_SECONDS, ahead))


class _Window:
    """The records that are not acknowledged yet: counts them, bounds them, keeps the first failure."""

    def __init__(self, state: Sending, limit: int) -> None:
        self._state, self._limit = state, limit
        self._waiting = 0
        self._changed = asyncio.Event()
        #: What no further record would survive; the sending ends.
        self.broken: BaseException | None = None

    def add(self, future: asyncio.Future[Any]) -> None:
        self._waiting += 1
        future.add_done_callback(self._done)

    def refused(self, error: BaseException) -> None:
        self._state.failed += 1
        self._state.first_error = self._state.first_error or str(error)

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        self._changed.set()
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._state.sent += 1
            return
        self.refused(error)
        if not isinstance(error, MessageSizeTooLargeError):
            self.broken = self.broken or error

    async def room(self) -> None:
        while self._waiting >= self._limit and self.broken is None:
            self._changed.clear()
            await self._changed.wait()

    async def empty(self) -> None:
        while self._waiting:
            self._changed.clear()
            await self._changed.wait()


async def _send_one(producer: AIOKafkaProducer, topic: str, record: Sent, window: _Window) -> None:
    try:
        future = await producer.send(
            topic,
            record.value,
            key=record.key,
            partition=record.partition,
            timestamp_ms=record.at or None,
            headers=list(record.headers),
        )
    except MessageSizeTooLargeError as exc:
        window.refused(exc)
    else:
        window.add(future)


async def _each(records: Iterable[Sent] | AsyncIterable[Sent]) -> AsyncIterator[Sent]:
    if isinstance(records, AsyncIterable):
        async for record in records:
            yield record
    else:
        for record in records:
            yield record


async def in_thread(records: Iterable[Sent], *, ahead: int = 10_000) -> AsyncIterator[Sent]:
    """The records of an iterable that may block, read in a thread of its own, at most so many `ahead`.

    What the iterable raises is raised here.
    """
    loop = asyncio.get_running_loop()
    waiting: deque[Sent] = deque()
    arrived, room = asyncio.Event(), threading.Semaphore(ahead)
    ended: list[BaseException | None] = []

    def read() -> None:
        error: BaseException | None = None
        try:
            for record in records:
                room.acquire()
                if ended:
                    return
                waiting.append(record)
                if len(waiting) == 1:  # else the reader below is awake
                    loop.call_soon_threadsafe(arrived.set)
        except BaseException as exc:  # raised again below, in the task that asked
            error = exc
        ended.append(error)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(arrived.set)

    threading.Thread(target=read, name="reading events", daemon=True).start()
    try:
        while waiting or not ended:
            if not waiting:
                await arrived.wait()
                arrived.clear()
            while waiting:
                yield waiting.popleft()
                room.release()
        if ended[0] is not None:
            raise ended[0]
    finally:
        ended.append(None)
        room.release()
