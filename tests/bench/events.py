"""The events of the benchmark: the shop plan's, about 230 bytes each, the same for the same seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from aiokafka import AIOKafkaProducer

from pipeline.ingest.partitioner import partitions_of

SEED: Final = 7
USERS: Final = 200_000
PARTITIONS: Final = 4
#: Events a second of event time: how many of them fall into one window.
RATE: Final = 2_000
#: Events reach Kafka up to this much later than they happened, so they are not in order.
_DELAY_MS: Final = 3_000
_BATCH_BYTES: Final = 128 << 10

# Name, share and properties. The five steps of the funnels are 30 % of all.
_EVENTS: Final = (
    ("app_open", 0.30, "{}"),
    ("search", 0.22, '{"query":"running shoes","results":24}'),
    ("share", 0.17, '{"target":"friends"}'),
    ("sign_up", 0.01, '{"method":"email"}'),
    ("view_item", 0.16, '{"item_id":"i48213","category":"shoes","price":19.9}'),
    ("add_to_cart", 0.07, '{"item_id":"i48213","quantity":1,"price":19.9}'),
    ("checkout", 0.04, '{"items":2,"amount":39.8}'),
    ("pay", 0.02, '{"method":"card"}'),
    ("purchase", 0.01, '{"order_id":"o5531907","amount":39.8,"items":2}'),
)
_PLATFORMS: Final = ("ios", "android", "web")
_CHANNELS: Final = ("ads", "search", "email", "direct", "push", "social")


def make_events(count: int, end_ms: int) -> tuple[list[bytes], list[bytes]]:
    """Keys and values of `count` events, the last of them at about `end_ms` (epoch ms)."""
    rng = np.random.default_rng(SEED)
    users = rng.integers(USERS, size=count)
    kinds = rng.choice(len(_EVENTS), size=count, p=[share for _, share, _ in _EVENTS])
    platforms = rng.integers(len(_PLATFORMS), size=count)
    channels = rng.integers(len(_CHANNELS), size=count)
    high, low = rng.integers(2**63, size=count), rng.integers(2**63, size=count)
    times = end_ms - (np.arange(count)[::-1] * 1000) // RATE - rng.integers(_DELAY_MS, size=count)
    keys, values = [], []
    columns = (users, kinds, platforms, channels, high, low, times)
    for user, kind, platform, channel, a, b, ts in zip(*[column.tolist() for column in columns], strict=True):
        name, _, properties = _EVENTS[kind]
        key = f"u{user:08d}"
        keys.append(key.encode())
        values.append(
            f'{{"event_id":"{a:016x}{b:016x}","event":"{name}","user_id":"{key}","ts":{ts},'
            f'"session_id":"s{user:08d}","platform":"{_PLATFORMS[platform]}","app_version":"5.2.1",'
            f'"channel":"{_CHANNELS[channel]}","properties":{properties}}}'.encode()
        )
    return keys, values


async def produce(bootstrap: str, topic: str, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Write all events to `topic`, each to its actor's partition, in batches as a busy producer makes them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        homes = partitions_of(keys, PARTITIONS)
        await asyncio.gather(
            *[
                _produce_partition(producer, topic, p, np.flatnonzero(homes == p).tolist(), keys, values)
                for p in range(PARTITIONS)
            ]
        )
    finally:
        await producer.stop()


async def _produce_partition(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    indexes: list[int],
    keys: Sequence[bytes],
    values: Sequence[bytes],
) -> None:
    now = int(time.time() * 1000)
    batch = producer.create_batch()
    for i in indexes:
        if batch.append(key=keys[i], value=values[i], timestamp=now) is None:
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=keys[i], value=values[i], timestamp=now)
    if batch.record_count():
        await (await producer.send_batch(batch, topic, partition=partition))
