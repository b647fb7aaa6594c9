"""The worker under faults: what it has committed is durable, and nobody's replay or late write changes a figure."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from chaos.literal import Produced, assert_exact, event, produce, traffic
from chaos.watched import until
from chaos.world import SESSION_SECONDS, World

from pipeline.simulate import Noise
from pipeline.topics import changelog_topic
from schemas.plan_io import ready_plans

pytestmark = pytest.mark.faults


async def _started(new_world: Any, workers: int = 1, **changes: Any) -> World:
    """The first worker and an archiver, ready."""
    world: World = await new_world(workers=workers, archivers=1, **changes)
    world.workers[0].start()
    world.archivers[0].start()
    await world.ready()
    return world


async def _let_in(world: World, topic: str, anything: bool) -> None:
    """Let a topic take records again, or none: then every one is older than the topic allows."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka_bootstrap)
    await admin.start()
    try:
        config = {"message.timestamp.before.max.ms": str(2**63 - 1) if anything else "0", "retention.ms": "-1"}
        for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)]):
            assert [resource[0] for resource in answer.resources] == [0], answer
    finally:
        await admin.close()


async def _counted(world: World, at_least: int) -> int:
    found = sum((await world.live_totals()).values())
    return found if found >= at_least else 0


async def test_nothing_is_committed_while_the_changelog_takes_nothing(new_world: Any) -> None:
    world = await _started(new_world)
    worker = world.workers[0]
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    committed = await world.committed(world.settings.group)
    await _let_in(world, changelog_topic(world.settings), anything=False)
    await produce(world, [event(n) for n in range(100, 200)])
    await until(lambda: _counted(world, 200), "the live count")

    async def kafka_is_ill() -> bool:
        health = await worker.ask("/health")
        return bool(health and "kafka" in health["problems"] and not health["ready"])

    await until(kafka_is_ill, "/health names kafka")
    await worker.tries(3)
    assert await world.committed(world.settings.group) == committed
    worker.kill()
    await _let_in(world, changelog_topic(world.settings), anything=True)
    worker.start()
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 200}


async def test_what_was_saved_and_not_committed_is_committed_after_the_restart(new_world: Any) -> None:
    world = await _started(new_world)
    worker = world.workers[0]
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    ends = {p: end for p, end in (await world.ends()).items() if end}
    worker.kill()

    async def back_to_the_beginning() -> bool:
        # Refused until Kafka has noticed that the worker is gone.
        member = AIOKafkaConsumer(
            bootstrap_servers=world.settings.kafka_bootstrap, group_id=world.settings.group, enable_auto_commit=False
        )
        await member.start()
        try:
            member.assign([TopicPartition(world.settings.events_topic, p) for p in ends])
            await member.commit({TopicPartition(world.settings.events_topic, p): 0 for p in ends})
        except KafkaError:
            return False
        finally:
            await member.stop()
        return True

    await until(back_to_the_beginning, "the commits are gone")
    assert set((await world.committed(world.settings.group)).values()) == {0}
    worker.start()

    async def committed() -> bool:
        found = await world.committed(world.settings.group)
        return {p: found[p] for p in ends} == ends

    await until(committed, "the marks of the restored partitions are committed")


async def test_nothing_is_committed_before_rejected_records_are_kept(new_world: Any) -> None:
    world = await _started(new_world)
    worker = world.workers[0]
    await produce(world, [event(n) for n in range(10)])
    await assert_exact(world)
    committed = await world.committed(world.settings.group)
    await _let_in(world, world.settings.rejected_topic, anything=False)
    await produce(world, [Produced(b"no event %d" % n, b"key%d" % n) for n in range(100)])
    await until(lambda: _counted(world, 110), "the live count")
    await worker.tries(3)
    assert await world.committed(world.settings.group) == committed
    worker.kill()
    await _let_in(world, world.settings.rejected_topic, anything=True)
    worker.start()
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 10, "rejected": 100}


