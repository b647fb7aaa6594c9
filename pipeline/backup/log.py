"""The events topic and the worker's state at Kafka: read as of one place in the log, and put back at the same offsets.

The worker's checkpoints say where that place is: a position for each partition, up to which everything is in its state.
Put back, the log begins there. Offsets before are used up by empty records, which are deleted: so rows in ClickHouse,
the state and what comes next are named by the same offsets as before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgpack
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import OffsetAndMetadata

from pipeline.backup.manifest import KeptLog, LogPartition
from pipeline.backup.records import BLOB_BYTES, FILLER, KeptRecord, batches, ends_with_causes, filler, pack, unpack
from pipeline.backup.repository import Repository
from pipeline.errors import DependencyError, UserError
from pipeline.kafka.consumer import LogConsumer
from pipeline.kafka.group import beside_group
from pipeline.kafka.topic import describe
from pipeline.settings import Settings
from pipeline.state.checkpoint import Positions, with_topic
from pipeline.topics import changelog_topic, ensure_topics
from schemas.duration import DAY
from schemas.translatable import Sentence

#: How long a log may stand still while it is read, and how long the archiver may take to come to the worker's place.
#: Seconds.
_SILENT_SECONDS: Final = 30.0
_ARCHIVER_SECONDS: Final = 120.0
_TRIES: Final = 5
#: The end of the log is looked through as a whole: a worker that has caught up leaves some thousand records.
MOST_BEHIND: Final = 2_000_000
_REQUEST_MS: Final = 30_000
#: Requests of a restore: DeleteRecords and AlterConfigs.
_NEEDED: Final = frozenset({21, 33})
_STAMP: Final = "message.timestamp.type"
_RETENTION: Final = "retention.ms"

Keep = Callable[[bytes], Awaitable[str]]


async def keeps_offsets(settings: Settings) -> bool:
    """Whether this Kafka can be given a log back at its offsets. (The embedded one can't.)

    Raises what the client raises.
    """
    client = AIOKafkaClient(**settings.kafka_kwargs(), request_timeout_ms=_REQUEST_MS)
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), ApiVersionRequest())
    finally:
        await client.close()
    return {key for key, *_ in answer.api_versions} >= _NEEDED


async def take_state(settings: Settings, partitions: int, keep: Keep) -> dict[int, tuple[int, tuple[str, ...]]]:
    """By partition: the place up to which the worker's state is saved, and the blobs of its changelog.

    Raises what the client raises, DependencyError if the changelog is shortened again and again meanwhile.
    """
    topic = changelog_topic(settings)
    for _ in range(_TRIES):
        positions = {p: Positions() for p in range(partitions)}
        packing = {p: _Packing(keep) for p in range(partitions)}
        async with _reading(settings, topic, partitions) as log:
            begins = dict(log.begins)
            async for partition, record in log.records():
                if record.value is not None:
                    positions[partition].add(record.value)
                    await packing[partition].add(record.value)
            if begins != await log.beginnings():
                continue  # it was shortened while it was read: what was read may lack what has been written again
        async with _reading(settings, settings.events_topic, partitions) as events:
            found: dict[int, tuple[int, tuple[str, ...]]] = {}
            for p in range(partitions):
                position = positions[p].complete
                # Nothing was folded of it yet: all that there is comes next.
                found[p] = (events.begins[p], ()) if position is None else (position, await packing[p].end())
            behind = sum(max(0, end - found[p][0]) for p, end in events.ends.items())
        if behind > MOST_BEHIND:
            raise DependencyError(
                "the worker has {behind} records to count: back up when it has caught up (`streamgauge doctor`)",
                behind=f"{behind:,}",
            )
        return found
    raise DependencyError(
        "the topic {topic} was shortened {tries} times while it was read: try again", topic=topic, tries=_TRIES
    )


async def wait_for_archiver(settings: Settings, positions: Mapping[int, int]) -> None:
    """Return once everything before the positions is stored. Raises DependencyError if that doesn't come."""
    topic, deadline = settings.events_topic, time.monotonic() + _ARCHIVER_SECONDS
    async with beside_group(settings, f"{settings.group}-archiver") as consumer:
        tps = [TopicPartition(topic, p) for p in positions]
        consumer.assign(tps)
        begins = await consumer.beginning_offsets(tps)
        while True:
            stored = {tp: await consumer.committed(tp) for tp in tps}
            behind = sum(
                max(0, positions[tp.partition] - (begins[tp] if stored[tp] is None else stored[tp])) for tp in tps
            )
            if not behind:
                return
            if time.monotonic() > deadline:
                raise DependencyError(
                    "the archiver has not stored {behind} records that the worker has counted: is it "
                    "running? Back up when it has caught up (`streamgauge doctor`)",
                    behind=f"{behind:,}",
                )
            await asyncio.sleep(0.2)


async def take_tail(
    settings: Settings, state: Mapping[int, tuple[int, tuple[str, ...]]], keep: Keep
) -> tuple[LogPartition, ...]:
    """What came after the state's positions, with all that it was sent on for."""
    topic, partitions = settings.events_topic, len(state)
    async with _reading(settings, topic, partitions, {p: position for p, (position, _) in state.items()}) as log:
        ends = {p: max(end, state[p][0]) for p, end in log.ends.items()}
        tails = await log.all(ends)
        now = await log.ends_now()
        while (wanted := ends_with_causes(tails, ends, now)) != ends:
            ends = wanted
            for p, more in (await log.all(ends)).items():
                tails[p] += more
    found = []
    for p, (position, blobs) in sorted(state.items()):
        tail = tuple([await keep(blob) for blob in pack(tails[p])])
        found.append(LogPartition(position=position, end=ends[p], tail=tail, state=blobs))
    return tuple(found)


async def append_time(settings: Settings) -> bool:
    """Whether the broker sets the times of the events topic's records."""
    admin = AIOKafkaAdminClient(**settings.kafka_kwargs())
    await admin.start()
    try:
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.events_topic)])
        return any(
            entry[:2] == (_STAMP, "LogAppendTime")
            for answer in answers
            for *_, entries in answer.resources
            for entry in entries
        )
    finally:
        await admin.close()


