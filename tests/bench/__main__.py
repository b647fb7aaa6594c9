"""`python -m tests.bench [SECTION ...]`: measure, print a table, write build/bench.json.

Exit code 1 if a target is missed or a section failed.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from pathlib import Path

from rich.console import Console

from . import catalogue, everyday, lists, machine, month, pages, sections
from .document import rewrite
from .rows import read, show, write
from .sizes import Sizes, quick


def main() -> int:
    """Measure as the arguments say."""
    if sys.argv[1:2] == ["catalogue"]:
        return catalogue.main(sys.argv[2:])
    if sys.argv[1:2] == ["pages"]:
        return pages.main(sys.argv[2:])
    if sys.argv[1:2] == ["lists"]:
        return lists.main(sys.argv[2:])
    if sys.argv[1:2] == ["questions"]:
        return everyday.main(sys.argv[2:])
    if sys.argv[1:2] == ["month"]:
        return month.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(sections.NAMES)} (all)")
    parser.add_argument("--events", type=int, help="events that worker and archiver handle (1,000,000)")
    parser.add_argument("--sample", type=int, help="events that idiomatic Faust handles (50,000)")
    parser.add_argument("--users", type=int, help="users with funnel state, for restart, memory and costs (1,000,000)")
    parser.add_argument("--runs", type=int, help="how often each is measured (3; quick: 1)")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="length of the long run for memory")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that everything works")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"), help="where the figures go")
    parser.add_argument(
        "--document", action="store_true", help="put the figures into docs/performance-figures.md; measure nothing"
    )
    args = parser.parse_args()
    if args.document:
        rewrite(Path("docs/performance-figures.md"), read(args.out))
        return 0
    unknown = [name for name in args.sections if name not in sections.NAMES]
    if unknown:
        parser.error(f"no section {', '.join(unknown)}: there are {', '.join(sections.NAMES)}")
    sizes = quick(soak_minutes=args.soak) if args.quick else Sizes(soak_minutes=args.soak)
    given = {"events": args.events, "sample": args.sample, "users": args.users, "runs": args.runs}
    sizes = dataclasses.replace(sizes, **{name: value for name, value in given.items() if value is not None})
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # in a file or a pipe the table is not squeezed
    rows = asyncio.run(
        sections.run(args.sections or sections.NAMES, sizes, lambda line: console.print(line, style="dim"))
    )
    shown = [row for row in rows if row.name != sections.ABOUT and not row.name.startswith("cost, ")]
    show(shown, f"Streamgauge on {machine.describe()}", sizes.describe(), console)
    write(sections.merged(read(args.out), rows), args.out)
    console.print(f"written to {args.out}", style="dim")
    return 1 if any(row.bad for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
