"""What devices cost that may be somebody's: their memory, and a restart with as many users as devices.

`python -m tests.bench.devices DEVICES STORE LINK FOLDER` prints bytes of process memory a device as JSON: after a visit
of three events within two minutes, and once each is linked to a user who lives elsewhere.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from pipeline.ingest.links import LINK_HEADER, Claim, link_value
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from pipeline.state.checkpoint import encode
from pipeline.state.disk import Disk
from pipeline.state.partition import PartitionState
from schemas.event import DEVICE
from schemas.plan_io import load_plan

from .events import make_event, produce
from .machine import cpu_seconds, peak_memory
from .place import Place, check, new_place, page, program, role_process
from .restart import TARGETS
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import look

BYTES_A_DEVICE: Final = 300.0
_BATCH: Final = 5_000
_VISIT: Final = (
    ("app_open", 0, b"{}"),
    ("search", 20_000, b'{"query":"running shoes","results":24}'),
    ("view_item", 70_000, b'{"item_id":"i48213","category":"shoes","price":19.9}'),
)
_SECONDS = 1200.0
_LOOK_SECONDS = 0.25
_READY_SECONDS = 0.05
_CHUNK: Final = 100_000


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Memory a device, and restarts, with the state in memory and on disk."""
    rows = []
    count = sizes.users
    for store, target in TARGETS.items():
        found: dict[str, dict[str, float]] = {}
        for link in ("login", "never"):
            say(f"{store}: memory of {count:,} devices, link: {link}")
            with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:
                found[link] = await program("devices", [count, store, link, folder], Path(folder), seconds=_SECONDS)
        with_, without = found["login"], found["never"]["visit"]
        name = f"memory a device, {count:,} of them, {store}"
        rows += [
            Row(f"{name}: after a short visit, link: never", "bytes", rounded(without)),
            Row(
                f"{name}: what identity adds", "bytes", rounded(with_["visit"] - without), BYTES_A_DEVICE, at_most=True
            ),
            Row(f"{name}: what it adds once they are linked", "bytes", rounded(with_["linked"] - without)),
        ]
        say(f"{store}: restart with {count:,} users and as many devices")
        restarts = await _restarts(store, count, sizes.runs)
        name = f"restart with {count:,} users and as many devices, {store}"
        rows += [
            Row(f"{name}: ready with all state", "s", rounded(*[r.seconds for r in restarts]), target, at_most=True),
            Row(f"{name}: CPU by then", "s", rounded(*[r.cpu for r in restarts])),
            Row(f"{name}: peak memory", "MB", rounded(*[r.peak / 1e6 for r in restarts])),
        ]
    return rows


class _Restart(NamedTuple):
    """Seconds by the clock and of CPU until a worker was ready with all that it had, and its peak memory in bytes."""

    seconds: float
    cpu: float
    peak: int


async def _restarts(store: str, count: int, runs: int) -> list[_Restart]:
    """Each user's device views an item, and each user logs in on it; then restarts."""
    async with new_place(session_timeout_s=3.0) as place, aiohttp.ClientSession() as session:
        settings = place.named(f"devices-{store}", state_store=store, state_dir=place.data / "state")
        log = place.data / "worker.log"
        async with role_process("worker", settings, log) as role:
            sent = 0
            for start in range(0, count, _CHUNK):
                many = range(start, min(count, start + _CHUNK))
                # The login comes when the visit is counted, so that it is handed over.
                for login in (False, True):
                    await _send(settings, many, login)
                    sent += len(many)
                    marks = await _quiet(session, [role], log, sent)
        return [await _restart(place, session, settings, marks, sent) for _ in range(runs)]


async def _send(settings: Settings, many: range, login: bool) -> None:
    now = int(time.time() * 1000)
    keys, values = [], []
    for n in many:
        device = f"d{n:08d}"
        user = f'"user_id":"u{n:08d}",' if login else ""
        keys.append((f"u{n:08d}" if login else device).encode())
        head = f'","event":"view_item",{user}"anonymous_id":"{device}","ts":'.encode()
        tail = b',"platform":"ios","channel":"ads","properties":{"item_id":"i48213"}}'
        values.append(make_event(f"{login}{n}".encode(), head, now, tail))
    await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)


