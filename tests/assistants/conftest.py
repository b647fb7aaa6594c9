"""A ClickHouse with a simulated shop in it, and assistants that ask a real `streamgauge mcp` about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from metrics.world import World
from migrated import running

from pipeline.archiver.load import load
from pipeline.clickhouse.client import connect
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.simulate import SHOP, History
from pipeline.simulate.devices import Devices
from schemas.duration import DAY
from schemas.plan_io import load_plan

END = 1_795_276_800_000  # midnight of 2026-11-22 in Shanghai


@pytest.fixture(scope="package")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("assistants")) as clickhouse:
        yield clickhouse


async def _simulated(server: EmbeddedClickHouse) -> World:
    plan = load_plan("shop")
    world = await World(server, plan).open()
    client = await connect(world.settings)
    history = History(SHOP, END - 28 * DAY, END, 20_000, 600, devices=Devices())
    await load(client, plan, history.records())
    await client.close()
    await world.connection.close()
    return world


@pytest.fixture(scope="package")
def shop(server: EmbeddedClickHouse) -> World:
    """Four weeks of the shop, the same whenever the tests run: 2026-10-25 to 2026-11-21."""
    return asyncio.run(_simulated(server))


@pytest.fixture
async def world(shop: World) -> AsyncIterator[World]:
    yield shop
    await shop.connection.close()
