"""One ClickHouse for the tests of this folder, and in it one catalogue that the tests fill in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from metrics.world import ALIASED, World, worlds
from pipeline.embedded.clickhouse import EmbeddedClickHouse

server, opened, world = worlds("package")


@pytest.fixture(scope="package")
def opened_with_aliases(server: EmbeddedClickHouse) -> World:
    return asyncio.run(World(server, ALIASED).open())


@pytest.fixture
async def aliased(opened_with_aliases: World) -> AsyncIterator[World]:
    """A world where users have old ids, too."""
    yield opened_with_aliases
    await opened_with_aliases.connection.close()
