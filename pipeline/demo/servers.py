"""The broker and the ClickHouse that a system starts for itself, and what follows for its settings.

Kafka keeps its log in the folder: killed, it is started again on it, and so is everything after a power cut. Its log
names the stream, so rows in ClickHouse are named by the offsets of that log for as long as it is there.

Without Kafka (see `up`) the embedded broker keeps its log in memory. When it dies, the log is gone, and with it what
was sent and not yet stored, the worker's state and the ids it remembered. Nothing can bring that back; what must not
happen is that offsets from 0 of the new log are taken for those of the old one: rows in ClickHouse are named by
(stream, partition, offset), so new events would replace old ones. So each log in memory is a stream of its own. What
was stored stays, under the old stream's name; live figures count from 0, and an id that comes again in the new stream
counts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from pipeline.demo.listening import Listening
from pipeline.embedded.broker import EmbeddedBroker
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka.server import KafkaBroker, Program
from pipeline.embedded.users import READER
from pipeline.settings import Settings

#: Of roles on our own Kafka: what was killed is replaced after so long. The least that a Kafka takes unless told.
_SESSION_SECONDS: Final = 6.0
#: On a broker in memory. Its group coordinator waits for half of it before it lets anybody in.
_SHORT_SESSION_SECONDS: Final = 3.0


class Servers:
    """The broker and the ClickHouse of a system; each is None where the settings point to another, and until `start`.

    With `program` the broker is Kafka, else it is in memory; `log_since_ms` is the begin of a log there, if events from
    before its start are to be sent.
    """

    def __init__(self, kafka: bool, clickhouse: bool, program: Program | None, log_since_ms: int | None) -> None:
        self._kafka, self._clickhouse, self._program, self._log_since_ms = kafka, clickhouse, program, log_since_ms
        self.broker: EmbeddedBroker | KafkaBroker | None = None
        self.clickhouse: EmbeddedClickHouse | None = None

    @property
    def names(self) -> list[str]:
        """What will have a port."""
        found = {"Kafka": self._kafka, "ClickHouse": self._clickhouse, "Kafka controller": self._program is not None}
        return [name for name, wanted in found.items() if wanted]

    @property
    def ports(self) -> dict[str, int]:
        """Where they listen, once started."""
        found = {}
        if self.broker is not None:
            found["Kafka"] = self.broker.port
        if isinstance(self.broker, KafkaBroker):
            found["Kafka controller"] = self.broker.controller_port
        if self.clickhouse is not None:
            found["ClickHouse"] = self.clickhouse.port
        return found

    @property
    def keep_log(self) -> bool:
        """Whether the broker has its log again when it is started again."""
        return self._program is not None

    async def start(
        self, stack: contextlib.AsyncExitStack, folder: Path, listening: Listening, held: Sequence[int]
    ) -> None:
        """Start both at once, until the stack ends them. Raises UserError. `held` are locks."""
        if self._kafka:
            self.broker = self._new_broker(folder, listening, held)
        if self._clickhouse:
            usual, kept = listening.usual("ClickHouse"), listening.kept("ClickHouse")
            # A Kafka that keeps what was committed knows what is stored: after a power cut it has to be.
            sync = self._program is not None or not self._kafka
            self.clickhouse = EmbeddedClickHouse(folder, usual, kept=kept, held=held, sync=sync)
        named = {"Kafka": self.broker, "ClickHouse": self.clickhouse}
        started = {name: server for name, server in named.items() if server is not None}
        await asyncio.gather(*(stack.enter_async_context(server) for server in started.values()))
        for name, server in started.items():
            if server.port_was_taken:
                listening.was_taken(name, server.port)

    def _new_broker(self, folder: Path, listening: Listening, held: Sequence[int]) -> EmbeddedBroker | KafkaBroker:
        usual, kept = listening.usual("Kafka"), listening.kept("Kafka")
        if self._program is None:
            return EmbeddedBroker(folder, usual, kept, held)
        return KafkaBroker(self._program, folder, usual, (kept, listening.kept("Kafka controller")), held)

    def settings(self, before: Settings) -> Settings:
        """The settings of whoever uses them, once started; a broker in memory that starts again has a new log."""
        found = self._log(self.broker, before) if self.broker is not None else {}
        access = self.clickhouse.access if self.clickhouse is not None else {}
        return before.model_copy(update=found | access)

    def reader(self, whose: str) -> dict[str, Any]:
        """The settings `whose`_user and `whose`_password of who only reads ClickHouse; none where it isn't ours."""
        if self.clickhouse is None:
            return {}
        return {f"{whose}_user": READER, f"{whose}_password": SecretStr(self.clickhouse.users[READER])}

    def _log(self, broker: EmbeddedBroker | KafkaBroker, before: Settings) -> dict[str, Any]:
        """The settings of the broker's log: its name, and since when it is.

        The embedded broker forgets everything at its end, so each log of it is a new one. It keeps the times that
        producers give: without knowing since when, a new partition would know no lateness at first.
        """
        found: dict[str, Any] = {"kafka_bootstrap": broker.bootstrap, "replication": 1}
        if isinstance(broker, KafkaBroker):
            if "session_timeout_s" not in before.model_fields_set:
                found["session_timeout_s"] = _SESSION_SECONDS
            return found | {"stream": f"local-{broker.log_id}"}
        now = time.time()
        name, number = f"local-{int(now)}", 1
        while name == before.stream:
            name, number = f"local-{int(now)}-{number}", number + 1
        since = int(now * 1000) if self._log_since_ms is None else self._log_since_ms
        return found | {"stream": name, "log_since_ms": since, "session_timeout_s": _SHORT_SESSION_SECONDS}
