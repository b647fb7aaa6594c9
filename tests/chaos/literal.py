"""Events written out by hand, for tests that know each of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from .recount import differences
from .sender import Sender
from .world import World


class Produced(NamedTuple):
    """A record to send. The key is the actor unless another one is given; None is no key."""

    value: bytes | None
    key: bytes | None
    partition: int | None = None


def event(number: int, actor: str = "", ago_ms: int = 0, now: int | None = None, **fields: Any) -> Produced:
    """`view_item` number `number`, of one of ten users unless told otherwise."""
    actor = actor or f"u{number % 10}"
    moment = (now if now is not None else int(time.time() * 1000)) - ago_ms
    body = {
        "event_id": f"e{number}", "event": "view_item", "ts": moment, "user_id": actor, "platform": "web",
        "properties": {"item_id": "i1"}, **fields,
    }  # fmt: skip
    return Produced(json.dumps(body).encode(), actor.encode())


async def produce(world: World, records: Iterable[Produced]) -> int:
    """Send, and return when all are acknowledged."""
    producer: AIOKafkaProducer = AIOKafkaProducer(
        bootstrap_servers=world.settings.kafka_bootstrap, enable_idempotence=True, acks="all", linger_ms=5
    )
    await producer.start()
    try:
        sent = [
            await producer.send(world.settings.events_topic, r.value, key=r.key, partition=r.partition) for r in records
        ]
        await producer.flush()
        for one in sent:
            await one
        return len(sent)
    finally:
        await producer.stop()


async def assert_exact(world: World, seconds: float = 90) -> Any:
    """Wait until the system is at rest, and compare everything with the log; returns what is true."""
    while True:
        await world.drained(seconds)
        ends = await world.ends()
        truth, found = await differences(world)
        if ends == await world.ends():
            break
    assert not found, "\n".join(found)
    return truth


@asynccontextmanager
async def traffic(world: World, seed: int, rate: float = 300, **changes: Any) -> Any:
    """Simulated users beside the block."""
    settings = world.settings
    sender = Sender(
        settings.kafka_bootstrap,
        settings.events_topic,
        world.plan,
        settings.partitions,
        seed=seed,
        rate=rate,
        **changes,
    )
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        sender.stop()
        await task