@pytest.mark.parametrize("held", ["frozen", "silent to the worker"])
async def test_kafka_held_back_while_the_worker_runs_and_is_killed(new_world: Any, held: str) -> None:
    world = await _started(new_world)
    worker = world.workers[0]
    async with traffic(world, seed=21, rate=500):
        await until(lambda: _counted(world, 1000), "the live count")
        if held == "frozen":
            world.ground.kafka.pause()
        else:
            worker.kafka.hold("up")
        await asyncio.sleep(4)  # so long Kafka is away: nobody can say when the worker has felt it
        worker.kill()
        world.ground.kafka.resume()
        worker.kafka.cut()
        worker.kafka.release("up")
        worker.start()
    await assert_exact(world)


async def test_killed_again_and_again_under_traffic(new_world: Any) -> None:
    world = await _started(new_world)
    async with traffic(world, seed=22, rate=500):
        for _ in range(4):
            await world.ready(world.workers[0])
            await world.goes_on(1000)
            world.workers[0].kill()
            world.workers[0].start()
    await assert_exact(world)


async def test_everything_is_read_again_where_no_checkpoint_was_made(new_world: Any) -> None:
    """A replay of a record is not a duplicate of it."""
    world = await _started(new_world, checkpoint_interval_s=600)
    await produce(world, [event(n) for n in range(200)])
    await until(lambda: _counted(world, 200), "the live count")
    world.workers[0].kill()
    assert not any((await world.committed(world.settings.group)).values())
    world.workers[0].start()
    await until(lambda: _counted(world, 200), "the live count")
    assert await world.live_totals() == dict.fromkeys(await world.live_totals(), 0) | {"accepted": 200}
    code, _ = await world.workers[0].terminate()  # makes the checkpoint
    assert code == 0
    world.workers[0].start()
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 200}


async def test_an_event_that_was_counted_before_a_restart_is_a_duplicate_after_it(new_world: Any) -> None:
    world = await _started(new_world)
    events = [event(n) for n in range(100)]
    await produce(world, events)
    await assert_exact(world)
    for role in (world.workers[0], world.archivers[0]):
        role.kill()
        role.start()
    await produce(world, events)
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 100, "duplicate": 100}


async def test_committed_offsets_are_a_hint_and_not_the_truth(new_world: Any) -> None:
    world = await _started(new_world)
    worker = world.workers[0]
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    worker.kill()
    await produce(world, [event(n) for n in range(100, 200)])
    await asyncio.sleep(SESSION_SECONDS + 1)  # the group must be empty, which Kafka finds by its own clock
    # Somebody moves the group to the end of the log, past records that no state holds.
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=world.settings.kafka_bootstrap, group_id=world.settings.group, enable_auto_commit=False
    )
    await consumer.start()
    ends = {TopicPartition(world.settings.events_topic, p): end for p, end in (await world.ends()).items()}
    consumer.assign(list(ends))
    await consumer.commit(ends)
    await consumer.stop()
    worker.start()
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 200}


@pytest.mark.parametrize("way", ["SIGTERM", "SIGKILL"])
async def test_a_second_worker_joins_and_the_first_leaves(new_world: Any, way: str) -> None:
    world = await _started(new_world, workers=2)
    first, second = world.workers
    async with traffic(world, seed=23, rate=400):
        await until(lambda: _counted(world, 300), "the live count")
        second.start()
        await until(lambda: _owns(second, 2), "the second worker owns partitions", 40)
        await world.goes_on()
        if way == "SIGTERM":
            code, took = await first.terminate()
            assert code == 0, first.last_words(10)
            assert took < 10
        else:
            first.kill()
        await until(lambda: _owns(second, 4), "the second worker owns all partitions", 40)
    await assert_exact(world)


