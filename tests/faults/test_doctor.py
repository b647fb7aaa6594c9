"""The doctor at Apache Kafka: the settings of topics, the times of its records, and what a user may not do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest
from kafka_harness.fixtures import kafka, kafka_server, new_topic
from kafka_harness.server import KafkaServer

from pipeline.doctor import log
from pipeline.doctor.gather_kafka import KafkaFacts, logged
from pipeline.doctor.model import Unknown
from pipeline.render.language import Language
from pipeline.settings import Settings
from pipeline.topics import FORWARDED_BYTES, changelog_topic, ensure_topics

__all__ = ["kafka", "kafka_server", "new_topic"]

pytestmark = pytest.mark.faults
EN = Language("en")


def sentences(found: KafkaFacts) -> list[str]:
    said = log.topics(found.topics, EN, lateness_ms=3_600_000, forwarded_bytes=FORWARDED_BYTES)
    return [one.sentence for one in [*said, *log.rights(found.topics, EN)]]


async def settled(settings: Settings, expected: list[str]) -> KafkaFacts:
    """What was found once it says this: brokers take a moment to know of a change. Fails if they never do."""
    deadline = time.monotonic() + 15
    while True:
        found = await logged(settings)
        if (said := sentences(found)) == expected or time.monotonic() > deadline:
            assert said == expected
            return found


async def test_topics_that_we_made_are_well_and_each_spoilt_setting_is_told(kafka: KafkaServer) -> None:
    name = f"doctor-{time.time_ns()}"
    settings = Settings(
        kafka_bootstrap=kafka.bootstrap, events_topic=name, rejected_topic=f"{name}.rejected", group=name
    )
    await ensure_topics(settings)
    found = await settled(settings, [])
    assert [one.behind for one in found.lag] == [0, 0]
    assert found.clock == Unknown("there is no record yet")

    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        # The broker sets the time: the producer's, of the next century, is not taken for Kafka's clock.
        await producer.send_and_wait(name, b"{}", partition=0, timestamp_ms=4_102_444_800_000)
    finally:
        await producer.stop()
    found = await logged(settings)
    assert found.clock is None
    assert [(one.role, one.behind) for one in found.lag] == [("worker", None), ("archiver", None)]

    other = settings.model_copy(
        update={"events_topic": f"{name}-x", "rejected_topic": f"{name}-x.rejected", "group": f"{name}-x"}
    )
    spoilt = {"retention.ms": "600000", "max.message.bytes": "100000", "cleanup.policy": "compact"}
    kafka.create_topics({other.events_topic: 4}, spoilt)
    kafka.create_topics({changelog_topic(other): 3}, {"cleanup.policy": "compact"})
    await settled(other, [
        f"the topic {name}-x.rejected is not there",
        f"{name}-x keeps records for 10 min (retention.ms): an outage of the worker or the archiver that lasts longer "
        "loses events",
        f"{name}-x is compacted: of each actor only the last event would be left",
        f"{name}-x takes records of at most 100000 bytes (max.message.bytes) and 1008000 are needed",
        f"{name}-x-state-changelog has 3 partitions and {name}-x has 4",
        f"{name}-x-state-changelog is compacted: that takes the worker's state to pieces",
        f"{name}-x-state-changelog has retention.ms=604800000: the worker's state would be deleted",
    ])  # fmt: skip


async def test_what_kafkas_access_lists_forbid_is_told(needs_kafka: None, tmp_path: Path) -> None:
    """Of DELETE and WRITE nothing else would say anything before it is too late."""
    server = KafkaServer(tmp_path, extra={
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true", "super.users": "User:root",
    })  # fmt: skip
    server.start()
    try:
        settings = Settings(kafka_bootstrap=server.bootstrap, partitions=2)
        await ensure_topics(settings)
        await settled(settings, [])
        # A topic with an entry is closed to everybody without one: all but one operation is allowed.
        await _entries(settings, [("events", 4, 2), ("events", 2, 3),
                                  ("streamgauge-state-changelog", 6, 2),
                                  ("streamgauge-state-changelog", 2, 3)])  # fmt: skip
        await settled(settings, [
            "we may not WRITE the topic events", "we may not DELETE the topic streamgauge-state-changelog",
        ])  # fmt: skip
    finally:
        server.kill()


async def _entries(settings: Settings, wanted: list[tuple[str, int, int]]) -> None:
    """Make entries of the access list of topics: by Kafka's numbers of an operation and of deny (2) or allow (3)."""
    client = AIOKafkaClient(**settings.kafka_kwargs())
    await client.bootstrap()
    try:
        for topic, operation, kind in wanted:
            request = CreateAclsRequest(2, topic, 3, "User:ANONYMOUS", "*", operation, kind)
            answer = await client.send(client.get_random_node(), request)
            assert [code for code, _ in answer.creation_responses] == [0]
    finally:
        await client.close()
