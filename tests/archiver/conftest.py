"""A ClickHouse for a file of tests, each with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from migrated import running

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("archiver")) as clickhouse:
        yield clickhouse
