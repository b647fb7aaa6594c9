"""A worker that starts again with many users of funnel state: how long until it is ready and has all of it.

Ready is what `/health` says; all of it: every partition stands at the end of its log, the totals are those of before,
and the funnel has every user. Both have to be true: the embedded broker understates where a changelog ends, so that a
worker there may be ready early and fold the rest of the records again.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.ingest.partitioner import partitions_of
from pipeline.settings import Settings
from schemas.plan_io import load_plan

from .events import SEED, make_event, produce
from .machine import peak_memory
from .place import Place, check, new_place, page, role_process
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes

#: By state store: seconds.
TARGETS = {"memory": 20.0, "rocksdb": 5.0}
_LIMIT_SECONDS = 600.0
_LOOK_SECONDS = 0.05
_CHUNK = 250_000
#: The first step of the shop's funnel `checkout`.
_STEP, _FUNNEL = "view_item", "checkout"
_SPAN_MS = 600_000


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """With the state in memory, and on disk."""
    rows = []
    for store, target in TARGETS.items():
        async with new_place(session_timeout_s=3.0) as place:
            say(f"{store}: {sizes.users:,} users take the first step of a funnel")
            settings = place.named(f"restart-{store}", state_store=store, state_dir=place.data / "state")
            ends = await _send(place, sizes.users)
            await _build(place, settings, ends, sizes.users)
            found = []
            for number in range(1, sizes.runs + 1):
                say(f"{store}: restart {number} of {sizes.runs}")
                found.append(await _restart(place, settings, ends, sizes.users))
        name = f"restart with {sizes.users:,} users of funnel state, {store}"
        rows += [
            Row(f"{name}: ready with all state", "s", rounded(*[f[0] for f in found]), target, at_most=True),
            Row(f"{name}: ready", "s", rounded(*[f[1] for f in found])),
            Row(f"{name}: peak memory", "MB", rounded(*[f[2] / 1e6 for f in found])),
        ]
    return rows


async def _send(place: Place, users: int) -> dict[int, int]:
    """One first step of each user, within ten minutes; how many events each partition has."""
    rng = np.random.default_rng(SEED)
    settings = place.settings
    ends = dict.fromkeys(range(settings.partitions), 0)
    now = int(time.time() * 1000)
    for start in range(0, users, _CHUNK):
        names = [f"u{user:08d}" for user in range(start, min(users, start + _CHUNK))]
        times = (now - rng.integers(_SPAN_MS, size=len(names))).tolist()
        ids = rng.bytes(16 * len(names)).hex().encode()
        tail = b',"platform":"ios","channel":"ads","properties":{"item_id":"i48213","category":"shoes","price":19.9}}'
        values = [
            make_event(ids[32 * i : 32 * i + 32], f'","event":"{_STEP}","user_id":"{name}","ts":'.encode(), ts, tail)
            for i, (name, ts) in enumerate(zip(names, times, strict=True))
        ]
        keys = [name.encode() for name in names]
        await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)
        for partition in partitions_of(keys, settings.partitions).tolist():
            ends[partition] += 1
    return ends


async def _build(place: Place, settings: Settings, ends: dict[int, int], users: int) -> None:
    """Fold everything and wait until it is saved: the committed offsets are those of acknowledged checkpoints."""
    log = place.data / "worker.log"
    async with role_process("worker", settings, log) as (_, url), aiohttp.ClientSession() as session:
        await _complete(session, url, log, ends, users)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap, group_id=settings.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            deadline = time.monotonic() + _LIMIT_SECONDS
            for partition, end in ends.items():
                at = TopicPartition(settings.events_topic, partition)
                while ((await consumer.committed(at)) or 0) < end:
                    check(deadline, "the last checkpoint was not committed", log)
                    await asyncio.sleep(0.2)
        finally:
            await consumer.stop()


async def _restart(place: Place, settings: Settings, ends: dict[int, int], users: int) -> tuple[float, float, int]:
    """Seconds until it is ready with all state, and until it says that it is ready; its peak memory in bytes."""
    log = place.data / "worker.log"
    started = time.perf_counter()
    async with role_process("worker", settings, log) as (pid, url), aiohttp.ClientSession() as session:
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not (await page(session, url + "/health", log))["ready"]:
            check(deadline, "the worker is not ready", log)
            await asyncio.sleep(_LOOK_SECONDS)
        ready = time.perf_counter() - started
        await _complete(session, url, log, ends, users)
        return time.perf_counter() - started, ready, peak_memory(pid)


async def _complete(
    session: aiohttp.ClientSession, url: str, log: Path, ends: dict[int, int], users: int
) -> dict[str, Any]:
    """Wait until every partition stands at its end; raises if the totals are not right then."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while True:
        live = await page(session, url + "/live", log)
        if {int(p): mark for p, mark in live["partitions"].items()} == ends:
            break
        check(deadline, f"the worker stands at {live['partitions']} of {ends}", log)
        await asyncio.sleep(_LOOK_SECONDS)
    accepted, walked = live["totals"].get("accepted"), live["funnels"][_FUNNEL]["users"][0]
    if accepted != users or (walked != users and not _day_changes()):
        raise RuntimeError(f"of {users} users {accepted} events are counted, and {walked} are in the funnel")
    return live


def _day_changes() -> bool:
    """Whether the events may lie in two buckets (days of the plan's zone) of which /live shows one."""
    now = datetime.now(load_plan("shop").zone)
    return now.date() != (now - timedelta(hours=1)).date()
