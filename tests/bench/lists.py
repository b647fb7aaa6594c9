"""`python -m tests.bench lists`: how long the people behind the numbers of the catalogue take to be listed.

Of each metric whose numbers have people by a rule of their own, the first number of each column that has any, asked by
its address as a click on it does, alone, of a dashboard that has asked nothing before: how many they are, and then who
they are, as the page asks for it. The data are those
of `python -m tests.bench catalogue`.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from html import unescape
from urllib.parse import parse_qs

from rich.console import Console
from rich.table import Table

from pipeline.explore.metric_people import METRIC_PEOPLE
from pipeline.settings import Settings

from . import machine
from .pages import PANEL, arguments, dashboard, got, opened
from .rows import Row, rounded, write


def main(words: Sequence[str]) -> int:
    """Measure; exit 1 if a list takes longer than a panel may."""
    parser = arguments("lists", __doc__)
    args = parser.parse_args(words)
    if unknown := set(filter(None, args.only.split(","))) - METRIC_PEOPLE.keys():
        parser.error(f"no people of {sorted(unknown)[0]}: {', '.join(METRIC_PEOPLE)}")
    console = Console() if sys.stdout.isatty() else Console(width=140)
    table = Table("people behind", "how many", "seconds", "who", title_justify="left", title="Lists of people")

    async def measured() -> list[Row]:
        found = []
        async with opened(args, console) as (settings, _):
            for metric in [name for name in args.only.split(",") if name] or METRIC_PEOPLE:
                async with dashboard(settings) as (url, web):
                    _, html = await got(web, f"{url}/part/metric?metric={metric}")
                for column, address in _first(html).items():
                    taken = [await _asked(settings, address) for _ in range(args.runs)]
                    row = [f"{metric}, number {column}", taken[0][2]]
                    for n, part in enumerate(("how many", "who")):
                        seconds = [each[n] for each in taken]
                        found.append(Row(f"{part} of {row[0]}", "s", rounded(*seconds), PANEL, at_most=True))
                        row.append(" ".join(f"{s:.2f}" for s in seconds))
                    table.add_row(*row, style="red" if any(each.bad for each in found[-2:]) else "")
                    print(*row, file=sys.stderr)
        return found

    rows = asyncio.run(measured())
    console.print(table)
    console.print(machine.describe(), style="dim")
    write(rows, args.out)
    return 1 if any(row.bad for row in rows) else 0


async def _asked(settings: Settings, address: str) -> tuple[float, float, str]:
    """Seconds until it is known how many they are, those until they are listed from then on, and how many."""
    async with dashboard(settings) as (url, web):
        first, html = await got(web, url + "/part" + address)
        people = re.search(r"<strong[^>]*>([\d,]+)", html)
        following = re.search(r'data-part="([^"]+)"', html)
        second = (await got(web, url + unescape(following[1])))[0] if following else 0.0
        return first, second, people[1] if people else "?"


def _first(html: str) -> dict[str, str]:
    """The first address of people of each column."""
    found: dict[str, str] = {}
    for address in map(unescape, re.findall(r'href="(/people\?[^"]*)"', html)):
        found.setdefault(parse_qs(address.partition("?")[2]).get("n", ["0"])[0], address)
    return found
