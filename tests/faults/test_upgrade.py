"""What the version before left in Kafka and ClickHouse (`tests/data/before`) is read, folded on, and right."""

from __future__ import annotations

import asyncio
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from chaos.ground import Ground
from chaos.installation import Installation
from chaos.literal import produce
from chaos.world import World
from data.before.make import HERE, SETTINGS, event

from pipeline.queries.verify import verify

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("needs_kafka", "needs_embedded")]
#: Of 300 events one in 50 is none of the plan's; the version before had 270 of them.
GOOD = {n for n in range(300) if n % 50 != 49}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    with tarfile.open(HERE / "before.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
async def world(left: Path) -> AsyncIterator[World]:
    ground = Ground(left, 2)
    with open(left / "kafka" / "server.properties", "a") as file:
        file.write("log.retention.ms=-1\n")
    try:
        await asyncio.to_thread(ground.start)
        async with World(ground, left / "roles", workers=1, archivers=1, **SETTINGS) as found:
            yield found
    finally:
        await asyncio.to_thread(ground.close)


async def stored(world: Any) -> list[str]:
    return sorted(row[0] for row in await world.query("SELECT event_id FROM events"))


async def test_its_state_and_rows_are_taken_over_and_folded_on(world: World) -> None:
    assert await stored(world) == sorted(f"e{n}" for n in GOOD if n < 270), "nothing runs yet"
    for role in world.roles.values():
        role.start()
    await world.ready()
    assert {name: count for name, count in (await world.live_totals()).items() if count} == {
        "accepted": 265, "rejected": 5,
    }  # fmt: skip
    # Half a minute of events again, which are known; then what its users went on to do.
    await produce(world, map(event, range(240, 300)))
    await world.drained()
    found = {name: count for name, count in (await world.live_totals()).items() if count}
    assert found == {"accepted": 294, "duplicate": 29, "rejected": 7}
    assert await stored(world) == sorted(f"e{n}" for n in GOOD)
    rows = await world.query("SELECT sum(events), toInt64(sum(amount)) FROM live_activity "
                             "WHERE grain = 'day' AND dimension = ''")  # fmt: skip
    assert rows == [[294, sum(n for n in GOOD if n >= 270)]]
    rows = await world.query("SELECT step, sum(users) FROM live_funnel WHERE funnel = 'bought' AND breakdown = '' "
                             "GROUP BY step ORDER BY step")  # fmt: skip
    assert [row[1] for row in rows] == [30, 29]
    checked = await verify(world.settings, world.plan)
    assert (checked.differences, checked.moving) == ([], 0)
    assert checked.windows
    assert checked.funnels


async def test_up_goes_on_with_the_clickhouse_of_a_folder_of_before(left: Path) -> None:
    """It had a broker in memory: Kafka's log begins anew, as another stream; what was stored stays."""
    up = Installation(left, {"PIPELINE_PLAN": SETTINGS["plan"], "PIPELINE_PARTITIONS": "2"})
    shutil.move(left / "clickhouse", up.data / "clickhouse")
    try:
        await up.start()
        assert await stored(up) == sorted(f"e{n}" for n in GOOD if n < 270)
        assert {row[0] for row in await up.query("SELECT DISTINCT stream FROM events_raw")} == {"main"}
    finally:
        up.power_cut()
