"""A front door as a process, on a real broker, and what it has put into Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from pipeline.collect.sources import add_source, hashed
from pipeline.embedded.broker import EmbeddedBroker
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Classified, Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.kafka.consumer import LogConsumer
from schemas.plan import Plan
from schemas.plan_io import load_plan

PARTITIONS = 3
PLAN_TEXT = """
product: Door
max_future: 5m
unknown_properties: keep
collect: {}
events:
  look: {properties: {item: string, n: integer}}
  buy: {value: amount, properties: {amount: number!}}
"""


@dataclass
class Said:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


class Found(NamedTuple):
    """A record of the topic, as it was found there."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


async def _read(bootstrap: str) -> dict[int, list[Found]]:
    """Everything that is in the topic now. The end is that of a fetch: the embedded broker tells no other."""
    topic = [TopicPartition("events", p) for p in range(PARTITIONS)]
    consumer = LogConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=20)
    await consumer.start()
    try:
        consumer.assign(topic)
        for one in topic:
            consumer.seek(one, 0)
        found: dict[int, list[Found]] = {one.partition: [] for one in topic}
        while any((end := consumer.readable_end(one)) is None or consumer.read_to(one) != end for one in topic):
            for one, records in (await consumer.getmany(timeout_ms=50)).items():
                found[one.partition] += [
                    Found(one.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records
                ]
        return found
    finally:
        await consumer.stop()


@contextlib.contextmanager
def door_for_sdks(folder: Path, plan_text: str, **settings: Any) -> Iterator[Door]:
    """A door, started, whose only key is the one in the scripts of tests/sdk."""
    made = Door(folder, plan_text=plan_text, **settings)
    known = json.loads(made.sources.read_text())
    known["sources"][0]["key_sha256"] = hashed("wk")
    made.sources.write_text(json.dumps(known))
    try:
        made.start()
        yield made
    finally:
        made.close()


class Door:
    """A `streamgauge collect` process and its broker. `key` is the one of a source that any page may use."""

    def __init__(self, folder: Path, plan_text: str = PLAN_TEXT, **settings: Any) -> None:
        self.folder = folder
        self.plan_file = folder / "plan.yaml"
        self.plan_file.write_text(plan_text)
        self.plan: Plan = load_plan(str(self.plan_file))
        self.sources = folder / "sources.json"
        self.key = add_source(self.sources, "web", origins=("*",))
        self.broker = EmbeddedBroker(folder)
        self.settings = settings
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        asyncio.run(self._broker())

    async def _broker(self) -> None:
        await self.broker.start()
        await self.broker.create_topics({"events": PARTITIONS})

    def start(self) -> None:
        """Start the process where it listened before, and wait until it is ready."""
        given = {
            "plan": self.plan_file, "kafka_bootstrap": self.broker.bootstrap, "collect_port": self.port,
            "collect_sources": self.sources, **self.settings,
        }  # fmt: skip
        env = {**os.environ, **{f"PIPELINE_{name.upper()}": str(value) for name, value in given.items()}}
        log = (self.folder / "collect.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.cli", "collect"],
            stdout=subprocess.PIPE, stderr=log, text=True, env=env, cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        log.close()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "collect.log").read_text()
        self.port = json.loads(line)["port"]
        deadline = time.monotonic() + 30
        while self.ask("GET", "/health").status != 200:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "collect.log").read_text()

    @property
    def memory(self) -> int:
        """The most memory that it ever had, bytes."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process, and wait for that."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def freeze(self) -> None:
        """Stop the broker where it stands; return when all of its threads do."""
        os.kill(self._broker_pid, signal.SIGSTOP)
        tasks = Path(f"/proc/{self._broker_pid}/task")
        deadline = time.monotonic() + 10
        while any(task.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def thaw(self) -> None:
        """Let the broker go on."""
        os.kill(self._broker_pid, signal.SIGCONT)

    @property
    def _broker_pid(self) -> int:
        assert self.broker.pid is not None
        return self.broker.pid

    def close(self) -> None:
        """End everything."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end()
        asyncio.run(self.broker.stop())

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Said:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            found = connection.getresponse()
            return Said(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def send(self, body: Any, query: str = "", key: str | None = None, **headers: str) -> Said:
        """Events to the native endpoint."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Authorization": f"Bearer {self.key if key is None else key}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/v1/events" + query, data, named)

    def log_of(self) -> dict[int, list[Found]]:
        """All records of the topic, by partition."""
        return asyncio.run(_read(self.broker.bootstrap))

    def ends(self) -> dict[int, int]:
        """Where the partitions end."""
        return {partition: len(log) for partition, log in self.log_of().items()}

    def new(self, before: dict[int, int]) -> list[Found]:
        """The records since then."""
        return [record for partition, log in self.log_of().items() for record in log[before[partition] :]]

    def judged(self) -> dict[int, Classified]:
        """What a worker or an archiver makes of the whole log, by partition."""
        found = {}
        for partition, log in self.log_of().items():
            records = [Record(r.offset, r.timestamp, r.key, r.value, r.headers, 1) for r in log]
            found[partition] = PartitionClassifier(self.plan, Validator(self.plan), partition, PARTITIONS).classify(
                records
            )
        return found

    def outcomes(self) -> Counter[str]:
        """How many records of each outcome."""
        return Counter(outcome.name for one in self.judged().values() for outcome in one.outcomes)

    def accepted(self) -> list[dict[str, Any]]:
        """The fields of all events that count: here, or once where a worker sends them on to."""
        here, sent_on = [], {}
        for one in self.judged().values():
            for event, outcome in zip(one.events, one.outcomes, strict=True):
                if event is not None and outcome in (Outcome.ACCEPTED, Outcome.LATE):
                    here.append(event.fields)
                elif event is not None and outcome is Outcome.FORWARDED:
                    sent_on[event.actor, event.event_id] = event.fields
        return here + list(sent_on.values())
