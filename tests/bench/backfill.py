"""The past: events from a file into Kafka, straight into ClickHouse, and counted without either.

They are as dense as 100 million of a year.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .events import make_events
from .place import Place, new_place, plain_environment, tail
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import Span

#: Straight into ClickHouse, events a second.
INSERT_RATE = 150_000.0
#: 100 million events a year, as events a second of event time: how many fall into one window.
_RATE = 100_000_000 / (365 * 86_400)
_SECONDS = 3_600.0


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """The commands as a person gives them; their start (about a second) is within the figures."""
    count = sizes.backfill_events
    days = max(count / _RATE / 86_400, 0.01)
    found: dict[str, list[Span]] = {"send": [], "simulate --insert": [], "rebuild": [], "replay": []}
    stored, windows = [], []
    async with new_place() as place:
        file = place.data / "year.jsonl"
        say(f"{count:,} events are written to a file")
        file.write_bytes(b"\n".join(make_events(count, int(time.time() * 1000), rate=_RATE)[1]) + b"\n")
        for number in range(1, sizes.runs + 1):
            commands = {
                "send": ["send", str(file)],
                "simulate --insert": ["simulate", "--days", f"{days:.4f}", "--events", str(count), "--insert"],
                "rebuild": ["rebuild", str(file), "--stream", f"run{number}", "--json"],
                "replay": ["replay", str(file), "--grain", "day", "--json"],
            }
            for name, arguments in commands.items():
                say(f"run {number} of {sizes.runs}: {name}")
                found[name].append(await asyncio.to_thread(_run, place, arguments, count))
                if name == "rebuild":
                    told = json.loads(tail(place.data / "command.log"))
                    stored.append(told["events"] / told["load_seconds"])
                    windows.append(told["events"] / told["rebuild_seconds"])
    rows = [
        Row("rebuild: events a second stored", "1/s", rounded(*stored), INSERT_RATE),
        Row("rebuild: events a second counted by SQL", "1/s", rounded(*windows)),
    ]
    for name, spans in found.items():
        rows += [
            Row(f"{name}: events a second", "1/s", rounded(*[span.rate for span in spans])),
            Row(f"{name}: events a CPU second", "1/s", rounded(*[span.cpu_rate for span in spans])),
        ]
    return rows


def _run(place: Place, arguments: Sequence[str], count: int) -> Span:
    """Run a command to its end. Raises RuntimeError with the end of its output if it fails."""
    log: Path = place.data / "command.log"
    environment = {**plain_environment(), **place.settings.environment()}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as out:
        command = [sys.executable, "-P", "-m", "pipeline.cli", *arguments]
        code = subprocess.run(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, timeout=_SECONDS, check=False
        ).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        raise RuntimeError(f"{arguments[0]} ended with {code}: {tail(log)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Span(count, time.perf_counter() - began, cpu)