@pytest.mark.parametrize("interval", [0.3, 3.0])
async def test_a_worker_stopped_beyond_its_session_wakes_up(new_world: Any, interval: float) -> None:
    """What it writes then, to the changelog and to ClickHouse, is older than what the new owner wrote."""
    world = await _started(new_world, workers=2, checkpoint_interval_s=interval, publish_interval_s=0.2)
    first, second = world.workers
    second.start()
    await world.ready()
    async with traffic(world, seed=24, rate=400):
        for sleeper in (first, second, first):
            await until(lambda: _counted(world, 300), "the live count")
            await world.goes_on()
            sleeper.clickhouse.hold("up")  # rows that it is sending arrive when it is stale
            await until(lambda sleeper=sleeper: _sends_rows(sleeper), "rows on their way")
            sleeper.freeze()
            await asyncio.sleep(SESSION_SECONDS + 3)  # frozen for longer than its session is the point
            sleeper.clickhouse.release("up")
            sleeper.thaw()
            await world.goes_on()
    await assert_exact(world)


async def _all_folded(world: World) -> bool:
    rows = await world.query("SELECT partition, version FROM live_partition_raw FINAL WHERE version > 0")
    return dict(rows) == {p: end for p, end in (await world.ends()).items() if end}


async def _all_committed(world: World) -> bool:
    return await world.committed(world.settings.group) == {p: e for p, e in (await world.ends()).items() if e}


async def _passed_on(proxy: Any) -> bool:
    return bool(proxy.waiting("up") == 0)


async def _sends_rows(worker: Any) -> bool:
    # Whatever the size: where little has changed it is little, and nothing follows until that is answered.
    return bool(worker.clickhouse.waiting("up") > 0)


async def test_rows_that_a_former_owner_sent_arrive_after_the_last_ones(new_world: Any) -> None:
    world = await _started(new_world, workers=2, publish_interval_s=0.1)
    first, second = world.workers
    second.start()
    await world.ready()
    async with traffic(world, seed=26, rate=400):
        await until(lambda: _counted(world, 500), "the live count")
        first.clickhouse.hold("up")
        await until(lambda: _sends_rows(first), "rows on their way")
        first.freeze()
        await until(lambda: _owns(second, 4), "the second worker owns all partitions", 40)
        await world.goes_on()
    await until(lambda: _all_folded(world), "all is folded and published by the second worker", 40)
    first.clickhouse.release("up")
    await until(lambda: _passed_on(first.clickhouse), "the rows are with ClickHouse")
    first.kill()
    await assert_exact(world)


async def test_a_checkpoint_that_a_former_owner_sent_arrives_after_the_last_one(new_world: Any, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"{ready_plans()['shop']}\nidentity: {{link: never}}\n", "utf-8")
    world = await _started(new_world, workers=2, checkpoint_interval_s=1.0, plan=str(plan))
    first, second = world.workers
    second.start()
    await world.ready()
    # Nothing to reject, to send on or to tell: a checkpoint would wait until that is acknowledged, and never be sent.
    clean = Noise(malformed=0, no_key=0, wrong_key=0, wrong_partition=0)
    async with traffic(world, seed=27, rate=1000, noise=clean):
        await until(lambda: _counted(world, 500), "the live count")
        # From the next one on: held at any moment, nothing may be left to save, and without fetches nothing comes.
        first.kafka.hold_from(f"{world.settings.group}-state-changelog".encode())
        await until(lambda: _holds_requests(first), "a checkpoint on its way")
        first.freeze()
        await until(lambda: _owns(second, 4), "the second worker owns all partitions", 40)
        await world.goes_on()
    await until(lambda: _all_folded(world), "all is folded and published by the second worker", 40)
    # A checkpoint of the second one, after everything: what comes late comes after it.
    await until(lambda: _all_committed(world), "all is saved by the second worker", 40)
    first.kafka.release("up")
    await until(lambda: _passed_on(first.kafka), "the checkpoint is with Kafka")
    first.kill()
    second.kill()
    second.start()  # and reads what came last
    await produce(world, [event(n) for n in range(20)])
    await assert_exact(world)


async def _holds_requests(role: Any) -> bool:
    return bool(role.kafka.holds("up") and role.kafka.waiting("up"))


async def _owns(role: Any, number: int) -> bool:
    health = await role.ask("/health")
    return bool(health and health["ready"] and len(health["partitions"]) >= number)


