"""`python -m tests.bench catalogue`: how long each metric takes, with its default parameters, on many events.

The events are the simulated shop's, over 30 days: who signs up links the device to the user, and as many devices as
`--links` says belong to users who never came. They stay in a folder, so that a second run begins with the queries. A
query is asked `--runs` times; the figure is the median.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console

from pipeline.archiver.load import load
from pipeline.clickhouse.client import Connection, connect
from pipeline.clickhouse.migrate import migrate
from pipeline.clickhouse.side_tables import insert
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import arguments_for, install, metrics, run, today
from pipeline.metrics.metric import Metric
from pipeline.settings import Settings
from pipeline.simulate import SHOP, History
from pipeline.simulate.command import side_rows
from schemas.plan_io import load_plan

from . import machine
from .rows import Row, show, write

#: What every metric must answer within, seconds.
TARGET: Final = 3.0
DAYS: Final = 30
_DAY_MS: Final = 86_400_000
_MEMORY: Final = 6 << 30
PLAN: Final = load_plan("shop")
_INTO: Final = "INSERT INTO links_raw (stream, partition, offset, id, person, kind, outcome, ts)"
_LINKS: Final = f"""{_INTO} SELECT stream, partition, offset, anonymous_id, user_id, 'login', 'linked', ts
FROM events_raw WHERE anonymous_id != '' AND user_id != '' ORDER BY ts LIMIT 1 BY anonymous_id"""
_MORE_LINKS: Final = f"""{_INTO} SELECT 'history', 0, 1000000000 + number, concat('b', lower(hex(sipHash64(number)))),
concat('v', toString(number)), 'login', 'linked', now64(3)"""


def main(words: Sequence[str]) -> int:
    """Measure; exit 1 if a metric takes longer than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench catalogue", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="events over 30 days (10,000,000)")
    parser.add_argument("--links", type=int, default=1_000_000, help="devices that belong to a user (1,000,000)")
    parser.add_argument("--runs", type=int, default=3, help="how often each query is asked (3)")
    parser.add_argument("--only", default="", help="names of metrics, separated by commas")
    parser.add_argument("--data", type=Path, default=Path("build/bench-catalogue"), help="where the events are kept")
    parser.add_argument("--out", type=Path, default=Path("build/bench-catalogue.json"), help="where the figures go")
    args = parser.parse_args(words)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    rows, about = asyncio.run(_measure(args, console))
    show(rows, f"The metric catalogue on {machine.describe()}", about, console)
    write(rows, args.out)
    return 0 if all(row.met for row in rows) else 1


async def _measure(args: argparse.Namespace, console: Console) -> tuple[list[Row], str]:
    folder: Path = args.data / f"{args.events}-{args.links}"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [metrics()[name] for name in args.only.split(",") if name] or list(metrics().values())
    async with EmbeddedClickHouse(folder, memory_limit=_MEMORY) as server:
        settings = Settings(**server.access)
        await migrate(settings)
        await install(settings, PLAN)
        await _fill(settings, args.events, args.links, folder / "complete", console)
        connection = Connection(settings)
        try:
            rows = [await _time(connection, metric, args.runs, server.pid or 0, console) for metric in chosen]
            count, ids, users, links, parts = (
                await connection.run(
                    lambda client: client.query(
                        "SELECT count(), uniqExact(actor), uniqExact(person), (SELECT count() FROM links), "
                        "(SELECT count() FROM system.parts WHERE active AND table = 'events_raw') FROM events"
                    )
                )
            ).result_rows[0]
        finally:
            await connection.close()
    return rows, (
        f"{count:,} events of {users:,} users ({ids:,} ids) over {DAYS} days in {parts} parts, {links:,} links; "
        "default parameters, median of "
        f"{args.runs} runs; target: at most {TARGET:g} s"
    )


async def _fill(settings: Settings, events: int, links: int, complete: Path, console: Console) -> None:
    """Store the events, unless an earlier run did."""
    if complete.exists():
        return
    end = int(time.time() * 1000)
    history = History(SHOP, end - DAYS * _DAY_MS, end, events)
    client = await connect(settings)
    begun = time.monotonic()
    try:
        count = await load(client, PLAN, history.records())
        for rows in side_rows(history, PLAN).values():
            await insert(client, rows)
        await client.command(_LINKS)
        there = int((await client.query("SELECT count() FROM links")).result_rows[0][0])
        await client.command(f"{_MORE_LINKS} FROM numbers({max(0, links - there)})")
        console.print(f"{count:,} events stored in {time.monotonic() - begun:.0f} s", style="dim")
    finally:
        await client.close()
    complete.touch()


async def _time(connection: Connection, metric: Metric, runs: int, pid: int, console: Console) -> Row:
    """The wall-clock time of each run; the CPU time beside it tells how busy the machine was with other things."""
    arguments = arguments_for(metric, {}, PLAN, today(PLAN))
    seconds = []
    used = []
    for _ in range(runs):
        begun, before = time.monotonic(), machine.cpu_seconds(pid)
        try:
            table = await run(connection, metric, arguments)
        except ClickHouseError as exc:
            console.print(f"{metric.name}: {str(exc)[:300]}", style="red")
            return Row(metric.name, "s", (float("inf"),), TARGET, at_most=True)
        seconds.append(time.monotonic() - begun)
        used.append(machine.cpu_seconds(pid) - before)
    console.print(
        f"{metric.name}: {min(seconds):.2f} to {max(seconds):.2f} s, CPU {min(used):.2f} to {max(used):.2f} s, "
        f"{len(table.rows)} rows",
        style="dim",
    )
    return Row(metric.name, "s", tuple(seconds), TARGET, at_most=True)
