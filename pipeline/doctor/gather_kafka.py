"""What the doctor asks Kafka: topics, their settings, our rights, lag, and the time of the newest record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from pipeline.doctor.log import ARCHIVER_LAG, WORKER_LAG, Lag, Topics, TopicState
from pipeline.doctor.model import Unknown
from pipeline.kafka.consumer import LogConsumer
from pipeline.kafka.group import beside_group
from pipeline.kafka.topic import TopicDetails, describe_all
from pipeline.settings import Settings
from pipeline.topics import changelog_topic
from schemas.translatable import Sentence

#: To find the newest record of each partition.
_NEWEST_SECONDS = 4.0


@dataclass(frozen=True)
class KafkaFacts:
    """What Kafka knows."""

    topics: Topics | Unknown
    lag: Sequence[Lag]
    clock: float | Unknown | None
    lacks: Sequence[str] | Unknown

    @classmethod
    def unknown(cls, why: str) -> KafkaFacts:
        """Kafka doesn't answer."""
        no = Unknown(why)
        lag = [Lag("worker", no, WORKER_LAG), Lag("archiver", no, ARCHIVER_LAG)]
        return cls(no, lag, no, no)


async def logged(settings: Settings) -> KafkaFacts:
    """Ask. Raises what the client raises if Kafka doesn't answer."""
    admin = AIOKafkaAdminClient(**settings.kafka_kwargs())
    await admin.start()
    names = (settings.events_topic, settings.rejected_topic, changelog_topic(settings))
    try:
        topics: Topics | Unknown
        lacks: list[str] = []
        try:
            brokers, details = await describe_all(settings, names)
        except NotImplementedError:
            lacks.append("ids of topics (Metadata 12)")
            topics = Unknown(Sentence("this Kafka is older than 2.8"))
        else:
            config = await _config(admin, details)
            events, rejected, changelog = (
                _state(name, details[name], config[name]) if name in details else None for name in names
            )
            topics = Topics(brokers, events, rejected, changelog, names)
    finally:
        await admin.close()
    if isinstance(topics, Unknown) or topics.events is None:
        no = topics if isinstance(topics, Unknown) else Unknown(f"there is no topic {settings.events_topic}")
        return KafkaFacts(topics, KafkaFacts.unknown(no.why).lag, no, lacks)
    partitions = [TopicPartition(settings.events_topic, p) for p in range(topics.events.partitions)]
    lag, clock = await asyncio.gather(_lags(settings, partitions), _clock(settings, partitions))
    return KafkaFacts(topics, lag, clock, lacks)


async def _config(admin: AIOKafkaAdminClient, names: Iterable[str]) -> Mapping[str, Mapping[str, str] | Unknown]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not asked:
        return {}
    try:
        answers = await admin.describe_configs(asked)
    except (KafkaError, NotImplementedError, ValueError) as exc:
        return {
            one.name: Unknown(Sentence("Kafka does not tell them ({error})", error=type(exc).__name__)) for one in asked
        }
    found: dict[str, Mapping[str, str] | Unknown] = {
        one.name: Unknown(Sentence("Kafka does not tell them")) for one in asked
    }
    for answer in answers:
        for error, message, _, name, entries in answer.resources:
            if error:
                found[name] = Unknown(message or f"Kafka's error {error}")
            elif entries:
                found[name] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
    return found


def _state(name: str, details: TopicDetails, config: Mapping[str, str] | Unknown) -> TopicState:
    return TopicState(
        name, details.partitions, details.replicas, details.in_sync, details.leaderless, config, details.operations
    )


async def _lags(settings: Settings, partitions: Sequence[TopicPartition]) -> list[Lag]:
    return list(
        await asyncio.gather(
            _lag(settings, "worker", settings.group, partitions, WORKER_LAG),
            _lag(settings, "archiver", f"{settings.group}-archiver", partitions, ARCHIVER_LAG),
        )
    )


async def _lag(settings: Settings, role: str, group: str, partitions: Sequence[TopicPartition], allowed: int) -> Lag:
    try:
        async with beside_group(settings, group) as consumer:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            committed = {tp: await consumer.committed(tp) for tp in partitions}
            begins = await consumer.beginning_offsets(partitions)
    except KafkaError as exc:
        return Lag(role, Unknown(f"{type(exc).__name__} for the group {group}"), allowed)
    if all(offset is None for offset in committed.values()) and any(ends[tp] > begins[tp] for tp in partitions):
        return Lag(role, None, allowed)
    behind = (ends[tp] - (begins[tp] if committed[tp] is None else committed[tp]) for tp in partitions)
    return Lag(role, sum(max(0, one) for one in behind), allowed)


async def _clock(settings: Settings, partitions: Sequence[TopicPartition]) -> float | Unknown | None:
    """How far the newest record is ahead of our clock, where the broker sets the times; None if it isn't."""
    consumer = LogConsumer(**settings.kafka_kwargs(), enable_auto_commit=False, fetch_max_wait_ms=100)
    newest: int | None = None
    producers = False
    try:
        await consumer.start()
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        left = {tp for tp in partitions if ends[tp] > begins[tp]}
        if not left:
            return Unknown(Sentence("there is no record yet"))
        consumer.assign(sorted(left))
        for tp in left:
            consumer.seek(tp, ends[tp] - 1)
        until = time.monotonic() + _NEWEST_SECONDS
        while left and time.monotonic() < until:
            for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                left.discard(tp)
                for record in records:
                    producers |= record.timestamp_type != 1
                    if record.timestamp_type == 1:
                        newest = max(newest or 0, record.timestamp or 0)
    except KafkaError as exc:
        return Unknown(type(exc).__name__)
    finally:
        await consumer.stop()
    if newest is None:
        return Unknown(
            Sentence(
                "its records bear the times of their producers" if producers else "its newest records could not be read"
            )
        )
    return max(0.0, newest / 1000 - time.time()) or None
