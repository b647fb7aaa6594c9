"""Where it is compared: Kafka and ClickHouse in a folder, on the cores that the measured process hasn't."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka.server import KafkaBroker, Program
from pipeline.settings import Settings
from pipeline.topics import ensure_topics

from ..events import PARTITIONS, produce
from .traffic import Log

#: The core of what is measured: the last one.
CORE = max(os.sched_getaffinity(0))


@contextlib.contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """What is started meanwhile runs on these cores only, and stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def other_cores() -> set[int]:
    """Those that the measured process hasn't; where there is only one, that one."""
    return os.sched_getaffinity(0) - {CORE} or {CORE}


@dataclass(frozen=True)
class Ground:
    """What runs, and `data`, a folder for files."""

    settings: Settings
    data: Path

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self.settings.kafka_bootstrap

    def named(self, name: str, topic: str) -> Settings:
        """Settings of a worker that reads `topic` under a name of its own."""
        changes = {"group": name, "stream": name, "events_topic": topic, "state_dir": self.data / name}
        return self.settings.model_copy(update=changes)

    async def fill(self, topic: str, log: Log) -> None:
        """Write a log to a topic, which is made if it isn't there."""
        await ensure_topics(self.named(topic, topic))
        await produce(self.bootstrap, topic, log.keys, log.values)

    async def make_topic(self, topic: str) -> None:
        """Make a topic for rows."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 1, 1)])
        finally:
            await admin.close()

    async def remove_topic(self, topic: str) -> None:
        """Remove a topic, whose place on the disk is needed for the next."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([topic])
        finally:
            await admin.close()


#: A log of this machine's own disk is not worth waiting for: nothing is lost here that isn't made again.
_BROKER: Mapping[str, str] = {"log.retention.ms": "-1"}


@contextlib.asynccontextmanager
async def new_ground() -> AsyncIterator[Ground]:
    """Start the servers; everything is gone afterwards."""
    program = Program.find()
    async with contextlib.AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamgauge-jvm-")))
        with on(other_cores()):
            broker = await stack.enter_async_context(KafkaBroker(program, data, settings=_BROKER))
            clickhouse = await stack.enter_async_context(EmbeddedClickHouse(data))
        settings = Settings(plan="shop", kafka_bootstrap=broker.bootstrap, **clickhouse.access, partitions=PARTITIONS)
        await migrate(settings)
        yield Ground(settings, data)


def now_ms() -> int:
    """The end of a log's time: now."""
    return int(time.time() * 1000)
