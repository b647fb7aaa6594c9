"""A running embedded ClickHouse for the tests of this folder: starting one takes a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from migrated import running

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@pytest.fixture(scope="package")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """One server for all tests that neither stop it nor need it empty; each uses tables of its own."""
    with running(tmp_path_factory.mktemp("embedded")) as clickhouse:
        yield clickhouse