async def refuse_topics(settings: Settings) -> None:
    """Raise UserError if one of our topics is there: a log is put back into an empty place only."""
    admin = AIOKafkaAdminClient(**settings.kafka_kwargs())
    await admin.start()
    try:
        there = set(await admin.list_topics())
    finally:
        await admin.close()
    if found := sorted(there & {settings.events_topic, settings.rejected_topic, changelog_topic(settings)}):
        raise UserError(
            "the topic {found} is at {kafka_bootstrap} already: restore into an empty Kafka, or "
            "into other topics (PIPELINE_EVENTS_TOPIC, PIPELINE_REJECTED_TOPIC, PIPELINE_GROUP)",
            found=found[0],
            kafka_bootstrap=settings.kafka_bootstrap,
        )


async def give_log(settings: Settings, log: KeptLog, repository: Repository, say: Callable[[str], None]) -> None:
    """Make the topics, with the log and the state in them as they were, and commit where each role goes on.

    Raises what the client raises, DependencyError if Kafka puts something elsewhere.
    """
    topic, partitions = settings.events_topic, len(log.partitions)
    admin = AIOKafkaAdminClient(**settings.kafka_kwargs())
    await admin.start()
    try:
        # Records keep the times that they had.
        made = NewTopic(topic, partitions, settings.replication, topic_configs={_STAMP: "CreateTime"})
        for _, code, *_ in (await admin.create_topics([made])).topic_errors:
            if code:
                raise for_code(code)(f"topic {topic} could not be created")
        await ensure_topics(settings)
        # Nothing of it is too old while it is put back.
        usual = await _retention(admin, topic)
        await _set(admin, topic, {_STAMP: "CreateTime", _RETENTION: "-1"})
        writer = _Writer(settings)
        await writer.start()
        try:
            oldest = await _fill(writer, topic, log, repository, say)
            found = await describe(settings)
            changelog = changelog_topic(settings)
            for p, one in enumerate(log.partitions):
                values = [value for blob in one.state for value in _unpacked(repository.get(blob))]
                renamed = (with_topic(value, found.id if found else "") for value in values)
                for base, batch in batches(
                    (KeptRecord(at, int(time.time() * 1000), None, value, ()) for at, value in enumerate(renamed)),
                    0,
                    len(values),
                ):
                    await writer.write(changelog, p, base, batch)
        finally:
            await writer.close()
        await admin.delete_records(
            {
                TopicPartition(topic, p): RecordsToDelete(one.position)
                for p, one in enumerate(log.partitions)
                if one.position
            }
        )
        stamp = {_STAMP: "LogAppendTime" if log.append_time else "CreateTime"}
        await _set(admin, topic, stamp | retention_for(usual, oldest, int(time.time() * 1000)))
    finally:
        await admin.close()
    for group in (settings.group, f"{settings.group}-archiver"):
        await _commit(settings, group, {p: one.position for p, one in enumerate(log.partitions)})


