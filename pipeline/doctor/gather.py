"""Finds the facts of an installation: asks the roles, Kafka, ClickHouse and the machine, and changes nothing.

Each question has its time; one that gets no answer is a fact that could not be had.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import stat
import sys
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline import __version__
from pipeline.clickhouse.client import CONNECTION_ERRORS
from pipeline.clickhouse.migrate import migrations
from pipeline.collect.sources import read_sources
from pipeline.doctor.data import DoorState, Plans, front_door
from pipeline.doctor.diagnosis import Installation
from pipeline.doctor.gather_clickhouse import ClickHouseFacts, stored
from pipeline.doctor.gather_kafka import KafkaFacts, logged
from pipeline.doctor.machine import Clocks, DiskSpace, Listener, Memory, Versions, disk
from pipeline.doctor.machine import memory as judge_memory
from pipeline.doctor.model import Unknown
from pipeline.doctor.words import lines
from pipeline.errors import StreamgaugeError, UserError
from pipeline.kept.current import kept_of
from pipeline.kept.misfits import Misfit, misfits
from pipeline.metrics import today
from pipeline.render.language import Language
from pipeline.serve.guard import is_loopback
from pipeline.settings import Settings, plan_of
from pipeline.topics import FORWARDED_BYTES
from schemas.plan import Plan
from schemas.translatable import Foreign, Sentence

T = TypeVar("T")

#: For an answer of a role; for all that is asked of Kafka, or of ClickHouse. Seconds.
_ROLE_SECONDS, _SERVER_SECONDS = 5.0, 20.0
_MOST_BYTES: Final = 1 << 20
#: A group may be allowed as much memory as it likes.
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


async def gather(settings: Settings, addresses: Mapping[str, str], folders: Sequence[Path]) -> Installation:
    """The facts. `addresses` are those of the roles that should be there; `folders` hold our data."""
    plan = plan_of(settings)
    (answers, kafka, clickhouse) = await asyncio.gather(
        _roles(addresses),
        _in_time(logged(settings), _SERVER_SECONDS),
        _in_time(stored(settings, plan), _SERVER_SECONDS),
    )
    health = {role: found for role, found in answers.items() if isinstance(found, dict)}
    listeners = [_listener(role, addresses[role], found) for role, found in answers.items()]
    listeners += [
        Listener(name, where, "nobody")
        for name, where, found in (
            ("Kafka", settings.kafka_bootstrap, kafka), ("ClickHouse", settings.clickhouse_url, clickhouse),
        )
        if isinstance(found, Unknown)
    ]  # fmt: skip
    log = kafka if isinstance(kafka, KafkaFacts) else KafkaFacts.unknown(_short(kafka))
    store = clickhouse if isinstance(clickhouse, ClickHouseFacts) else ClickHouseFacts.unknown(_short(clickhouse))
    return Installation(
        listeners=listeners,
        folders=[disk_of(folder) for folder in folders],
        disks=store.disks,
        memory=memory(),
        clocks=Clocks(log.clock, store.clock),
        versions=Versions(
            python=sys.version_info[:3],
            clickhouse=store.version,
            kafka_lacks=log.lacks,
            migrations=store.migrations,
            ours={one.name: one.checksum for one in migrations()},
            roles={role: str(found.get("version", "")) for role, found in health.items() if role != "dashboard"},
            own=__version__,
        ),
        topics=log.topics,
        lag=log.lag,
        health=health,
        plans=Plans(
            product=plan.product,
            digest=plan.digest,
            roles={role: str(found.get("plan", "")) for role, found in health.items() if role != "dashboard"},
            database=store.plan,
        ),
        parts=store.parts,
        last_hour=store.last_hour,
        front_door=_front_door(settings, health.get("collect")),
        kept=await asyncio.to_thread(kept_misfits, settings, plan),
        lateness_ms=plan.lateness,
        forwarded_bytes=FORWARDED_BYTES,
    )


def quick_look(settings: Settings, folder: Path, t: Language) -> list[str]:
    """What can be seen before anything runs: lines for whoever starts `up`. Raises UserError."""
    door = _front_door(settings, {})
    said = [
        *disk([disk_of(folder)], t),
        *judge_memory(memory(), t),
        *front_door(replace(door, sources=door.sources or 1), t),
    ]  # `up` makes a source if there is none
    return list(lines([one for one in said if one.severity != "unknown"], t, quick=True))


def usual_addresses(settings: Settings) -> dict[str, str]:
    """Where the roles answer if nobody has said otherwise: a worker, an archiver beside it, and the front door."""
    host = settings.metrics_host if is_loopback(settings.metrics_host) else "127.0.0.1"
    secure = settings.collect_ssl_certfile is not None
    return {
        "worker": settings.dashboard_workers.split(",")[0],
        "archiver": f"http://{host}:9109",
        "collect": f"{'https' if secure else 'http'}://127.0.0.1:{settings.collect_port}",
    }


def disk_of(folder: Path) -> DiskSpace:
    """The file system that a folder is on; it may not be there yet. Raises UserError if it can't be looked at."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        used = shutil.disk_usage(there)
    except OSError as exc:
        raise UserError(
            "the folder {folder} can't be looked at: {why}", folder=folder, why=Foreign(exc.strerror)
        ) from None
    return DiskSpace(str(folder), used.free, used.total)


def memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> Memory | Unknown:
    """The machine's memory, or our control group's where that is less."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text("ascii").splitlines() if ":" in line)
        available, total = (int(lines[name].split()[0]) << 10 for name in ("MemAvailable", "MemTotal"))
    except (OSError, KeyError, ValueError):
        return Unknown(Sentence("{system} does not say how much there is", system=platform.system()))
    try:
        limit = int((cgroup / "memory.max").read_text("ascii"))
        used = int((cgroup / "memory.current").read_text("ascii"))
        # What files hold in memory is given back when it is needed.
        kept = dict(line.split() for line in (cgroup / "memory.stat").read_text("ascii").splitlines())
        used -= int(kept.get("inactive_file", 0))
    except (OSError, ValueError):  # no group, or one without a limit ("max")
        return Memory(available, total)
    return Memory(min(available, max(0, limit - used)), min(total, limit))


async def _roles(addresses: Mapping[str, str]) -> dict[str, dict[str, Any] | str]:
    """By role: its health, or how it could not be had."""
    timeout = aiohttp.ClientTimeout(total=_ROLE_SECONDS)
    # A certificate is for its name, and here is asked by address; nothing secret is sent.
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=False)) as session:
        found = await asyncio.gather(*(_role(session, role, url) for role, url in addresses.items()))
    return dict(zip(addresses, found, strict=True))


async def _role(session: aiohttp.ClientSession, role: str, url: str) -> dict[str, Any] | str:
    try:
        async with session.get(f"{url}/health", allow_redirects=False) as answer:
            body = await answer.content.read(_MOST_BYTES)
    except (aiohttp.ClientConnectorError, TimeoutError):
        return "nobody"
    except (aiohttp.ClientError, OSError, ValueError):
        return "taken"
    try:
        found = await asyncio.to_thread(_object, body)
    except ValueError:
        return "taken"
    return found if found.get("role") == role else "taken"


def _object(body: bytes) -> dict[str, Any]:
    import json

    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _listener(role: str, url: str, found: dict[str, Any] | str) -> Listener:
    where = urlsplit(url).netloc or url
    needed = role in ("worker", "archiver")
    if isinstance(found, dict):
        return Listener(role, where, "ours", needed)
    return Listener(role, where, "taken" if found == "taken" else "nobody", needed)


def _front_door(settings: Settings, health: Mapping[str, Any] | None) -> DoorState:
    file = settings.collect_sources
    sources: int | Unknown
    try:
        sources = sum(source.revoked is None for source in read_sources(file))
        open_to_others = file.exists() and bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except UserError as exc:
        sources, open_to_others = Unknown(exc.said), False
    clear = not is_loopback(settings.collect_host) and settings.collect_ssl_certfile is None
    return DoorState(
        Unknown(Sentence("it does not answer")) if health is None else health,
        sources,
        os.fspath(file),
        open_to_others,
        clear,
    )


def kept_misfits(settings: Settings, plan: Plan) -> list[Misfit] | StreamgaugeError:
    """What is kept and no longer fits; nothing where nothing is kept."""
    try:
        return misfits(plan, kept_of(settings), today(plan))
    except StreamgaugeError as exc:
        return exc


async def _in_time(work: Awaitable[T], seconds: float) -> T | Unknown:
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        return Unknown(Sentence("no answer within {seconds} s", seconds=f"{seconds:.0f}"))
    except StreamgaugeError as exc:
        return Unknown(exc.said)
    except (KafkaError, ClickHouseError, *CONNECTION_ERRORS) as exc:
        return Unknown(f"{str(exc).strip().splitlines()[0][:200]}" if str(exc).strip() else type(exc).__name__)


def _short(found: Any) -> str:
    return found.why if isinstance(found, Unknown) else ""
