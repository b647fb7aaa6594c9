"""A topic that was copied, with the times of long ago: everything is counted, stored and known again."""

from __future__ import annotations

import json
import time

import pytest
from aiokafka import AIOKafkaProducer
from whole_system import Start, rows, until

from pipeline.demo.system import System

pytestmark = pytest.mark.integration

DAY = 86_400_000


async def _counted(system: System, table: str, count: int) -> None:
    async def all_there() -> bool:
        return await rows(system, f"SELECT count() FROM {table}") == [(count,)]

    await until(all_there, f"{count} rows of {table}")


async def test_records_of_any_time_stay_and_their_ids_are_known_after_a_restart(start: Start) -> None:
    system = await start(partitions=1, plan="shop")
    now = int(time.time() * 1000)
    times = [-1, 0, now - 400 * DAY, now - 380 * DAY, now - 40 * DAY, now]
    producer = AIOKafkaProducer(**system.settings.kafka_kwargs())
    await producer.start()

    async def send(number: int, at: int) -> None:
        ts = at if at > 0 else now
        fields = {"event_id": f"e{number}", "event": "app_open", "user_id": "u1", "ts": ts}
        for name in ("app_open", "app_open", "nothing"):
            value = json.dumps({**fields, "event": name}).encode()
            await producer.send_and_wait(system.settings.events_topic, value, key=b"u1", timestamp_ms=at)

    try:
        # As a log has them: the oldest first. The last ones are without a time.
        ordered = [*times[2:], *times[:2]]
        for number, at in enumerate(ordered):
            await send(number, at)
        for table in ("events", "rejected", "duplicates"):
            await _counted(system, table, 6)
            await rows(system, f"OPTIMIZE TABLE {table}_raw FINAL")
            await _counted(system, table, 6)
        process = system.archiver.process
        assert process is not None
        assert await process.stop(20.0) == 0  # the supervisor starts another one
        for number, at in enumerate(ordered[-3:], 3):
            await send(number, at)
        await _counted(system, "duplicates", 12)
        await _counted(system, "events", 6)
        live = await system.worker.ask("/live")
        assert live is not None
        # Oldest first, none of them is late.
        counted = {name: count for name, count in live["totals"].items() if count}
        assert counted == {"accepted": 6, "duplicate": 12, "rejected": 9}
    finally:
        await producer.stop()
