"""A disk of ClickHouse that is full: the archiver says so, commits nothing of what is not stored, and catches up."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from small_disk import fill, small_disk
from whole_system import rows, until

from pipeline.demo.system import System
from pipeline.files.sender import send
from pipeline.ingest.sent import Sent
from pipeline.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded", "needs_mount")]
EVENTS = 20_000


async def committed(system: System) -> int:
    settings = system.settings
    consumer = AIOKafkaConsumer(
        **settings.kafka_kwargs(), group_id=f"{settings.group}-archiver", enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.events_topic, p) for p in range(settings.partitions)]
        return sum([await consumer.committed(partition) or 0 for partition in partitions])
    finally:
        await consumer.stop()


async def test_nothing_is_committed_that_is_not_stored(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 96) as disk:
        settings = Settings(partitions=2, archiver_batch_rows=2_000)
        async with System(settings, disk) as system:
            await system.wait_ready()
            filler = fill(disk, 3 << 20)
            now = int(time.time() * 1000)
            records = [
                Sent(
                    0,
                    f"u{n}".encode(),
                    json.dumps(
                        {
                            "event_id": os.urandom(30).hex(), "event": "search", "user_id": f"u{n}", "ts": now,
                            "properties": {"query": os.urandom(60).hex()},
                        }
                    ).encode(),
                )
                for n in range(EVENTS)
            ]  # fmt: skip
            await send(records, kafka=system.settings.kafka_kwargs(), topic=system.settings.events_topic)

            async def ill() -> str | None:
                health = await system.archiver.ask("/health")
                if health is None or health["ready"]:
                    return None
                return str(health["problems"].get("clickhouse", "")) or None

            trouble = await until(ill, "a full disk in the archiver's health")
            assert "No space left on device" in trouble or "NOT_ENOUGH_SPACE" in trouble
            stored = (await rows(system, "SELECT count() FROM events"))[0][0]
            assert await committed(system) <= stored < EVENTS
            filler.unlink()

            async def caught_up() -> bool:
                health = await system.archiver.ask("/health")
                return bool(health and health["ready"] and health["lag"] == 0)

            await until(caught_up, "catching up", 90)
            assert await rows(system, "SELECT count(), uniqExact(event_id) FROM events") == [(EVENTS, EVENTS)]
            assert await committed(system) == EVENTS
