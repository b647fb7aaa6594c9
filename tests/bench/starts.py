"""From starting a process to the first event that it has counted: the worker alone, and the whole demo."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from pipeline.embedded.child import Child

from .events import make_events, produce
from .place import Place, check, new_place, page, plain_environment, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes

WORKER_SECONDS, DEMO_SECONDS = 3.0, 10.0
_EVENTS = 1_000
_LIMIT_SECONDS = 90.0
_LOOK_SECONDS = 0.02
#: As `up` and `demo` set it with the embedded broker, which waits for half of it before it lets a worker in.
_SESSION_SECONDS = 3.0


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Warm: a start that is not measured goes before."""
    worker, demo = [], []
    async with new_place(session_timeout_s=_SESSION_SECONDS) as place:
        keys, values = make_events(_EVENTS, int(time.time() * 1000))
        await produce(place.settings.kafka_bootstrap, place.settings.events_topic, keys, values)
        for number in range(sizes.runs + 1):
            say(f"run {number} of {sizes.runs}: the worker")
            worker.append(await _worker(place, f"start-{number}"))
    for number in range(1, sizes.runs + 1):
        say(f"run {number} of {sizes.runs}: demo")
        demo.append(await _demo())
    return [
        Row("start of the worker to its first counted event", "s", rounded(*worker[1:]), WORKER_SECONDS, at_most=True),
        Row("start of demo to its first counted event", "s", rounded(*demo), DEMO_SECONDS, at_most=True),
    ]


async def _worker(place: Place, name: str) -> float:
    log = place.data / "worker.log"
    started = time.perf_counter()
    async with role_process("worker", place.named(name), log) as (_, url), aiohttp.ClientSession() as session:
        await _counted(session, url, log)
        return time.perf_counter() - started


async def _demo() -> float:
    """Start the demo as a person would, wait until it prints where its worker is, and ask that.

    Its past is as large as without `--rate`, and nobody has to wait for the next event of a small shop.
    """
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:
        log = Path(folder) / "demo.log"
        command = [
            sys.executable,
            "-P",
            "-m",
            "pipeline.cli",
            "demo",
            "--rate",
            "100",
            "--data",
            str(Path(folder) / "data"),
        ]
        child = Child("demo", command, log, env=plain_environment())
        started = time.perf_counter()
        child.start()
        try:
            deadline = time.monotonic() + _LIMIT_SECONDS
            while not (found := re.search(r"Metrics\s+(http://\S+)/metrics", log.read_text("utf-8"))):
                check(deadline, "demo has not said where its worker is", log)
                if not child.running:
                    check(0, "demo has ended", log)
                await asyncio.sleep(_LOOK_SECONDS)
            async with aiohttp.ClientSession() as session:
                await _counted(session, found[1], log)
            return time.perf_counter() - started
        finally:
            await child.stop(30)


async def _counted(session: aiohttp.ClientSession, url: str, log: Path) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while True:
        with contextlib.suppress(RuntimeError):
            if (await page(session, url + "/live", log))["totals"].get("accepted"):
                return
        check(deadline, "nothing was counted", log)
        await asyncio.sleep(_LOOK_SECONDS)
