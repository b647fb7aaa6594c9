"""A ClickHouse for tests, and databases with our tables for those that want one each: to migrate one takes as much
work as most of these tests.

One that a test gives back is emptied and taken again by the next. A test that changes a table's definition must not
give its database back: it would be found out here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings

_numbers = count()
#: What is empty and waits for a test, by server (its folder: another one may get its port later) and settings.
_free: dict[tuple[str, str], list[Settings]] = {}
#: The definitions as the migrations made them.
_made: dict[str, dict[str, str]] = {}


@contextmanager
def running(folder: Path) -> Iterator[EmbeddedClickHouse]:
    """A ClickHouse on that folder until the end, for many tests: to start one takes a second."""
    server = EmbeddedClickHouse(folder, memory_limit=1 << 30)
    asyncio.run(server.start())
    try:
        yield server
    finally:
        asyncio.run(server.stop())


async def take(server: EmbeddedClickHouse, **settings: Any) -> Settings:
    """The settings for a database of its own, migrated and empty."""
    key = (str(server.users_file), repr(sorted(settings.items())))
    if waiting := _free.setdefault(key, []):
        return waiting.pop()
    found = Settings(**server.access, clickhouse_database=f"migrated{next(_numbers)}", **settings)
    await migrate(found)
    connection = Connection(found)
    try:
        _made[found.clickhouse_database] = await _definitions(connection)
    finally:
        await connection.close()
    return found


async def give_back(server: EmbeddedClickHouse, taken: Settings, **settings: Any) -> None:
    """Empty it, drop what the test has made in it, and let the next test have it."""
    connection = Connection(taken)
    try:
        made, found = _made[taken.clickhouse_database], await _definitions(connection)
        if more := [f"`{name}`" for name in found if name not in made]:
            await _run(connection, f"DROP TABLE {', '.join(more)} SYNC")
        for name, definition in made.items():
            if name == "owners" and found[name] != definition:  # the plan's, from the catalogue
                await _run(connection, definition.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
            if definition.startswith("CREATE TABLE") and name != "schema_migrations":
                await _run(connection, f"TRUNCATE TABLE `{name}`")
        assert await _definitions(connection) == made, "a test has changed the tables of a database it gave back"
    finally:
        await connection.close()
    _free[str(server.users_file), repr(sorted(settings.items()))].append(taken)


async def _definitions(connection: Connection) -> dict[str, str]:
    rows = await connection.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    )
    return dict(rows)


async def _run(connection: Connection, sql: str) -> None:
    await connection.run(lambda client: client.command(sql))
