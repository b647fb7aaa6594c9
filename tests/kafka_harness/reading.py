"""What tests ask again and again: what is in the log now, and whether something has come true."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = 20) -> None:
    """Wait until `condition()` (plain or async) is true. After `seconds`, AssertionError naming `what`."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)


async def read_log(bootstrap: str, topic: str) -> dict[int, list[ConsumerRecord[bytes, bytes]]]:
    """All records of a topic that are there now, by partition, in order of offset. No group is involved."""
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    try:
        await consumer.start()  # without a group it gets every partition at once
        partitions = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        found: dict[int, list[ConsumerRecord[bytes, bytes]]] = {one.partition: [] for one in partitions}
        while [one for one in partitions if await consumer.position(one) < ends[one]]:
            for one, records in (await consumer.getmany(timeout_ms=200)).items():
                found[one.partition] += [record for record in records if record.offset < ends[one]]
        return found
    finally:
        await consumer.stop()
