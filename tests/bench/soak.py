"""Whether a worker's memory stays as it is over a long run at a steady rate: `--soak MINUTES`."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import aiohttp
import yaml

from schemas.plan_io import ready_plans

from .feed import Feed
from .machine import memory_now
from .place import Place, new_place, page, role_process
from .rows import NOT_RUN, Row, rounded
from .run import Say
from .sizes import Sizes

#: Of the middle third of the long run, the last third may have so much: noise of the allocator, and no growth.
FLAT = 1.05
_LOOK_SECONDS = 5.0
#: A plan that forgets soon: a state that is still filling says nothing about a leak.
_SHORT = {"lateness": "1m", "dedupe": "1m"}
_WINDOW = "1m"


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """The worker's memory in the last third of the run against that in the middle one, if a run was asked for."""
    minutes = sizes.soak_minutes
    if not minutes:
        note = f"{NOT_RUN} (--soak 30)"
        return [Row("memory over a long run: last third to middle third", "x", (), FLAT, True, note)]
    async with new_place() as place:
        say(f"{minutes:g} minutes at {sizes.arrival_rate:,} events a second, from {time.strftime('%H:%M')}")
        found = await _run(place, minutes, sizes.arrival_rate)
    third = len(found) // 3
    if not third:
        raise RuntimeError("the long run was too short for three looks")
    middle, last = median(found[third : 2 * third]), median(found[2 * third :])
    name = f"memory over {minutes:g} minutes at {sizes.arrival_rate:,} events/s"
    return [
        Row(f"{name}: last third to middle third", "x", rounded(last / middle), FLAT, at_most=True),
        Row(f"{name}: middle third", "MB", rounded(middle / 1e6)),
        Row(f"{name}: last third", "MB", rounded(last / 1e6)),
        Row(f"{name}: most", "MB", rounded(max(found) / 1e6)),
    ]


async def _run(place: Place, minutes: float, rate: float) -> list[int]:
    """The worker's memory in bytes, every few seconds."""
    plan = yaml.safe_load(ready_plans()["shop"]) | _SHORT
    plan.pop("alerting", None)  # alerts need to remember for longer
    for funnel in plan["funnels"].values():
        funnel["window"] = _WINDOW
    file = place.data / "soak.yaml"
    file.write_text(yaml.safe_dump(plan, sort_keys=False), "utf-8")
    settings = place.named("soak", plan=str(file))
    feed = Feed(settings.kafka_bootstrap, settings.events_topic, settings.partitions, rate)
    log = place.data / "worker.log"
    found = []
    async with (
        role_process("worker", settings, log) as (pid, url),
        aiohttp.ClientSession() as session,
        feed.running(),
    ):
        deadline = time.monotonic() + minutes * 60
        while time.monotonic() < deadline:
            await asyncio.sleep(min(_LOOK_SECONDS, minutes * 6))
            live = await page(session, url + "/live", log)
            if live["totals"].get("late") or live["totals"].get("rejected"):
                raise RuntimeError(f"not every event was accepted: {live['totals']}")
            found.append(memory_now(pid))
    return found
