"""What a group has committed, asked from outside, at Apache Kafka."""

from __future__ import annotations

import logging

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata
from kafka_harness.fixtures import NewTopic, kafka, kafka_server, new_topic
from kafka_harness.server import KafkaServer

from pipeline.errors import DependencyError
from pipeline.kafka.group import beside_group
from pipeline.settings import Settings

__all__ = ["kafka", "kafka_server", "new_topic"]

pytestmark = pytest.mark.faults


async def test_the_coordinator_of_the_first_group_is_waited_for_without_a_word(
    kafka: KafkaServer, new_topic: NewTopic, caplog: pytest.LogCaptureFixture
) -> None:
    settings, at = Settings(kafka_bootstrap=kafka.bootstrap), TopicPartition(new_topic(), 0)
    await _forget_groups(settings)
    caplog.set_level(logging.WARNING, "aiokafka")
    async with beside_group(settings, "first") as group:
        group.assign([at])
        await group.commit({at: OffsetAndMetadata(7, "")})
    async with beside_group(settings, "first") as group:
        assert await group.committed(at) == 7
    assert caplog.messages == []


async def test_a_coordinator_that_does_not_come_is_one_clear_line(
    kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(kafka_bootstrap=kafka.bootstrap)
    monkeypatch.setattr("pipeline.kafka.group.COORDINATOR_SECONDS", 0.0)
    await _forget_groups(settings)
    with pytest.raises(DependencyError) as caught:
        async with beside_group(settings, "second"):
            pass
    assert str(caught.value) == (
        "Kafka has no coordinator for the group second after 0 s: GroupCoordinatorNotAvailableError"
    )


async def _forget_groups(settings: Settings) -> None:
    """As in a Kafka where no group has ever been: the topic in which it keeps them is yet to be made."""
    admin = AIOKafkaAdminClient(**settings.kafka_kwargs())
    await admin.start()
    try:
        await admin.delete_topics(["__consumer_offsets"])
    finally:
        await admin.close()