def retention_for(usual: int, oldest: int | None, now: int) -> dict[str, str]:
    """The setting of a topic whose oldest record is of the time `oldest`: the roles need some days to come to read it.

    `usual` is what it would have (-1: for ever), all in ms; nothing is set where that is enough.
    """
    needed = 0 if oldest is None else now - oldest + 7 * DAY
    return {_RETENTION: str(needed)} if 0 <= usual < needed else {}


async def _retention(admin: AIOKafkaAdminClient, topic: str) -> int:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    found = {entry[0]: entry[1] for answer in answers for *_, entries in answer.resources for entry in entries}
    return int(found.get(_RETENTION) or -1)


async def _set(admin: AIOKafkaAdminClient, topic: str, config: dict[str, str]) -> None:
    """These settings of a topic, and the broker's for all others."""
    for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)]):
        for code, message, *_ in answer.resources:
            if code:
                raise for_code(code)(f"the settings of {topic} can't be changed: {message}")


async def _fill(
    writer: _Writer, topic: str, log: KeptLog, repository: Repository, say: Callable[[str], None]
) -> int | None:
    """Put the log into the topic; the time of its oldest record, None if it has none."""
    full, oldest = filler(FILLER), None
    for p, one in enumerate(log.partitions):
        at = 0
        while at < one.position:
            count = min(FILLER, one.position - at)
            await writer.write(topic, p, at, full if count == FILLER else filler(count))
            at += count
        records = [record for blob in one.tail for record in unpack(repository.get(blob))]
        times = [record.timestamp for record in records if record.timestamp > 0]
        oldest = min([*times, oldest] if oldest is not None else times, default=None)
        for base, batch in batches(records, one.position, one.end):
            await writer.write(topic, p, base, batch)
        at_, n = f"{one.position:,}", f"{one.end - one.position:,}"
        say(Sentence("{topic} {p}: from offset {at}, {n} records", topic=topic, p=p, at=at_, n=n))
    return oldest


async def _commit(settings: Settings, group: str, positions: Mapping[int, int]) -> None:
    async with beside_group(settings, group) as consumer:
        offsets = {TopicPartition(settings.events_topic, p): OffsetAndMetadata(at, "") for p, at in positions.items()}
        consumer.assign(list(offsets))
        await consumer.commit(offsets)


class _Writer:
    """Puts batches at the offsets that they are meant for."""

    def __init__(self, settings: Settings) -> None:
        self._client = AIOKafkaClient(**settings.kafka_kwargs(), request_timeout_ms=_REQUEST_MS)

    async def start(self) -> None:
        await self._client.bootstrap()

    async def close(self) -> None:
        await self._client.close()

    async def write(self, topic: str, partition: int, base: int, batch: bytes) -> None:
        """One batch, acknowledged. Raises DependencyError if it comes to stand elsewhere."""
        deadline = time.monotonic() + _SILENT_SECONDS
        while True:
            await self._client.force_metadata_update()
            leader = self._client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader is not None and leader >= 0:
                break
            if time.monotonic() > deadline:
                raise DependencyError(
                    "the topic {topic} has no leader of partition {partition}", topic=topic, partition=partition
                )
            self._client.add_topic(topic)
            await asyncio.sleep(0.1)
        request = ProduceRequest(None, -1, _REQUEST_MS, [(topic, [(partition, batch)])])
        answer = await self._client.send(leader, request)
        _, ((_, code, at, *_),) = answer.topics[0]
        if code:
            raise for_code(code)(f"partition {partition} of {topic} takes no records")
        if at != base:
            raise DependencyError(
                "partition {partition} of {topic} is not empty: offset {base} was taken by others",
                partition=partition,
                topic=topic,
                base=base,
            )


