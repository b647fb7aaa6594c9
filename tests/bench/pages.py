"""`python -m tests.bench pages`: how long the dashboard's pages and panels take on the catalogue's ten million events.

A page is its HTML, as the first thing that a reader sees; a panel is a part that is loaded after it, when it comes into
sight. Each panel is asked alone, of a dashboard that has asked nothing before, then again; and all panels of the page
at once, as somebody does who scrolls through it. The data are those of `python -m tests.bench catalogue`. Beside the
seconds by the clock stand those of ClickHouse's CPU: on a machine that is busy with other things they say more.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from html import unescape
from pathlib import Path
from statistics import median
from typing import Final

import aiohttp
from rich.console import Console
from rich.table import Table

from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.migrate import migrate
from pipeline.dashboard.pages import PAGES
from pipeline.dashboard.server import Dashboard
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import install
from pipeline.settings import Settings

from . import machine
from .catalogue import PLAN, filled
from .rows import Row, rounded, write

#: Seconds within which a page and a panel must answer.
PAGE, PANEL = 1.0, 2.0
_MEMORY: Final = 6 << 30
#: Connections that a browser opens to one host, less that of the stream.
_AT_ONCE: Final = 5
_SOMEBODY: Final = "SELECT person FROM events ORDER BY ts DESC LIMIT 1"


def main(words: Sequence[str]) -> int:
    """Measure; exit 1 if a page or a panel takes longer than it may."""
    parser = arguments("pages", __doc__)
    args = parser.parse_args(words)
    if unknown := set(filter(None, args.only.split(","))) - {page.path for page in PAGES}:
        parser.error(f"there is no page {sorted(unknown)[0]}: {', '.join(page.path for page in PAGES)}")
    console = Console() if sys.stdout.isatty() else Console(width=140)
    rows = asyncio.run(_measure(args, console))
    console.print(machine.describe(), style="dim")
    write(rows, args.out)
    return 1 if any(row.bad for row in rows) else 0


def arguments(mode: str, description: str | None) -> argparse.ArgumentParser:
    """What a measurement of the dashboard may be told."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench {mode}", description=description)
    parser.add_argument("--events", type=int, default=10_000_000, help="events over 30 days (10,000,000)")
    parser.add_argument("--links", type=int, default=1_000_000, help="devices that belong to a user (1,000,000)")
    parser.add_argument("--runs", type=int, default=3, help="how often each is asked (3)")
    parser.add_argument("--only", default="", help=f"some of the {mode} (a path, a number), separated by commas")
    parser.add_argument("--data", type=Path, default=Path("build/bench-catalogue"), help="where the events are kept")
    parser.add_argument("--out", type=Path, default=Path(f"build/bench-{mode}.json"), help="where the figures go")
    return parser


@asynccontextmanager
async def opened(args: argparse.Namespace, console: Console) -> AsyncIterator[tuple[Settings, int]]:
    """A ClickHouse with the events, and the settings of a dashboard for it; its process."""
    folder: Path = args.data / f"{args.events}-{args.links}"
    folder.mkdir(parents=True, exist_ok=True)
    async with EmbeddedClickHouse(folder, memory_limit=_MEMORY) as server:
        settings = Settings(dashboard_port=0, dashboard_workers="http://127.0.0.1:9", **server.access)
        await migrate(settings)
        await install(settings, PLAN)
        connection = Connection(settings)
        try:
            await connection.run(partial(filled, events=args.events, links=args.links, folder=folder, console=console))
        finally:
            await connection.close()
        yield settings, server.pid or 0


async def _measure(args: argparse.Namespace, console: Console) -> list[Row]:
    async with opened(args, console) as (settings, pid):
        connection = Connection(settings)
        try:
            ((somebody,),) = await connection.query(_SOMEBODY)
        finally:
            await connection.close()
        wanted = [path for path in args.only.split(",") if path] or [page.path for page in PAGES]
        rows: list[Row] = []
        table = Table(
            "page or panel", "alone", "CPU", "again", title="Seconds by the clock, and of CPU", title_justify="left"
        )
        for path in wanted:
            asked = f"{path}?id={somebody}" if path == "/person" else path
            rows += await _page(settings, asked, args.runs, pid, table)
        console.print(table)
        return rows


async def _page(settings: Settings, path: str, runs: int, pid: int, table: Table) -> list[Row]:
    whole: list[float] = []
    everything: list[float] = []
    alone: dict[str, list[float]] = {}
    again: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    for _ in range(runs):
        async with dashboard(settings) as (url, web):
            seconds, html = await got(web, url + path)
            whole.append(seconds)
            parts = await _parts(web, url, html)
        for part in parts:
            async with dashboard(settings) as (url, web):
                before = machine.cpu_seconds(pid)
                alone.setdefault(part, []).append((await got(web, url + part))[0])
                cpu.setdefault(part, []).append(machine.cpu_seconds(pid) - before)
                again.setdefault(part, []).append((await got(web, url + part))[0])
        async with dashboard(settings) as (url, web):
            begun = time.monotonic()
            await asked_at_once(web, url, parts)
            everything.append(time.monotonic() - begun)
    table.add_row(path, f"{median(whole):.2f}", "", "", style="bold")
    found = [Row(f"page {path}", "s", rounded(*whole), PAGE, at_most=True)]
    for part in parts:
        slow = median(alone[part]) > PANEL
        figures = [f"{median(each[part]):.2f}" for each in (alone, cpu, again)]
        table.add_row(f"  {_short(part)}", *figures, style="red" if slow else "")
        print(path, _short(part), *figures, file=sys.stderr)
        found.append(Row(f"panel {_short(part)} of {path}", "s", rounded(*alone[part]), PANEL, at_most=True))
        found.append(Row(f"panel {_short(part)} of {path}", "s of CPU", rounded(*cpu[part])))
    table.add_row("  all of them at once", f"{median(everything):.2f}", "", "")
    found.append(Row(f"all panels of {path} at once", "s", rounded(*everything)))
    return found


@asynccontextmanager
async def dashboard(settings: Settings) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """One that has asked nothing yet but is connected."""
    made = Dashboard(settings, PLAN)
    await made.start()
    url = f"http://127.0.0.1:{made.port}"
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as web:
            await got(web, url + "/part/events")
            yield url, web
    finally:
        await made.stop()


async def asked_at_once(web: aiohttp.ClientSession, url: str, parts: Sequence[str]) -> list[tuple[float, str]]:
    """The parts, as many at once as a browser asks for."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(part: str) -> tuple[float, str]:
        async with turn:
            return await got(web, url + part)

    return await asyncio.gather(*map(one, parts))


async def got(web: aiohttp.ClientSession, url: str) -> tuple[float, str]:
    """The seconds that an answer took, and its text."""
    begun = time.monotonic()
    async with web.get(url) as answer:
        text = await answer.text()
    assert answer.status == 200, url
    # A question that was given up is no answer, however fast.
    return float("inf") if 'class="problem"' in text else time.monotonic() - begun, text


async def _parts(web: aiohttp.ClientSession, url: str, html: str) -> list[str]:
    """The addresses of the page's parts, those within parts too."""
    found: list[str] = []
    for part in map(unescape, re.findall(r'data-part="([^"]+)"', html)):
        found.append(part)
        if part.startswith("/part/person?"):
            found += await _parts(web, url, (await got(web, url + part))[1])
    return list(dict.fromkeys(found))


def _short(part: str) -> str:
    """What is told apart by."""
    name, _, query = part.removeprefix("/part/").partition("?")
    told = [word for word in query.split("&") if word.split("=")[0] in ("metric", "of", "funnel")]
    return " ".join([name, *told])
