"""A log that is not one record after the other: transactions, gaps, topics that change, records of strangers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError
from chaos.literal import event, produce
from chaos.raw import Raw, RawProducer, bomb
from chaos.watched import until
from chaos.world import Role, World
from kafka_harness.reading import read_log

from pipeline.queries.verify import verify

pytestmark = pytest.mark.faults


async def _started(new_world: Any, **changes: Any) -> World:
    world: World = await new_world(workers=1, archivers=1, **{"partitions": 1, **changes})
    for role in world.roles.values():
        role.start()
    await world.ready()
    return world


async def _totals(world: World, **right: int) -> None:
    """Wait until both roles count just this and have nothing left to read."""

    async def there() -> bool:
        live, health = await world.workers[0].ask("/live"), await world.archivers[0].ask("/health")
        return bool(live and health) and all(
            {name: n for name, n in found["totals"].items() if n} == right and found["lag"] == 0
            for found in (live, health)
            if found
        )

    def story() -> str:
        return "\n".join(role.last_words(5) for role in world.roles.values())

    await until(there, f"both count {right}", 120, story)


async def _ended(world: World, code: int, saying: str) -> None:
    """Wait until both roles have ended so, by themselves."""

    async def ended() -> bool:
        return not any(role.running for role in world.roles.values())

    await until(ended, "both have ended", 60)
    for role in world.roles.values():
        assert role.code == code, role.last_words(10)
        assert saying in role.last_words(1), role.last_words(10)


async def _admin(world: World, work: Callable[[AIOKafkaAdminClient], Any]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka_bootstrap)
    await admin.start()
    try:
        await work(admin)
    finally:
        await admin.close()


async def _delete_before(world: World, offset: int) -> None:
    tp = TopicPartition(world.settings.events_topic, 0)
    await _admin(world, lambda admin: admin.delete_records({tp: RecordsToDelete(offset)}))


async def _made_anew(world: World, partitions: int = 1) -> None:
    topic = world.settings.events_topic
    await _admin(world, lambda admin: admin.delete_topics([topic]))

    async def made() -> bool:
        try:
            await _admin(world, lambda admin: admin.create_topics([NewTopic(topic, partitions, 1)]))
        except KafkaError:
            return False
        return True

    await until(made, "the topic is made anew")


async def _transaction(producer: AIOKafkaProducer, world: World, numbers: range, *, commit: bool) -> None:
    await producer.begin_transaction()
    for n in numbers:
        record = event(n)
        await producer.send_and_wait(world.settings.events_topic, record.value, key=record.key)
    await (producer.commit_transaction() if commit else producer.abort_transaction())


async def test_transactions_committed_aborted_and_open(new_world: Any) -> None:
    world = await _started(new_world, watchdog_seconds=5)
    producer = AIOKafkaProducer(bootstrap_servers=world.settings.kafka_bootstrap, transactional_id="t1", acks="all")
    await producer.start()
    try:
        await _transaction(producer, world, range(3), commit=True)
        await _totals(world, accepted=3)
        await _transaction(producer, world, range(10, 13), commit=False)
        await _transaction(producer, world, range(20, 23), commit=False)
        await _totals(world, accepted=3)
        # The log ends with a marker, and whoever watches the groups' lag sees none.
        ends = await world.ends()
        assert ends == {0: 12}

        async def committed() -> bool:
            groups = (world.settings.group, f"{world.settings.group}-archiver")
            return all([await world.committed(group) == ends for group in groups])

        await until(committed, "what is no record is committed too")
        await producer.begin_transaction()
        await producer.send_and_wait(world.settings.events_topic, event(30).value, key=event(30).key)
        await produce(world, [event(40)])  # it waits behind the open transaction

        async def told() -> bool:
            health = await world.workers[0].ask("/health")
            return bool(health and health["ready"] and "transactions" in health["problems"])

        await until(told, "/health says what is waited for", 40)  # longer than the watchdog's time
        await _totals(world, accepted=3)
        await producer.commit_transaction()
        await _totals(world, accepted=5)
        assert all(role.running for role in world.roles.values())
    finally:
        await producer.stop()
    for role in world.roles.values():
        role.kill()
        role.start()
    await produce(world, [event(50), event(11)])  # an aborted id was never seen
    await until(lambda: _events(world, 7), "all are stored")
    assert (await verify(world.settings, world.plan)).ok


async def _events(world: World, number: int) -> bool:
    return bool(await world.query("SELECT count() FROM events") == [[number]])


async def test_records_that_were_deleted_before_they_were_read(new_world: Any) -> None:
    world = await _started(new_world)
    await produce(world, [event(n) for n in range(10)])
    await world.drained()
    for role in world.roles.values():
        assert (await role.terminate())[0] == 0
    await produce(world, [event(n) for n in range(10, 100)])
    await _delete_before(world, 60)
    for _ in range(2):  # at each restart again
        for role in world.roles.values():
            role.start()
        await world.ready()

        async def stated() -> bool:
            rows = await world.query(
                "SELECT role, partition, first_offset, end_offset, records FROM gaps ORDER BY role"
            )
            return bool(rows == [["archiver", 0, 10, 60, 50], ["worker", 0, 10, 60, 50]])

        await until(stated, "the gap is a row for analysts")
        await world.drained()
        health = await world.workers[0].ask("/health")
        assert health is not None
        assert health["ready"]
        assert health["problems"]["gaps"] == "records were gone from Kafka before they were counted: 50 of partition 0"
        for role in world.roles.values():
            assert (await role.terminate())[0] == 0, role.last_words(10)
    assert "partition 0: offsets 10 to 59 were gone from the log" in world.archivers[0].log.read_text()
    assert await world.query("SELECT count(), min(offset), max(offset) FROM events") == [[50, 0, 99]]
    checked = await verify(world.settings, world.plan)
    assert (checked.ok, checked.left_out, checked.records) == (True, {}, 50)


async def test_records_that_only_one_role_has_missed(new_world: Any) -> None:
    world = await _started(new_world)
    await produce(world, [event(n) for n in range(10)])
    await world.drained()
    assert (await world.archivers[0].terminate())[0] == 0
    await produce(world, [event(n) for n in range(10, 100)])

    async def counted() -> bool:
        return sum((await world.live_totals()).values()) == 100

    await until(counted, "the worker has counted")
    await _delete_before(world, 60)
    world.archivers[0].start()
    await world.drained()
    health = await world.archivers[0].ask("/health")
    assert health is not None
    assert health["problems"] == {"gaps": "records were gone from Kafka before they were stored: 50 of partition 0"}
    checked = await verify(world.settings, world.plan)
    assert checked.ok
    assert checked.left_out == {
        0: "records were gone from Kafka before they were read (worker none; archiver 10 to 59)"
    }


@pytest.mark.parametrize("when", ["running", "stopped"])
@pytest.mark.parametrize("longer", [True, False])
async def test_a_topic_that_was_made_anew(new_world: Any, when: str, longer: bool) -> None:
    """Whether it has fewer or more records than were read of the old one."""
    world = await _started(new_world)
    await produce(world, [event(n) for n in range(10)])
    await world.drained()
    if when == "stopped":
        for role in world.roles.values():
            assert (await role.terminate())[0] == 0
    await _made_anew(world)
    await produce(world, [event(n) for n in range(100, 150 if longer else 103)])
    if when == "stopped":
        for role in world.roles.values():
            role.start()
    await _ended(world, 2, "was made anew")
    assert await world.query("SELECT max(event_id) FROM events") == [["e9"]]
    for role in world.roles.values():  # and they don't begin again
        role.start()
    await _ended(world, 2, "was made anew")


async def test_partitions_that_are_added(new_world: Any) -> None:
    world = await _started(new_world, partitions=2)
    await produce(world, [event(n) for n in range(10)])
    await world.drained()
    topic = world.settings.events_topic
    await _admin(world, lambda admin: admin.create_partitions({topic: NewPartitions(3)}))
    await _ended(world, 2, "partitions")
    for role in world.roles.values():
        role.start()
    await _ended(world, 2, "partitions")


async def test_records_that_no_client_library_sends(new_world: Any) -> None:
    world = await _started(new_world, partitions=2)
    async with RawProducer(world.settings.kafka_bootstrap, world.settings.events_topic) as raw:
        for partition in range(2):
            records = [
                Raw(event(n, actor=f"a{n}").value, b"k", headers)
                for n, headers in enumerate(
                    [
                        [(b"\xff\xfe", b"x")],
                        [(b"", None)],
                        [(b"trace", b"\xff")],
                        [(b"h%d" % n, b"") for n in range(100_000)] if partition == 0 else [],
                    ],
                    start=partition * 10,
                )
            ]
            await raw.send_records(partition, *records)
            await raw.send_records(partition, Raw(None), Raw(b""), Raw(None, b"\xff" * 900_000))
            # Forwarded with its headers it would be larger than the topic takes.
            large = event(partition * 10 + 5, actor=f"b{partition}", properties={"item_id": "i" * 200})
            await raw.send_records(partition, Raw(large.value, b"k", [(b"big", b"z" * 1_000_000)]))

    async def done() -> bool:
        totals = await world.live_totals()
        return totals.get("accepted") == 10 and totals.get("rejected") == 6

    await until(done, "all are counted", 60, world.workers[0].last_words)
    await world.drained()
    assert all(role.running for role in world.roles.values())
    assert await world.query("SELECT count(), uniqExact(actor) FROM events") == [[10, 10]]
    assert await world.query("SELECT reason, count() FROM rejected GROUP BY reason") == [["empty", 6]]
    assert (await verify(world.settings, world.plan)).ok


async def test_bombs_are_set_aside_by_both_roles_in_bounded_memory(new_world: Any) -> None:
    """A few KB in Kafka that are GBs, or millions of headers, once they are unpacked; and much of what is allowed."""
    world = await _started(new_world)
    async with RawProducer(world.settings.kafka_bootstrap, world.settings.events_topic) as raw:
        await raw.send_records(0, Raw(event(1).value, b"k"))
        for codec, megabytes in (("gzip", 100), ("lz4", 100), ("zstd", 200), ("snappy", 18)):
            await raw.send(0, bomb(codec, [Raw(event(100).value)], megabytes=megabytes))
        await raw.send(0, bomb("zstd", [Raw(b"", None, [(b"", None)] * 2_000_000, 0)]))
        # 240 MB in all, as 120 records.
        for _ in range(4):
            await raw.send(0, bomb("zstd", [Raw(bytes(2_000_000), None, (), 0)] * 30))
        await raw.send(0, bomb("zstd", [Raw(b"", None, [(b"", None)] * 1_000_000, 0)] * 5))
        await raw.send_records(0, Raw(event(2).value, b"k"))
    await _totals(world, accepted=2, rejected=6 + 120)
    for role in world.roles.values():
        status = Path(f"/proc/{role.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) >> 10
        assert peak < 1024, f"{role.name} took {peak} MB"
    await world.drained()
    query = "SELECT reason, detail, count(), max(length(value)) < 1048588 FROM rejected GROUP BY ALL ORDER BY ALL"
    assert await world.query(query) == [
        ["too_large", "2000000 bytes; an event may have 1000000", 120, False],
        [
            "unreadable",
            "BatchTooLargeError: a record of it has 18874377 bytes, and one in a compressed batch may have 2097152",
            1,
            True,
        ],
        [
            "unreadable",
            "BatchTooLargeError: a record of it has 4000009 bytes, and one in a compressed batch may have 2097152",
            1,
            True,
        ],
        ["unreadable", "BatchTooLargeError: its records have more than 300000 headers", 1, True],
        ["unreadable", "BatchTooLargeError: unpacked it is more than 67108864 bytes", 3, True],
    ]
    assert (await verify(world.settings, world.plan)).ok


async def test_a_forwarded_record_keeps_nothing_but_its_origin(new_world: Any) -> None:
    world = await _started(new_world, partitions=2)
    async with RawProducer(world.settings.kafka_bootstrap, world.settings.events_topic) as raw:
        record = event(1, actor="someone")
        for partition in range(2):
            await raw.send_records(partition, Raw(record.value, b"other", [(b"trace", b"1")]))
    await world.drained()
    totals = await world.live_totals()
    assert {name: n for name, n in totals.items() if n} == {"accepted": 1, "duplicate": 1, "forwarded": 1}
    logs = await read_log(world.settings.kafka_bootstrap, world.settings.events_topic)
    [forwarded] = [r for records in logs.values() for r in records if r.key == b"someone"]
    assert [name for name, _ in forwarded.headers] == ["streamgauge-origin"]


async def test_a_topic_too_small_for_what_has_to_be_sent_on_is_refused_at_the_start(new_world: Any) -> None:
    world: World = await new_world(workers=1, archivers=1, partitions=1)
    topic = f"{world.settings.events_topic}-small"
    config = {"max.message.bytes": "500000"}
    await _admin(world, lambda admin: admin.create_topics([NewTopic(topic, 1, 1, topic_configs=config)]))
    for role in world.roles.values():
        role._env["PIPELINE_EVENTS_TOPIC"] = topic
        role.start()
    await _ended(world, 2, "takes records of at most 500000 bytes (max.message.bytes)")


def _sparse(minutes: range) -> list[Any]:
    """An event a minute, two days ago: every window is its own."""
    return [event(n, ago_ms=(2880 - n) * 60_000) for n in minutes]


async def test_what_waits_for_clickhouse_is_bounded_and_the_rest_waits_in_kafka(new_world: Any) -> None:
    world = await _started(new_world, max_unpublished_rows=500)
    worker = world.workers[0]
    worker.clickhouse.cut()
    worker.clickhouse.refuse()
    for begin in range(0, 1000, 20):
        await produce(world, _sparse(range(begin, begin + 20)))

    async def holding() -> Any:
        health = await worker.ask("/health")
        return health if health and "holding" in health["problems"] else None

    health = await until(holding, "counting waits", 60, worker.last_words)
    assert not health["ready"]

    async def waiting() -> Any:
        live = await worker.ask("/live")
        return live if live and live["lag"] + live["totals"]["accepted"] == 1000 else None

    live = await until(waiting, "what Kafka keeps is told as lag", 20)
    assert 500 < live["unpublished"] < 1500
    assert live["lag"] > 500
    worker.clickhouse.accept()
    await world.drained()
    assert await world.query("SELECT count() FROM events") == [[1000]]
    checked = await verify(world.settings, world.plan)
    assert checked.ok, checked.differences[:3]
    health = await worker.ask("/health")
    assert health is not None
    assert (health["ready"], health["problems"]) == (True, {})


#: A worker with a mistake: folding an event of one actor raises, after it was accepted.
_MISTAKEN = """
import pipeline.measure.activity as activity
right = activity.Activity.fold
def fold(self, events, version):
    if any(event.actor == "poison" for event in events):
        raise KeyError("poison")
    return right(self, events, version)
