"""What must arrive arrives: on a real broker, also when it refuses the size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from kafka_harness import reading
from kafka_harness.fixtures import kafka, kafka_server
from kafka_harness.server import KafkaServer

from pipeline.worker.delivery import Delivery, Outgoing

__all__ = ["kafka", "kafka_server"]

pytestmark = pytest.mark.faults


class Producer:
    """aiokafka's producer with the call of Faust's."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, topic: str, key: Any, value: Any, partition: Any, timestamp: Any, headers: Any) -> Any:
        return await self._producer.send(topic, value, key=key, partition=partition, headers=headers)


async def _topic(kafka: KafkaServer, name: str, limit: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": str(limit)})])
    finally:
        await admin.close()


@pytest.fixture
async def producer(kafka: KafkaServer) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=8 << 20)
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize(("limit", "kept"), [(200_000, 100_000), (2_000, 1_000), (400, 100)])
async def test_a_value_that_the_topic_refuses_is_cut_short_and_says_so(
    kafka: KafkaServer, producer: AIOKafkaProducer, limit: int, kept: int
) -> None:
    topic = f"small-records-{limit}"
    await _topic(kafka, topic, limit)
    delivery = Delivery(lambda: Producer(producer))
    whole = Outgoing(topic, 0, None, b"x" * 100, (("reason", b"r"),), cut=True)
    await delivery.deliver([whole])
    await delivery.deliver([whole._replace(key=b"k" * 150_000, value=b"y" * 5_000_000)])
    records = await reading.read_log(kafka.bootstrap, topic)
    found = [(record.value[:1], len(record.value), dict(record.headers)) for record in records[0]]
    assert found == [
        (b"x", 100, {"reason": b"r"}),
        (b"y", kept, {"reason": b"r", "size": b"5000000"}),
    ]


async def test_a_record_that_may_not_be_cut_is_tried_until_its_topic_takes_it(
    kafka: KafkaServer, producer: AIOKafkaProducer
) -> None:
    topic = "small-checkpoints"
    await _topic(kafka, topic, 2_000)
    delivery = Delivery(lambda: Producer(producer))
    sending = asyncio.create_task(delivery.deliver([Outgoing(topic, 0, None, b"z" * 50_000)]))
    while not delivery.retries:
        await asyncio.sleep(0.02)
    assert delivery.last_error.startswith(
        "the topic small-checkpoints refuses a record of 50000 bytes: raise its max.message.bytes"
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "1000000"})
    await admin.alter_configs([resource])
    await admin.close()
    assert await asyncio.wait_for(sending, 30) == 0
    assert delivery.failing_since is None
