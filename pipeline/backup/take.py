"""`streamgauge backup`: everything as of one place in the log, taken while the system works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import __version__
from pipeline.backup.log import append_time, keeps_offsets, take_state, take_tail, wait_for_archiver
from pipeline.backup.manifest import FORMAT, FileName, KeptLog, Manifest
from pipeline.backup.repository import Repository
from pipeline.backup.tables import Cut, take_tables
from pipeline.clickhouse.client import Connection
from pipeline.errors import UserError
from pipeline.kafka.topic import describe
from pipeline.kept.current import open_kept
from pipeline.settings import Settings, plan_of
from schemas.translatable import Foreign


class BackedUp(NamedTuple):
    """What a back-up is: its name, the rows and records in it, and the bytes that were new."""

    name: str
    rows: int
    records: int
    written: int
    #: Whether live figures go on where they were after a restore.
    live: bool


async def backup(
    settings: Settings, folder: Path, keep: int | None = None, say: Callable[[str], None] = lambda line: None
) -> BackedUp:
    """Add a back-up to those in `folder`; with `keep`, remove all but so many.

    Raises UserError for what can be mended, DependencyError and what the clients raise if Kafka or ClickHouse fail:
    then there is none.
    """
    repository = Repository(folder)
    with repository.changing():
        names = repository.names()
        before = repository.manifest(names[-1])[1] if names else None
        manifest, rows, records = await _take(settings, repository, before, say)
        name = repository.commit(f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", manifest)
        if keep is not None:
            repository.prune(keep)
    return BackedUp(name, rows, records, repository.written, manifest.log is not None)


async def _take(
    settings: Settings, repository: Repository, before: Manifest | None, say: Callable[[str], None]
) -> tuple[Manifest, int, int]:
    plan = plan_of(settings)
    sizes: dict[str, int] = {}

    async def keep(data: bytes) -> str:
        blob, size = await asyncio.to_thread(repository.put, data)
        sizes[blob] = size
        return blob

    topic = await describe(settings)
    if topic is None:
        raise UserError(
            "there is no topic {events_topic} at {kafka_bootstrap}: nothing to back up",
            events_topic=settings.events_topic,
            kafka_bootstrap=settings.kafka_bootstrap,
        )
    cut, state, log = None, None, None
    if await keeps_offsets(settings):
        state = await take_state(settings, topic.partitions, keep)
        positions = {p: position for p, (position, _) in state.items()}
        cut = Cut(settings.stream, tuple(positions[p] for p in range(topic.partitions)))
        await wait_for_archiver(settings, positions)
    connection = Connection(settings)
    try:
        tables, of_tables = await take_tables(connection, repository, cut, before, say)
        migrations = await connection.query("SELECT name FROM schema_migrations FINAL ORDER BY name")
    finally:
        await connection.close()
    if state is not None:
        # The last: what the tables tell of is in it, or before it.
        log = KeptLog(append_time=await append_time(settings), partitions=await take_tail(settings, state, keep))
    files: dict[FileName, str] = {}
    for name, data in files_of(settings).items():
        files[name] = await keep(data)
    manifest = Manifest(
        format=FORMAT,
        version=__version__,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        product=plan.product,
        plan="plan.yaml" if "plan.yaml" in files else settings.plan,
        stream=settings.stream,
        group=settings.group,
        log_since_ms=settings.log_since_ms,
        migrations=tuple(name for (name,) in migrations),
        tables=tables,
        log=log,
        files=files,
        sizes=sizes | of_tables,
    )
    rows = sum(piece.rows for table in tables.values() for piece in table.pieces)
    records = sum(one.end - one.position for one in log.partitions) if log is not None else 0
    return manifest, rows, records


def files_of(settings: Settings) -> dict[FileName, bytes]:
    """The plan, if it is a file, who may send, and what is kept, with its history. Raises UserError."""
    found: dict[FileName, Path] = {
        "plan.yaml": Path(settings.plan),
        "sources.json": settings.collect_sources,
        # `up` keeps this machine's own key beside them.
        "collect.key": settings.collect_sources.with_name("collect.key"),
    }
    try:
        files = {name: path.read_bytes() for name, path in found.items() if path.is_file()}
    except OSError as exc:
        raise UserError("{filename} can't be read: {why}", filename=exc.filename, why=Foreign(exc.strerror)) from None
    if settings.kept is not None and settings.kept.is_file() and (store := open_kept(settings)) is not None:
        try:
            files["kept.sqlite"] = store.dump()
        finally:
            store.close()
    return files


def summary(taken: BackedUp) -> dict[str, Any]:
    """For programs."""
    return taken._asdict()
