"""`python -m tests.bench questions`: the eight everyday questions, each from the first page, on ten million events.

A question is the way that a person takes (`tests/dashboard/test_everyday_questions.py` takes it in a browser): pages,
and of each the parts that are read before one goes on. The figure is what there is to wait for in all: the pages' HTML
and those parts, asked of a dashboard that has asked nothing before, as many at once as a browser would. Beside it stand
the clicks and the CPU of ClickHouse.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Final

import aiohttp
from rich.console import Console
from rich.table import Table

from pipeline.metrics import today
from pipeline.settings import Settings

from . import machine
from .catalogue import PLAN
from .pages import arguments, asked_at_once, dashboard, got, opened
from .rows import Row, rounded, write

#: Seconds and clicks that a question may take.
TARGET, CLICKS = 60.0, 5


@dataclass(frozen=True)
class Step:
    """A page, and the parts of it that are read. `follow` finds the next address: a link in one of these."""

    page: str
    parts: tuple[str, ...] = ()
    follow: str = ""


@dataclass(frozen=True)
class Everyday:
    """A question: how it is called, the clicks that its way takes, and the way. A page "" is where the link led."""

    name: str
    clicks: int
    way: tuple[Step, ...]


_FIRST: Final = Step("/")
_WEEK_AWAY: Final = "/explore?kind=lifecycle&away=7"
QUESTIONS: Final = (
    Everyday("1 active now, against yesterday at this time", 0, (Step("/", ("today", "recently")),)),
    Everyday(
        "2 where the checkout leaks, for whom, since when, who they are", 3,
        (
            Step("/", ("drops",)),
            Step("/funnels", ("funnel", "funnel-by"), follow=r'href="(/explore\?[^"]*kind=funnel[^"]*)"'),
            Step("", ("explore",), follow=r'href="(/people\?[^"]*lost=1[^"]*)"'),
            Step("", ("people",)),
        ),
    ),
    Everyday("3 which channel brings people who stay", 1, (_FIRST, Step("/acquisition", ("channels",)))),
    Everyday(
        "4 this campaign against the one before", 1,
        (_FIRST, Step("/campaigns", ("campaigns", "campaign-pairs"))),
    ),
    Everyday("5 did B win, and may I believe it", 1, (_FIRST, Step("/experiments", ("experiments",)))),
    Everyday(
        "6 whom to recall, as a file", 5,
        (
            _FIRST,
            Step("/explore"),
            Step("/explore?kind=lifecycle"),
            Step(_WEEK_AWAY, ("explore",), follow=r'href="(/people\?[^"]*n=3[^"]*)"'),
            Step("", ("people",), follow=r'href="(/download/people\.csv\?[^"]*)"'),
            Step(""),
        ),
    ),
    Everyday("7 what to report on Monday", 1, (_FIRST, Step("/report", ("report",)))),
    Everyday("8 is my new event tracked properly", 2, (_FIRST, Step("/events"), Step("/events?id=me", ("events",)))),
)  # fmt: skip


def main(words: Sequence[str]) -> int:
    """Measure; exit 1 if a question takes longer than it may."""
    parser: argparse.ArgumentParser = arguments("questions", __doc__)
    args = parser.parse_args(words)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    rows = asyncio.run(_measure(args, console))
    console.print(machine.describe(), style="dim")
    write(rows, args.out)
    return 1 if any(row.bad for row in rows) else 0


async def _measure(args: argparse.Namespace, console: Console) -> list[Row]:
    wanted = [one for one in QUESTIONS if not args.only or one.name[0] in args.only.split(",")]
    table = Table("question", "clicks", "seconds", "CPU", title="What there is to wait for", title_justify="left")
    rows = []
    async with opened(args, console) as (settings, pid):
        for question in wanted:
            seconds, cpu = [], []
            for _ in range(args.runs):
                before = machine.cpu_seconds(pid)
                seconds.append(await _ask(settings, question))
                cpu.append(machine.cpu_seconds(pid) - before)
            asked = Row(f"question {question.name}", "s", rounded(*seconds), TARGET, at_most=True)
            rows += [
                asked,
                Row(f"question {question.name}", "s of CPU", rounded(*cpu)),
                Row(f"clicks of {question.name}", "", (float(question.clicks),), CLICKS, at_most=True),
            ]
            said = [question.name, str(question.clicks), f"{asked.value:.2f}", f"{rows[-2].value:.2f}"]
            table.add_row(*said, style="red" if asked.bad else "")
            print(*said, file=sys.stderr, flush=True)
    console.print(table)
    return rows


async def _ask(settings: Settings, question: Everyday) -> float:
    """The seconds that somebody waits. Infinite if an answer is missing."""
    waited, led = 0.0, ""
    async with dashboard(settings) as (url, web):
        for step in question.way:
            begun = time.monotonic()
            _, html = await got(web, url + _dated(step.page or led))
            texts = [html, *await _parts(web, url, html, step.parts)]
            waited += time.monotonic() - begun
            found = [link for text in texts for link in re.findall(step.follow, text)] if step.follow else [""]
            if any('class="problem"' in text for text in texts) or not found:
                return float("inf")
            led = unescape(found[-1])
    return waited


async def _parts(web: aiohttp.ClientSession, url: str, html: str, names: Sequence[str]) -> list[str]:
    there = [unescape(part) for part in re.findall(r'data-part="([^"]+)"', html)]
    wanted = [part for part in there if part.removeprefix("/part/").partition("?")[0] in names]
    return [text for _, text in await asked_at_once(web, url, wanted)]


def _dated(page: str) -> str:
    """The lifecycle of the last days, so that somebody has been away for a week within the events that there are."""
    if page != _WEEK_AWAY:
        return page
    last = today(PLAN) - timedelta(days=1)
    return f"{page}&from={last - timedelta(days=6)}&to={last}"
