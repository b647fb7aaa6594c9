"""Migrations: numbered SQL files that bring ClickHouse to the current schema.

Every statement can run twice (IF NOT EXISTS, OR REPLACE), so two at once do no harm, and one that was cut off is
simply run again. A rename whose new name is taken was done by the run before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

from clickhouse_connect.driver.exceptions import DatabaseError

from pipeline.clickhouse import codes
from pipeline.clickhouse.client import connect, error_code, wait_for_clickhouse
from pipeline.errors import UserError
from pipeline.settings import Settings

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name String COMMENT 'file of the migration',
    checksum String COMMENT 'of the file as it was applied',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'when'
)
ENGINE = ReplacingMergeTree ORDER BY name COMMENT 'migrations that were applied'
"""


class Migration(NamedTuple):
    """One file."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the text as it stands in the file, without the settings put in."""
        return hashlib.blake2b(self.sql.encode(), digest_size=16).hexdigest()


def migrations() -> list[Migration]:
    """All migrations, in order."""
    folder = files("sql") / "migrations"
    found = [Migration(e.name, e.read_text("utf-8")) for e in folder.iterdir() if e.name.endswith(".sql")]
    return sorted(found)


def statements(sql: str) -> Iterator[str]:
    """The statements of a file: split at semicolons outside of strings and comments, comments left out."""
    current: list[str] = []
    i, n = 0, len(sql)
    while i < n:
        char = sql[i]
        if sql.startswith("--", i):
            end = sql.find("\n", i)
            i = n if end < 0 else end
            continue
        if char == "'":
            end = i + 1
            while end < n and (sql[end] != "'" or sql.startswith("''", end)):
                end += 2 if sql.startswith("''", end) or sql[end] == "\\" else 1
            current.append(sql[i : end + 1])
            i = end + 1
            continue
        if char == ";":
            yield from _nonempty(current)
            current = []
        else:
            current.append(char)
        i += 1
    yield from _nonempty(current)


def _nonempty(parts: list[str]) -> Iterator[str]:
    text = "".join(parts).strip()
    if text:
        yield text


async def migrate(settings: Settings) -> list[str]:
    """Apply what is missing; returns the names applied.

    Raises UserError if a file that was applied has changed since or is not known, DependencyError if ClickHouse does
    not answer.
    """
    await wait_for_clickhouse(settings)
    client = await connect(settings, database=False)
    try:
        await client.command(f"CREATE DATABASE IF NOT EXISTS {settings.clickhouse_database}")
    finally:
        await client.close()
    client = await connect(settings)
    try:
        await client.command(_TABLE)
        rows = (await client.query("SELECT name, checksum FROM schema_migrations FINAL")).result_rows
        done = dict(rows)
        applied = []
        known = migrations()
        if newer := sorted(done.keys() - {migration.name for migration in known}):
            raise UserError(
                "the database {database} has {migrations}, which this version of Streamgauge doesn't know: go on with "
                "the version that applied it, or use another PIPELINE_CLICKHOUSE_DATABASE",
                database=settings.clickhouse_database,
                migrations=", ".join(newer),
            )
        for migration in known:
            if migration.name in done:
                if done[migration.name] != migration.checksum:
                    raise UserError(
                        "migration {name} was changed after it was applied: put the change into a new file",
                        name=migration.name,
                    )
                continue
            for statement in statements(migration.sql):
                await _apply(client, _with_settings(statement, settings))
            await client.insert(
                "schema_migrations", [[migration.name, migration.checksum]], column_names=["name", "checksum"]
            )
            applied.append(migration.name)
        return applied
    finally:
        await client.close()


async def _apply(client: Any, statement: str) -> None:
    try:
        await client.command(statement)
    except DatabaseError as exc:
        if not (statement.startswith("RENAME ") and error_code(exc) == codes.TABLE_ALREADY_EXISTS):
            raise


def _with_settings(statement: str, settings: Settings) -> str:
    # DDL takes no bound parameters; these are integers by their type.
    for name in ("retention_days", "minute_retention_days", "rejected_retention_days"):
        statement = statement.replace("{" + name + "}", str(int(getattr(settings, name))))
    return statement
