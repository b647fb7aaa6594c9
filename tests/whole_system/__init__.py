"""Helpers for tests of the whole system, real in every part."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import commands

from pipeline.clickhouse.client import Connection
from pipeline.demo.system import System

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Awaitable[System]]


def command(
    *arguments: str, env: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the `streamgauge` command as a person would."""
    return commands.run([*arguments], {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}, timeout)


async def until(check: Callable[[], Awaitable[Any]], what: str, seconds: float = 60) -> Any:
    """Wait until `check` gives something true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.1)


async def rows(system: System, sql: str) -> list[Any]:
    """The result rows of a query."""
    connection = Connection(system.settings)
    try:
        return await connection.query(sql)
    finally:
        await connection.close()


async def streamed(url: str, page: str, found: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """What a browser shows on a page once `found` holds of it; the last that it showed if that doesn't come."""
    shown: dict[str, str] = {}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/stream", params={"page": page}) as response:
        async with asyncio.timeout(20):
            while not found(shown):
                line = (await response.content.readline()).decode()
                if line.startswith("data: "):
                    shown |= json.loads(line.removeprefix("data: "))
    return shown


def last_json(text: str) -> Any:
    """The JSON on the last line."""
    return json.loads(text.strip().splitlines()[-1])
