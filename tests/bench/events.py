"""The events of the benchmark: the shop plan's, about 230 or about 900 bytes each, the same for the same seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
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


# What makes an event about 900 bytes long: every context field, and properties that the plan does not name (it keeps
# them).
_CONTEXT: Final = (
    ',"campaign":"autumn-sale-returning-visitors-2","country":"DE","device":"Pixel 9 Pro XL","os":"Android 16",'
    '"language":"de-DE","referrer":"https://www.example.com/catalogue/outdoor/shoes?sort=popular&page=3"'
)
_MORE_PROPERTIES: Final = (
    '"page_title":"Running shoes for trail and road, women and men, all sizes - the example shop",'
    '"page_url":"https://shop.example.com/de/catalogue/outdoor/shoes/running?colour=blue&size=42&sort=popular",'
    '"screen":{"width":1344,"height":2992,"density":3.2},"network":"5g","battery":0.63,"dark_mode":true,'
    '"experiments":["search-ranking-b","checkout-one-page-a","recommendations-control"],'
    '"trace_id":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"'
)


class Shapes(NamedTuple):
    """Events without their ids and times: an event is the bytes of `head`, with an id before and a time after it."""

    keys: list[bytes]
    heads: list[bytes]
    tails: list[bytes]


def make_shapes(
    rng: np.random.Generator, count: int, large: bool = False, users: int = USERS, anonymous: float | None = None
) -> Shapes:
    """`count` events of `users` users, about 230 bytes each, or about 900 if `large`.

    With `anonymous`, everybody has a device, and that share of the events is of devices alone: half of them of people
    who never log in, the other half from before a login. All other events then have both ids.
    """
    drawn = (
        rng.integers(users, size=count),
        rng.choice(len(_EVENTS), size=count, p=[share for _, share, _ in _EVENTS]),
        rng.integers(len(_PLATFORMS), size=count),
        rng.integers(len(_CHANNELS), size=count),
    )
    keys, heads, tails = [], [], []
    context = _CONTEXT if large else ""
    alone = _alone(drawn[0], users, anonymous).tolist() if anonymous is not None else None
    for i, (user, kind, platform, channel) in enumerate(zip(*[column.tolist() for column in drawn], strict=True)):
        name, _, properties = _EVENTS[kind]
        if large:
            properties = f"{properties[:-1]}{',' if len(properties) > 2 else ''}{_MORE_PROPERTIES}}}"
        key = f"u{user:08d}"
        ids = f'"user_id":"{key}"'
        if alone is not None:
            device = f'"anonymous_id":"d{user:08d}"'
            ids, key = (device, f"d{user:08d}") if alone[i] else (f"{device},{ids}", key)
        keys.append(key.encode())
        heads.append(f'","event":"{name}",{ids},"ts":'.encode())
        tails.append(
            f',"session_id":"s{user:08d}","platform":"{_PLATFORMS[platform]}","app_version":"5.2.1",'
            f'"channel":"{_CHANNELS[channel]}"{context},"properties":{properties}}}'.encode()
        )
    return Shapes(keys, heads, tails)


def _alone(drawn: npt.NDArray[np.int64], users: int, share: float) -> npt.NDArray[np.bool_]:
    """Which events are of a device alone: all of the first users, and the first events of each of the others."""
    visitors = int(users * share / 2)
    first = len(drawn) / users * (share / 2) / (1 - share / 2)
    before_login = int(first) + (np.random.default_rng(SEED).random(users) < first % 1)
    order = np.argsort(drawn, kind="stable")
    starts = np.searchsorted(drawn[order], np.arange(users))
    rank = np.empty(len(drawn), np.int64)
    rank[order] = np.arange(len(drawn)) - starts[drawn[order]]
    return (drawn < visitors) | (rank < before_login[drawn])


def make_event(event_id: bytes, head: bytes, ts: int, tail: bytes) -> bytes:
    """One event as it is sent."""
    return b'{"event_id":"%b%b%d%b' % (event_id, head, ts, tail)


def make_events(
    count: int,
    end_ms: int,
    *,
    large: bool = False,
    rate: float = RATE,
    seed: int = SEED,
    users: int = USERS,
    anonymous: float | None = None,
) -> tuple[list[bytes], list[bytes]]:
    """Keys and values of `count` events, `rate` a second of event time, the last of them at about `end_ms` (ms).

    `anonymous`: see `make_shapes`.
    """
    rng = np.random.default_rng(seed)
    shapes = make_shapes(rng, count, large, users, anonymous)
    ids = rng.bytes(16 * count).hex().encode()
    since = (np.arange(count)[::-1] * 1000 / rate).astype(np.int64)
    times = (end_ms - since - rng.integers(_DELAY_MS, size=count)).tolist()
    values = [make_event(ids[32 * i : 32 * i + 32], shapes.heads[i], times[i], shapes.tails[i]) for i in range(count)]
    return shapes.keys, values


async def produce(
    bootstrap: str, topic: str, keys: Sequence[bytes], values: Sequence[bytes], partitions: int = PARTITIONS
) -> None:
    """Write all events to `topic`, each to its actor's partition, in batches as a busy producer makes them."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES)
    await producer.start()
    try:
        homes = partitions_of(keys, partitions)
        await asyncio.gather(
            *[
                _produce_partition(producer, topic, p, np.flatnonzero(homes == p).tolist(), keys, values)
                for p in range(partitions)
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
