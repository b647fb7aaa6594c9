"""A ClickHouse for a file of tests, each with a database of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    clickhouse = EmbeddedClickHouse(tmp_path_factory.mktemp("archiver"), memory_limit=1 << 30)
    asyncio.run(clickhouse.start())
    try:
        yield clickhouse
    finally:
        asyncio.run(clickhouse.stop())
