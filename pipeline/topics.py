"""The topics that Streamgauge needs: made if missing, checked if there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import BrokerNotAvailableError, KafkaError, TopicAlreadyExistsError, for_code

from pipeline.errors import DependencyError, UserError
from pipeline.ingest.validate import MAX_RECORD_BYTES
from pipeline.kafka.topic import Topic, describe
from pipeline.settings import Settings

log = logging.getLogger(__name__)

#: Of the table whose changelog holds the checkpoints.
TABLE_NAME: Final = "state"
_TIMEOUT_S: Final = 60.0
#: The largest value that may be an event, its key, the header of its origin, and the batch around it.
FORWARDED_BYTES: Final = MAX_RECORD_BYTES + 8_000


def changelog_topic(settings: Settings) -> str:
    """The changelog topic of the worker's table, as Faust names it."""
    return f"{settings.group}-{TABLE_NAME}-changelog"


async def ensure_topic(settings: Settings) -> Topic:
    """As `ensure_topics`; returns what the events topic is."""
    partitions = await ensure_topics(settings)
    found = await describe(settings)
    return found._replace(partitions=partitions) if found is not None else Topic(partitions, "")


async def ensure_topics(settings: Settings) -> int:
    """Create the topics that are missing; returns the partitions of the events topic.

    Raises UserError if topics that exist don't fit together, DependencyError if Kafka doesn't answer in time.
    """
    deadline = asyncio.get_running_loop().time() + _TIMEOUT_S
    while True:
        try:
            return await _ensure(settings)
        except (KafkaError, OSError) as exc:
            if asyncio.get_running_loop().time() > deadline:
                raise DependencyError(
                    "Kafka at {address} does not answer ({why}): is it running, and is PIPELINE_KAFKA_BOOTSTRAP right?",
                    address=settings.kafka_bootstrap,
                    why=repr(exc),
                ) from exc
            log.info("waiting for Kafka at %s: %r", settings.kafka_bootstrap, exc)
            await asyncio.sleep(1.0)


async def _ensure(settings: Settings) -> int:
    admin = AIOKafkaAdminClient(**settings.kafka_kwargs())
    await needs_controller(**settings.kafka_kwargs())
    await admin.start()
    try:
        existing = await admin.list_topics()
        if settings.events_topic not in existing:
            # The broker's clock, not the producers': a bad clock of theirs is then seen for what it is.
            config = {"message.timestamp.type": "LogAppendTime"}
            await _create(admin, settings.events_topic, settings.partitions, settings.replication, config)
        count = await _partitions(admin, settings.events_topic)
        await _takes_forwarded_records(admin, settings.events_topic)
        changelog = changelog_topic(settings)
        if changelog not in existing:
            config = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
            await _create(admin, changelog, count, settings.replication, config)
        elif (found := await _partitions(admin, changelog)) != count:
            raise UserError(
                "topic {topic} has {found} partitions and {other} has {count}: the number "
                "of partitions of a topic that is counted can't change. Use a new PIPELINE_GROUP and "
                "PIPELINE_STREAM.",
                topic=changelog,
                found=found,
                other=settings.events_topic,
                count=count,
            )
        if settings.rejected_topic not in existing:
            config = {"max.message.bytes": str(16 << 20)}
            await _create(admin, settings.rejected_topic, min(count, 4), settings.replication, config)
        return count
    finally:
        await admin.close()


async def needs_controller(**kafka: Any) -> None:
    """Raise BrokerNotAvailableError while a cluster that starts has no controller: admin clients take it for granted.

    `kafka` are the arguments of the client.
    """
    client = AIOKafkaClient(**kafka)
    try:
        await client.bootstrap()
        if client.cluster.controller is None:
            raise BrokerNotAvailableError("no controller yet")
    finally:
        await client.close()


async def _takes_forwarded_records(admin: AIOKafkaAdminClient, topic: str) -> None:
    """Raise UserError if the largest record that the worker may have to send on would be refused.

    A producer may have compressed it, so that it came in below the limit; it goes out as it is.
    """
    try:
        answers = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": None})]
        )
        values = [entry[1] for answer in answers for _, _, _, _, entries in answer.resources for entry in entries]
    except (KafkaError, NotImplementedError, ValueError) as exc:  # not allowed to ask, or an embedded broker
        log.debug("no limit of the size of records of %s is known: %r", topic, exc)
        return
    if values and values[0] and 0 <= int(values[0]) < FORWARDED_BYTES:
        raise UserError(
            "topic {topic} takes records of at most {most} bytes (max.message.bytes); "
            "{needed} are needed, for a record that has to be sent on to the partition "
            "of its actor",
            topic=topic,
            most=values[0],
            needed=FORWARDED_BYTES,
        )


async def _create(
    admin: AIOKafkaAdminClient, name: str, partitions: int, replication: int, config: dict[str, Any]
) -> None:
    topic = NewTopic(name, partitions, replication, topic_configs=config)
    response = await admin.create_topics([topic])
    for _, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name} could not be created")
    log.info("topic %s created with %s partitions", name, partitions)


async def _partitions(admin: AIOKafkaAdminClient, topic: str) -> int:
    """How many partitions a topic has; waits until the cluster knows a new one."""
    for _ in range(50):
        described = await admin.describe_topics([topic])
        partitions = described[0].get("partitions", []) if described else []
        if partitions:
            return len(partitions)
        await asyncio.sleep(0.1)
    raise DependencyError("Kafka does not say how many partitions the topic {topic} has", topic=topic)
