from __future__ import annotations

from collections.abc import Iterator

import pytest
from migrated import running

from pipeline.embedded.clickhouse import EmbeddedClickHouse


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way here: what is missing is missing."""
    monkeypatch.setattr("pipeline.queries.verify.CATCH_UP_SECONDS", 0.0)


@pytest.fixture(scope="package")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("verify")) as clickhouse:
        yield clickhouse
