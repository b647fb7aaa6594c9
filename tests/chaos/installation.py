"""A `streamgauge up` as a process, on a folder that outlives it: started, killed part by part or all at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from jumping_clock import JumpingClock
from kafka_harness import free_port, spawn
from lossy_disk import LossyDisk

from pipeline.settings import Settings
from schemas.plan_io import load_plan

from .ground import environment
from .watched import Watched, is_ready

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0
_READY: Final = "Ctrl-C ends it"
#: Parts by words of their command.
PARTS: Final = {
    "Kafka": "kafka.Kafka", "ClickHouse": "pipeline.embedded.clickhouse", "worker": "pipeline.cli worker",
    "archiver": "pipeline.cli archiver", "collect": "pipeline.cli collect", "dashboard": "pipeline.cli dashboard",
    "Prometheus": "prometheus --config",
}  # fmt: skip
_ROLES: Final = ("worker", "archiver", "collect")
_PORTS: Final = ("Kafka", "Kafka controller", "ClickHouse", "Prometheus", "dashboard", *_ROLES)


class UpRole:
    """A role of the installation, asked where it listens."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = self.kind = name
        self._folder = folder
        self.running = True

    @property
    def url(self) -> str:
        """Where it listens, once it was started."""
        return f"http://127.0.0.1:{json.loads((self._folder / 'ports.json').read_text())[self.name]}"

    async def ask(self, path: str) -> dict[str, Any] | None:
        """A JSON page; None while it can't be reached."""
        try:
            timeout = aiohttp.ClientTimeout(total=5)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self.url + path) as response:
                answer: dict[str, Any] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def last_words(self, lines: int = 3) -> str:
        """The end of its log."""
        log = self._folder / f"{self.name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


class Installation(Watched):
    """`up` on the folder `folder/data`; what it says is in `folder/up.log`. Nothing is started yet."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None, *options: str) -> None:
        self.data, self.log = folder / "data", folder / "up.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.variables, self._options = dict(variables or {}), options
        #: Where the folder is, if a power cut is to lose what was not forced to it.
        self.disk: LossyDisk | None = None
        #: What time it is, if that jumps.
        self.clock: JumpingClock | None = None
        self._process: Any = None
        self._said = 0
        self.roles = {name: UpRole(name, self.data) for name in _ROLES}
        # The usual ports may be wanted by others who test on this machine.
        self.data.mkdir(mode=0o700, exist_ok=True)
        if not (self.data / "ports.json").exists():
            (self.data / "ports.json").write_text(json.dumps({name: free_port() for name in _PORTS}))

    @property
    def answering(self) -> Iterable[UpRole]:
        """The roles that hold records."""
        return self.roles.values()

    @property
    def running(self) -> bool:
        """Whether `up` runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """What it has said since it was started last."""
        return self.log.read_bytes()[self._said :].decode(errors="replace")

    @property
    def key(self) -> str:
        """The write key of this machine."""
        return (self.data / "collect.key").read_text().strip()

    @property
    def door(self) -> str:
        """Where the front door takes events."""
        return f"{self.roles['collect'].url}/v1/events"

    def launch(self) -> None:
        """Start it, on what is there, and go on."""
        self._said = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-P", "-m", "pipeline.cli", "up", "--broker", "kafka"]
        self._process = spawn(
            [*command, "--data", str(self.data), *self._options],
            self.log,
            {**environment(), **self.variables, **(self.clock.variables if self.clock is not None else {})},
        )

    async def start(self, seconds: float = START_SECONDS) -> float:
        """Start it, and wait until it says that it is ready; the seconds that took. RuntimeError if it ends instead."""
        began = time.monotonic()
        self.launch()
        while _READY not in self.said:
            if not self.running or time.monotonic() - began > seconds:
                raise RuntimeError(f"`up` did not start ({self._process.poll()}): {self.said[-3000:]}")
            await asyncio.sleep(0.05)
        prefix = "PIPELINE_"
        given = {n.removeprefix(prefix).lower(): v for n, v in self.variables.items() if n.startswith(prefix)}
        found = {name.lower(): value for name, value in re.findall(r"export PIPELINE_(\w+)=(\S+)", self.said)}
        self.settings = Settings(**{**given, **found})  # type: ignore[arg-type]
        self.plan = load_plan(self.settings.plan)
        return time.monotonic() - began

    async def ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until every role says that it is."""
        deadline = time.monotonic() + seconds
        while not all([await is_ready(role) for role in self.answering]):
            assert time.monotonic() < deadline, f"not ready: {self.said[-2000:]}"
            await asyncio.sleep(0.1)

    def processes(self) -> dict[int, str]:
        """All its processes, itself first: command line by process id."""
        if not self.running:
            return {}
        found = {self._process.pid: "up"}
        for pid, parent, line in _all_processes():
            if parent == self._process.pid:
                found[pid] = line
        return found

    def pid(self, part: str) -> int | None:
        """The process id of a part, while it runs."""
        return next((pid for pid, line in self.processes().items() if PARTS[part] in line), None)

    def send(self, part: str, number: signal.Signals) -> bool:
        """Send a signal to a part; whether there was one."""
        pid = self.pid(part)
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, number)
                return True
        return False

    def power_cut(self) -> int:
        """End everything at one moment, which nobody can act on: all are frozen first. The number of processes.

        With a `disk` what was not forced to it is lost.
        """
        found = list(self.processes())
        self._signal(found, signal.SIGSTOP)
        if self.disk is not None:
            self.disk.snapshot()
        self._signal(found, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)
        while any(Path(f"/proc/{pid}").exists() for pid in found[1:]):
            time.sleep(0.01)
        if self.disk is not None:
            self.disk.lose()
        return len(found)

    def _signal(self, pids: Iterable[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_up(self) -> None:
        """SIGKILL to `up` alone."""
        self._process.kill()
        self._process.wait(30)

    async def terminate(self) -> int:
        """SIGTERM to `up`; its exit code."""
        self._process.terminate()
        return int(await asyncio.to_thread(self._process.wait, STOP_SECONDS))

    def ports(self) -> dict[str, int]:
        """Where everything listens, as it is kept."""
        found: dict[str, int] = json.loads((self.data / "ports.json").read_text())
        return found


def _all_processes() -> list[tuple[int, int, str]]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.name), parent, line))
    return found
