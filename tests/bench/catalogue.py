"""`python -m tests.bench catalogue`: how long each metric takes, with its default parameters, on many events.

The events are the simulated shop's, over 30 days, of people with several devices: a fiftieth of them is simulated
and the rest are copies with ids of their own, so that making them takes a minute or two. Links that are still missing
are of devices that never came. Each metric is asked without any link and with all of them. The data stay in a folder,
so that a second run begins with the queries. A query is asked `--runs` times; the figure is the median.

Beside the seconds by the clock stand those of CPU: on a machine that is busy with other things they say more.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.table import Table

from pipeline.archiver.load import load
from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.migrate import migrate
from pipeline.clickhouse.side_tables import insert
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.metrics import arguments_for, install, metrics, run, today
from pipeline.metrics.metric import Metric
from pipeline.settings import Settings
from pipeline.simulate import SHOP, History
from pipeline.simulate.command import side_rows
from pipeline.simulate.devices import Devices
from schemas.plan_io import load_plan

from . import machine
from .rows import Row, rounded, write

#: What every metric must answer within, seconds.
TARGET: Final = 3.0
DAYS: Final = 30
_DAY_MS: Final = 86_400_000
_MEMORY: Final = 6 << 30
#: So many times the simulated events.
_COPIES: Final = 50
#: Copies a statement.
_AT_ONCE: Final = 5
PLAN: Final = load_plan("shop")
#: What of a simulated event is a copy's own: who it is of, and what is only once in the world.
_OWN_IDS: Final = r'"(order_id|invite_id|inviter)":"([^"]+)"'
_LATER: Final = "toIntervalSecond(61 * copy)"
_COPY_EVENTS: Final = f"""INSERT INTO events_raw SELECT * EXCEPT (copy, own) REPLACE (
    copy % 16 AS partition, offset + copy * 100000000 AS offset, concat(event_id, own) AS event_id,
    concat(actor, own) AS actor, if(user_id = '', '', concat(user_id, own)) AS user_id,
    if(anonymous_id = '', '', concat(anonymous_id, own)) AS anonymous_id,
    if(session_id = '', '', concat(session_id, own)) AS session_id, concat(counted_as, own) AS counted_as,
    ts - {_LATER} AS ts, ingested_at - {_LATER} AS ingested_at,
    replaceRegexpAll(properties, {{pattern:String}}, concat('"\\\\1":"\\\\2', own, '"')) AS properties)
FROM (SELECT * FROM events_raw WHERE partition = 0 AND offset < 100000000) AS once
CROSS JOIN
    (SELECT number AS copy, concat('-', toString(number)) AS own FROM numbers({{first:UInt32}}, {{n:UInt32}})) AS copies
SETTINGS max_partitions_per_insert_block = 0"""
_COPY_LINKS: Final = f"""INSERT INTO all_links SELECT * EXCEPT (copy, own) REPLACE (
    copy % 16 AS partition, offset + copy * 100000000 AS offset, concat(id, own) AS id, concat(person, own) AS person,
    ts - {_LATER} AS ts)
FROM links_raw
CROSS JOIN
    (SELECT number AS copy, if(copy = 0, '', concat('-', toString(copy))) AS own FROM numbers({_COPIES})) AS copies"""
_MORE_LINKS: Final = """INSERT INTO all_links (stream, partition, offset, id, person, kind, outcome, ts)
SELECT 'history', 16, number, concat('$device:b', lower(hex(sipHash64(number)))), concat('v', toString(number)),
    'login', 'linked', now64(3)
