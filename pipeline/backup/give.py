"""`streamgauge restore`: a back-up into an empty place, checked before anything is made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.backup.log import give_log, keeps_offsets, refuse_topics
from pipeline.backup.manifest import Manifest
from pipeline.backup.repository import Repository
from pipeline.backup.tables import give_tables
from pipeline.clickhouse.client import Connection, error_code, wait_for_clickhouse
from pipeline.clickhouse.codes import NO_SCHEMA
from pipeline.clickhouse.migrate import migrate, migrations
from pipeline.errors import UserError
from pipeline.metrics import install
from pipeline.settings import Settings, plan_of
from schemas.translatable import Foreign


class Restored(NamedTuple):
    """What was restored."""

    name: str
    rows: int
    records: int
    #: Whether live figures go on where they were.
    live: bool
    #: The settings as the restored system needs them.
    settings: Settings


async def restore(
    settings: Settings,
    folder: Path,
    files: Path,
    name: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Restored:
    """Restore a back-up of `folder` into ClickHouse and Kafka of the settings, and its files into the folder `files`.

    Raises UserError, before anything is made, if the back-up is not whole or the place not empty.
    """
    repository = Repository(folder)
    name, manifest = repository.manifest(name)
    repository.check(name, manifest)
    if unknown := sorted(set(manifest.migrations) - {one.name for one in migrations()}):
        raise UserError(
            "the back-up {name} was taken by a newer version of Streamgauge (it has {unknown})",
            name=name,
            unknown=unknown[0],
        )
    settings = settings.model_copy(update=_settings(settings, manifest, files))
    log = manifest.log
    await wait_for_clickhouse(settings)
    await _refuse_database(settings)
    if log is not None:
        await refuse_topics(settings)
    if log is not None and not await keeps_offsets(settings):
        raise UserError(
            "the back-up {name} has the end of a log, and the Kafka at {kafka_bootstrap} can't "
            "be given it at its offsets: restore into an Apache Kafka",
            name=name,
            kafka_bootstrap=settings.kafka_bootstrap,
        )
    _write_files(manifest, repository, files)
    await migrate(settings)
    connection = Connection(settings)
    try:
        rows = await give_tables(connection, repository, manifest, say)
    finally:
        await connection.close()
    await install(settings, plan_of(settings))
    if log is not None:
        await give_log(settings, log, repository, say)
    records = sum(one.end - one.position for one in log.partitions) if log is not None else 0
    return Restored(name, rows, records, log is not None, settings)


def _settings(settings: Settings, manifest: Manifest, files: Path) -> dict[str, object]:
    """What the restored system is called, and where its plan is. The group may be another, with topics of its own."""
    found: dict[str, object] = {"stream": manifest.stream, "log_since_ms": manifest.log_since_ms}
    if "group" not in settings.model_fields_set:
        found["group"] = manifest.group
    found["plan"] = str(files / "plan.yaml") if "plan.yaml" in manifest.files else manifest.plan
    return found


async def _refuse_database(settings: Settings) -> None:
    connection = Connection(settings)
    try:
        rows = await connection.query(
            "SELECT count() FROM system.tables WHERE database = {database:String}",
            {"database": settings.clickhouse_database},
        )
    except ClickHouseError as exc:
        if error_code(exc) not in NO_SCHEMA:
            raise
        return
    finally:
        await connection.close()
    if rows[0][0]:
        raise UserError(
            "the database {clickhouse_database} at {clickhouse_url} is not empty: restore into "
            "an empty place, or into another database (PIPELINE_CLICKHOUSE_DATABASE)",
            clickhouse_database=settings.clickhouse_database,
            clickhouse_url=settings.clickhouse_url,
        )


def _write_files(manifest: Manifest, repository: Repository, folder: Path) -> None:
    """Plan and sources, never over what is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in manifest.files:
            if (folder / name).exists() or (folder / name).is_symlink():
                raise UserError("{path} is there already: restore into an empty folder (--files)", path=folder / name)
        for name, blob in manifest.files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(folder / name, flags, 0o600), "wb") as file:
                file.write(repository.get(blob))
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=folder, why=Foreign(exc.strerror)) from None
