"""The worker in its steady state: how fast it is once it has state, and how much slower than at first."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from .events import make_events, produce
from .machine import peak_memory
from .place import Place, check, new_place, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import Reading, Span, look

#: Events a CPU second in the last two thirds, how much slower that is than the first third, and the process's memory.
RATE, SLOWER, MEMORY_MB = 180_000.0, 0.05, 400.0
_SECONDS = 1_800.0
_LOOK_SECONDS = 0.2
#: So many events are made at a time.
_CHUNK = 500_000


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Events of 230 bytes of 200,000 users; the rates are those between two looks at the worker."""
    firsts, lasts, peaks = [], [], []
    async with new_place() as place:
        say(f"{sizes.steady_events:,} events are made and written to Kafka")
        await _fill(place, sizes.steady_events)
        for number in range(1, sizes.runs + 1):
            say(f"run {number} of {sizes.runs}: the worker")
            first, last, peak = await _measure(place, f"steady-{number}", sizes.steady_events)
            firsts.append(first)
            lasts.append(last)
            peaks.append(peak)
    slower = rounded(*[1 - last.cpu_rate / first.cpu_rate for first, last in zip(firsts, lasts, strict=True)])
    name = f"worker over {sizes.steady_events:,} events"
    return [
        Row(f"{name}: first third, events a CPU second", "1/s", rounded(*[span.cpu_rate for span in firsts])),
        Row(f"{name}: the rest, events a CPU second", "1/s", rounded(*[span.cpu_rate for span in lasts]), RATE),
        Row(f"{name}: slower in the rest by", "share", slower, SLOWER, at_most=True),
        Row(f"{name}: peak memory", "MB", rounded(*[peak / 1e6 for peak in peaks]), MEMORY_MB, at_most=True),
    ]


async def _fill(place: Place, count: int) -> None:
    """Write the events in pieces: all of them at once would take GBs."""
    settings, end = place.settings, int(time.time() * 1000)
    for number, start in enumerate(range(0, count, _CHUNK)):
        size = min(_CHUNK, count - start)
        # At the default rate of event time, each piece after the one before.
        keys, values = make_events(size, end - (count - start - size) // 2, seed=number)
        await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)


async def _measure(place: Place, name: str, expected: int) -> tuple[Span, Span, int]:
    """What the first third took, what the rest did, and the peak memory in bytes."""
    log = place.data / "worker.log"
    async with role_process("worker", place.named(name), log) as role, aiohttp.ClientSession() as session:
        deadline = time.monotonic() + _SECONDS
        begin: Reading | None = None
        third: Reading | None = None
        now = await look(session, [role], log)
        while now.count < expected or now.lag:
            check(deadline, f"the worker folded only {now.count} of {expected} events", log)
            await asyncio.sleep(_LOOK_SECONDS)
            now = await look(session, [role], log)
            if begin is None and now.count:
                begin = now
            if third is None and now.count >= expected / 3:
                third = now
        if now.accepted != expected or begin is None or third is None:
            raise RuntimeError(f"{now.accepted} of {expected} events accepted")
        return _span(begin, third), _span(third, now), peak_memory(role[0])


def _span(begin: Reading, end: Reading) -> Span:
    return Span(end.count - begin.count, end.at - begin.at, end.cpu - begin.cpu)
