"""The whole system on one machine: broker, ClickHouse, worker and archiver as processes under one roof.

Used by `up` and `demo`. Parts are started in order, one that dies or answers no more is started again where it was,
everything ends together. When a broker in memory dies, its log is gone (`servers`): then the roles end first (the
archiver stores what it holds), the broker starts anew, and the roles start with a new stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pipeline.clickhouse.migrate import migrate
from pipeline.collect.sources import own_key
from pipeline.demo.alerting import Evaluation, evaluating
from pipeline.demo.folder import stream_in, write_down
from pipeline.demo.listening import Listening
from pipeline.demo.role import READY_SECONDS, Role
from pipeline.demo.servers import Servers
from pipeline.demo.supervisor import Part, Patience, Supervisor
from pipeline.embedded.folder import no_room, owned
from pipeline.embedded.kafka.server import Program
from pipeline.embedded.prometheus import Prometheus
from pipeline.embedded.server import ChildServer
from pipeline.embedded.users import private_folder
from pipeline.errors import DependencyError
from pipeline.metrics import install
from pipeline.process import cancelled
from pipeline.serve.answers import LIVE, LiveAnswer
from pipeline.serve.guard import is_loopback
from pipeline.settings import Settings, plan_of
from pipeline.topics import ensure_topics
from schemas.translatable import Sentence

log = logging.getLogger(__name__)

#: In the folder: boards, segments, annotations and alerts that are made in pages.
KEPT_FILE = "kept.sqlite"


class System:
    """Starts the parts that `settings` don't point elsewhere; `async with` ends them.

    With `kafka` its broker is that one and keeps its log, else it is in memory. With `usual_ports` people know where to
    look for its parts, and alerts are evaluated. With `keep_ports` each part listens where it did at an earlier start.
    `log_since_ms` is the begin of the log of a broker in memory, if events from before its start are to be sent.
    With `only_servers` it starts none of the roles, and makes nothing in Kafka and ClickHouse.
    """

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        *,
        embedded_kafka: bool = True,
        embedded_clickhouse: bool = True,
        kafka: Program | None = None,
        usual_ports: bool = False,
        only_servers: bool = False,
        keep_ports: bool = False,
        log_since_ms: int | None = None,
        patience: Patience | None = None,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        self.settings, self.data_dir = settings, data_dir
        self._only_servers, self._usual_ports = only_servers, usual_ports
        self.listening = Listening(usual_ports, data_dir / "ports.json" if keep_ports else None)
        self.servers = Servers(embedded_kafka, embedded_clickhouse, kafka, log_since_ms)
        self.worker = Role("worker", Sentence("the worker"), data_dir)
        self.archiver = Role("archiver", Sentence("the archiver"), data_dir)
        self.dashboard = Role("dashboard", Sentence("the dashboard"), data_dir, "dashboard")
        self.collect = Role("collect", Sentence("the collect"), data_dir, "collect")
        self.roles = (self.worker, self.archiver, self.dashboard, self.collect)
        self.alerting = Evaluation()
        #: The write key of a source that was made for whoever sits at this machine, "" where nobody but they may send.
        self.key = ""
        #: Every part holds it open: the folder's lock.
        self._held: tuple[int, ...] = ()
        self._stack = contextlib.AsyncExitStack()
        self._say, self._patience = say, patience
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
            self._held = (await self._stack.enter_async_context(owned(self.data_dir, self._say)),)
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        plan_of(self.settings)  # a mistake in the plan shows before anything starts
        if not self._only_servers:
            self._keep_in_folder()
        self.listening.open([*self.servers.names, "Prometheus", *(role.name for role in self.roles)])
        await self.servers.start(self._stack, self.data_dir, self.listening, self._held)
        self.settings = self.servers.settings(self.settings)
        self._set(stream=stream_in(self.data_dir, self.settings.stream))
        if self._only_servers:
            return
        await asyncio.gather(ensure_topics(self.settings), self._migrate())
        self._stack.push_async_callback(self._stop_roles)
        await asyncio.gather(*(self._start_role(role) for role in (self.worker, self.archiver, self.collect)))
        if self._usual_ports:
            await self._start_alerting()
        await self._start_role(self.dashboard)
        self._keep_ports()
        self._write_down()
        self._supervisor = Supervisor(self._parts(), self._say, self._patience)
        self._supervision = asyncio.create_task(self._supervisor.run(), name="supervisor")
        self._stack.push_async_callback(cancelled, self._supervision)

    def _set(self, **changes: Any) -> None:
        self.settings = self.settings.model_copy(update=changes)

    def _keep_in_folder(self) -> None:
        """What is made in pages, and who may send: this machine by a key that its owner finds there."""
        if "collect_sources" not in self.settings.model_fields_set:
            self._set(collect_sources=self.data_dir / "sources.json")
        if "kept" not in self.settings.model_fields_set:
            self._set(kept=self.data_dir / KEPT_FILE)
        if is_loopback(self.settings.collect_host):
            self.key = own_key(self.settings.collect_sources, self.data_dir / "collect.key")

    async def _migrate(self) -> None:
        await migrate(self.settings)
        await install(self.settings, plan_of(self.settings))

    async def _start_role(self, role: Role) -> None:
        settings = self.settings
        if role is self.dashboard:
            settings = settings.model_copy(
                update={"dashboard_workers": self.worker.url, **self.servers.reader("clickhouse")}
            )
        await role.start(settings, self.listening.free(role.name, role.port), self._held)

    async def _stop_roles(self) -> None:
        await asyncio.gather(*(role.stop() for role in self.roles))

    async def _start_alerting(self) -> None:
        targets = {role.name: role.url for role in (self.worker, self.archiver)}
        evaluation = evaluating(
            self.settings, self.data_dir / "prometheus", targets, self._say,
            kept=self.listening.kept("Prometheus"), held=self._held,
        )  # fmt: skip
        self.alerting = await self._stack.enter_async_context(evaluation)
        if self.alerting.prometheus is not None:
            self._set(prometheus_url=self.alerting.prometheus.url)

    def _keep_ports(self) -> None:
        found = self.servers.ports | {role.name: role.port for role in self.roles}
        if self.alerting.prometheus is not None:
            found["Prometheus"] = self.alerting.prometheus.port
        self.listening.keep({name: port for name, port in found.items() if port is not None})

    def _write_down(self) -> None:
        """For other commands: the settings, and where everything is."""
        found = {"dashboard_workers": self.worker.url, **self.servers.reader("dashboard_clickhouse")}
        addresses = {role.name: role.url for role in self.roles}
        write_down(self.data_dir, self.settings.model_copy(update=found), addresses)

    def _parts(self) -> list[Part]:
        """What is to be kept running."""
        parts: list[Part] = []
        broker, clickhouse, prometheus = self.servers.broker, self.servers.clickhouse, self.alerting.prometheus
        needed: Part | None = None
        if broker is not None:
            needed = _part(
                Sentence("the broker"), lambda: self._restart_broker(broker), broker, lambda: broker.bootstrap
            )
            needed.blocked = lambda: no_room(broker.folder)
            parts.append(needed)
        if clickhouse is not None:
            part = _part(Sentence("ClickHouse"), lambda: _again(clickhouse), clickhouse, lambda: clickhouse.url)
            part.blocked = lambda: no_room(clickhouse.folder)
            parts.append(part)
        if prometheus is not None:
            parts.append(_part(Sentence("Prometheus"), prometheus.start, prometheus, lambda: prometheus.url))
        return parts + [self._role_part(role, needed) for role in self.roles]

    def _role_part(self, role: Role, needs: Part | None) -> Part:
        part = _part(role.title, lambda: self._start_role(role), role, lambda: role.url)
        part.needs = needs
        return part

    async def _restart_broker(self, broker: ChildServer) -> None:
        """On its log, to which the roles come back; or on a new one, for which they end and start again."""
        if self.servers.keep_log:
            await _again(broker)
            return
        assert self._supervisor is not None, "nobody else restarts it"
        for part in self._supervisor.parts:
            if part.needs is not None:
                part.told_to_end = True
        await self._stop_roles()
        await _again(broker)
        self.settings = self.servers.settings(self.settings)
        await ensure_topics(self.settings)
        self._write_down()
        said = Sentence(
            "the broker had its log in memory: events that were not stored yet are gone, those of before stay in "
            "ClickHouse, live figures count anew, as the stream {stream} (export PIPELINE_STREAM={stream})",
            stream=self.settings.stream,
        )
        self._say(said)

    async def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Return when the roles that hold records are ready; raises DependencyError naming the one that isn't."""
        deadline = time.monotonic() + timeout
        for role in (self.worker, self.archiver, self.collect):
            while True:
                health = await role.ask("/health")
                if health and health.get("ready"):
                    break
                if time.monotonic() > deadline:
                    raise DependencyError(
                        "the {role} is not ready after {seconds} s: {health}",
                        role=role.name, seconds=f"{timeout:.0f}", health=health,
                    )  # fmt: skip
                await asyncio.sleep(0.1)

    async def live(self) -> LiveAnswer | None:
        """The worker's current figures; None while it can't be reached."""
        body = await self.worker.read("/live")
        return LIVE.validate_json(body) if body is not None else None


def _part(
    name: str, start: Callable[[], Awaitable[None]], process: ChildServer | Prometheus | Role, where: Callable[[], str]
) -> Part:
    return Part(name, start, lambda: process.running, lambda: process.ended, where, process.answers, process.kill)


async def _again(server: ChildServer) -> None:
    await server.stop()
    await server.start()
