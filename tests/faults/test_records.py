"""Records in the wrong place, and records of another time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from chaos.literal import Produced, assert_exact, event, produce
from chaos.watched import until
from chaos.world import World

pytestmark = pytest.mark.faults

DAY = 86_400_000


async def _started(new_world: Any, **changes: Any) -> World:
    world: World = await new_world(workers=1, archivers=1, **changes)
    for role in world.roles.values():
        role.start()
    await world.ready()
    return world


def _home(actor: str, partitions: int) -> int:
    return int((murmur2(actor.encode()) & 0x7FFFFFFF) % partitions)


async def _longer(world: World, than: int) -> bool:
    return sum((await world.ends()).values()) >= than


async def _archived(world: World) -> bool:
    return await world.archived() == {p: end for p, end in (await world.ends()).items() if end}


async def _folded(world: World) -> bool:
    return sum((await world.live_totals()).values()) == sum((await world.ends()).values())


@pytest.mark.parametrize("key", ["none", "another", "its own, in the wrong partition"])
async def test_a_record_in_the_wrong_partition_is_counted_once_at_home(new_world: Any, key: str) -> None:
    world = await _started(new_world)
    records = []
    for n in range(200):
        record = event(n, actor=f"u{n % 20}")
        if key == "none":
            records.append(record._replace(key=None, partition=n % 4))
        elif key == "another":
            records.append(record._replace(key=b"device-%d" % n))
        else:
            records.append(record._replace(partition=(_home(f"u{n % 20}", 4) + 1) % 4))
    await produce(world, records)
    truth = await assert_exact(world)
    assert truth.totals()["accepted"] == 200
    assert truth.totals()["forwarded"] > 100
    rows = await world.query("SELECT actor, uniqExact(partition), any(partition), count() FROM events GROUP BY actor")
    assert sorted(rows) == sorted([f"u{n}", 1, _home(f"u{n}", 4), 10] for n in range(20))


@pytest.mark.parametrize("archiver", ["goes on", "takes over in between"])
async def test_a_record_sent_on_twice_is_counted_once(new_world: Any, archiver: str) -> None:
    """A worker that dies after sending on and before its checkpoint sends on again."""
    world = await _started(new_world, checkpoint_interval_s=600)
    await produce(world, [event(n)._replace(partition=(_home(f"u{n % 10}", 4) + 1) % 4) for n in range(50)])
    for kills in (1, 2):
        await until(lambda kills=kills: _longer(world, 50 + 50 * kills), "the records are sent on")
        if archiver == "takes over in between":
            await until(lambda: _archived(world), "all is archived")
            world.archivers[0].kill()
            world.archivers[0].start()
        world.workers[0].kill()
        world.workers[0].start()
        await world.ready(world.workers[0])
    for _ in range(2):  # a stop makes a checkpoint; the second one of what the first has not read any more
        await until(lambda: _folded(world), "all is folded")
        code, _ = await world.workers[0].terminate()
        assert code == 0
        world.workers[0].start()
    truth = await assert_exact(world)
    assert truth.totals()["accepted"] == 50
    assert truth.totals()["forwarded_again"] >= 50


async def test_last_months_log_again_changes_neither_today_nor_last_month(new_world: Any) -> None:
    world = await _started(new_world, partitions=1)
    now = int(time.time() * 1000)
    month_ago = now - 30 * DAY
    last_month = [event(n, now=month_ago + n * 1000) for n in range(100)]
    await produce(world, last_month)
    await assert_exact(world)
    # Ids are remembered until there have been events in two further half horizons.
    await produce(world, [event(500 + n, now=now - days * DAY) for n, days in enumerate((20, 10))])
    await produce(world, [event(1000 + n, now=now) for n in range(50)])
    await assert_exact(world)
    windows = "SELECT grain, start, dimension, value, events, users FROM live_activity ORDER BY ALL"
    before = await world.query(windows)
    # Last month's topic is copied into this one: the ids are forgotten by now, so these are events again. Late ones.
    await produce(world, last_month)
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 152, "late": 100}
    assert await world.query(windows) == before
    await produce(world, [event(2000 + n, now=now) for n in range(50)])
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 202, "late": 100}
    day = now // DAY * DAY
    assert await world.query(
        "SELECT sum(events) FROM live_activity WHERE grain = 'day_utc' AND dimension = '' "
        f"AND toUnixTimestamp64Milli(start) = {day}"
    ) == [[100]]


async def test_a_clock_that_is_far_ahead_does_not_expire_anybodys_windows(new_world: Any) -> None:
    world = await _started(new_world, partitions=1)
    await produce(world, [event(1), event(2, ago_ms=-400 * DAY), event(3, ago_ms=60_000)])
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 2, "rejected": 1}


async def test_a_bad_record_stops_nobody(new_world: Any) -> None:
    world = await _started(new_world)
    bad = [None, b"", b"\xff\xfe", b"{" * 5000, b"[" * 100_000, b'{"event":1}', b"x" * 900_000]
    await produce(world, [event(1), *(Produced(value, b"k%d" % n) for n, value in enumerate(bad)), event(2)])
    truth = await assert_exact(world)
    assert truth.totals() == {"accepted": 2, "rejected": len(bad)}
