"""What it costs to know persons: the worker with and without `identity`, on events of which some are anonymous.

Two workers, one with and one without, are given the same events piece by piece by turns: each is alone at work while it
is measured, and what its partitions tell each other comes soon after what it is about, as it does in a stream that is
not a backlog. Links are made once a user and device: in the first third of the events most people log in for the first
time, in the last one hardly anybody does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from pipeline.settings import Settings
from pipeline.topics import ensure_topics
from schemas.plan_io import ready_plans

from .events import USERS, make_events, produce
from .persons_alone import LINKS, PIECES, Options
from .place import Place, check, new_place, program, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import look

#: Events of a device alone, of all; and how much slower the worker may be than without `identity`, at the first one.
SHARES: Final = (0.1, 0.5)
SLOWER: Final = 0.9
_PARTS: Final = ("all events", "the first third", "the second third", "the last third")
_SECONDS = 600.0
#: Looking costs the worker something: about as often as a dashboard does.
_LOOK_SECONDS = 0.5
#: A worker is done when it has had nothing to do for so many looks.
_QUIET: Final = 2


class _Worker(NamedTuple):
    settings: Settings
    roles: list[tuple[int, str]]
    #: CPU seconds for each piece.
    cpu: list[float]


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Each share of anonymous events with `identity` and without it."""
    rows = []
    for share in SHARES:
        found: dict[str, list[list[float]]] = {link: [] for link in LINKS}
        events = 3 * sizes.events
        for number in range(1, sizes.runs + 1):
            say(f"{share:.0%} anonymous, run {number} of {sizes.runs}")
            for link, cpu in (await _run(share, events, sizes.events // 5)).items():
                thirds = [sum(cpu[n : n + PIECES // 3]) for n in range(0, PIECES, PIECES // 3)]
                found[link].append([events / sum(cpu), *[events / 3 / seconds for seconds in thirds]])
        kind = f"{share:.0%} of the events anonymous"
        for part, name in enumerate(_PARTS):
            rows += [
                Row(f"worker, {kind}, link: {link}, {name}", "1/CPU s", rounded(*[rate[part] for rate in rates]))
                for link, rates in found.items()
            ]
            ratios = [a[part] / b[part] for a, b in zip(found["login"], found["never"], strict=True)]
            target = SLOWER if share == SHARES[0] and name == _PARTS[-1] else None
            rows.append(Row(f"with identity to without, {kind}, {name}", "x", rounded(*ratios), target))
        rows += await _alone(sizes, share, kind, say)
    return rows


async def _alone(sizes: Sizes, share: float, kind: str, say: Say) -> list[Row]:
    """The live state of both in one process, which nothing else can slow down differently."""
    options = Options(3 * sizes.events, min(sizes.events // 5, USERS), share)
    say(f"{share:.0%} anonymous, the live state alone")
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:
        found = [await program("persons_alone", [json.dumps(asdict(options))], Path(folder)) for _ in range(sizes.runs)]
    rows = []
    for part, name in enumerate(_PARTS[1:]):
        about = f"live state alone, {kind}, {name}"
        for unit in ("us", "bytes"):
            rows += [
                Row(
                    f"{about}, link: {link}: {'CPU' if unit == 'us' else 'checkpoints'}",
                    "µs/event" if unit == "us" else "bytes/event",
                    rounded(*[each[f"{link} {unit} {part}"] for each in found]),
                )
                for link in LINKS
            ]
        ratios = [each[f"never us {part}"] / each[f"login us {part}"] for each in found]
        rows.append(Row(f"{about}: with identity to without", "x", rounded(*ratios)))
    return rows


async def _run(share: float, events: int, users: int) -> dict[str, list[float]]:
    """CPU seconds of both workers for each piece of the events."""
    keys, values = make_events(events, int(time.time() * 1000), users=min(users, USERS), anonymous=share)
    async with new_place() as place, contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        workers = []
        for link in LINKS:
            plan = place.data / f"{link}.yaml"
            plan.write_text(f"{ready_plans()['shop']}\nidentity: {{link: {link}}}\n", "utf-8")
            # A topic of its own: with identity, a worker writes to it.
            settings = place.named(f"persons-{link}", plan=str(plan), events_topic=f"events-{link}")
            await ensure_topics(settings)
            role = await stack.enter_async_context(role_process("worker", settings, place.data / f"persons-{link}.log"))
            workers.append(_Worker(settings, [role], []))
        size = events // PIECES
        for piece in range(PIECES):
            at = slice(piece * size, (piece + 1) * size)
            for worker in workers if piece % 2 else workers[::-1]:
                await _measure(place, session, worker, keys[at], values[at], (piece + 1) * size)
        return {link: worker.cpu for link, worker in zip(LINKS, workers, strict=True)}


async def _measure(
    place: Place, session: aiohttp.ClientSession, worker: _Worker, keys: list[bytes], values: list[bytes], accepted: int
) -> None:
    """Give a worker a piece of the events, and wait until it has nothing left to do."""
    settings, roles, cpu = worker
    log = place.data / f"{settings.stream}.log"
    deadline, quiet = time.monotonic() + _SECONDS, 0
    first = now = await look(session, roles, log)
    await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)
    while quiet < _QUIET:
        check(deadline, f"the worker has counted {now.accepted} of {accepted} events", log)
        await asyncio.sleep(_LOOK_SECONDS)
        before, now = now, await look(session, roles, log)
        done = now.accepted >= accepted and not now.lag and now.counts == before.counts
        quiet = quiet + 1 if done else 0
    if now.accepted != accepted:
        raise RuntimeError(f"{now.accepted} of {accepted} events accepted")
    cpu.append(now.cpu - first.cpu)
