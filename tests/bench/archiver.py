"""The archiver from a full topic into the embedded ClickHouse: how many events a second are stored."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from pipeline.settings import Settings

from .events import make_events, produce
from .machine import cpu_seconds, peak_memory
from .place import Place, check, new_place, page, role_process
from .rows import Row, rounded
from .run import RATE, Say
from .sizes import Sizes
from .worker import Span

_START_SECONDS = 60.0
_STORE_SECONDS = 600.0
_LOOK_SECONDS = 0.05


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Events a second from the first insert to the last, each acknowledged by ClickHouse."""
    spans, peaks, clickhouse = [], [], []
    async with new_place() as place:
        say(f"{sizes.events:,} events are made and written to Kafka")
        keys, values = make_events(sizes.events, int(time.time() * 1000))
        await produce(place.settings.kafka_bootstrap, place.settings.events_topic, keys, values)
        del keys, values
        for number in range(1, sizes.runs + 1):
            say(f"run {number} of {sizes.runs}: the archiver")
            found = await _measure(place, place.named(f"archive-{number}"), sizes.events)
            spans.append(found[0])
            peaks.append(found[1])
            clickhouse.append(found[2] / found[0].seconds)
    return [
        Row("archiver: events a second", "1/s", rounded(*[s.rate for s in spans]), RATE),
        Row("archiver: events a CPU second", "1/s", rounded(*[s.cpu_rate for s in spans])),
        Row("archiver: CPU used", "cores", rounded(*[s.cpu / s.seconds for s in spans])),
        Row("broker and ClickHouse meanwhile (archiver): CPU used", "cores", rounded(*clickhouse)),
        Row("archiver: peak memory", "MB", rounded(*[peak / 1e6 for peak in peaks])),
    ]


async def _measure(place: Place, settings: Settings, expected: int) -> tuple[Span, int, float]:
    """What the archiver took, its peak memory in bytes, and CPU seconds of broker and ClickHouse.

    The clock starts when the archiver has its partitions, before its first fetch: an insert that is
    acknowledged holds far more events than one look apart, so a later start would leave out work that was done.
    """
    log = place.data / "archiver.log"
    async with role_process("archiver", settings, log) as (pid, url), aiohttp.ClientSession() as session:
        deadline = time.monotonic() + _START_SECONDS
        while not (await page(session, url + "/health", log))["ready"]:
            check(deadline, "the archiver is not ready", log)
            await asyncio.sleep(_LOOK_SECONDS / 5)
        started, cpu, servers = time.perf_counter(), cpu_seconds(pid), place.servers_cpu()
        deadline = time.monotonic() + _STORE_SECONDS
        while (stored := sum((await page(session, url + "/health", log))["stored"].values())) < expected:
            check(deadline, f"{stored} of {expected} events stored", log)
            await asyncio.sleep(_LOOK_SECONDS)
        span = Span(expected, time.perf_counter() - started, cpu_seconds(pid) - cpu)
        servers = place.servers_cpu() - servers
        sql = f"SELECT count() FROM {settings.clickhouse_database}.events_raw FINAL WHERE stream = '{settings.stream}'"
        if (found := await place.ask(session, sql)) != str(expected):
            raise RuntimeError(f"ClickHouse has {found} of {expected} events")
        return span, peak_memory(pid), servers