async def _quiet(
    session: aiohttp.ClientSession, roles: list[tuple[int, str]], log: Path, accepted: int
) -> dict[int, int]:
    """Wait until nothing is left to fold; where the partitions stand then."""
    deadline, quiet = time.monotonic() + _SECONDS, 0
    now = await look(session, roles, log)
    while quiet < 4:
        check(deadline, f"the worker has counted {now.accepted} of {accepted} events", log)
        await asyncio.sleep(_LOOK_SECONDS)
        before, now = now, await look(session, roles, log)
        quiet = quiet + 1 if now.accepted == accepted and not now.lag and now.counts == before.counts else 0
    return now.marks


async def _restart(
    place: Place, session: aiohttp.ClientSession, settings: Settings, marks: dict[int, int], accepted: int
) -> _Restart:
    """Start the worker, and wait until it is ready with all that it had."""
    log = place.data / "worker.log"
    started = time.perf_counter()
    async with role_process("worker", settings, log) as (pid, url):
        deadline = time.monotonic() + _SECONDS
        while not (await page(session, url + "/health", log))["ready"]:
            check(deadline, "the worker is not ready", log)
            await asyncio.sleep(_READY_SECONDS)
        now = await look(session, [(pid, url)], log)
        # What the last checkpoint did not hold is folded again, and tells other partitions once more.
        while now.accepted != accepted or any(now.marks.get(p, 0) < mark for p, mark in marks.items()):
            check(deadline, f"the worker stands at {now.marks}, {now.accepted} and not at {marks}, {accepted}", log)
            await asyncio.sleep(_READY_SECONDS)
            now = await look(session, [(pid, url)], log)
        return _Restart(time.perf_counter() - started, cpu_seconds(pid), peak_memory(pid))


def main(count: int, store: str, link: str, folder: Path) -> None:
    """Fold the devices' visits in one partition of one, then their links."""
    plan = load_plan("shop")
    plan = plan.model_copy(update={"identity": plan.identity.model_copy(update={"link": link})})
    disk = Disk(folder / "state") if store == "rocksdb" else None
    # Their home is partition 0 of 1; a link is told by its record alone.
    state = PartitionState(plan, Validator(plan), 0, 1, disk)
    now = 1_760_000_000_000
    offset = written = 0

    def fold(values: list[tuple[bytes, tuple[tuple[str, bytes], ...]]]) -> None:
        nonlocal offset, written
        records = [Record(offset + n, now, None, value, headers) for n, (value, headers) in enumerate(values)]
        offset += len(records)
        state.fold(records)
        state.letters.clear()
        checkpoint = state.checkpoint()
        parts = sum(1 for _ in encode(checkpoint, b"benchmrk"))
        written += parts
        state.acknowledged(checkpoint, parts, written - 1)

    fold([(_event(-1, 0, now), ())])
    gc.collect()
    before, found = _resident(), {}
    for start in range(0, count, _BATCH):
        for step in range(len(_VISIT)):
            fold([(_event(n, step, now), ()) for n in range(start, min(count, start + _BATCH))])
    gc.collect()
    found["visit"] = (_resident() - before) / count
    if link == "login":
        header = ((LINK_HEADER, b"1"),)
        for start in range(0, count, _BATCH):
            claims = [
                Claim(f"{DEVICE}{_device(n)}", f"u{n:08d}", "login", now)
                for n in range(start, min(count, start + _BATCH))
            ]
            fold([(link_value(claim), header) for claim in claims])
        gc.collect()
        found["linked"] = (_resident() - before) / count
    state.activity.close()
    print(json.dumps(found))


def _device(n: int) -> str:
    return f"0f8fad5b-d9cb-469f-a165-{n:012x}"


def _event(n: int, step: int, now: int) -> bytes:
    name, after, properties = _VISIT[step]
    head = f'","event":"{name}","anonymous_id":"{_device(n)}","ts":'.encode()
    tail = b',"session_id":"s%d","platform":"ios","channel":"ads","properties":%b}' % (n, properties)
    return make_event(f"{n}.{step}".encode(), head, now + after, tail)


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
