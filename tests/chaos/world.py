"""Workers and archivers as real processes, each with a proxy of its own to Kafka and to ClickHouse."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from kafka_harness import TcpProxy, free_port, spawn

from pipeline.clickhouse.migrate import migrate
from pipeline.metrics.install import install
from pipeline.settings import Settings
from pipeline.topics import ensure_topics
from schemas.plan import Plan
from schemas.plan_io import load_plan

from .ground import Ground, environment
from .watched import Watched, is_ready, until

SESSION_SECONDS = 3.0
#: The command, with a changelog that is rewritten and shortened from so many bytes on (else 32 MB: never in a test).
_EAGER = "import pipeline.worker.truncation as c; c.MIN_BYTES = {}"
_MAIN = "from pipeline.cli.main import main; main()"
#: A role that was ended by SIGTERM must be gone by then.
STOP_SECONDS = 10.0


class Role:
    """One worker or archiver: its process, its two proxies, its log."""

    def __init__(self, name: str, settings: Settings, kafka: TcpProxy, clickhouse: TcpProxy, folder: Path) -> None:
        self.name, self.kind = name, name.split("-")[0]
        self.kafka, self.clickhouse = kafka, clickhouse
        self.log = folder / f"{name}.log"
        self.port = free_port()
        changes = {
            "kafka_bootstrap": kafka.address,
            "clickhouse_url": f"http://{clickhouse.address}",
            "metrics_port": self.port,
            "state_dir": folder / f"{name}-state",
        }
        self._env = {**environment(), **settings.model_copy(update=changes).environment()}
        self._process: subprocess.Popen[bytes] | None = None
        #: Let a worker rewrite its changelog from so many bytes on.
        self.rewrite_from: int | None = None
        #: Python that runs in the process before its command: a mistake in the program, say.
        self.before = ""
        #: The supervisor starts it again when it has ended.
        self.wanted = False

    @property
    def running(self) -> bool:
        """Whether the process is there (frozen or not)."""
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code of the last process, None while it runs."""
        return self._process.poll() if self._process is not None else None

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start a process, and want it from now on."""
        assert not self.running
        self.wanted = True
        before = self.before if self.rewrite_from is None else _EAGER.format(self.rewrite_from)
        run = ["-c", f"{before}\n{_MAIN}"] if before else ["-m", "pipeline.cli"]
        self._process = spawn([sys.executable, "-P", *run, self.kind], self.log, self._env)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait. The supervisor, if there is one, starts it again."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    async def terminate(self, timeout: float = STOP_SECONDS + 5) -> tuple[int | None, float]:
        """SIGTERM, and wait: exit code (None: it did not end in time) and seconds."""
        process, began = self._process, time.monotonic()
        assert process is not None
        self.signal(signal.SIGTERM)
        while process.poll() is None and time.monotonic() - began < timeout:
            await asyncio.sleep(0.02)
        return process.poll(), time.monotonic() - began

    async def ask(self, path: str) -> dict[str, Any] | None:
        """A JSON page of the process; None while it can't be reached."""
        try:
            timeout = aiohttp.ClientTimeout(total=2)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as response,
            ):
                answer: dict[str, Any] = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def figure(self, name: str) -> float:
        """The sum of a figure's samples on `/metrics`; 0 while the process can't be reached."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
                session.get(f"http://127.0.0.1:{self.port}/metrics") as response,
            ):
                lines = (await response.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0.0
        found = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
        return sum(float(value) for sample, value in found if sample.partition("{")[0] == name)

    async def tries(self, times: int) -> None:
        """Wait until it has tried so often more to send to Kafka what is not taken."""
        before = await self.figure("streamgauge_deliveries_retried_total")

        async def tried() -> bool:
            return await self.figure("streamgauge_deliveries_retried_total") >= before + times

        await until(tried, f"{self.name} tries {times} times more", 40, self.last_words)

    def last_words(self, lines: int = 3) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def memory_mb(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"{self.name} has no memory")


class World(Watched):
    """Topics, a database and roles of their own on a ground that may be shared. `async with` ends the roles."""

    def __init__(self, ground: Ground, folder: Path, *, workers: int = 2, archivers: int = 2, **changes: Any) -> None:
        unique = uuid.uuid4().hex[:8]
        self.ground, self.folder = ground, folder
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {
            "kafka_bootstrap": ground.kafka.bootstrap, **ground.clickhouse.access,
            "events_topic": f"events-{unique}", "rejected_topic": f"rejected-{unique}", "group": f"g-{unique}",
            "clickhouse_database": f"d_{unique}", "partitions": 4, "session_timeout_s": SESSION_SECONDS,
            "checkpoint_interval_s": 0.5, "publish_interval_s": 0.5, "archiver_batch_seconds": 0.5,
            "clickhouse_timeout_s": 10.0, "state_dir": folder / "state",
        }  # fmt: skip
        self.settings = Settings(**{**values, **changes})
        self.plan: Plan = load_plan(self.settings.plan)
        names = [f"worker-{n + 1}" for n in range(workers)] + [f"archiver-{n + 1}" for n in range(archivers)]
        self.roles = {
            name: Role(name, self.settings, ground.to_kafka[n], ground.to_clickhouse[n], folder)
            for n, name in enumerate(names)
        }
        self.workers = [role for role in self.roles.values() if role.kind == "worker"]
        self.archivers = [role for role in self.roles.values() if role.kind == "archiver"]

    @property
    def answering(self) -> Iterable[Role]:
        """All roles."""
        return self.roles.values()

    async def __aenter__(self) -> World:
        await ensure_topics(self.settings)
        await migrate(self.settings)
        await install(self.settings, self.plan)  # which persons there are depends on the plan
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for role in self.roles.values():
            role.wanted = False
            role.kill()

    async def ready(self, *roles: Role, seconds: float = 60) -> None:
        """Wait until these roles (all that run) say that they are ready."""
        for role in roles or [r for r in self.roles.values() if r.running]:
            await until(lambda role=role: is_ready(role), f"{role.name} is ready", seconds, role.last_words)

    async def goes_on(self, more: int = 300) -> None:
        """Wait until the workers have counted so many records more."""
        before = sum((await self.live_totals()).values())

        async def counted() -> bool:
            return sum((await self.live_totals()).values()) >= before + more

        await until(counted, f"{more} records more are counted", 60)
