"""The harness itself: what tests of promises may take for granted about Kafka and the faults."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import InvalidSessionTimeoutError

from kafka_harness import KafkaServer, spawn
from kafka_harness.fixtures import NewTopic
from kafka_harness.reading import read_log, until

pytestmark = pytest.mark.faults
TESTS = Path(__file__).parents[1]


@asynccontextmanager
async def producer(bootstrap: str, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=15000, **settings)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def member(bootstrap: str, topic: str, group: str, session_ms: int) -> AsyncIterator[Any]:
    client: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 4,
        auto_offset_reset="earliest",
    )
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def values(kafka: KafkaServer, topic: str) -> list[bytes | None]:
    return [record.value for record in (await read_log(kafka.bootstrap, topic))[0]]


async def test_what_is_produced_through_one_proxy_is_consumed_through_another(
    kafka: KafkaServer, new_topic: NewTopic
) -> None:
    topic = new_topic(3)
    one, other = kafka.proxies
    sent = [b"%d" % number for number in range(300)]
    async with producer(one.address) as client:
        for number, value in enumerate(sent):
            await client.send(topic, value, partition=number % 3)
        await client.flush()
    async with member(other.address, topic, f"{topic}-readers", 6000) as reader:
        got = [(await reader.getone()).value for _ in sent]
    assert sorted(got) == sorted(sent)


async def test_every_byte_of_a_client_passes_its_proxy(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    proxy, other = kafka.proxies
    async with producer(proxy.address) as client, producer(other.address) as lucky:
        await client.partitions_for(topic)
        proxy.refuse()
        proxy.cut()
        waits = await client.send(topic, b"stranded")
        await lucky.send_and_wait(topic, b"other way")
        assert await values(kafka, topic) == [b"other way"]
        assert not waits.done()
        proxy.accept()
        await waits
    assert await values(kafka, topic) == [b"other way", b"stranded"]


async def test_a_held_produce_waits_and_release_completes_it(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    proxy = kafka.proxies[0]
    async with producer(proxy.address) as client:
        await client.send_and_wait(topic, b"first")
        proxy.hold("up")
        second = await client.send(topic, b"second")
        await until(lambda: proxy.waiting("up") > 0, "the request is held")
        assert await values(kafka, topic) == [b"first"]
        assert not second.done()
        proxy.release()
        assert (await second).offset == 1
    assert await values(kafka, topic) == [b"first", b"second"]


@pytest.mark.parametrize(
    ("idempotent", "kept"), [(True, [b"once?"]), (False, [b"once?", b"once?"])], ids=["idempotent", "plain"]
)
async def test_a_lost_acknowledgement_doubles_a_record_unless_idempotent(
    kafka: KafkaServer, new_topic: NewTopic, idempotent: bool, kept: list[bytes]
) -> None:
    topic = new_topic()
    proxy = kafka.proxies[0]
    async with producer(proxy.address, enable_idempotence=idempotent) as client:
        await client.partitions_for(topic)
        proxy.hold("down")
        sent = await client.send(topic, b"once?")
        await until(lambda: proxy.waiting("down") > 0, "the acknowledgement is held")
        assert await values(kafka, topic) == [b"once?"]
        assert not sent.done()
        proxy.cut()
        proxy.release()
        await sent
    assert await values(kafka, topic) == kept


async def test_kill_and_restart_keep_what_was_acknowledged(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    proxy = kafka.proxies[0]
    async with producer(proxy.address, enable_idempotence=True) as client:
        for number in range(200):
            await client.send(topic, b"%d" % number)
        await client.flush()
        kafka.kill()
        assert not kafka.running
        after = await client.send(topic, b"200")
        await asyncio.to_thread(kafka.start)
        await after  # the same client goes on
    assert await values(kafka, topic) == [b"%d" % number for number in range(201)]


async def test_stop_and_restart_keep_everything(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    async with producer(kafka.bootstrap) as client:
        await client.send_and_wait(topic, b"kept")
    before = kafka.pid
    kafka.restart()
    assert kafka.pid != before
    assert await values(kafka, topic) == [b"kept"]


async def test_a_frozen_server_answers_when_it_is_resumed(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    proxy = kafka.proxies[0]
    async with producer(proxy.address) as client:
        await client.partitions_for(topic)
        kafka.pause()
        sent = await client.send(topic, b"cold")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.shield(sent)
        kafka.resume()
        assert (await sent).offset == 0


async def test_log_append_time_overrides_the_producers_clock(kafka: KafkaServer, new_topic: NewTopic) -> None:
    appended = new_topic(message_timestamp_type="LogAppendTime")
    created = new_topic()
    before = time.time_ns() // 1_000_000
    async with producer(kafka.bootstrap) as client:
        for topic in (appended, created):
            await client.send_and_wait(topic, b"x", timestamp_ms=1_000)
    [of_server] = (await read_log(kafka.bootstrap, appended))[0]
    [of_producer] = (await read_log(kafka.bootstrap, created))[0]
    assert (of_producer.timestamp_type, of_producer.timestamp) == (0, 1_000)
    assert of_server.timestamp_type == 1
    assert before <= of_server.timestamp <= time.time_ns() // 1_000_000


async def test_deleted_records_leave_a_later_beginning(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    where = TopicPartition(topic, 0)
    async with producer(kafka.bootstrap) as client:
        for number in range(10):
            await client.send_and_wait(topic, b"%d" % number)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        assert await admin.delete_records({where: RecordsToDelete(before_offset=7)}) == {where: 7}
    finally:
        await admin.close()
    assert await values(kafka, topic) == [b"7", b"8", b"9"]


@pytest.mark.parametrize("session_ms", [1000, 6000])
async def test_a_lone_member_joins_without_waiting_for_its_session(
    kafka: KafkaServer, new_topic: NewTopic, session_ms: int
) -> None:
    topic = new_topic(2)
    began = time.monotonic()
    async with member(kafka.bootstrap, topic, f"{topic}-group", session_ms) as client:
        await until(lambda: len(client.assignment()) == 2, "both partitions are assigned", seconds=5)
        print(f"joined in {time.monotonic() - began:.2f} s")


async def test_a_session_under_a_second_is_refused(kafka: KafkaServer, new_topic: NewTopic) -> None:
    topic = new_topic()
    with pytest.raises(InvalidSessionTimeoutError):
        async with member(kafka.bootstrap, topic, f"{topic}-group", 900):
            pass


_MEMBER = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer

async def main(bootstrap, topic, group):
    client = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group,
                              session_timeout_ms=1000, heartbeat_interval_ms=250)
    await client.start()
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_partitions_of_a_killed_member_move_to_the_other(
    kafka: KafkaServer, new_topic: NewTopic, tmp_path: Path
) -> None:
    topic = new_topic(4)
    group = f"{topic}-group"
    async with member(kafka.bootstrap, topic, group, 1000) as survivor:
        await until(lambda: len(survivor.assignment()) == 4, "the first member has all")
        command = [sys.executable, "-c", _MEMBER, kafka.bootstrap, topic, group]
        victim = spawn(command, tmp_path / "victim.log")
        try:
            await until(lambda: len(survivor.assignment()) == 2, "they share")
            began = time.monotonic()
        finally:
            victim.kill()
            victim.wait()
        await until(lambda: len(survivor.assignment()) == 4, "the survivor has all again", seconds=5)
        print(f"moved in {time.monotonic() - began:.2f} s")


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie that nobody has waited for yet doesn't)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_a_spawned_process_dies_with_its_parent_and_only_then(tmp_path: Path) -> None:
    # Spawned in a thread that is gone when the process is looked at.
    script = (
        "import sys, threading, time; from pathlib import Path; from kafka_harness import spawn;"
        "start = lambda: print(spawn(['sleep', '300'], Path(sys.argv[1])).pid, flush=True);"
        "thread = threading.Thread(target=start); thread.start(); thread.join(); time.sleep(300)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
    await until(lambda: not alive(child), "the child is gone")
