"""Kafka as a part of the system: one node on loopback ports, its log in a folder, which outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.embedded.broker import cluster_at
from pipeline.embedded.child import Child, free_port
from pipeline.embedded.kafka.jars import kafka_jars
from pipeline.embedded.kafka.java import java
from pipeline.embedded.kafka.node import KEEPING, SETTINGS, cluster_id, make_storage, properties, server_command
from pipeline.embedded.server import ChildServer
from schemas.translatable import Sentence

_HOST: Final = "127.0.0.1"
#: After a power cut it reads again what was written last.
_START_SECONDS: Final = 180.0


@dataclass(frozen=True)
class Program:
    """What runs Kafka: a Java, and the folder of Kafka's jars."""

    java: str
    jars: Path

    @classmethod
    def find(cls, given: Path | None = None, say: Callable[[str], None] = lambda line: None) -> Program:
        """What is on this machine, fetched if need be, which is said. Raises UserError if there is none."""
        return cls(java(), kafka_jars(given, say))


class KafkaBroker(ChildServer):
    """Apache Kafka with its log in ``data_dir/kafka``, until `stop` or `kill`; the folder is made if it isn't there.

    `port` is taken if it is free, else another one (`port_was_taken`); `kept` are the ports of an earlier start, its
    own and its controller's, which are the only right ones. `held` are locks. `start` raises `UserError`.
    """

    stop_seconds = 30.0

    def __init__(
        self,
        program: Program,
        data_dir: Path,
        port: int | None = None,
        kept: tuple[int | None, int | None] = (None, None),
        held: Sequence[int] = (),
        settings: Mapping[str, str] = KEEPING,
    ) -> None:
        self._program, self._settings, self._held = program, {**SETTINGS, **settings}, held
        #: What is its own.
        self.folder = data_dir / "kafka"
        self._preferred, (self._kept, self._kept_controller) = port, kept
        self.port = port or 0
        self.controller_port = 0
        self.port_was_taken = False

    @staticmethod
    def has_log(data_dir: Path) -> bool:
        """Whether one has kept its log in the folder."""
        return cluster_id(data_dir / "kafka" / "log") is not None

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:PORT``, once started."""
        return f"{_HOST}:{self.port}"

    @property
    def log_id(self) -> str:
        """Names its log, once started: another one after the folder was removed."""
        found = cluster_id(self.folder / "log")
        assert found is not None, "not started"
        return found

    @property
    def ended(self) -> str:
        """How it ended, in words."""
        return f"{super().ended}; see {self._log_file}" if self._child else super().ended

    async def start(self) -> None:
        """Start it on the log that is there, or on none, and wait until it answers a request for metadata."""
        if self._child is not None:
            raise RuntimeError("Kafka runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.port_was_taken = free_port(self._preferred, self._kept)
        self.controller_port, _ = free_port(None, self._kept_controller)
        self._child = await self._started()
        self._kept, self._kept_controller = self.port, self.controller_port

    async def _started(self) -> Child:
        if cluster_id(self.folder / "log") is None:
            await asyncio.to_thread(
                make_storage, self._program.java, self._program.jars, self._log_file, self.folder / "log", self._text
            )
        file = self.folder / "server.properties"
        file.write_text(self._text(self.folder / "log"))
        child = Child(
            Sentence("Kafka"),
            server_command(self._program.java, self._program.jars, self._log_file, file),
            self.folder / "kafka.out",
            held=self._held,
            words=self._log_file,
        )
        child.start()
        await child.wait_ready(self.answers, _START_SECONDS)
        return child

    async def answers(self) -> bool:
        """Whether it gives a sign of life: it, and not another one that has taken its port."""
        return await cluster_at(_HOST, self.port) == self.log_id

    @property
    def _log_file(self) -> Path:
        return self.folder / "kafka.log"

    def _text(self, log: Path) -> str:
        ports = {"BROKER": self.port, "CONTROLLER": self.controller_port}
        return properties(self._settings, {name: (port, port) for name, port in ports.items()}, log)
