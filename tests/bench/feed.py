"""Events sent at a steady rate, as time passes, with a note of when each was sent.

A partition's offsets are those of the order in which its events are sent, so an event is named by partition and
offset, and whoever says "everything before this offset is done" says it of known events.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from aiokafka import AIOKafkaProducer

from pipeline.ingest.partitioner import partitions_of

from .events import SEED, make_event, make_shapes

#: Events are handed to Kafka so often: one batch a partition.
TICK_SECONDS = 0.02
_BATCH_BYTES = 1 << 20
_SHAPES = 100_000
_STEP = 2_000


@dataclass
class Track:
    """What was sent to one partition: after `ends[i]` events in it, the clock (time.perf_counter) said `times[i]`."""

    ends: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


class Feed:
    """Sends `rate` events a second to a topic until it is closed; the events are the same ones, with new ids."""

    def __init__(
        self, bootstrap: str, topic: str, partitions: int, rate: float, *, first: Mapping[int, int] | None = None
    ) -> None:
        """`first`: offsets that the partitions have already."""
        self._bootstrap, self._topic, self._partitions, self._rate = bootstrap, topic, partitions, rate
        first = first or {}
        self.offsets = {p: first.get(p, 0) for p in range(partitions)}
        self.tracks = {p: Track() for p in range(partitions)}
        self.sent = 0
        #: The longest that the sending was behind its plan, in seconds: if it is long, the rate was not kept.
        self.worst_delay = 0.0
        rng = np.random.default_rng(SEED + 1)
        self._shapes = make_shapes(rng, _SHAPES)
        self._homes = partitions_of(self._shapes.keys, partitions).tolist()
        self._ids = int(rng.integers(2**62)) << 64

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Feed]:
        """Send in the background; raises at the end what the sending ended with."""
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, max_batch_size=_BATCH_BYTES)
        await producer.start()
        stop = asyncio.Event()
        task = asyncio.create_task(self._run(producer, stop))
        try:
            yield self
        finally:
            stop.set()
            try:
                await task
            finally:
                await producer.stop()

    async def _run(self, producer: AIOKafkaProducer, stop: asyncio.Event) -> None:
        started = time.perf_counter()
        acknowledged: list[asyncio.Future[object]] = []
        while not stop.is_set():
            # After a pause it catches up in steps that fit into batches.
            due = min(int((time.perf_counter() - started) * self._rate) - self.sent, _STEP)
            for partition, batch in self._batches(producer, due).items():
                acknowledged.append(await producer.send_batch(batch, self._topic, partition=partition))
            for future in [future for future in acknowledged if future.done()]:
                future.result()
                acknowledged.remove(future)
            planned = started + (self.sent / self._rate) + TICK_SECONDS
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
            self.worst_delay = max(self.worst_delay, time.perf_counter() - planned)
        await asyncio.gather(*acknowledged)

    def _batches(self, producer: AIOKafkaProducer, count: int) -> dict[int, object]:
        batches: dict[int, object] = {}
        counts = dict.fromkeys(range(self._partitions), 0)
        # One moment for all of a tick: the earliest, so that no event looks fresher than it is.
        clock, now = time.perf_counter(), int(time.time() * 1000)
        keys, heads, tails = self._shapes
        for number in range(self.sent, self.sent + count):
            i = number % _SHAPES
            home = self._homes[i]
            batch = batches.get(home)
            if batch is None:
                batch = batches[home] = producer.create_batch()
            value = make_event(b"%032x" % (self._ids + number), heads[i], now, tails[i])
            if batch.append(key=keys[i], value=value, timestamp=now) is None:  # type: ignore[attr-defined]
                raise RuntimeError("the sender is too far behind: a batch is full")
            counts[home] += 1
        for partition in batches:
            self.offsets[partition] += counts[partition]
            self.tracks[partition].ends.append(self.offsets[partition])
            self.tracks[partition].times.append(clock)
        self.sent += count
        return batches


class Seen:
    """How long events took until somebody had them: from what is said at each look, "done before this offset"."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._next = {partition: len(track.ends) for partition, track in feed.tracks.items()}
        self._offsets = dict(feed.offsets)
        #: (delay in seconds, events that had it)
        self.delays: list[tuple[float, int]] = []

    def look(self, marks: Mapping[int, int], at: float) -> None:
        """At `at` (time.perf_counter), everything before these offsets was there."""
        for partition, mark in marks.items():
            track = self._feed.tracks[partition]
            i, before = self._next[partition], self._offsets[partition]
            upto = bisect_left(track.ends, mark + 1, lo=i)  # sent in ticks that are there in whole
            for j in range(i, upto):
                self.delays.append((at - track.times[j], track.ends[j] - before))
                before = track.ends[j]
            self._next[partition], self._offsets[partition] = upto, before

    def complete(self) -> bool:
        """Whether every event sent so far has been seen."""
        return self._offsets == self._feed.offsets

    def percentile(self, share: float) -> float:
        """The delay that `share` (0 to 1) of the events did not exceed, in seconds."""
        if not self.delays:
            raise RuntimeError("no event was seen")
        ordered = sorted(self.delays)
        wanted = share * sum(count for _, count in ordered)
        so_far = 0
        for delay, count in ordered:
            so_far += count
            if so_far >= wanted:
                return delay
        return ordered[-1][0]
