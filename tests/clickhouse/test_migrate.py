"""A database that a newer version has migrated is refused: this one doesn't know what its columns mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.settings import Settings


@pytest.mark.usefixtures("needs_embedded")
async def test_a_database_of_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    async with EmbeddedClickHouse(tmp_path) as server:
        settings = Settings(**server.access)
        assert await migrate(settings) != []
        assert await migrate(settings) == []
        client = await connect(settings)
        rows = [["9001_clouds.sql", "c"], ["9000_rain.sql", "r"]]
        await client.insert("schema_migrations", rows, column_names=["name", "checksum"])
        await client.close()
        with pytest.raises(UserError) as caught:
            await migrate(settings)
        assert str(caught.value) == (
            "the database streamgauge has 9000_rain.sql, 9001_clouds.sql, which this version of Streamgauge doesn't "
            "know: go on with the version that applied it, or use another PIPELINE_CLICKHOUSE_DATABASE"
        )
