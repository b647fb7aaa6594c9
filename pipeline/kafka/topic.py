"""What the events topic is, and whether it is still the same: its id and its number of partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from io import BytesIO
from typing import Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from pipeline.errors import AnotherTopicError
from pipeline.settings import Settings

#: How often a role asks whether the topic is still the same.
WATCH_SECONDS: Final = 3.0
_TIMEOUT_MS: Final = 10_000
#: Where operations are not told.
_NOT_TOLD: Final = -(1 << 31)


class Topic(NamedTuple):
    """What the events topic is: another number of partitions, or another id, is another topic."""

    partitions: int
    #: Given by Kafka when the topic was made, in hexadecimal; "" where the broker tells none.
    id: str


async def describe(settings: Settings) -> Topic | None:
    """The events topic as Kafka has it now, None if it isn't there. Raises what the client raises."""
    client = AIOKafkaClient(**settings.kafka_kwargs(), request_timeout_ms=_TIMEOUT_MS)
    try:
        await client.bootstrap()
        try:
            answer = await client.send(client.get_random_node(), _TopicRequest(settings.events_topic))
        except NotImplementedError:  # an older broker
            partitions = client.cluster.partitions_for_topic(settings.events_topic)
            return Topic(len(partitions), "") if partitions else None
    finally:
        await client.close()
    error, _, topic_id, _, partitions, *_ = answer.topics[0]
    if error or not partitions:
        return None
    return Topic(len(partitions), topic_id if topic_id.strip("0") else "")


class TopicDetails(NamedTuple):
    """A topic as its brokers stand: the fewest of its partitions' replicas, and what the asking user may do."""

    partitions: int
    replicas: int
    in_sync: int
    leaderless: int
    #: Bits by number of Kafka's AclOperation; None where the broker doesn't tell.
    operations: int | None


async def describe_all(settings: Settings, names: Sequence[str]) -> tuple[int, dict[str, TopicDetails]]:
    """How many brokers there are, and the details of those of the topics `names` that are there.

    Raises what the client raises, NotImplementedError where the broker is too old.
    """
    client = AIOKafkaClient(**settings.kafka_kwargs(), request_timeout_ms=_TIMEOUT_MS)
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), _TopicRequest(*names))
    finally:
        await client.close()
    found = {}
    for error, name, _, _, partitions, operations, _ in answer.topics:
        if not error and partitions:
            found[name] = TopicDetails(
                len(partitions),
                min(len(replicas) for _, _, _, _, replicas, *_ in partitions),
                min(len(isr) for _, _, _, _, _, isr, *_ in partitions),
                sum(leader < 0 for _, _, leader, *_ in partitions),
                None if operations == _NOT_TOLD else operations & 0xFFFFFFFF,
            )
    return len(answer.brokers), found


async def watch(settings: Settings, known: Topic) -> None:
    """Return never; raises AnotherTopicError when the events topic has changed."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            found = await describe(settings)
        except (KafkaError, OSError, TimeoutError):
            continue  # that Kafka is away is told by those who read from it
        if found is not None:  # else it was deleted, perhaps to be made anew
            compare(settings.events_topic, known, found)


def compare(name: str, known: Topic, found: Topic) -> None:
    """Raise AnotherTopicError if the topic `name` is not as it was."""
    if known.id and found.id and known.id != found.id:
        raise AnotherTopicError(
            "topic {name} was made anew: its id was {before} and is {now}", name=name, before=known.id, now=found.id
        )
    if known.partitions != found.partitions:
        raise AnotherTopicError(
            "topic {name} had {before} partitions and has {now}: the number of "
            "partitions of a topic that is counted can't change",
            name=name,
            before=known.partitions,
            now=found.partitions,
        )


class _Id(AbstractType[str]):  # type: ignore[misc]
    """16 bytes."""

    @classmethod
    def encode(cls, value: str) -> bytes:
        return bytes.fromhex(value)

    @classmethod
    def decode(cls, data: BytesIO) -> str:
        return data.read(16).hex()


class _Metadata(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", CompactString("utf-8")), ("port", Int32),
                ("rack", CompactString("utf-8")), ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16), ("topic", CompactString("utf-8")), ("topic_id", _Id), ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16), ("partition", Int32), ("leader", Int32), ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)), ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)), ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32), ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )  # fmt: skip


class _MetadataStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Metadata
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Id), ("topic", CompactString("utf-8")), ("tags", TaggedFields))),
        ("create", Boolean),
        ("operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicRequest(Request[_MetadataStruct]):  # type: ignore[misc]
    """Metadata as it tells a topic's id and what we may do, which aiokafka doesn't have. Creates nothing."""

    API_KEY = 3

    def __init__(self, *topics: str) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataStruct]) -> _MetadataStruct:
        return request_struct_class([("0" * 32, topic, {}) for topic in self._topics], False, True, {})
