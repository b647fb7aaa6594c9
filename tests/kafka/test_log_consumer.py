"""The consumer on the embedded broker, which takes batches that no other broker would."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.record.util import calc_crc32c
from chaos.raw import Raw, RawProducer, batch, bomb

from pipeline.embedded.broker import EmbeddedBroker
from pipeline.kafka import topic
from pipeline.kafka.consumer import LogConsumer
from pipeline.kafka.topic import describe, watch
from pipeline.process import first_of
from pipeline.settings import Settings

pytestmark = pytest.mark.usefixtures("needs_embedded")

EVENTS = TopicPartition("events", 0)
GOOD = [Raw(b"one"), Raw(b"two")]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(tmp_path) as found:
        await found.create_topics({"events": 1})
        yield found


async def read(broker: EmbeddedBroker, offset: int, until: int, wait_ms: int = 50) -> list[Any]:
    """The records from an offset on, up to where the consumer has read."""
    consumer = LogConsumer(bootstrap_servers=broker.bootstrap, fetch_max_wait_ms=wait_ms)
    await consumer.start()
    try:
        consumer.assign([EVENTS])
        consumer.seek(EVENTS, offset)
        found: list[Any] = []
        for _ in range(200):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                found += records
            if (consumer.read_to(EVENTS) or 0) >= until:
                return found
        raise AssertionError(f"stands at {consumer.read_to(EVENTS)}, with {found}")
    finally:
        await consumer.stop()


async def test_a_wrong_checksum_is_one_record_and_the_log_goes_on(broker: EmbeddedBroker) -> None:
    async with RawProducer(broker.bootstrap, "events") as raw:
        await raw.send(0, batch(GOOD), batch(GOOD, crc=1), batch(GOOD, "gzip", crc=1), batch(GOOD))
    found = await read(broker, 0, 8)
    assert [(record.offset, getattr(record, "why", record.value)) for record in found] == [
        (0, b"one"),
        (1, b"two"),
        (2, "ValueError: the checksum of the batch is wrong"),
        (4, "ValueError: the checksum of the batch is wrong"),
        (6, b"one"),
        (7, b"two"),
    ]


async def test_no_more_is_handed_on_at_once_than_memory_bears(broker: EmbeddedBroker) -> None:
    """6 batches of a few KB, each of 60 MB: all records come, some 20 MB at a time; so do those of small batches."""
    large = bomb("zstd", [Raw(bytes(2_000_000))] * 30)
    small = bomb("zstd", [Raw(bytes(100_000))] * 10)
    async with RawProducer(broker.bootstrap, "events") as raw:
        await raw.send(0, *[large] * 6, *[small] * 40, batch(GOOD))
    consumer = LogConsumer(bootstrap_servers=broker.bootstrap, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        consumer.assign([EVENTS])
        consumer.seek(EVENTS, 0)
        offsets: list[int] = []
        while len(offsets) < 582:
            for records in (await consumer.getmany(timeout_ms=10_000, max_records=10_000)).values():
                assert sum(len(record.value) for record in records) <= (16 << 20) + 2_000_000
                offsets += [record.offset for record in records]
        assert offsets == list(range(582))
    finally:
        await consumer.stop()


async def test_a_marker_of_no_broker_is_not_unpacked(broker: EmbeddedBroker) -> None:
    data = bytearray(bomb("zstd", [], megabytes=100))
    data[22] |= 0x20
    data[17:21] = calc_crc32c(data[21:]).to_bytes(4, "big")
    async with RawProducer(broker.bootstrap, "events") as raw:
        await raw.send(0, bytes(data), batch(GOOD))
    tracemalloc.start()
    try:
        assert [record.offset for record in await read(broker, 0, 3)] == [1, 2]
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


async def test_a_marker_that_no_broker_wrote_is_passed_over(broker: EmbeddedBroker) -> None:
    async with RawProducer(broker.bootstrap, "events") as raw:
        await raw.send(0, batch(GOOD), batch(GOOD, attributes=0x20), batch([Raw(None)], attributes=0x20))
    assert [record.offset for record in await read(broker, 0, 5)] == [0, 1]


async def test_a_position_in_the_hole_that_a_refused_batch_left(broker: EmbeddedBroker) -> None:
    async with RawProducer(broker.bootstrap, "events") as raw:
        await raw.send(0, batch(GOOD))
        with pytest.raises(KafkaError):
            await raw.send(0, batch(GOOD, attributes=5))
        end = await raw.send(0, batch(GOOD)) + 2
    assert end > 4  # the refused ones have taken places
    for position in range(3):
        found = await read(broker, position, end)
        assert [record.offset for record in found if record.offset >= 2] == [end - 2, end - 1]


async def test_a_broker_that_finds_nothing_in_time_is_asked_again_with_more(broker: EmbeddedBroker) -> None:
    """The embedded one goes through all batches of a log: of many small ones it came to none, and that was no hole."""
    async with RawProducer(broker.bootstrap, "events") as raw:
        for _ in range(10):
            await raw.send(0, *[batch([Raw(b"one")])] * 500)
    found = await read(broker, 0, 5_000, wait_ms=1)
    assert [record.offset for record in found] == list(range(5_000))


@pytest.mark.parametrize("before", [[], [batch(GOOD)]])
async def test_a_hole_at_the_end_of_the_log_is_no_lag(broker: EmbeddedBroker, before: list[bytes]) -> None:
    """Else whoever sends a batch that is refused leaves work that can never be done, and the watchdog comes."""
    consumer = LogConsumer(bootstrap_servers=broker.bootstrap, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        consumer.assign([EVENTS])
        consumer.seek(EVENTS, 0)
        async with RawProducer(broker.bootstrap, "events") as raw:
            await raw.send(0, *before)
            for _ in range(2):
                with pytest.raises(KafkaError):
                    await raw.send(0, batch(GOOD, attributes=5))
            found: list[int] = []
            async with asyncio.timeout(30):
                # The end is told with an answer: the first one that tells of the hole names it as work.
                while consumer.readable_end(EVENTS) != 2 * len(before) or consumer.highwater(EVENTS) == 2 * len(before):
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        found += [record.offset for record in records]
            assert found == [0, 1][: 2 * len(before)]
            assert consumer.held_back(EVENTS) == 0  # nobody's transaction is waited for
            last = await raw.send(0, batch(GOOD))
            async with asyncio.timeout(30):
                while not found or found[-1] != last + 1:
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        found += [record.offset for record in records]
            assert found == [*[0, 1][: 2 * len(before)], last, last + 1]
            assert consumer.readable_end(EVENTS) == last + 2
    finally:
        await consumer.stop()


async def test_a_topic_has_an_id_and_a_number_of_partitions(broker: EmbeddedBroker) -> None:
    await broker.create_topics({"others": 3})
    settings = Settings(kafka_bootstrap=broker.bootstrap)
    events, others = await describe(settings), await describe(settings.model_copy(update={"events_topic": "others"}))
    assert events is not None
    assert others is not None
    assert (events.partitions, others.partitions) == (1, 3)
    assert events.id != others.id


# A connection that aiokafka was just making is left open by it: here the process ends.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_whoever_watches_a_topic_ends_at_whatever_moment_it_is_asked_to(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's client loses a cancellation that comes while it closes: a worker would then never end."""
    monkeypatch.setattr(topic, "WATCH_SECONDS", 0)
    settings = Settings(kafka_bootstrap=broker.bootstrap)
    known = await describe(settings)
    assert known is not None

    async def turns(number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)

    for number in range(120):
        async with asyncio.timeout(5):
            await first_of(watch(settings, known), turns(number))
