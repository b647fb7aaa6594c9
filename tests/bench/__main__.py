"""`python -m tests.bench`: measure, print a table, write build/bench.json. Exit 1 if a target is missed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from . import catalogue, machine
from .events import RATE, SEED, USERS
from .rows import show, write
from .run import run


def main() -> int:
    """Measure as the arguments say."""
    if sys.argv[1:2] == ["catalogue"]:
        return catalogue.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--events", type=int, help="events the worker folds (1,000,000; quick: 100,000)")
    parser.add_argument("--sample", type=int, help="events idiomatic Faust folds (50,000; quick: 10,000)")
    parser.add_argument("--runs", type=int, help="how often each is measured (3; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look and for CI")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"), help="where the figures go")
    args = parser.parse_args()
    events = args.events or (100_000 if args.quick else 1_000_000)
    sample = min(events, args.sample or (10_000 if args.quick else 50_000))
    runs = args.runs or (1 if args.quick else 3)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # in a file or a pipe the table is not squeezed
    results = asyncio.run(run(events, sample, runs, lambda line: console.print(line, style="dim")))
    rows = results.rows()
    about = f"{events:,} events of {USERS:,} users, {RATE:,} a second of event time, seed {SEED}, {runs} runs"
    show(rows, f"Streamgauge on {machine.describe()}", about, console)
    write(rows, args.out)
    console.print(f"written to {args.out}", style="dim")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