class _Reading:
    """The records of a topic from where it begins, or from given offsets, to where it ended when this began."""

    def __init__(self, consumer: LogConsumer, topic: str, partitions: int, since: Mapping[int, int] | None) -> None:
        self._consumer, self._tps = consumer, [TopicPartition(topic, p) for p in range(partitions)]
        self._since, self._at = since, dict[int, int]()
        self.begins: dict[int, int] = {}
        self.ends: dict[int, int] = {}

    async def open(self) -> None:
        self._consumer.assign(self._tps)
        self.begins, self.ends = await self.beginnings(), await self.ends_now()
        for tp in self._tps:
            at = self.begins[tp.partition] if self._since is None else self._since[tp.partition]
            if at < self.begins[tp.partition]:
                raise DependencyError(
                    "{topic} {partition} begins at {begins}, after {at}",
                    topic=tp.topic,
                    partition=tp.partition,
                    begins=self.begins[tp.partition],
                    at=at,
                )
            self._at[tp.partition] = at
            self._consumer.seek(tp, at)

    async def beginnings(self) -> dict[int, int]:
        return {tp.partition: at for tp, at in (await self._consumer.beginning_offsets(self._tps)).items()}

    async def ends_now(self) -> dict[int, int]:
        return {tp.partition: at for tp, at in (await self._consumer.end_offsets(self._tps)).items()}

    async def records(self, ends: Mapping[int, int] | None = None) -> Any:
        """Partition and record, up to the ends."""
        upto, moved_at = ends or self.ends, time.monotonic()
        while any(self._at[p] < end for p, end in upto.items()):
            fetched = await self._consumer.getmany(timeout_ms=200, max_records=5_000)
            for tp in self._tps:
                p = tp.partition
                for record in fetched.get(tp, ()):
                    if self._at[p] <= record.offset < upto[p]:
                        yield p, record
                read_to = self._consumer.read_to(tp)
                if read_to is not None and read_to > self._at[p]:
                    self._at[p], moved_at = min(read_to, max(upto[p], self._at[p])), time.monotonic()
                    if read_to > upto[p]:
                        self._consumer.seek(tp, self._at[p])
            if time.monotonic() - moved_at > _SILENT_SECONDS:
                raise DependencyError(
                    "{topic} can't be read to its end: no answer for {silent_seconds} s",
                    topic=self._tps[0].topic,
                    silent_seconds=f"{_SILENT_SECONDS:.0f}",
                )

    async def all(self, ends: Mapping[int, int]) -> dict[int, list[KeptRecord]]:
        """The records up to the ends that were not read yet, by partition."""
        found: dict[int, list[KeptRecord]] = {tp.partition: [] for tp in self._tps}
        async for p, record in self.records(ends):
            headers = tuple((name, value) for name, value in record.headers)
            found[p].append(KeptRecord(record.offset, record.timestamp or 0, record.key, record.value, headers))
        return found


class _reading:  # noqa: N801 - reads as a word
    def __init__(self, settings: Settings, topic: str, partitions: int, since: Mapping[int, int] | None = None) -> None:
        self._consumer = LogConsumer(**settings.kafka_kwargs(), enable_auto_commit=False, fetch_max_wait_ms=100)
        self._reading = _Reading(self._consumer, topic, partitions, since)

    async def __aenter__(self) -> _Reading:
        await self._consumer.start()
        try:
            await self._reading.open()
        except BaseException:
            await self._consumer.stop()
            raise
        return self._reading

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()


class _Packing:
    """Checkpoints of a partition on their way into blobs."""

    def __init__(self, keep: Keep) -> None:
        self._keep, self._waiting, self._size = keep, list[bytes](), 0
        self._blobs: list[str] = []

    async def add(self, value: bytes) -> None:
        self._waiting.append(value)
        self._size += len(value)
        if self._size >= BLOB_BYTES:
            await self._pack()

    async def end(self) -> tuple[str, ...]:
        if self._waiting:
            await self._pack()
        return tuple(self._blobs)

    async def _pack(self) -> None:
        self._blobs.append(await self._keep(msgpack.packb(self._waiting)))
        self._waiting, self._size = [], 0


def _unpacked(blob: bytes) -> list[bytes]:
    try:
        found = msgpack.unpackb(blob)
    except (ValueError, msgpack.UnpackException):
        found = None
    if not isinstance(found, list) or not all(isinstance(value, bytes) for value in found):
        raise UserError("the back-up is damaged: the worker's state can't be read")
    return found
