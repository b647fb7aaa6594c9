"""ClickHouse or Kafka away: live counting goes on, `/health` tells who is ill, and all arrives by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chaos.faults import supervise
from chaos.literal import assert_exact, event, produce, traffic
from chaos.watched import until
from chaos.world import Role, World

pytestmark = pytest.mark.faults


async def _started(new_world: Any, **changes: Any) -> World:
    world: World = await new_world(workers=1, archivers=1, **changes)
    for role in world.roles.values():
        role.start()
    await world.ready()
    return world


async def _counted(world: World, at_least: int) -> int:
    found = sum((await world.live_totals()).values())
    return found if found >= at_least else 0


async def _problem(role: Role, name: str) -> str:
    health = await role.ask("/health")
    return str(health["problems"].get(name, "")) if health else ""


@pytest.mark.parametrize("way", ["killed", "frozen", "refusing", "silent"])
async def test_live_counting_goes_on_without_clickhouse(new_world: Any, way: str) -> None:
    world = await _started(new_world, clickhouse_timeout_s=3)
    (worker,), (archiver,) = world.workers, world.archivers
    clickhouse = world.ground.clickhouse
    async with traffic(world, seed=31, rate=1000):
        await until(lambda: _counted(world, 1000), "the live count")
        if way == "killed":
            clickhouse.kill()
        elif way == "frozen":
            clickhouse.pause()
        for role in (worker, archiver):
            if way == "refusing":
                role.clickhouse.cut()
                role.clickhouse.refuse()
            elif way == "silent":
                role.clickhouse.hold()
        before = await _counted(world, 0)
        began = {role.name: role.memory_mb() for role in (worker, archiver)}
        for role in (worker, archiver):
            await until(lambda role=role: _problem(role, "clickhouse"), f"/health of the {role.kind}", 20)
        await until(lambda: _counted(world, before + 8000), "8,000 more records counted live", 30)
        health = await worker.ask("/health")
        assert health
        assert health["ready"], "live numbers go on, so it stays in service"
        for role in (worker, archiver):
            assert role.memory_mb() - began[role.name] < 150
    world.ground.heal()
    truth = await assert_exact(world)
    assert truth.totals()["accepted"] > 8000
    for role in (worker, archiver):
        await until(lambda role=role: _not(_problem(role, "clickhouse")), f"the {role.kind} says that all is well", 30)


async def _not(answer: Any) -> bool:
    return not await answer


async def test_a_column_that_somebody_dropped_and_brings_back(new_world: Any) -> None:
    world = await _started(new_world)
    (archiver,) = world.archivers
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    await world.query("ALTER TABLE events_raw DROP COLUMN properties")
    await produce(world, [event(n) for n in range(100, 200)])
    problem = await until(lambda: _problem(archiver, "clickhouse"), "/health of the archiver")
    assert "properties" in problem
    await until(lambda: _counted(world, 200), "the live count")
    await world.query("ALTER TABLE events_raw ADD COLUMN properties String DEFAULT '{}'")
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 200}
    assert await world.query("SELECT count() FROM events WHERE properties LIKE '%i1%'") == [[100]]


@pytest.mark.parametrize("way", ["SIGKILL", "SIGTERM"])
async def test_kafka_restarts(new_world: Any, way: str) -> None:
    world = await _started(new_world)
    supervisor = asyncio.create_task(supervise(world, lambda line: None))
    try:
        async with traffic(world, seed=32, rate=400):
            for _ in range(2):
                await world.goes_on(1000)
                kafka = world.ground.kafka
                await asyncio.to_thread(kafka.kill if way == "SIGKILL" else kafka.stop)
                await asyncio.sleep(2)  # so long it is away
                await asyncio.to_thread(kafka.start)
            await world.goes_on(500)
        await assert_exact(world)
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)