FROM numbers({n:UInt64})"""
_ABOUT: Final = """SELECT
    (SELECT count() FROM events), (SELECT uniqExact(person) FROM events), (SELECT count() FROM links_raw),
    (SELECT uniqExact(id) FROM (
        SELECT counted_as AS id FROM events_raw
        UNION ALL SELECT arrayJoin([id, person]) FROM links_raw)),
    (SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events_raw')"""


@dataclass(frozen=True)
class _Taken:
    """What a metric took, once a run: seconds by the clock, and of CPU."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


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
    console.print(f"{about}; {machine.describe()}", style="dim")
    write(rows, args.out)
    return 1 if any(row.bad for row in rows) else 0


async def _measure(args: argparse.Namespace, console: Console) -> tuple[list[Row], str]:
    folder: Path = args.data / f"{args.events}-{args.links}"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [metrics()[name] for name in args.only.split(",") if name] or list(metrics().values())
    async with EmbeddedClickHouse(folder, memory_limit=_MEMORY) as server:
        settings = Settings(**server.access)
        await migrate(settings)
        await install(settings, PLAN)
        connection = Connection(settings)
        try:
            await connection.run(lambda client: _fill(client, args.events, args.links, folder / "complete", console))
            taken = {}
            for linked in (False, True):
                await connection.run(partial(_set_links, linked=linked))
                for metric in chosen:
                    taken[metric.name, linked] = await _time(connection, metric, args.runs, server.pid or 0, console)
            about = await connection.run(lambda client: client.query(_ABOUT))
        finally:
            await connection.close()
    _table(taken, console)
    count, persons, links, ids, parts = about.result_rows[0]
    rows = []
    for metric in chosen:
        for linked, words in ((True, ""), (False, ", without links")):
            found = taken[metric.name, linked]
            rows.append(Row(f"{metric.name}{words}", "s", rounded(*found.wall), TARGET, at_most=True))
            rows.append(Row(f"{metric.name}{words}", "s of CPU", rounded(*found.cpu)))
    return rows, (
        f"{count:,} events of {persons:,} persons ({ids:,} ids) over {DAYS} days in {parts} parts, {links:,} links; "
        f"default parameters, median of {args.runs} runs; target: at most {TARGET:g} s"
    )


def _table(taken: dict[tuple[str, bool], _Taken], console: Console) -> None:
    """Who takes longest comes first."""
    table = Table("metric", title="Seconds by the clock, and of CPU", title_justify="left")
    for name in ("without links", "CPU", "with links", "CPU", "times"):
        table.add_column(name, justify="right")
    for metric in sorted({name for name, _ in taken}, key=lambda name: -median(taken[name, True].cpu)):
        without, linked = taken[metric, False], taken[metric, True]
        figures = [median(each) for each in (without.wall, without.cpu, linked.wall, linked.cpu)]
        style = "red" if figures[2] > TARGET else ""
        table.add_row(metric, *(f"{each:.2f}" for each in (*figures, figures[3] / max(figures[1], 0.01))), style=style)
    console.print(table)


async def _fill(client: Any, events: int, links: int, complete: Path, console: Console) -> None:
    """Store the events and the links, unless an earlier run did."""
    if complete.exists():
        return
    end = int(time.time() * 1000)
    once = events // _COPIES
    # A quarter of a person for each event: about nine events an id.
    history = History(SHOP, end - DAYS * _DAY_MS, end, once, max(500, once // 4), devices=Devices())
    begun = time.monotonic()
    await client.command("SYSTEM STOP MERGES events_raw")
    for table in ("events_raw", "links_raw"):
        await client.command(f"TRUNCATE TABLE {table}")
    await load(client, PLAN, history.records())
    for rows in side_rows(history, PLAN).values():
        await insert(client, rows)
    for first in range(1, _COPIES, _AT_ONCE):
        await client.command(
            _COPY_EVENTS,
            parameters={"first": first, "n": min(_AT_ONCE, _COPIES - first), "pattern": _OWN_IDS},
        )
    await client.command("DROP TABLE IF EXISTS all_links")
    await client.command("CREATE TABLE all_links AS links_raw")
    await client.command(_COPY_LINKS)
    there = int((await client.query("SELECT count() FROM all_links WHERE outcome = 'linked'")).result_rows[0][0])
    await client.command(_MORE_LINKS, parameters={"n": max(0, links - there)})
    await client.command("SYSTEM START MERGES events_raw")
    await _settled(client)
    # Events come in the order of their days, so that parts of different days don't overlap and FINAL has nothing to do.
    # Copies of a whole month lie on each other as nothing that is stored while it happens does.
    await client.command("OPTIMIZE TABLE events_raw FINAL")
    console.print(f"stored in {time.monotonic() - begun:.0f} s", style="dim")
    complete.touch()


async def filled(client: Any, events: int, links: int, folder: Path, console: Console) -> None:
    """The events and all links are there, as the catalogue is measured with them."""
    await _fill(client, events, links, folder / "complete", console)
    await _set_links(client, linked=True)


async def _settled(client: Any) -> None:
    """Wait until nothing is being merged: what is measured shall have the machine for itself."""
    quiet = 0
    while quiet < 5:
        busy = (await client.query("SELECT count() FROM system.merges")).result_rows[0][0]
        quiet = 0 if busy else quiet + 1
        await asyncio.sleep(1)


async def _set_links(client: Any, *, linked: bool) -> None:
    await client.command("TRUNCATE TABLE links_raw")
    if linked:
        await client.command("INSERT INTO links_raw SELECT * FROM all_links")
    await _settled(client)


async def _time(connection: Connection, metric: Metric, runs: int, pid: int, console: Console) -> _Taken:
    arguments = arguments_for(metric, {}, PLAN, today(PLAN))
    wall = []
    cpu = []
    for _ in range(runs):
        begun, before = time.monotonic(), machine.cpu_seconds(pid)
        try:
            table = await run(connection, metric, arguments)
        except ClickHouseError as exc:
            console.print(f"{metric.name}: {str(exc)[:300]}", style="red")
            return _Taken((float("inf"),), (float("inf"),))
        wall.append(time.monotonic() - begun)
        cpu.append(machine.cpu_seconds(pid) - before)
    console.print(
        f"{metric.name}: {min(wall):.2f} to {max(wall):.2f} s, CPU {min(cpu):.2f} to {max(cpu):.2f} s, "
        f"{len(table.rows)} rows",
        style="dim",
    )
    return _Taken(tuple(wall), tuple(cpu))
