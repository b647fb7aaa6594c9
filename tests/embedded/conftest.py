"""A running embedded ClickHouse for the tests of this folder: starting one takes a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@pytest.fixture(scope="package")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """One server for all tests that neither stop it nor need it empty; each uses tables of its own."""
    data_dir: Path = tmp_path_factory.mktemp("embedded")
    clickhouse = EmbeddedClickHouse(data_dir, memory_limit=1 << 30)
    asyncio.run(clickhouse.start())
    try:
        yield clickhouse
    finally:
        asyncio.run(clickhouse.stop())
