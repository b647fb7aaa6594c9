"""Worker processes, measured from outside: how fast they fold a topic that is full when they start."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pipeline.settings import Settings

from .machine import cpu_seconds, peak_memory
from .place import Place, check, page, role_process

_START_SECONDS = 60.0
_FOLD_SECONDS = 900.0
_PUBLISH_SECONDS = 60.0
#: Looking costs the worker something, so it is done about as often as Prometheus and a dashboard would.
_LOOK_SECONDS = 0.5
_LOOK_OFTEN_SECONDS = 0.03


@dataclass(frozen=True)
class Span:
    """Events handled in a span of time, and the CPU time that the process (or the processes) took for them."""

    events: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Events a second of CPU time."""
        return self.events / self.cpu


@dataclass(frozen=True)
class WorkerFigures:
    """What the workers took for the whole topic."""

    span: Span
    peak_memory: int  # bytes, of the largest
    published_after: float  # seconds from the last event folded to its rows in ClickHouse
    servers_cpu: float  # seconds that broker and ClickHouse took in the same span


async def measure(place: Place, settings: Settings, expected: int, workers: int = 1) -> WorkerFigures:
    """Run workers until they have folded `expected` events and published the last of them."""
    log = place.data / "worker.log"
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        started = [stack.enter_async_context(role_process("worker", settings, log)) for _ in range(workers)]
        roles = list(await asyncio.gather(*started))
        first = await look(session, roles, log)
        deadline = time.monotonic() + _START_SECONDS
        while not all(first.counts):
            check(deadline, f"the workers have folded {first.counts}", log)
            await asyncio.sleep(_LOOK_OFTEN_SECONDS)
            first = await look(session, roles, log)
        servers = place.servers_cpu()
        now, deadline = first, time.monotonic() + _FOLD_SECONDS
        while now.count < expected or now.lag:
            check(deadline, f"the worker folded only {now.count} of {expected} events", log)
            # Near the end it is looked at more and more often, so that the end is not seen late.
            rate = (now.count - first.count) / max(now.at - first.at, 0.1)
            left = (expected - now.count) / rate if rate else _LOOK_SECONDS
            await asyncio.sleep(min(max(left / 2, _LOOK_OFTEN_SECONDS), _LOOK_SECONDS))
            now = await look(session, roles, log)
        if now.accepted != expected:
            raise RuntimeError(f"{now.accepted} of {expected} events accepted")
        servers = place.servers_cpu() - servers
        span = Span(now.count - first.count, now.at - first.at, now.cpu - first.cpu)
        published_after = await _published(place, session, settings, expected, now.at, log)
        return WorkerFigures(span, max(peak_memory(pid) for pid, _ in roles), published_after, servers)


@dataclass(frozen=True)
class Reading:
    """What the workers say at a moment (`at`, of time.perf_counter), added up; `counts` are each one's records."""

    at: float
    cpu: float
    counts: tuple[int, ...]
    accepted: int
    lag: int | None
    marks: dict[int, int]  # partition to the next offset to fold

    @property
    def count(self) -> int:
        """Records folded by all."""
        return sum(self.counts)


async def look(session: aiohttp.ClientSession, roles: list[tuple[int, str]], log: Path) -> Reading:
    """Ask every worker for its figures."""
    pages = [await page(session, url + "/live", log) for _, url in roles]
    lags = [live["lag"] for live in pages if live["lag"] is not None]
    return Reading(
        time.perf_counter(),
        sum(cpu_seconds(pid) for pid, _ in roles),
        tuple(sum(live["totals"].values()) for live in pages),
        sum(live["totals"].get("accepted", 0) for live in pages),
        sum(lags) if lags else None,
        {int(p): mark for live in pages for p, mark in live["partitions"].items()},
    )


async def _published(
    place: Place, session: aiohttp.ClientSession, settings: Settings, expected: int, since: float, log: Path
) -> float:
    """Wait until ClickHouse has the counts of all events; seconds since `since`."""
    query = (
        f"SELECT sum(accepted) FROM {settings.clickhouse_database}.live_partition_raw FINAL "
        f"WHERE stream = '{settings.stream}' FORMAT TSV"
    )
    deadline = time.monotonic() + _PUBLISH_SECONDS
    while (answer := await place.ask(session, query)) != str(expected):
        check(deadline, f"ClickHouse knows of {answer} of {expected} events", log)
        await asyncio.sleep(0.1)
    return time.perf_counter() - since
