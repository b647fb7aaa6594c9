"""`python -m tests.bench month`: what a month of events takes on one server, in memory and on disk.

`streamgauge up` on Apache Kafka gets a month of events, in the order of their times and as quickly as it takes them.
What it remembers depends on those times and not on the clock, so it is what it would be after that month. Memory is
that of all its processes together, shared pages counted once; its peak is at a rate that a server in use has after an
outage alone. The disk is looked at in the end, with the log of the whole month.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in the tests: kafka_harness is found there

from chaos.installation import PARTS, Installation

from .events import make_events, produce

MONTH_SECONDS: Final = 30 * 86_400
#: Events that one user sends in a month.
EVENTS_A_USER: Final = 50
_CHUNK: Final = 1_000_000
_QUIET_SECONDS: Final = 20.0


@dataclass
class Found:
    """What a month of so many events took. Bytes."""

    events: int
    users: int
    memory_peak: int = 0
    memory_at_rest: int = 0
    #: At rest, by part.
    memory: dict[str, int] | None = None
    #: After everything was killed and started again: what it remembers, without what a burst leaves.
    memory_restarted: int = 0
    start_seconds: float = 0.0
    disk_kafka: int = 0
    disk_clickhouse: int = 0
    seconds: float = 0.0

    def row(self) -> str:
        """Of the table in docs/operate.md."""
        memory = f"{self.memory_restarted / 1e9:.1f} GB | {self.memory_peak / 1e9:.1f} GB"
        return (
            f"| {self.events:,} | {self.users:,} | {memory} | {self.disk_kafka / 1e9:.2f} GB "
            f"| {self.disk_clickhouse / 1e9:.2f} GB |"
        )


async def month(events: int, folder: Path) -> Found:
    """Run a month of so many events."""
    found = Found(events, max(events // EVENTS_A_USER, 1))
    up, began = Installation(folder), time.monotonic()
    try:
        await up.start()
        watching = asyncio.create_task(_watch(up, found))
        end, ends = int(time.time() * 1000), [*range(0, events, min(_CHUNK, -(-events // 4))), events]

        def make(number: int) -> tuple[list[bytes], list[bytes]]:
            if number == len(ends):
                return [], []
            until = end - int((events - ends[number]) / events * MONTH_SECONDS * 1000)
            return make_events(
                ends[number] - ends[number - 1], until,
                rate=events / MONTH_SECONDS, seed=number, users=found.users, anonymous=0.1,
            )  # fmt: skip

        made = asyncio.create_task(asyncio.to_thread(make, 1))
        for number, done in enumerate(ends[1:], 1):
            keys, values = await made
            made = asyncio.create_task(asyncio.to_thread(make, number + 1))  # while these are taken in
            await produce(up.settings.kafka_bootstrap, up.settings.events_topic, keys, values, up.settings.partitions)
            del keys, values
            await up.drained(1_800)
            parts = ", ".join(f"{part} {size >> 20}" for part, size in _memory(up).items())
            print(f"{time.monotonic() - began:6.0f} s  {done:,} events; MB: {parts}", flush=True)
        watching.cancel()
        stored = (await up.query("SELECT count() FROM events_raw"))[0][0]
        assert int(stored) == events, f"{stored} of {events} are stored"
        while int((await up.query("SELECT count() FROM system.merges"))[0][0]):
            await asyncio.sleep(1)
        await asyncio.sleep(_QUIET_SECONDS)
        found.memory = _memory(up)
        found.memory_at_rest = sum(found.memory.values())
        found.disk_kafka, found.disk_clickhouse = (_disk(up.data / part) for part in ("kafka", "clickhouse"))
        print(found, flush=True)
        up.power_cut()
        found.start_seconds = await up.start()
        await asyncio.sleep(_QUIET_SECONDS)
        found.memory_restarted = sum(_memory(up).values())
    finally:
        up.power_cut()
    found.seconds = time.monotonic() - began
    return found


async def _watch(up: Installation, found: Found) -> None:
    while True:
        found.memory_peak = max(found.memory_peak, sum(_memory(up).values()))
        await asyncio.sleep(2.0)


def _memory(up: Installation) -> dict[str, int]:
    """Of each part, shared pages divided among those who share them."""
    total: dict[str, int] = {}
    for pid, line in up.processes().items():
        part = next((name for name, words in PARTS.items() if words in line), "up")
        with contextlib.suppress(OSError):  # it has ended
            kilobytes = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total[part] = total.get(part, 0) + (int(kilobytes[1]) * 1024 if kilobytes else 0)
    return total


def _disk(folder: Path) -> int:
    """Bytes that it takes on the disk."""
    return int(
        subprocess.run(["du", "-s", "-B1", folder], check=True, capture_output=True, text=True).stdout.split()[0]
    )


def main(words: list[str]) -> int:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench month", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000], help="in the month")
    parser.add_argument("--out", type=Path, default=Path("build/bench-month.json"), help="where the figures go")
    args = parser.parse_args(words)
    rows = []
    for events in args.events:
        with tempfile.TemporaryDirectory(prefix="streamgauge-month-") as folder:
            rows.append(asyncio.run(month(events, Path(folder))))
        print(rows[-1], rows[-1].row(), sep="\n", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps([asdict(row) for row in rows], indent=2), "utf-8")
    return 0
