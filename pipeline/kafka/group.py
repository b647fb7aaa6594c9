"""A consumer group asked from outside: what it has committed, or is to begin with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from pipeline.errors import DependencyError
from pipeline.settings import Settings

#: How long a group's coordinator may take to be there: the first of all groups has Kafka make a topic for them.
COORDINATOR_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 0.1
_TIMEOUT_MS: Final = 10_000


@asynccontextmanager
async def beside_group(settings: Settings, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that reads and sets what a group has committed, and joins nothing, for it subscribes to nothing.

    Raises what the client raises, DependencyError if the group's coordinator doesn't come.
    """
    await _wait_for_coordinator(settings, group)
    consumer = AIOKafkaConsumer(**settings.kafka_kwargs(), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _wait_for_coordinator(settings: Settings, group: str) -> None:
    """Return when there is one: the consumer itself would ask for ever, and log an error each time."""
    client = AIOKafkaClient(**settings.kafka_kwargs(), request_timeout_ms=_TIMEOUT_MS)
    deadline = time.monotonic() + COORDINATOR_SECONDS
    try:
        await client.bootstrap()
        while True:
            try:
                await _ask(client, group)
                return
            except KafkaError as exc:
                if not exc.retriable:
                    raise
                if time.monotonic() > deadline:
                    raise DependencyError(
                        "Kafka has no coordinator for the group {group} after {seconds} s: {error}",
                        group=group, seconds=f"{COORDINATOR_SECONDS:.0f}", error=type(exc).__name__,
                    ) from None  # fmt: skip
            await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        await client.close()


async def _ask(client: AIOKafkaClient, group: str) -> None:
    """Ask the group's coordinator for what was committed: one that is named may not have read its groups yet."""
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    # Of no partition: to be asked for all of them is what the embedded broker answers in a form of its own.
    answer = await client.send(node, OffsetFetchRequest(group, []))
    if answer.error_code:
        raise for_code(answer.error_code)
