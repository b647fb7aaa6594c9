"""`python -m tests.bench.jvm`: the worker, Kafka Streams and Flink on one log and one core, into build/bench-jvm.json.

Exit code 1: a system's figures are not the fold's, or it failed; its row says why.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from rich.console import Console

from pipeline.errors import UserError
from pipeline.settings import plan_of

from .. import machine
from ..rows import FAILED, Row, read, rounded, show, write
from ..sections import ABOUT
from . import jvm, ours, traffic
from .equal import Figures, differences, folded, written
from .ground import Ground, new_ground, now_ms
from .measured import Measured
from .plan import document
from .report import rewrite

_OURS = "worker"
_ODD = 60_000
_QUICK = 200_000


def main() -> int:
    """Compare as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.jvm", description=__doc__)
    names = (_OURS, *jvm.SYSTEMS)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"some of {', '.join(names)} (all)")
    parser.add_argument("--events", type=int, default=3_000_000, help="events of 230 bytes, 0: none (3,000,000)")
    parser.add_argument("--large", type=int, default=1_500_000, help="events of 900 bytes, 0: none (1,500,000)")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--java-options", default=jvm.JAVA_OPTIONS, help=f"for the systems ({jvm.JAVA_OPTIONS})")
    parser.add_argument(
        "--quick", action="store_true", help="200,000 and 100,000 events, one run: to see that it works"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench-jvm.json"), help="where the figures go")
    parser.add_argument(
        "--document", action="store_true", help="put the figures into docs/performance.md; measure nothing"
    )
    args = parser.parse_args()
    if args.document:
        kept = read(args.out)
        about = next(row.note for row in kept if row.name == ABOUT)
        rewrite(Path("docs/performance.md"), [row for row in kept if row.name != ABOUT], about)
        return 0
    if unknown := [name for name in args.systems if name not in names]:
        parser.error(f"no system {', '.join(unknown)}: there are {', '.join(names)}")
    if args.quick:
        args.events, args.large, args.runs = _QUICK, _QUICK // 2, 1
    console = Console() if sys.stdout.isatty() else Console(width=140)
    try:
        rows = asyncio.run(_compare(args, console))
    except UserError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    runs = "1 run" if args.runs == 1 else f"{args.runs} runs"
    sizes = f"{runs}, {args.events:,} events of 230 bytes, {args.large:,} of 900; each on one core"
    show(rows, f"The same job on {machine.describe()}", sizes, console)
    write([*rows, Row(ABOUT, "", note=f"{machine.describe()}; {sizes}")], args.out)
    console.print(f"written to {args.out}", style="dim")
    return 1 if any(row.bad for row in rows) else 0


async def _compare(args: argparse.Namespace, console: Console) -> list[Row]:
    def say(line: str) -> None:
        console.print(line, style="dim")

    if problem := jvm.missing():
        raise UserError(problem)
    wanted = args.systems or [_OURS, *jvm.SYSTEMS]
    say(f"Maven builds the systems into {jvm.BUILD}, and fetches their libraries the first time")
    await asyncio.to_thread(jvm.build)
    async with new_ground() as ground:
        comparison = Comparison(ground, args.java_options, say)
        await comparison.check([name for name in wanted if name != _OURS])
        rows: list[Row] = []
        for size, count in ((230, args.events), (900, args.large)):
            if count:
                rows += await comparison.measure(wanted, size, count, args.runs)
        return rows


class Comparison:
    """The systems on one ground. `problems` are those of systems that are not timed any more."""

    def __init__(self, ground: Ground, options: str, say: jvm.Say) -> None:
        self._ground, self._options, self._say = ground, options, say
        self._plan = plan_of(ground.settings)
        self._file = ground.data / "plan.json"
        self._file.write_text(json.dumps(document(self._plan)), "utf-8")
        self.problems: dict[str, str] = {}

    async def check(self, names: list[str]) -> None:
        """Have each system count a log of odd events, in two goes, the second with the state of the first."""
        log = traffic.odd(_ODD, now_ms())
        half = _ODD // 2
        parts = [traffic.Log(log.keys[:half], log.values[:half]), traffic.Log(log.keys[half:], log.values[half:])]
        self._say(f"{_ODD:,} odd events, to see that all count the same")
        for name in names:
            await self._ground.make_topic(f"check-{name}-rows")
        for part in parts:
            await self._ground.fill("odd", part)
            for name in names:
                await self._run(name, "odd", f"check-{name}", half)
        right = await folded(self._plan, self._ground.bootstrap, "odd")
        for name in names:
            await self._equal(name, right, f"check-{name}")

    async def measure(self, names: list[str], size: int, count: int, runs: int) -> list[Row]:
        """Run each system `runs` times on a log of so many events, by turns."""
        topic = f"events-{size}"
        self._say(f"{count:,} events of {size} bytes are made, written to Kafka and folded")
        await self._ground.fill(topic, traffic.timed(count, now_ms(), large=size == 900))
        right = await folded(self._plan, self._ground.bootstrap, topic)
        found: dict[str, list[Measured]] = {name: [] for name in names}
        for number in range(1, runs + 1):
            for name in names:
                if name in self.problems:
                    continue
                self._say(f"run {number} of {runs}: {_title(name)}")
                run = f"{name}-{size}-{number}"
                if name == _OURS:
                    measured, totals = await ours.run(self._ground, topic, run, count)
                    if totals.totals != right.totals:
                        self.problems[name] = f"{totals.totals}, not {right.totals}"
                    found[name].append(measured)
                    continue
                await self._ground.make_topic(f"{run}-rows")
                timed = await self._run(name, topic, run, count)
                if timed is not None and await self._equal(name, right, run):
                    found[name].append(timed)
        await self._ground.remove_topic(topic)
        return [row for name in names for row in _rows(name, size, found[name], self.problems.get(name))]

    async def _run(self, name: str, topic: str, run: str, count: int) -> Measured | None:
        """Run a system in Java; None, and its problem noted, if it fails."""
        if name in self.problems:
            return None
        try:
            return await jvm.run(jvm.SYSTEMS[name], self._ground, self._file, topic, run, count, options=self._options)
        except RuntimeError as exc:
            self.problems[name] = " ".join(str(exc).split())[-600:]
            self._say(f"{_title(name)} failed: {self.problems[name]}")
            return None

    async def _equal(self, name: str, right: Figures, run: str) -> bool:
        """Whether what a run wrote is right; if not, the system is timed no more."""
        if name in self.problems:
            return False
        wrong = differences(right, await written(self._ground.bootstrap, f"{run}-rows"))
        if wrong:
            self.problems[name] = "its figures are not the fold's: " + "; ".join(wrong)
            self._say(f"{_title(name)}: {self.problems[name]}")
        else:
            self._say(f"{_title(name)} counts what the fold counts")
        return not wrong


def _title(name: str) -> str:
    return "the worker" if name == _OURS else jvm.SYSTEMS[name].name


def _rows(name: str, size: int, found: list[Measured], problem: str | None) -> list[Row]:
    note = f"{FAILED}: {problem}" if problem else ""
    runs = [] if problem else found
    title = f"{_title(name)}, {size} bytes"
    return [
        Row(f"{title}: events a CPU second", "1/s", rounded(*[run.cpu_rate for run in runs]), note=note),
        Row(f"{title}: the last two thirds", "1/s", rounded(*[run.steady_rate for run in runs]), note=note),
        Row(f"{title}: events a second", "1/s", rounded(*[run.rate for run in runs]), note=note),
        Row(f"{title}: CPU used", "cores", rounded(*[run.cores for run in runs]), note=note),
        Row(f"{title}: peak memory", "MB", rounded(*[run.peak_memory / 1e6 for run in runs]), note=note),
    ]


if __name__ == "__main__":
    sys.exit(main())
