"""Catching up after an outage: a worker starts on a backlog while events go on arriving."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from pipeline.ingest.partitioner import partitions_of
from pipeline.settings import Settings

from .events import SEED, make_events, produce
from .feed import Feed
from .place import Place, check, new_place, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import Span, look

#: How many times as fast as the arrival the worker must fold until it has caught up.
TIMES = 10.0
#: Caught up: what waits is what arrived in so many seconds.
_BEHIND_SECONDS = 0.5
_CATCH_UP_SECONDS = 900.0
_LOOK_SECONDS = 0.2
_LOOK_OFTEN_SECONDS = 0.03
_CHUNK = 250_000


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Rate of folding until caught up, and how long that took from the worker's first event."""
    spans = []
    for number in range(1, sizes.runs + 1):
        async with new_place() as place:
            backlog = int(sizes.outage_seconds * sizes.arrival_rate)
            say(f"run {number} of {sizes.runs}: a backlog of {backlog:,} events is written")
            # The broker's end offsets can't be asked, but each partition's events are in order of sending.
            offsets = await _backlog(place, backlog, sizes.arrival_rate)
            say(f"run {number} of {sizes.runs}: the worker, while {sizes.arrival_rate:,} events a second arrive")
            spans.append(await _measure(place, place.named(f"catch-up-{number}"), offsets, sizes.arrival_rate))
    name = f"catch-up after {sizes.outage_seconds:.0f} s without a worker, at {sizes.arrival_rate:,} events/s"
    times = rounded(*[span.rate / sizes.arrival_rate for span in spans])
    return [
        Row(f"{name}: times the rate of arrival", "x", times, TIMES),
        Row(f"{name}: events a second", "1/s", rounded(*[span.rate for span in spans])),
        Row(f"{name}: caught up after", "s", rounded(*[span.seconds for span in spans])),
    ]


async def _backlog(place: Place, count: int, rate: int) -> dict[int, int]:
    """Write the events that arrived during the outage; how many each partition has."""
    settings = place.settings
    offsets = dict.fromkeys(range(settings.partitions), 0)
    end = int(time.time() * 1000)
    for number, start in enumerate(range(0, count, _CHUNK)):
        size = min(_CHUNK, count - start)
        until = end - (count - start - size) * 1000 // rate
        keys, values = make_events(size, until, rate=rate, seed=SEED + number)
        await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)
        for partition in partitions_of(keys, settings.partitions).tolist():
            offsets[partition] += 1
    return offsets


async def _measure(place: Place, settings: Settings, offsets: dict[int, int], rate: float) -> Span:
    log = place.data / "worker.log"
    feed = Feed(settings.kafka_bootstrap, settings.events_topic, settings.partitions, rate, first=offsets)
    async with (
        feed.running(),
        role_process("worker", settings, log) as role,
        aiohttp.ClientSession() as session,
    ):
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        first = now = await look(session, [role], log)
        while not now.count or sum(feed.offsets.values()) - now.count > rate * _BEHIND_SECONDS:
            check(deadline, f"{now.count} of {sum(feed.offsets.values())} events folded", log)
            await asyncio.sleep(_LOOK_SECONDS if first.count else _LOOK_OFTEN_SECONDS)
            now = await look(session, [role], log)
            first = first if first.count else now
        if now.accepted != now.count:
            raise RuntimeError(f"{now.accepted} of {now.count} events accepted")
        return Span(now.count - first.count, now.at - first.at, now.cpu - first.cpu)
