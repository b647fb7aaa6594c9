"""What it costs to know persons: the worker with and without `identity`, on events of which some are anonymous.

Links are made once a user and device, so the first third of the events, in which most people log in for the first time,
is told apart from the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

import aiohttp

from pipeline.settings import Settings
from pipeline.topics import ensure_topics
from schemas.plan_io import ready_plans

from .events import USERS, make_events, produce
from .place import Place, check, new_place, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import look

#: Events of a device alone, of all; and how much slower the worker may be than without `identity`, at the first one.
SHARES: Final = (0.1, 0.5)
SLOWER: Final = 0.9
_SECONDS = 1200.0
_LOOK_SECONDS = 0.2


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Each share of anonymous events with `identity` and without it, by turns."""
    rows = []
    for share in SHARES:
        found: dict[str, list[tuple[float, float]]] = {"login": [], "never": []}
        for number in range(1, sizes.runs + 1):
            for link, rates in found.items():
                say(f"{share:.0%} anonymous, link: {link}, run {number} of {sizes.runs}")
                rates.append(await _run(link, share, 3 * sizes.events, sizes.events // 5))
        kind = f"{share:.0%} of the events anonymous"
        for part, name in enumerate(("all events", "the last two thirds")):
            rows += [
                Row(f"worker, {kind}, link: {link}, {name}", "1/CPU s", rounded(*[rate[part] for rate in rates]))
                for link, rates in found.items()
            ]
            ratios = [a[part] / b[part] for a, b in zip(found["login"], found["never"], strict=True)]
            target = SLOWER if share == SHARES[0] and part else None
            rows.append(Row(f"with identity to without, {kind}, {name}", "x", rounded(*ratios), target))
    return rows


async def _run(link: str, share: float, events: int, users: int) -> tuple[float, float]:
    """Events a CPU second of the worker: of all events, and of the last two thirds. A broker of its own: with identity,
    a worker writes to the topic."""
    async with new_place() as place:
        plan = place.data / "plan.yaml"
        plan.write_text(f"{ready_plans()['shop']}\nidentity: {{link: {link}}}\n", "utf-8")
        settings = place.named(f"persons-{link}", plan=str(plan))
        await ensure_topics(settings)
        keys, values = make_events(events, int(time.time() * 1000), users=min(users, USERS), anonymous=share)
        await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)
        del keys, values
        return await _measure(place, settings, events)


async def _measure(place: Place, settings: Settings, events: int) -> tuple[float, float]:
    log = place.data / "worker.log"
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        roles = [await stack.enter_async_context(role_process("worker", settings, log))]
        deadline = time.monotonic() + _SECONDS
        first = third = await look(session, roles, log)
        now = first
        while now.accepted < events or now.lag:
            check(deadline, f"the worker has counted {now.accepted} of {events} events", log)
            await asyncio.sleep(_LOOK_SECONDS)
            now = await look(session, roles, log)
            if third is first and now.accepted >= events / 3:
                third = now
        if now.accepted != events:
            raise RuntimeError(f"{now.accepted} of {events} events accepted")
        return events / (now.cpu - first.cpu), (now.accepted - third.accepted) / (now.cpu - third.cpu)