activity.Activity.fold = fold
"""


async def test_a_worker_whose_folding_fails_ends_at_once_and_says_where(new_world: Any) -> None:
    world: World = await new_world(workers=1, archivers=1, partitions=1, watchdog_seconds=600)
    worker: Role = world.workers[0]
    worker.before = _MISTAKEN
    worker.start()
    await world.ready()
    await produce(world, [event(1), event(2, actor="poison"), event(3)])

    async def ended() -> bool:
        return not worker.running

    await until(ended, "it ends by itself", 30)
    assert worker.code == 3
    assert "folding failed: partition 0, offsets " in worker.last_words(1), worker.last_words(20)
    assert "KeyError('poison')" in worker.last_words(1)
    worker.before = ""
    worker.start()
    world.archivers[0].start()
    await world.drained()
    assert sum((await world.live_totals()).values()) == 3


async def test_health_says_that_kafka_is_silent(new_world: Any) -> None:
    world = await _started(new_world)
    said: list[Any] = []
    for role in world.roles.values():
        role.kafka.hold("down")

    async def told(role: Role) -> bool:
        health = await role.ask("/health")
        said.append(health)
        return bool(health and not health["ready"] and "kafka" in health["problems"])

    for role in world.roles.values():
        await until(lambda role=role: told(role), f"{role.name} says so", 30, lambda: str(said[-1]))
        role.kafka.heal()
    await world.ready()
