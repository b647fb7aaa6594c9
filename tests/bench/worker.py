"""A worker process, measured from outside: how fast it folds a topic that is full when it starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pipeline.local.process import Child, free_port
from pipeline.settings import Settings

from .machine import cpu_seconds, peak_memory

_START_SECONDS = 60.0
_FOLD_SECONDS = 600.0
_PUBLISH_SECONDS = 60.0
#: Looking costs the worker something, so it is done about as often as Prometheus and a dashboard would.
_LOOK_SECONDS = 0.5
_LOOK_OFTEN_SECONDS = 0.03


@dataclass(frozen=True)
class Span:
    """Events handled in a span of time, and the CPU time that their process took for them."""

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
    """What a worker took for the whole topic."""

    span: Span
    peak_memory: int  # bytes
    published_after: float  # seconds from the last event folded to its rows in ClickHouse


@contextlib.asynccontextmanager
async def worker_process(settings: Settings, log: Path) -> AsyncIterator[tuple[int, str]]:
    """Run `streamgauge worker`; yields its process id and address once it answers, and ends it."""
    port, _ = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    settings = settings.model_copy(update={"metrics_port": port})
    child = Child(
        "the worker",
        [sys.executable, "-P", "-m", "pipeline.cli", "worker"],
        log,
        env={**env, **settings.environment()},
    )
    child.start()
    try:
        await child.wait_ready(lambda: _listens(port), _START_SECONDS)
        assert child.pid is not None
        yield child.pid, f"http://127.0.0.1:{port}"
    finally:
        await child.stop(15)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def measure(settings: Settings, expected: int, log: Path) -> WorkerFigures:
    """Run a worker until it has folded `expected` events and published the last of them."""
    async with worker_process(settings, log) as (pid, url), aiohttp.ClientSession() as session:
        first = await _look(session, url, pid, log)
        deadline = time.monotonic() + _START_SECONDS
        while not first.count:
            _check(deadline, "the worker folded nothing", log)
            await asyncio.sleep(_LOOK_OFTEN_SECONDS)
            first = await _look(session, url, pid, log)
        now, deadline = first, time.monotonic() + _FOLD_SECONDS
        while now.count < expected or now.lag:
            _check(deadline, f"the worker folded only {now.count} of {expected} events", log)
            # Near the end it is looked at more and more often, so that the end is not seen late.
            rate = (now.count - first.count) / max(now.at - first.at, 0.1)
            left = (expected - now.count) / rate if rate else _LOOK_SECONDS
            await asyncio.sleep(min(max(left / 2, _LOOK_OFTEN_SECONDS), _LOOK_SECONDS))
            now = await _look(session, url, pid, log)
        if now.accepted != expected:
            raise RuntimeError(f"{now.accepted} of {expected} events accepted: {now.totals}")
        span = Span(now.count - first.count, now.at - first.at, now.cpu - first.cpu)
        published_after = await _published(session, settings, expected, now.at, log)
        return WorkerFigures(span, peak_memory(pid), published_after)


@dataclass(frozen=True)
class _Reading:
    at: float
    cpu: float
    totals: dict[str, int]
    lag: int | None

    @property
    def count(self) -> int:
        return sum(self.totals.values())

    @property
    def accepted(self) -> int:
        return self.totals.get("accepted", 0)


async def _look(session: aiohttp.ClientSession, url: str, pid: int, log: Path) -> _Reading:
    try:
        async with session.get(url + "/live") as response:
            live: dict[str, Any] = await response.json()
    except aiohttp.ClientError as exc:
        raise RuntimeError(f"the worker does not answer ({exc!r}): {tail(log)}") from exc
    return _Reading(time.perf_counter(), cpu_seconds(pid), live["totals"], live["lag"])


async def _published(
    session: aiohttp.ClientSession, settings: Settings, expected: int, since: float, log: Path
) -> float:
    """Wait until ClickHouse has the counts of all events; seconds since `since`."""
    query = (
        f"SELECT sum(accepted) FROM {settings.clickhouse_database}.live_partition_raw FINAL "
        f"WHERE stream = '{settings.stream}' FORMAT TSV"
    )
    deadline = time.monotonic() + _PUBLISH_SECONDS
    while True:
        async with session.post(settings.clickhouse_url, data=query) as response:
            answer = (await response.text()).strip()
            if response.status != 200:
                raise RuntimeError(f"ClickHouse: {answer[:500]}")
        if answer == str(expected):
            return time.perf_counter() - since
        _check(deadline, f"ClickHouse knows of {answer} of {expected} events", log)
        await asyncio.sleep(0.1)


def _check(deadline: float, problem: str, log: Path) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError(f"{problem}: {tail(log)}")


def tail(log: Path) -> str:
    """The end of a log file, for an error message."""
    return log.read_text("utf-8", "replace")[-2000:] or "it wrote nothing"
