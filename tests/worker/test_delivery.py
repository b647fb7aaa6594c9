"""What must arrive arrives: on a real broker, also when it refuses the size."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError
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


async def test_a_value_that_the_topic_refuses_is_cut_short_and_says_so(kafka: KafkaServer) -> None:
    topic = "small-records"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "200000"})])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=8 << 20)
    await producer.start()
    try:
        delivery = Delivery(lambda: Producer(producer))
        whole = Outgoing(topic, 0, None, b"x" * 1000, (("reason", b"r"),), cut=True)
        await delivery.deliver([whole, whole._replace(value=b"y" * 5_000_000)])
        records = await reading.read_log(kafka.bootstrap, topic)
        found = [(record.value[:1], len(record.value), dict(record.headers)) for record in records[0]]
        assert sorted(found, key=repr) == [
            (b"x", 1000, {"reason": b"r"}),
            (b"y", 100_000, {"reason": b"r", "size": b"5000000"}),
        ]
        with pytest.raises(MessageSizeTooLargeError):
            await delivery.deliver([whole._replace(value=b"z" * 5_000_000, cut=False)])
    finally:
        await producer.stop()
