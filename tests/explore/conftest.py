"""One ClickHouse for the tests of this folder, and in it the catalogue of one plan that the tests fill in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from metrics.world import World

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@pytest.fixture(scope="package")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    clickhouse = EmbeddedClickHouse(tmp_path_factory.mktemp("explore"), memory_limit=1 << 30)
    asyncio.run(clickhouse.start())
    try:
        yield clickhouse
    finally:
        asyncio.run(clickhouse.stop())


@pytest.fixture(scope="package")
def opened(server: EmbeddedClickHouse) -> World:
    return asyncio.run(World(server).open())


@pytest.fixture
async def world(opened: World) -> AsyncIterator[World]:
    yield opened
    await opened.connection.close()
