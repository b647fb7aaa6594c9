"""The worker, on one core, on the log that the others read."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from ..machine import peak_memory
from ..place import check, page, role_process
from ..worker import look
from .equal import Figures
from .ground import CORE, Ground, on
from .measured import Measured, Point

_SECONDS = 1_800.0
_LOOK_SECONDS = 0.25
_LOOK_OFTEN_SECONDS = 0.03


async def run(ground: Ground, topic: str, name: str, expected: int) -> tuple[Measured, Figures]:
    """Let a worker fold the `expected` records of a topic; also its totals (its rows are in ClickHouse)."""
    log = ground.data / f"{name}.log"
    settings = ground.named(name, topic)
    deadline = time.monotonic() + _SECONDS
    points: list[Point] = []
    async with aiohttp.ClientSession() as session:
        role = role_process("worker", settings, log)
        with on({CORE}):
            pid, url = await role.__aenter__()
        try:
            while not points or points[-1].records < expected:
                check(deadline, f"the worker has folded only {points[-1:]} of {expected} records", log)
                now = await look(session, [(pid, url)], log)
                if now.count:
                    points.append(Point(now.count, now.at, now.cpu))
                await asyncio.sleep(_LOOK_SECONDS if points else _LOOK_OFTEN_SECONDS)
            memory = peak_memory(pid)
            totals = (await page(session, url + "/live", log))["totals"]
        finally:
            await role.__aexit__(None, None, None)
    return Measured(points, memory), Figures({name: totals.get(name, 0) for name in _TOTALS})


_TOTALS = ("accepted", "late", "duplicate", "rejected")
