"""Freshness: how old an event is when people can see it, while events arrive at a steady rate.

Each event is known by partition and offset, with the moment at which it was handed to the producer. `/live` shows
per partition the offset up to which events are in its figures; so does each partition's row in ClickHouse, written
after the windows that it speaks of; and the stored events have their offsets. Each is looked at some times a second,
and an event counts as seen at the end of the first look that has it: the delay between two looks is part of the figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from pipeline.settings import Settings

from .feed import Feed, Seen
from .place import Place, check, new_place, page, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes

_READY_SECONDS = 60.0
_DRAIN_SECONDS = 60.0
#: The first seconds are left out: connections, first inserts, first checkpoint.
_WARM_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_ASK_SECONDS = 0.2
_LIVE, _WINDOWS, _EVENTS = "on /live", "in live windows in ClickHouse", "as stored event in ClickHouse"
#: Largest delay of 99 % of the events, in seconds.
TARGETS = {_LIVE: 1.0, _WINDOWS: 3.0, _EVENTS: 3.0}

Marks = Callable[[], Awaitable[dict[int, int]]]


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Median and 99th percentile of the delays; worker and archiver run beside each other."""
    found: list[dict[str, Seen]] = []
    delays = []
    for number in range(1, sizes.runs + 1):
        say(f"run {number} of {sizes.runs}: {sizes.freshness_rate:,} events a second are sent")
        # A place of its own: a full topic would be read first.
        async with new_place() as place:
            seen, delay = await _measure(place, place.named(f"fresh-{number}"), sizes)
        found.append(seen)
        delays.append(delay)
    at = f"at {sizes.freshness_rate:,} events/s"
    rows = []
    for name, target in TARGETS.items():
        p50 = rounded(*[seen[name].percentile(0.5) for seen in found])
        p99 = rounded(*[seen[name].percentile(0.99) for seen in found])
        rows.append(Row(f"freshness {at}: event sent to visible {name}, median", "s", p50))
        rows.append(Row(f"freshness {at}: event sent to visible {name}, 99 %", "s", p99, target, at_most=True))
    rows.append(Row(f"freshness {at}: the sender was late by at most", "s", rounded(*delays)))
    return rows


async def _measure(place: Place, settings: Settings, sizes: Sizes) -> tuple[dict[str, Seen], float]:
    log, archiver_log = place.data / "worker.log", place.data / "archiver.log"
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        _, worker = await stack.enter_async_context(role_process("worker", settings, log))
        _, archiver = await stack.enter_async_context(role_process("archiver", settings, archiver_log))
        for url, file in ((worker, log), (archiver, archiver_log)):
            await _ready(session, url, file)
        feed = Feed(settings.kafka_bootstrap, settings.events_topic, settings.partitions, sizes.freshness_rate)
        database, where = settings.clickhouse_database, f"WHERE stream = '{settings.stream}' GROUP BY partition"
        asked: dict[str, tuple[Marks, float]] = {
            _LIVE: (lambda: _live(session, worker, log), _LOOK_SECONDS),
            _WINDOWS: (
                lambda: _ask(
                    place, session, f"SELECT partition, max(version) FROM {database}.live_partition_raw {where}"
                ),
                _ASK_SECONDS,
            ),
            _EVENTS: (
                lambda: _ask(place, session, f"SELECT partition, max(offset) + 1 FROM {database}.events_raw {where}"),
                _ASK_SECONDS,
            ),
        }
        async with feed.running():
            await asyncio.sleep(_WARM_SECONDS)
            stop = asyncio.Event()
            seen = {name: Seen(feed) for name in asked}
            looks = [asyncio.create_task(_look(seen[name], *how, stop)) for name, how in asked.items()]
            await asyncio.sleep(sizes.freshness_seconds)
        try:
            deadline = time.monotonic() + _DRAIN_SECONDS
            while not all(s.complete() for s in seen.values()) and not any(task.done() for task in looks):
                check(deadline, "not every event was seen", log)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            stop.set()
            await asyncio.gather(*looks)
        return seen, feed.worst_delay


async def _look(seen: Seen, marks: Marks, every: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        began = time.perf_counter()
        found = await marks()
        seen.look(found, time.perf_counter())
        await asyncio.sleep(max(0.0, began + every - time.perf_counter()))


async def _live(session: aiohttp.ClientSession, url: str, log: Path) -> dict[int, int]:
    live = await page(session, url + "/live", log)
    return {int(p): mark for p, mark in live["partitions"].items()}


async def _ask(place: Place, session: aiohttp.ClientSession, sql: str) -> dict[int, int]:
    lines = (await place.ask(session, f"{sql} FORMAT TSV")).splitlines()
    return {int(p): int(mark) for p, mark in (line.split("\t") for line in lines)}


async def _ready(session: aiohttp.ClientSession, url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not (await page(session, url + "/health", log))["ready"]:
        check(deadline, f"{url} is not ready", log)
        await asyncio.sleep(0.05)
