"""An archiver that is asked to end stores what it has taken in, commits, and ends."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from whole_system import Start, rows, until

from pipeline.files.sender import send
from pipeline.ingest.sent import Sent

pytestmark = pytest.mark.integration


async def test_what_was_taken_in_is_stored_and_committed(start: Start, tmp_path: Path) -> None:
    # An insert is due after a minute: only the stop can bring it about.
    system = await start(archiver_batch_seconds=60.0)
    now = int(time.time() * 1000)
    values = [
        json.dumps({"event_id": f"e{i}", "event": "app_open", "user_id": f"u{i}", "ts": now}).encode()
        for i in range(50)
    ]
    records = [Sent(0, f"u{i}".encode(), value) for i, value in enumerate(values)]
    await send(records, kafka=system.settings.kafka_kwargs(), topic=system.settings.events_topic)

    async def taken_in() -> bool:
        health = await system.archiver.ask("/health")
        return bool(health and health["totals"]["accepted"] == 50)

    await until(taken_in, "taking in")
    assert await rows(system, "SELECT count() FROM events") == [(0,)]
    process = system.archiver.process
    assert process is not None
    system.archiver.process = None  # the supervisor is not to start another
    began = time.monotonic()
    assert await process.stop(20.0) == 0
    assert time.monotonic() - began < 10
    assert await rows(system, "SELECT count() FROM events") == [(50,)]
    consumer = AIOKafkaConsumer(
        **system.settings.kafka_kwargs(), group_id=f"{system.settings.group}-archiver", enable_auto_commit=False
    )
    await consumer.start()
    try:
        topic = system.settings.events_topic
        committed = [await consumer.committed(TopicPartition(topic, p)) or 0 for p in range(system.settings.partitions)]
    finally:
        await consumer.stop()
    assert sum(committed) == 50
