"""The whole system on one machine: broker, ClickHouse, worker and archiver as processes under one roof.

Used by `up` and `demo`. Parts are started in order, one that dies or answers no more is started again where it was,
everything ends together.

The embedded broker keeps its log in memory. When it dies, the log is gone, and with it what was sent and not yet
stored, the worker's state and the ids it remembered. Nothing can bring that back; what must not happen is that offsets
from 0 of the new log are taken for those of the old one: rows in ClickHouse are named by (stream, partition, offset),
so new events would replace old ones. So the roles end first (the archiver stores what it holds), then the broker starts
anew, and the roles start with a new stream. What was stored stays, under the old stream's name; live figures count
from 0, and an id that comes again in the new stream counts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from pipeline.alerts.check import HOW_TO_GET_THEM
from pipeline.alerts.conditions import needing_history
from pipeline.clickhouse.migrate import migrate
from pipeline.collect.sources import own_key
from pipeline.demo.supervisor import Part, Patience, Supervisor
from pipeline.embedded.child import Child, free_port
from pipeline.embedded.prometheus import Prometheus
from pipeline.embedded.users import READER, private_folder
from pipeline.errors import DependencyError
from pipeline.metrics import install
from pipeline.process import address, cancelled
from pipeline.serve.answers import LIVE, LiveAnswer
from pipeline.serve.guard import is_loopback
from pipeline.settings import Settings, plan_of
from pipeline.topics import ensure_topics
from schemas.plan import EventSpec

if TYPE_CHECKING:
    from pipeline.embedded.broker import EmbeddedBroker

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
#: Where people look first; each is replaced by a free one if it is taken.
USUAL_PORTS = {"Kafka": 9092, "ClickHouse": 8123, "worker": 9108, "archiver": 9109, "dashboard": 9110, "collect": 9111}
_STOP_SECONDS = 12.0


@dataclass
class Role:
    """A worker, archiver, dashboard or front door process, and where its figures are."""

    name: str
    process: Child | None = None
    url: str = ""
    #: Where it listens, once started: people and other parts know it by then.
    port: int | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.running

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()


class System:
    """Starts the parts that `settings` don't point elsewhere; `async with` ends them."""

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        *,
        embedded_kafka: bool = True,
        embedded_clickhouse: bool = True,
        usual_ports: bool = False,
        patience: Patience | None = None,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        self.settings, self.data_dir = settings, data_dir
        self._usual_ports = usual_ports
        self._embedded_kafka, self._embedded_clickhouse = embedded_kafka, embedded_clickhouse
        self._stack = contextlib.AsyncExitStack()
        #: Whom the dashboard asks the embedded ClickHouse as, and where its passwords are.
        self._reader: dict[str, str] = {}
        self.clickhouse_users: Path | None = None
        self.worker, self.archiver, self.dashboard = Role("worker"), Role("archiver"), Role("dashboard")
        self.collect = Role("collect")
        self.roles = (self.worker, self.archiver, self.dashboard, self.collect)
        #: The write key of a source that was made for whoever sits at this machine, "" where nobody but they may send.
        self.key = ""
        self.prometheus: Prometheus | None = None
        #: Where alerts are evaluated, or why they are not.
        self.alerts_note = ""
        #: Lines that tell the person where things are, and what was chosen for them.
        self.notes: list[str] = []
        self._say, self._patience = say, patience
        self._parts: list[Part] = []
        self._supervisor: Supervisor | None = None
        self._supervision: asyncio.Task[None] | None = None

    @property
    def supervision(self) -> asyncio.Task[None]:
        """Keeps the parts running; ends with DependencyError if one can't be. To be waited for by whoever waits."""
        assert self._supervision is not None, "not started"
        return self._supervision

    @property
    def away(self) -> list[str]:
        """The parts that have ended and are not back yet."""
        return self._supervisor.away if self._supervisor is not None else []

    async def __aenter__(self) -> System:
        private_folder(self.data_dir)
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._supervision is not None:
            await cancelled(self._supervision)
        await asyncio.gather(*(self._stop_role(role) for role in self.roles))
        await self._stack.aclose()

    async def _start(self) -> None:
        plan_of(self.settings)  # a mistake in the plan shows before anything starts
        self._make_source()
        starting: list[Coroutine[Any, Any, object]] = []
        if self._embedded_kafka:
            from pipeline.embedded.broker import EmbeddedBroker

            broker = EmbeddedBroker(self.data_dir, self._usual("Kafka"))
            self.settings = self.settings.model_copy(update={"replication": 1})
            starting.append(self._stack.enter_async_context(broker))
        if self._embedded_clickhouse:
            from pipeline.embedded.clickhouse import EmbeddedClickHouse

            clickhouse = EmbeddedClickHouse(self.data_dir, self._usual("ClickHouse"))
            starting.append(self._stack.enter_async_context(clickhouse))
        await asyncio.gather(*starting)
        if self._embedded_kafka and broker.port_was_taken:
            self.notes.append(f"Port {USUAL_PORTS['Kafka']} was taken: Kafka listens on {broker.port}")
        if self._embedded_clickhouse and clickhouse.port_was_taken:
            self.notes.append(f"Port {USUAL_PORTS['ClickHouse']} was taken: ClickHouse listens on {clickhouse.port}")
        if self._embedded_kafka:
            # Its group coordinator waits for half the session timeout before it lets anybody in.
            self.settings = self.settings.model_copy(
                update={
                    "kafka_bootstrap": broker.bootstrap,
                    **self._new_log(),
                    "session_timeout_s": 3.0,
                }
            )
        if self._embedded_clickhouse:
            self.settings = self.settings.model_copy(update=clickhouse.access)
            self._reader = {"clickhouse_user": READER, "clickhouse_password": clickhouse.users[READER]}
            self.clickhouse_users = clickhouse.users_file
        await asyncio.gather(ensure_topics(self.settings), self._migrate())
        await asyncio.gather(*(self._start_role(role) for role in (self.worker, self.archiver, self.collect)))
        await self._start_prometheus()
        await self._start_role(self.dashboard)
        needed: Part | None = None
        if self._embedded_kafka:
            needed = self._part("the broker", lambda: self._restart_broker(broker), broker, lambda: broker.bootstrap)
        if self._embedded_clickhouse:

            async def again() -> None:
                await clickhouse.stop()
                await clickhouse.start()

            self._part("ClickHouse", again, clickhouse, lambda: clickhouse.url)
        if self.prometheus is not None:
            self._part(
                "Prometheus",
                self.prometheus.start,
                self.prometheus,
                lambda: str(self.prometheus and self.prometheus.url),
            )
        for role in self.roles:
            self._role_part(role, needed)
        self._supervisor = Supervisor(self._parts, self._say, self._patience)
        self._supervision = asyncio.create_task(self._supervisor.run(), name="supervisor")

    def _new_log(self) -> dict[str, Any]:
        """The settings of a new log of the embedded broker, which forgets everything at its end: name, and since when.

        It keeps the times that producers give: without the latter a new partition would know no lateness at first.
        """
        now = time.time()
        name, number = f"local-{int(now)}", 1
        while name == self.settings.stream:
            name, number = f"local-{int(now)}-{number}", number + 1
        return {"stream": name, "log_since_ms": int(now * 1000)}

    def _make_source(self) -> None:
        """Let this machine send to the front door: by a key that its owner finds in the folder."""
        if "collect_sources" not in self.settings.model_fields_set:
            self.settings = self.settings.model_copy(update={"collect_sources": self.data_dir / "sources.json"})
        if is_loopback(self.settings.collect_host):
            self.key = own_key(self.settings.collect_sources, self.data_dir / "collect.key")

    async def _migrate(self) -> None:
        await migrate(self.settings)
        await install(self.settings, plan_of(self.settings))

    async def _start_prometheus(self) -> None:
        """Evaluate the plan's alerts, if Prometheus is installed; else say which ones nobody evaluates."""
        plan = plan_of(self.settings)
        if not self._usual_ports or not plan.alerting.alerts:
            return
        if not Prometheus.installed():
            names = ", ".join(plan.alerting.alerts)
            self.alerts_note = f"Alerts      not evaluated, for want of Prometheus ({HOW_TO_GET_THEM}): {names}"
            return
        self.prometheus = await self._stack.enter_async_context(Prometheus(self.data_dir / "prometheus", plan))
        self.settings = self.settings.model_copy(update={"prometheus_url": self.prometheus.url})
        self._scrape()
        later = ", ".join(needing_history(plan))
        self.alerts_note = f"Alerts      {self.prometheus.url}/alerts" + (f"  (after days: {later})" if later else "")

    def _scrape(self) -> None:
        if self.prometheus is not None:
            self.prometheus.scrape({role.name: role.url for role in (self.worker, self.archiver)})

    async def _start_role(self, role: Role) -> None:
        port, taken = free_port(self._usual(role.name), role.port)
        if taken:
            self.notes.append(f"Port {USUAL_PORTS[role.name]} was taken: the {role.name} listens on {port}")
        variable = {self.dashboard.name: "DASHBOARD_PORT", self.collect.name: "COLLECT_PORT"}.get(
            role.name, "METRICS_PORT"
        )
        env = {**os.environ, **self.settings.environment(), f"PIPELINE_{variable}": str(port)}
        if role is self.dashboard:
            env |= {f"PIPELINE_{name.upper()}": secret for name, secret in self._reader.items()}
            env["PIPELINE_DASHBOARD_WORKERS"] = self.worker.url
        env.pop("PIPELINE_CONFIG", None)  # what it said is in the variables
        command = [sys.executable, "-P", "-m", "pipeline.cli", role.name]
        log_file = self.data_dir / f"{role.name}.log"
        role.process = Child(f"the {role.name}", command, log_file, death_signal=signal.SIGTERM, env=env)
        host = {
            self.dashboard.name: self.settings.dashboard_host,
            self.collect.name: self.settings.collect_host,
        }.get(role.name, self.settings.metrics_host)
        # Who listens on every address is asked on the loopback one.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
        secure = role is self.collect and self.settings.collect_ssl_certfile is not None
        role.url, role.port = f"{'https' if secure else 'http'}://{address(host, port)}", port
        role.process.start()
        self._scrape()
        await role.process.wait_ready(lambda: self._answers(role), READY_SECONDS)

    def _usual(self, part: str) -> int | None:
        return USUAL_PORTS[part] if self._usual_ports else None

    async def _answers(self, role: Role) -> bool:
        return await self.ask(role, "/health") is not None

    async def _stop_role(self, role: Role) -> None:
        if role.process is not None:
            await role.process.stop(_STOP_SECONDS)

    def _part(
        self, name: str, start: Callable[[], Coroutine[Any, Any, None]], process: Any, where: Callable[[], str]
    ) -> Part:
        part = Part(
            name, start, lambda: process.running, lambda: process.ended, where, lambda: process.answers(), process.kill
        )
        self._parts.append(part)
        return part

    def _role_part(self, role: Role, needs: Part | None) -> None:
        self._parts.append(
            Part(
                f"the {role.name}",
                lambda: self._start_role(role),
                lambda: role.running,
                lambda: f"{role.process.ended if role.process else 'stopped'}; see {self.data_dir / role.name}.log",
                lambda: role.url,
                lambda: self._answers(role),
                role.kill,
                needs,
            )
        )

    async def _restart_broker(self, broker: EmbeddedBroker) -> None:
        """A new log: the roles end before it begins, and start again when it is there."""
        for part in self._parts:
            if part.needs is not None:
                part.told_to_end = True
        await asyncio.gather(*(self._stop_role(role) for role in self.roles))
        await broker.stop()
        await broker.start()
        self.settings = self.settings.model_copy(update=self._new_log())
        await ensure_topics(self.settings)
        self._say(
            f"the broker had its log in memory: events that were not stored yet are gone, those of before stay in "
            f"ClickHouse, live figures count anew, as the stream {self.settings.stream} "
            f"(export PIPELINE_STREAM={self.settings.stream})"
        )

    async def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Return when the roles that hold records are ready; raises DependencyError naming the one that isn't."""
        deadline = time.monotonic() + timeout
        for role in (self.worker, self.archiver, self.collect):
            while True:
                health = await self.ask(role, "/health")
                if health and health.get("ready"):
                    break
                if time.monotonic() > deadline:
                    raise DependencyError(f"the {role.name} is not ready after {timeout:.0f} s: {health}")
                await asyncio.sleep(0.1)

    async def ask(self, role: Role, path: str) -> dict[str, Any] | None:
        """A JSON page of a role; None while it can't be reached."""
        body = await self._read(role, path)
        found: dict[str, Any] | None = json.loads(body) if body is not None else None
        return found

    async def live(self) -> LiveAnswer | None:
        """The worker's current figures; None while it can't be reached."""
        body = await self._read(self.worker, "/live")
        return LIVE.validate_json(body) if body is not None else None

    async def _read(self, role: Role, path: str) -> bytes | None:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(role.url + path) as response,
            ):
                return await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


