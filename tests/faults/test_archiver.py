"""The archiver under faults: no row lost, none doubled, in the views and in the raw tables once merged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chaos.literal import assert_exact, event, produce, traffic
from chaos.watched import until
from chaos.world import SESSION_SECONDS, World

pytestmark = pytest.mark.faults


async def _raw(world: World, table: str = "events_raw") -> int:
    rows = await world.query(f"SELECT count() FROM {table}")
    return int(rows[0][0])


async def _started(new_world: Any, archivers: int = 1, **changes: Any) -> World:
    """A worker and the first archiver, ready."""
    world: World = await new_world(workers=1, archivers=archivers, **changes)
    world.workers[0].start()
    world.archivers[0].start()
    await world.ready()
    return world


async def test_what_waited_while_no_archiver_ran_is_archived_without_anything_new_coming(new_world: Any) -> None:
    world = await _started(new_world)
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    world.archivers[0].kill()
    await produce(world, [event(n) for n in range(100, 200)])
    world.archivers[0].start()
    truth = await assert_exact(world, 30)
    assert truth.totals() == {"accepted": 200}


async def test_killed_between_insert_and_commit(new_world: Any) -> None:
    world = await _started(new_world)
    archiver = world.archivers[0]
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    await world.query("SYSTEM STOP MERGES events_raw")
    archiver.kafka.hold("down")  # it gets what it has asked for already, and no answer to a commit
    await produce(world, [event(n) for n in range(100, 200)])
    archiver.kafka.release("down")
    archiver.kafka.hold("up")

    async def all_inserted() -> bool:
        return await _raw(world) >= 200

    try:
        await until(all_inserted, "the insert", 5)
    except AssertionError:
        # The fetch came too late: let another one through, and stop the commit behind it.
        archiver.kafka.release("up")
        await until(all_inserted, "the insert", 20)
    archiver.kill()
    archiver.kafka.cut()
    archiver.kafka.heal()
    archiver.start()
    await world.query("SYSTEM START MERGES events_raw")
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 200}


async def test_an_insert_whose_answer_was_lost(new_world: Any) -> None:
    world = await _started(new_world)
    archiver = world.archivers[0]
    await produce(world, [event(n) for n in range(100)])
    await assert_exact(world)
    before = await _raw(world)
    await world.query("SYSTEM STOP MERGES events_raw")
    archiver.clickhouse.hold("down")
    await produce(world, [event(n) for n in range(100, 200)])
    arrived = await until(lambda: _more(world, before), "the insert")
    archiver.clickhouse.cut()
    archiver.clickhouse.release("down")
    # Repeated: the table holds the rows twice until it merges, the view does not.
    await until(lambda: _more(world, arrived), "the same insert again")
    await world.query("SYSTEM START MERGES events_raw")
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 200}


async def _more(world: World, than: int) -> int:
    found = await _raw(world)
    return found if found > than else 0


async def _inserts(archiver: Any) -> bool:
    return bool(archiver.clickhouse.waiting("up") > 1000)


@pytest.mark.parametrize("frozen_in", ["the middle of an insert", "idleness"])
async def test_two_archivers_that_both_believe_they_own_a_partition(new_world: Any, frozen_in: str) -> None:
    world = await _started(new_world, archivers=2)
    first, second = world.archivers
    async with traffic(world, seed=11):
        await until(lambda: _more(world, 300), "rows")
        if frozen_in == "the middle of an insert":
            first.clickhouse.hold("up")
            await until(lambda: _inserts(first), "an insert on its way")
        first.freeze()
        second.start()
        await asyncio.sleep(SESSION_SECONDS + 2)  # frozen for longer than its session is the point
        here = await _raw(world)
        await until(lambda: _more(world, here), "rows of the second archiver")
        first.clickhouse.release("up")  # the old owner's insert arrives when the new owner is under way
        first.thaw()
        await world.goes_on()
    assert first.running
    await assert_exact(world)


async def test_sigterm_stores_and_commits_what_was_taken_in(new_world: Any) -> None:
    world = await _started(new_world, archiver_batch_seconds=60)
    archiver = world.archivers[0]
    await produce(world, [event(n) for n in range(100)])

    async def taken_in() -> bool:
        health = await archiver.ask("/health")
        return bool(health and health["totals"]["accepted"] == 100)

    await until(taken_in, "100 records taken in")
    assert await _raw(world) == 0
    archiver.wanted = False
    code, took = await archiver.terminate()
    assert (code, took < 10) == (0, True), archiver.last_words()
    assert await _raw(world) == 100
    assert sum((await world.committed(f"{world.settings.group}-archiver")).values()) == 100


async def test_killed_again_and_again_under_traffic(new_world: Any) -> None:
    world = await _started(new_world, archivers=2)
    world.archivers[1].start()
    async with traffic(world, seed=12, rate=400):
        for n in range(5):
            await world.goes_on(500)
            role = world.archivers[n % 2]
            role.kill()
            role.start()
    await assert_exact(world)
