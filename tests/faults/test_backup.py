"""A back-up that is taken under traffic, at Apache Kafka: restored it verifies, counts nothing twice, and goes on."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from kafka_harness.fixtures import kafka, kafka_server
from kafka_harness.server import KafkaServer
from whole_system import rows, until

from pipeline.backup.give import restore
from pipeline.backup.repository import Repository
from pipeline.backup.take import backup
from pipeline.demo.system import System
from pipeline.errors import UserError
from pipeline.queries.verify import verify
from pipeline.settings import Settings, plan_of

__all__ = ["kafka", "kafka_server"]

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("needs_embedded")]
PARTITIONS = 4
PRICE = 2


def event_of(number: int) -> dict[str, Any]:
    device, now = f"d{number % 300}", int(time.time() * 1000)
    event: dict[str, Any] = {"event_id": f"e{number}", "ts": now, "anonymous_id": device, "event": "app_open"}
    if number % 7 == 0:
        event |= {"user_id": f"u{number % 150}"}
    if number % 5 == 0:
        event |= {"event": "purchase", "properties": {"order_id": f"o{number}", "amount": PRICE}}
    if number % 97 == 0:
        event |= {"event": "nothing_like_it"}
    return event


class Traffic:
    """Shoppers on devices, who log in, whose records lie in wrong partitions, and of whom some send twice."""

    def __init__(self, bootstrap: str, topic: str, first: int = 0) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        self._topic, self._number = topic, first
        #: Ids of the events that Kafka has acknowledged.
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Traffic:
        await self._producer.start()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._producer.stop()
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while True:
            sent = {}
            for _ in range(40):
                event = event_of(self._number)
                repeat = 2 if self._number % 11 == 0 and self._number % 97 else 1
                for _ in range(repeat):
                    waiting = await self._producer.send(
                        self._topic, json.dumps(event).encode(), partition=self._number % PARTITIONS
                    )
                sent[event["event_id"]] = waiting
                self.sent.add(event["event_id"])
                self._number += 1
            for name, waiting in sent.items():
                await asyncio.shield(waiting)
                self.acknowledged.add(name)
            await asyncio.sleep(0.05)


async def settled(system: System, end: int) -> None:
    """Everything is counted and stored."""

    async def rest() -> bool:
        archiver, live = await system.archiver.ask("/health"), await system.live()
        return bool(archiver and archiver["lag"] == 0 and live and live["lag"] == 0 and live["unpublished"] == 0
                    and sum(live["totals"].values()) >= end)  # fmt: skip

    await until(rest, "a system that has caught up", 120)


async def stored(system: System) -> tuple[set[str], int]:
    """The ids of events that are stored, and how many rows that are."""
    found = await rows(
        system, "SELECT event_id FROM events UNION ALL SELECT JSONExtractString(value, 'event_id') FROM rejected"
    )
    return {row[0] for row in found}, len(found)


async def test_a_back_up_under_traffic_comes_back_exactly_and_goes_on(kafka: KafkaServer, tmp_path: Path) -> None:
    name = f"kept-{time.time_ns()}"

    def settings(suffix: str) -> Settings:
        return Settings(
            kafka_bootstrap=kafka.bootstrap, partitions=PARTITIONS, events_topic=f"{name}{suffix}", session_timeout_s=6,
            rejected_topic=f"{name}{suffix}.rejected", group=f"{name}{suffix}", checkpoint_interval_s=0.5,
        )  # fmt: skip

    async with System(settings(""), tmp_path / "one", embedded_kafka=False) as system:
        await system.wait_ready()
        async with Traffic(kafka.bootstrap, name) as traffic:
            await until(lambda: _counted(system, 2_000), "some records")
            before = set(traffic.acknowledged)
            first = await backup(system.settings, tmp_path / "kept")
            between, most_first = set(traffic.acknowledged), set(traffic.sent)
            await until(lambda: _counted(system, len(between) + 1_000), "more records")
            second = await backup(system.settings, tmp_path / "kept")
            most_second = set(traffic.sent)
        assert first.live
        assert first.records > 0
        # The second back-up took what was new: what the first had whole is there once.
        assert Repository(tmp_path / "kept").names() == [first.name, second.name]
        plan = plan_of(system.settings)
        sources = (tmp_path / "one" / "sources.json").read_bytes()

    for taken, least, most in ((first, before, most_first), (second, between, most_second)):
        suffix = f"-{taken.name}".lower()
        folder = tmp_path / taken.name
        async with System(settings(suffix), folder, embedded_kafka=False, only_servers=True) as empty:
            given = await restore(empty.settings, tmp_path / "kept", folder, taken.name)
            with pytest.raises(UserError, match=r"^the database streamgauge at http://.* is not empty"):
                await restore(empty.settings, tmp_path / "kept", folder / "x", taken.name)
            elsewhere = empty.settings.model_copy(update={"clickhouse_database": "other"})
            with pytest.raises(UserError, match=rf"^the topic {name}{suffix} is at 127\.0\.0\.1:\d+ already: "):
                await restore(elsewhere, tmp_path / "kept", folder / "x", taken.name)
            assert not (folder / "x").exists()
        assert given.live
        assert (folder / "sources.json").read_bytes() == sources
        assert given.settings.stream == "main"
        async with System(given.settings, folder, embedded_kafka=False) as restored:
            await restored.wait_ready()
            await settled(restored, len(least))
            found, count = await stored(restored)
            # What was acknowledged when the back-up began is there, and nothing from after its end.
            assert least <= found <= most
            assert count == len(found)
            result = await verify(restored.settings, plan)
            assert (result.differences, result.left_out) == ([], {})
            assert result.records >= len(least)
            # It goes on: the same ids again are duplicates, others count.
            again = await _totals(restored)
            async with Traffic(kafka.bootstrap, f"{name}{suffix}", first=5_000_000) as more:
                await until(lambda: _counted(restored, sum(again.values()) + 500), "new records")  # noqa: B023
            await _send(kafka.bootstrap, f"{name}{suffix}", sorted(name for name in found if int(name[1:]) % 97)[:50])
            await settled(restored, sum(again.values()) + len(more.acknowledged) + 50)
            found_then, count = await stored(restored)
            assert found | more.acknowledged <= found_then <= found | more.sent
            assert count == len(found_then)
            result = await verify(restored.settings, plan)
            assert (result.differences, result.left_out) == ([], {})
            # Nobody has missed a record: offsets go on where they were.
            assert await rows(restored, "SELECT count() FROM gaps") == [(0,)]


async def _counted(system: System, count: int) -> bool:
    return sum((await _totals(system)).values()) >= count


async def _totals(system: System) -> dict[str, int]:
    live = await system.live()
    return dict(live["totals"]) if live else {}


async def _send(bootstrap: str, topic: str, ids: list[str]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for number in (int(name[1:]) for name in ids):
            event = json.dumps(event_of(number)).encode()
            await producer.send_and_wait(topic, event, partition=number % PARTITIONS)
    finally:
        await producer.stop()