async def test_sigterm_drains_and_leaves_the_group(new_world: Any) -> None:
    world = await _started(new_world, checkpoint_interval_s=600, publish_interval_s=600)
    worker = world.workers[0]
    await produce(world, [event(n) for n in range(100)])
    await until(lambda: _counted(world, 100), "the live count")
    code, took = await worker.terminate()
    assert code == 0, worker.last_words(10)
    assert took < 10
    assert sum((await world.committed(world.settings.group)).values()) == 100
    assert await world.query("SELECT sum(accepted) FROM live_partition_raw FINAL") == [[100]]
    # It has said goodbye: a new one need not wait for the end of the old one's session.
    worker.start()
    await until(lambda: _owns(worker, 4), "owns everything", 30)


async def test_sigterm_in_the_middle_of_a_checkpoint(new_world: Any) -> None:
    """What a checkpoint that is under way holds is in no later one: it must reach the changelog, or none may follow."""
    world = await _started(new_world, checkpoint_interval_s=0.05)
    worker = world.workers[0]
    # With every batch there is something to send aside, and a checkpoint waits for that first.
    async with traffic(world, seed=25, rate=400, noise=Noise(malformed=0.2, wrong_key=0.2)):
        for n in range(4):
            await until(lambda: _counted(world, 300), "the live count")
            worker.kafka.delay(150)  # an acknowledgement takes 300 ms: there is always a checkpoint under way
            await asyncio.sleep(1 + 0.1 * n)  # each time another moment of a checkpoint
            code, _ = await worker.terminate()
            # With Kafka so slow, a stop on busy cores may take longer than it may: then it is cut short, and says so.
            assert code == 0 or (code == 3 and "the stop took longer than 10 s" in worker.last_words(10))
            worker.kafka.delay(0)
            worker.start()
    await assert_exact(world)


async def test_sigterm_while_clickhouse_is_silent(new_world: Any) -> None:
    world = await _started(new_world)
    worker = world.workers[0]
    worker.clickhouse.hold()
    await produce(world, [event(n) for n in range(100)])
    await until(lambda: _counted(world, 100), "the live count")
    code, took = await worker.terminate()
    assert code == 0, worker.last_words(10)
    assert took < 10
    assert sum((await world.committed(world.settings.group)).values()) == 100
    worker.clickhouse.release()
    worker.start()
    await assert_exact(world)


@pytest.mark.parametrize("way", ["gone", "frozen"])
async def test_sigterm_while_kafka_is_away(new_world: Any, way: str) -> None:
    """Nothing can be saved then; it must end in time all the same."""
    world = await _started(new_world)
    worker, kafka = world.workers[0], world.ground.kafka
    async with traffic(world, seed=28, rate=300):
        await until(lambda: _counted(world, 300), "the live count")
        (kafka.kill if way == "gone" else kafka.pause)()
        await asyncio.sleep(1)  # so long Kafka is away before the signal
        code, took = await worker.terminate()
        assert code is not None, worker.last_words(10)
        assert took < 12
        await asyncio.to_thread(world.ground.heal)
        worker.start()
    await assert_exact(world)


async def test_the_watchdog_ends_a_worker_that_gets_nothing_though_records_wait(new_world: Any) -> None:
    world = await _started(new_world, watchdog_seconds=4, partitions=1)
    worker = world.workers[0]
    worker.signal(signal.SIGSTOP)
    await produce(world, [event(n, properties={"item_id": "x" * 900}) for n in range(4000)])
    # A first answer tells how much waits (a fetch brings 1 MiB of 4), then Kafka is silent.
    worker.kafka.delay(150)
    worker.signal(signal.SIGCONT)
    await until(lambda: _counted(world, 100), "the first fetch")
    worker.kafka.hold()

    async def ended() -> bool:
        return not worker.running

    await until(ended, "the watchdog", 45, worker.last_words)
    assert worker.code == 3
    assert "BrokenPromiseError: no progress for 4 s with" in worker.last_words(1), worker.last_words(20)
    worker.kafka.heal()
    worker.kafka.cut()
    worker.start()
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 4000}