def send_lines(system: System) -> list[str]:
    """How to send an event to the front door from a shell and from a web page, as lines that can be pasted."""
    url = system.collect.url
    if not system.key:
        return [f"Front door  {url}/v1/events  (sources: {system.settings.collect_sources})"]
    event = min(plan_of(system.settings).events.items(), key=lambda item: _needed(item[1]))[0]
    return [
        f"Front door  {url}/v1/events  (write key {system.key})",
        f"Send one    curl {url}/v1/events -H 'Authorization: Bearer {system.key}' "
        f"-d '{json.dumps({'event': event, 'user_id': 'u1'})}'",
        f"In a page   <script>navigator.sendBeacon('{url}/v1/events?key={system.key}', "
        f"JSON.stringify({{event: {json.dumps(event)}, anonymous_id: 'd1', ts: Date.now()}}))</script>",
        f"Watch       {system.dashboard.url}/events  (each as it comes, and what became of it)",
    ]


def _needed(event: EventSpec) -> int:
    """How many properties an event can't be without."""
    return sum(spec.required for spec in event.properties.values())


def where(system: System) -> list[str]:
    """Where things are, for a person."""
    settings = system.settings
    # Only of our own: a password of somebody's ClickHouse is not for the screen.
    login, curl = "", ""
    if system.clickhouse_users is not None:
        login = f"  (user {settings.clickhouse_user}, password in {system.clickhouse_users})"
        curl = f"-u {settings.clickhouse_user}:{settings.clickhouse_password.get_secret_value()} "
    query = f"SELECT event, count() FROM {settings.clickhouse_database}.events GROUP BY event"
    return [
        f"Dashboard   {system.dashboard.url}",
        f"Kafka       {settings.kafka_bootstrap}  (topic {settings.events_topic})",
        f"ClickHouse  {settings.clickhouse_url}{login}",
        f"Metrics     {system.worker.url}/metrics  (archiver: {system.archiver.url}/metrics)",
        *send_lines(system),
        *filter(None, [system.alerts_note]),
        f"Try         curl {curl}{settings.clickhouse_url} -d '{query}'",
        *system.notes,
    ]
