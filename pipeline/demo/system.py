"""The whole system on one machine: broker, ClickHouse, worker and archiver as processes under one roof.

Used by `up` and `demo`. Parts are started in order, one that dies or answers no more is started again where it was,
everything ends together.

Kafka keeps its log in the folder: killed, it is started again on it, and so is everything after a power cut. Its log
names the stream, so rows in ClickHouse are named by the offsets of that log for as long as it is there.

Without Kafka (see `up`) the embedded broker keeps its log in memory. When it dies, the log is gone, and with it what
was sent and not yet stored, the worker's state and the ids it remembered. Nothing can bring that back; what must not
happen is that offsets from 0 of the new log are taken for those of the old one: rows in ClickHouse are named by
(stream, partition, offset), so new events would replace old ones. So the roles end first (the archiver stores what it
holds), then the broker starts anew, and the roles start with a new stream. What was stored stays, under the old
stream's name; live figures count from 0, and an id that comes again in the new stream counts again.
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
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from pydantic import SecretStr

from pipeline.alerts.check import HOW_TO_GET_THEM
from pipeline.alerts.conditions import needing_history
from pipeline.clickhouse.migrate import migrate
from pipeline.collect.sources import own_key
from pipeline.demo.folder import stream_in, write_down
from pipeline.demo.supervisor import Part, Patience, Supervisor
from pipeline.embedded.child import Child, free_port
from pipeline.embedded.folder import Ports, no_room, owned
from pipeline.embedded.prometheus import Prometheus
from pipeline.embedded.users import READER, private_folder
from pipeline.errors import DependencyError, UserError
from pipeline.kept.current import open_kept, with_kept
from pipeline.kept.store import KeptStore
from pipeline.metrics import install
from pipeline.process import address, cancelled
from pipeline.serve.answers import LIVE, LiveAnswer
from pipeline.serve.guard import is_loopback
from pipeline.settings import Settings, plan_of
from pipeline.topics import ensure_topics
from schemas.plan import Plan
from schemas.translatable import Sentence, said_of

if TYPE_CHECKING:
    from pipeline.embedded.broker import EmbeddedBroker
    from pipeline.embedded.clickhouse import EmbeddedClickHouse
    from pipeline.embedded.kafka.server import KafkaBroker, Program

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
#: Where people look first; each is replaced by a free one if it is taken.
USUAL_PORTS = {"Kafka": 9092, "ClickHouse": 8123, "worker": 9108, "archiver": 9109, "dashboard": 9110, "collect": 9111}
_STOP_SECONDS = 12.0
#: In the folder: boards, segments, annotations and alerts that are made in pages.
KEPT_FILE = "kept.sqlite"
#: How often it is looked for new alerts.
_KEPT_SECONDS = 2.0
#: Of roles on our own Kafka: what was killed is replaced after so long. The least that a Kafka takes unless told.
_SESSION_SECONDS = 6.0


@dataclass
class Role:
    """A worker, archiver, dashboard or front door process, and where its figures are."""

    name: str
    #: What people call it.
    title: str
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

    def gave(self, health: Mapping[str, Any]) -> bool:
        """Whether it was this process that answered so, and not another one that took its port before it could."""
        pid = health.get("pid")
        try:
            # A child of ours is the first of its session, or supervised by that one.
            return type(pid) is int and self.process is not None and os.getsid(pid) == self.process.pid
        except (OSError, OverflowError):
            return False


class System:
    """Starts the parts that `settings` don't point elsewhere; `async with` ends them.

    With `kafka` its broker is that one and keeps its log, else it is in memory. With `keep_ports` each part listens
    where it did at an earlier start.
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
        self._only_servers, self._log_since_ms = only_servers, log_since_ms
        self.settings, self.data_dir = settings, data_dir
        self._usual_ports, self._keep_ports = usual_ports, keep_ports
        self._embedded_kafka, self._embedded_clickhouse, self._kafka = embedded_kafka, embedded_clickhouse, kafka
        self._ports: Ports | None = None
        #: Every part holds it open: the folder's lock.
        self._held: tuple[int, ...] = ()
        self._stack = contextlib.AsyncExitStack()
        #: The embedded ClickHouse: the password of its user that only reads, and where the passwords are.
        self._reader: SecretStr | None = None
        self.clickhouse_users: Path | None = None
        self.worker = Role("worker", Sentence("the worker"))
        self.archiver = Role("archiver", Sentence("the archiver"))
        self.dashboard = Role("dashboard", Sentence("the dashboard"))
        self.collect = Role("collect", Sentence("the collect"))
        self.roles = (self.worker, self.archiver, self.dashboard, self.collect)
        #: The write key of a source that was made for whoever sits at this machine, "" where nobody but they may send.
        self.key = ""
        self.prometheus: Prometheus | None = None
        #: Where alerts are evaluated, or why they are not.
        self.alerts_note: Sentence | None = None
        #: Lines that tell the person where things are, and what was chosen for them.
        self.notes: list[Sentence] = []
        self._say, self._patience = say, patience
        self._parts: list[Part] = []
        self._supervisor: Supervisor | None = None
        self._supervision: asyncio.Task[None] | None = None
        #: What was made in pages, and what has its alerts evaluated.
        self._kept_store: KeptStore | None = None
        self._following: asyncio.Task[None] | None = None

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
        if self._supervision is not None:
            await cancelled(self._supervision)
        if self._following is not None:
            await cancelled(self._following)
        await asyncio.gather(*(self._stop_role(role) for role in self.roles))
        await self._stack.aclose()
        if self._kept_store is not None:
            self._kept_store.close()

    async def _start(self) -> None:
        plan_of(self.settings)  # a mistake in the plan shows before anything starts
        if not self._only_servers:
            self._make_source()
        if self._keep_ports:
            self._ports = Ports(self.data_dir / "ports.json")
            ours = (["Kafka"] if self._embedded_kafka else []) + (["ClickHouse"] if self._embedded_clickhouse else [])
            ours += ["Kafka controller"] if self._kafka is not None else []
            self._ports.check([*ours, "Prometheus", *(role.name for role in self.roles)])
        broker, clickhouse = self._broker(), self._clickhouse()
        await asyncio.gather(*(self._stack.enter_async_context(part) for part in (broker, clickhouse) if part))
        if broker is not None:
            self._noted("Kafka", broker)
            self.settings = self.settings.model_copy(update={**self._new_log(broker), "replication": 1})
        if clickhouse is not None:
            self._noted("ClickHouse", clickhouse)
            self.settings = self.settings.model_copy(update=clickhouse.access)
            self._reader = SecretStr(clickhouse.users[READER])
            self.clickhouse_users = clickhouse.users_file
        stream = stream_in(self.data_dir, self.settings.stream)
        self.settings = self.settings.model_copy(update={"stream": stream})
        if self._only_servers:
            return
        await asyncio.gather(ensure_topics(self.settings), self._migrate())
        await asyncio.gather(*(self._start_role(role) for role in (self.worker, self.archiver, self.collect)))
        await self._start_prometheus()
        await self._start_role(self.dashboard)
        if self._ports is not None:
            self._ports.keep(self._listening(broker, clickhouse))
        needed: Part | None = None
        if broker is not None:
            needed = self._part(
                Sentence("the broker"), lambda: self._restart_broker(broker), broker, lambda: broker.bootstrap
            )
            needed.blocked = lambda: no_room(broker.folder)
        if clickhouse is not None:

            async def again() -> None:
                await clickhouse.stop()
                await clickhouse.start()

            part = self._part(Sentence("ClickHouse"), again, clickhouse, lambda: clickhouse.url)
            part.blocked = lambda: no_room(clickhouse.folder)
        if self.prometheus is not None:
            self._part(
                Sentence("Prometheus"),
                self.prometheus.start,
                self.prometheus,
                lambda: str(self.prometheus and self.prometheus.url),
            )
        for role in self.roles:
            self._role_part(role, needed)
        self._write_down()
        self._supervisor = Supervisor(self._parts, self._say, self._patience)
        self._supervision = asyncio.create_task(self._supervisor.run(), name="supervisor")
        self._following = asyncio.create_task(self._follow_kept(), name="alerts made in pages")

    def _write_down(self) -> None:
        """For other commands: the settings, and where everything is."""
        write_down(
            self.data_dir,
            self.settings.model_copy(update={"dashboard_workers": self.worker.url, **self._as_reader()}),
            {role.name: role.url for role in self.roles},
        )

    def _as_reader(self) -> dict[str, Any]:
        """Who only looks (dashboard, report, assistants) asks the embedded ClickHouse as its user that only reads."""
        return {} if self._reader is None else {
            "dashboard_clickhouse_user": READER, "dashboard_clickhouse_password": self._reader,
        }  # fmt: skip

    def _broker(self) -> EmbeddedBroker | KafkaBroker | None:
        if not self._embedded_kafka:
            return None
        if self._kafka is None:
            from pipeline.embedded.broker import EmbeddedBroker

            return EmbeddedBroker(self.data_dir, self._usual("Kafka"), self._kept("Kafka"), self._held)
        from pipeline.embedded.kafka.server import KafkaBroker

        kept = (self._kept("Kafka"), self._kept("Kafka controller"))
        return KafkaBroker(self._kafka, self.data_dir, self._usual("Kafka"), kept, self._held)

    def _clickhouse(self) -> EmbeddedClickHouse | None:
        if not self._embedded_clickhouse:
            return None
        from pipeline.embedded.clickhouse import EmbeddedClickHouse

        # A Kafka that keeps what was committed knows what is stored: after a power cut it has to be.
        sync = self._kafka is not None or not self._embedded_kafka
        return EmbeddedClickHouse(
            self.data_dir, self._usual("ClickHouse"), kept=self._kept("ClickHouse"), held=self._held, sync=sync
        )

    def _noted(self, name: str, part: EmbeddedBroker | KafkaBroker | EmbeddedClickHouse) -> None:
        if part.port_was_taken:
            self.notes.append(
                Sentence(
                    "Port {usual} was taken: {part} listens on {port}",
                    usual=USUAL_PORTS[name],
                    part=name,
                    port=part.port,
                )
            )

    def _new_log(self, broker: EmbeddedBroker | KafkaBroker) -> dict[str, Any]:
        """The settings of the broker's log: its name, and since when it is.

        The embedded broker forgets everything at its end, so each log of it is a new one. It keeps the times that
        producers give: without knowing since when, a new partition would know no lateness at first. Its group
        coordinator waits for half the session timeout before it lets anybody in.
        """
        from pipeline.embedded.broker import EmbeddedBroker

        found: dict[str, Any] = {"kafka_bootstrap": broker.bootstrap}
        if not isinstance(broker, EmbeddedBroker):
            if "session_timeout_s" not in self.settings.model_fields_set:
                found["session_timeout_s"] = _SESSION_SECONDS
            return found | {"stream": f"local-{broker.log_id}"}
        now = time.time()
        name, number = f"local-{int(now)}", 1
        while name == self.settings.stream:
            name, number = f"local-{int(now)}-{number}", number + 1
        since = int(now * 1000) if self._log_since_ms is None else self._log_since_ms
        return found | {"stream": name, "log_since_ms": since, "session_timeout_s": 3.0}

    def _listening(self, broker: Any, clickhouse: Any) -> dict[str, int]:
        """Where each part listens, by the name in the file of ports."""
        found = {role.name: role.port for role in self.roles}
        if broker is not None:
            found["Kafka"] = broker.port
        if self._kafka is not None and broker is not None:
            found["Kafka controller"] = broker.controller_port
        if clickhouse is not None:
            found["ClickHouse"] = clickhouse.port
        if self.prometheus is not None:
            found["Prometheus"] = self.prometheus.port
        return {name: port for name, port in found.items() if port is not None}

    def _make_source(self) -> None:
        """Let this machine send to the front door: by a key that its owner finds in the folder."""
        if "collect_sources" not in self.settings.model_fields_set:
            self.settings = self.settings.model_copy(update={"collect_sources": self.data_dir / "sources.json"})
        if "kept" not in self.settings.model_fields_set:
            self.settings = self.settings.model_copy(update={"kept": self.data_dir / KEPT_FILE})
        if is_loopback(self.settings.collect_host):
            self.key = own_key(self.settings.collect_sources, self.data_dir / "collect.key")

    async def _migrate(self) -> None:
        await migrate(self.settings)
        await install(self.settings, plan_of(self.settings))

    async def _start_prometheus(self) -> None:
        """Evaluate the plan's alerts, if Prometheus is installed; else say which ones nobody evaluates."""
        self._kept_store = open_kept(self.settings)
        plan = self._plan_now()
        if not self._usual_ports or not plan.alerting.alerts:
            return
        if not Prometheus.installed():
            names = ", ".join(plan.alerting.alerts)
            self.alerts_note = Sentence(
                "not evaluated, for want of Prometheus ({how}): {names}", how=HOW_TO_GET_THEM, names=names
            )
            return
        self.prometheus = await self._stack.enter_async_context(
            Prometheus(self.data_dir / "prometheus", plan, kept=self._kept("Prometheus"), held=self._held)
        )
        self.settings = self.settings.model_copy(update={"prometheus_url": self.prometheus.url})
        self._scrape()
        later = ", ".join(needing_history(plan))
        url = f"{self.prometheus.url}/alerts"
        self.alerts_note = Sentence("{url}  (after days: {later})", url=url, later=later)
        if not later:
            self.alerts_note = Sentence("{url}", url=url)

    def _plan_now(self) -> Plan:
        """The plan, with the alerts that were made in pages."""
        plan = plan_of(self.settings)
        return plan if self._kept_store is None else with_kept(plan, self._kept_store.read())[0]

    async def _follow_kept(self) -> None:
        """Have alerts evaluated soon after they were made or removed in a page."""
        told, loaded = "", None
        while self.prometheus is not None and self._kept_store is not None:
            await asyncio.sleep(_KEPT_SECONDS)
            try:
                kept = self._kept_store.read()
                if kept is not loaded:
                    self.prometheus.load(self._plan_now())
                told, loaded = "", kept
            except (DependencyError, UserError, OSError) as exc:
                if told != str(exc):
                    told = str(exc)
                    self._say(Sentence("alerts made in pages can't be loaded: {why}", why=said_of(exc)))

    def _scrape(self) -> None:
        if self.prometheus is not None:
            self.prometheus.scrape({role.name: role.url for role in (self.worker, self.archiver)})

    async def _start_role(self, role: Role) -> None:
        port, taken = free_port(self._usual(role.name), role.port or self._kept(role.name))
        if taken:
            self.notes.append(
                Sentence(
                    "Port {usual} was taken: {part} listens on {port}",
                    usual=USUAL_PORTS[role.name],
                    part=role.name,
                    port=port,
                )
            )
        variable = {self.dashboard.name: "DASHBOARD_PORT", self.collect.name: "COLLECT_PORT"}.get(
            role.name, "METRICS_PORT"
        )
        env = {**os.environ, **self.settings.environment(), f"PIPELINE_{variable}": str(port)}
        if role is self.dashboard:
            if self._reader is not None:
                env |= {
                    "PIPELINE_CLICKHOUSE_USER": READER,
                    "PIPELINE_CLICKHOUSE_PASSWORD": self._reader.get_secret_value(),
                }
            env["PIPELINE_DASHBOARD_WORKERS"] = self.worker.url
        env.pop("PIPELINE_CONFIG", None)  # what it said is in the variables
        command = [sys.executable, "-P", "-m", "pipeline.cli", role.name]
        log_file = self.data_dir / f"{role.name}.log"
        role.process = Child(role.title, command, log_file, death_signal=signal.SIGTERM, env=env, held=self._held)
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

    def _kept(self, part: str) -> int | None:
        return self._ports.get(part) if self._ports is not None else None

    async def _answers(self, role: Role) -> bool:
        health = await self.ask(role, "/health")
        return health is not None and role.gave(health)

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
                role.title,
                lambda: self._start_role(role),
                lambda: role.running,
                lambda: self._ended(role),
                lambda: role.url,
                lambda: self._answers(role),
                role.kill,
                needs,
            )
        )

    def _ended(self, role: Role) -> Sentence:
        how = role.process.ended if role.process is not None else Sentence("stopped")
        return Sentence("{how}; see {log}", how=how, log=f"{self.data_dir / role.name}.log")

    async def _restart_broker(self, broker: EmbeddedBroker | KafkaBroker) -> None:
        """On its log, to which the roles come back; or on a new one, for which they end and start again."""
        if self._kafka is not None:
            await broker.stop()
            await broker.start()
            return
        for part in self._parts:
            if part.needs is not None:
                part.told_to_end = True
        await asyncio.gather(*(self._stop_role(role) for role in self.roles))
        await broker.stop()
        await broker.start()
        self.settings = self.settings.model_copy(update=self._new_log(broker))
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
                health = await self.ask(role, "/health")
                if health and health.get("ready"):
                    break
                if time.monotonic() > deadline:
                    raise DependencyError(
                        "the {role} is not ready after {seconds} s: {health}",
                        role=role.name, seconds=f"{timeout:.0f}", health=health,
                    )  # fmt: skip
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
