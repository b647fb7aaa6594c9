"""`python -m tests.chaos`: chaos runs on Apache Kafka; "N of N exact" at the end, exit 1 if one was not."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in the tests: kafka_harness is found there

from .run import run


def main() -> int:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the first run, the next has the next; any if not given")
    parser.add_argument("--seconds", type=float, default=45, help="traffic and faults of a run (%(default)s)")
    parser.add_argument("--rate", type=float, default=600, help="events a second (%(default)s)")
    parser.add_argument("--gap", type=float, default=4.0, help="mean seconds between two faults (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for logs of all runs; else failed runs leave theirs in /tmp")
    parser.add_argument("--quiet", action="store_true", help="show the timeline of failed runs only")
    args = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)  # clients complain about the faults that are the point
    first = args.seed if args.seed is not None else random.randrange(1_000_000)
    exact, failed = 0, []
    for seed in range(first, first + args.runs):
        folder = (args.keep or Path(tempfile.gettempdir())) / f"chaos-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        print(f"seed {seed}", flush=True)
        tell = (lambda line: None) if args.quiet else (lambda line: print(line, flush=True))
        work = run(seed, folder, seconds=args.seconds, rate=args.rate, gap=args.gap, tell=tell)
        report = asyncio.run(work)
        if report.exact:
            exact += 1
            if args.keep is None:
                shutil.rmtree(folder, ignore_errors=True)
        else:
            failed.append(seed)
            if args.quiet:
                print("\n".join(report.timeline))
            print("\n".join(f"  ! {problem}" for problem in report.problems))
            print(f"  logs: {folder}; again: make chaos SEED={seed}")
        print(report.summary(), flush=True)
    print(f"{exact} of {args.runs} exact" + (f"; not exact: seeds {failed}" if failed else ""))
    return 0 if not failed else 1


if __name__ == "__main__":
    sys.exit(main())
