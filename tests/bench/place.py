"""Where a section measures: a broker, a ClickHouse and a folder of its own, and the processes that it starts there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.broker import EmbeddedBroker
from pipeline.embedded.child import Child, free_port
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings
from pipeline.topics import ensure_topics

from .events import PARTITIONS
from .machine import cpu_seconds

_START_SECONDS = 60.0
_PROGRAM_SECONDS = 300.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Place:
    """What runs: `settings` for roles and programs, `data` for files, the processes of the two servers."""

    settings: Settings
    data: Path
    broker: EmbeddedBroker
    clickhouse: EmbeddedClickHouse

    def named(self, name: str, **changes: Any) -> Settings:
        """Settings under a name of their own: a new consumer group, and rows that are not those of another run."""
        return self.settings.model_copy(update={"group": name, "stream": name, **changes})

    def servers_cpu(self) -> float:
        """CPU seconds of broker and ClickHouse so far."""
        return sum(cpu_seconds(pid) for pid in (self.broker.pid, self.clickhouse.pid) if pid is not None)

    async def ask(self, session: aiohttp.ClientSession, sql: str) -> str:
        """ClickHouse's answer to a query, as text."""
        login = aiohttp.encode_basic_auth("default", self.settings.clickhouse_password.get_secret_value())
        async with session.post(self.settings.clickhouse_url, data=sql, headers={"Authorization": login}) as response:
            answer = (await response.text()).strip()
            if response.status != 200:
                raise RuntimeError(f"ClickHouse: {answer[:500]}")
            return answer


@contextlib.asynccontextmanager
async def new_place(**changes: Any) -> AsyncIterator[Place]:
    """Start the servers and make topics and tables; everything is gone afterwards. `changes` are settings."""
    async with contextlib.AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamgauge-bench-")))
        broker = await stack.enter_async_context(EmbeddedBroker(data))
        clickhouse = await stack.enter_async_context(EmbeddedClickHouse(data))
        settings = Settings(
            plan="shop",
            kafka_bootstrap=broker.bootstrap,
            **clickhouse.access,
            partitions=PARTITIONS,
            session_timeout_s=6.0,
        ).model_copy(update=changes)
        await asyncio.gather(migrate(settings), ensure_topics(settings))
        yield Place(settings, data, broker, clickhouse)


@contextlib.asynccontextmanager
async def role_process(role: str, settings: Settings, log: Path) -> AsyncIterator[tuple[int, str]]:
    """Run `streamgauge worker` or `archiver`; yields process id and address once it answers, and ends it in order."""
    port, _ = free_port()
    settings = settings.model_copy(update={"metrics_port": port})
    command = [sys.executable, "-P", "-m", "pipeline.cli", role]
    child = Child(f"the {role}", command, log, env={**plain_environment(), **settings.environment()})
    child.start()
    try:
        await child.wait_ready(lambda: _listens(port), _START_SECONDS)
        assert child.pid is not None
        yield child.pid, f"http://127.0.0.1:{port}"
    finally:
        await child.stop(_STOP_SECONDS)


def plain_environment() -> dict[str, str]:
    """The environment without settings of ours, which would change what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def page(session: aiohttp.ClientSession, url: str, log: Path) -> dict[str, Any]:
    """A JSON page of a role, /health also when it says 503; raises RuntimeError with the end of its log."""
    try:
        async with session.get(url) as response:
            found: dict[str, Any] = await response.json()
    except aiohttp.ClientError as exc:
        raise RuntimeError(f"{url} does not answer ({exc!r}): {tail(log)}") from exc
    return found


async def program(
    name: str,
    arguments: list[Any],
    data: Path,
    *,
    command: list[str] | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = _PROGRAM_SECONDS,
) -> dict[str, float]:
    """Run a module of this package (or `command`) in a process of its own, which ends with this one; what it prints.

    Raises RuntimeError with the end of its output if it fails or takes longer than `seconds`.
    """
    log = data / f"{name}.log"
    command = command or [sys.executable, "-P", "-m", f"tests.bench.{name}"]
    child = Child(name, [*command, *map(str, arguments)], log, env=env)
    child.start()
    deadline = time.monotonic() + seconds
    while child.running and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    in_time = not child.running
    code = await child.stop(0)
    # The last one: a library may complain of its own objects when Python ends.
    found = next((line for line in log.read_text("utf-8", "replace").splitlines()[::-1] if line.startswith("{")), "")
    if code != 0 or not found:
        ended = f"ended with {code}" if in_time else f"was not done after {seconds:.0f} s"
        raise RuntimeError(f"{name} {ended}: {tail(log)}")
    figures: dict[str, float] = json.loads(found)
    return figures


def check(deadline: float, problem: str, log: Path) -> None:
    """Raise RuntimeError when time.monotonic() has passed `deadline`."""
    if time.monotonic() > deadline:
        raise RuntimeError(f"{problem}: {tail(log)}")


def tail(log: Path) -> str:
    """The end of a log file, for an error message."""
    return log.read_text("utf-8", "replace")[-2000:] or "it wrote nothing"
