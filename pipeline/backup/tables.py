"""Tables of ClickHouse as pieces in its format Native, and back.

ClickHouse's own BACKUP is not used: it takes a table as it is, while this takes it as of a place in the log (rows that
come after it would be there twice when the log is read again); it leaves its files on the server's disk; and what it
restores are statements of whoever wrote the archive. Rows carry no statements: the tables are made by our own
migrations.

Parts never change, so a part that an earlier back-up took whole is not read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipeline.backup.manifest import KeptTable, Manifest, Piece
from pipeline.backup.repository import Repository
from pipeline.clickhouse.client import Connection
from pipeline.errors import DependencyError, UserError
from schemas.translatable import Sentence

#: About so many bytes are read, and inserted, at once.
PIECE_BYTES: Final = 32 << 20
#: Tables that `migrate` fills, and what a stream's topic is, which is another one afterwards.
_NOT_KEPT: Final = frozenset({"schema_migrations"})
#: How often parts may have been merged away while they were read.
_TRIES: Final = 30
_INSERTING: Final = {"max_partitions_per_insert_block": 0, "input_format_parallel_parsing": 0}


_TABLES: Final = """
SELECT table, groupArray(name)
FROM
(
    SELECT table, name FROM system.columns
    WHERE database = currentDatabase() AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY table, position
)
WHERE table IN (
    SELECT name FROM system.tables
    WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name NOT LIKE '.%'
)
GROUP BY table ORDER BY table
"""


class Cut(NamedTuple):
    """A place in the log: of the stream, only what comes before it is taken. By partition, an offset."""

    stream: str
    positions: tuple[int, ...]


class _Part(NamedTuple):
    name: str
    hash: str
    rows: int
    bytes: int


def condition(table: str, columns: Sequence[str], cut: Cut | None) -> str:
    """Which rows of a table are before the cut, as SQL with the parameters `stream` and `positions`."""
    there = set(columns)
    if cut is None or "stream" not in there:
        return "1"
    other = "stream != {stream:String}"
    position = "{positions:Array(UInt64)}[partition + 1]"
    if table == "topics_raw":
        return other
    if {"partition", "version"} <= there:
        # A window that was changed behind the cut is in the worker's state as of the cut, which publishes it again.
        return f"({other} OR version <= {position})"
    if {"partition", "end_offset"} <= there:
        return f"({other} OR end_offset <= {position})"
    if {"partition", "offset"} <= there:
        return f"({other} OR offset < {position})"
    return "1"


async def take_tables(
    connection: Connection, repository: Repository, cut: Cut | None, before: Manifest | None, say: Callable[[str], None]
) -> tuple[dict[str, KeptTable], dict[str, int]]:
    """Every table's pieces as of the cut, and the sizes of the blobs; pieces that the back-up `before` has are its.

    Raises what the client raises, DependencyError if parts are merged away faster than they can be read.
    """
    rows = await connection.query(_TABLES)
    tables: dict[str, KeptTable] = {}
    sizes: dict[str, int] = {}
    for name, columns in rows:
        if name in _NOT_KEPT:
            continue
        known = before.tables.get(name) if before is not None else None
        taking = _Taking(connection, repository, name, tuple(columns), cut)
        if known is not None and known.columns == tuple(columns):
            taking.know(known, before)
        tables[name] = await taking.run()
        sizes |= taking.sizes
        say(Sentence("{name}: {n} rows", name=name, n=f"{sum(piece.rows for piece in tables[name].pieces):,}"))
    return tables, sizes


class _Taking:
    def __init__(
        self, connection: Connection, repository: Repository, table: str, columns: tuple[str, ...], cut: Cut | None
    ) -> None:
        self._connection, self._repository, self._table, self._columns = connection, repository, table, columns
        self._condition = condition(table, columns, cut)
        self._parameters: dict[str, Any] = (
            {} if cut is None else {"stream": cut.stream, "positions": list(cut.positions)}
        )
        self._pieces: dict[tuple[str, str], Piece] = {}
        self.sizes: dict[str, int] = {}

    def know(self, table: KeptTable, manifest: Manifest | None) -> None:
        """Pieces of an earlier back-up: what it took whole is the same now."""
        assert manifest is not None
        for piece in table.pieces:
            if piece.whole:
                self._pieces[piece.part, piece.hash] = piece
                self.sizes |= {blob: manifest.sizes[blob] for blob in piece.blobs}

    async def run(self) -> KeptTable:
        """The table as it was at one moment: when its parts were listed the last time."""
        for _ in range(_TRIES):
            parts = await self._parts()
            counts = await self._counts([part for part in parts if (part.name, part.hash) not in self._pieces])
            if await self._read(parts, counts):
                pieces = tuple(self._pieces[part.name, part.hash] for part in parts)
                used = {blob for piece in pieces for blob in piece.blobs}
                self.sizes = {blob: size for blob, size in self.sizes.items() if blob in used}
                return KeptTable(
                    columns=self._columns, pieces=tuple(piece for piece in pieces if piece.rows or piece.whole)
                )
        raise DependencyError(
            "the parts of {table} were merged away {tries} times while they were read: try again",
            table=self._table,
            tries=_TRIES,
        )

    async def _parts(self) -> list[_Part]:
        rows = await self._connection.query(
            "SELECT name, hash_of_all_files, rows, data_uncompressed_bytes FROM system.parts "
            "WHERE active AND database = currentDatabase() AND table = {table:String} ORDER BY name",
            {"table": self._table},
        )
        return [_Part(*row) for row in rows]

    async def _counts(self, parts: Sequence[_Part]) -> Mapping[str, int]:
        """By part: its rows before the cut. A part that has been merged away meanwhile is absent."""
        if not parts:
            return {}
        rows = await self._connection.query(
            f"SELECT _part, countIf({self._condition}) FROM {self._table} WHERE _part IN {{parts:Array(String)}} "
            "GROUP BY _part",
            {**self._parameters, "parts": [part.name for part in parts]},
        )
        return {name: count for name, count in rows}  # noqa: C416 - rows are sequences

    async def _read(self, parts: Sequence[_Part], counts: Mapping[str, int]) -> bool:
        """Read what is not known yet; False if a part has gone."""
        for part in parts:
            key = part.name, part.hash
            if key in self._pieces:
                continue
            rows = counts.get(part.name)
            if rows is None:
                return False
            blobs = await self._blobs(part) if rows else ()
            if blobs is None:
                return False
            whole = rows == part.rows
            self._pieces[key] = Piece(part=part.name, hash=part.hash, rows=rows, whole=whole, blobs=blobs)
        return True

    async def _blobs(self, part: _Part) -> tuple[str, ...] | None:
        step = max(1_000, part.rows * PIECE_BYTES // max(1, part.bytes))
        found = []
        for first in range(0, part.rows, step):
            data = await self._native(part.name, first, first + step)
            if data:
                blob, size = await asyncio.to_thread(self._repository.put, data)
                self.sizes[blob] = size
                found.append(blob)
        # Nothing where there should be rows: the part has been merged away. One that went between two questions shows
        # by the last one, for a part goes once and for all.
        still = await self._connection.query(
            f"SELECT count() FROM {self._table} WHERE _part = {{part:String}}", {"part": part.name}
        )
        return tuple(found) if still[0][0] else None

    async def _native(self, part: str, first: int, end: int) -> bytes:
        columns = ", ".join(f"`{name}`" for name in self._columns)
        sql = (
            f"SELECT {columns} FROM {self._table} WHERE _part = {{part:String}} AND _part_offset >= {first} "
            f"AND _part_offset < {end} AND {self._condition}"
        )

        async def ask(client: Any) -> bytes:
            found: bytes = await client.raw_query(sql, parameters={**self._parameters, "part": part}, fmt="Native")
            return found

        return await self._connection.run(ask)


async def give_tables(
    connection: Connection, repository: Repository, manifest: Manifest, say: Callable[[str], None]
) -> int:
    """Insert the rows of a back-up into tables that are there, and empty; how many rows.

    Raises UserError if a table or a column is not one of this version.
    """
    there = {
        name: set(columns)
        for name, columns in await connection.query(
            "SELECT table, groupArray(name) FROM system.columns WHERE database = currentDatabase() GROUP BY table"
        )
    }
    for name, table in manifest.tables.items():
        if unknown := set(table.columns) - there.get(name, set()):
            raise UserError(
                "the back-up has {name}.{unknown}, which this version of Streamgauge does not know",
                name=name,
                unknown=min(unknown),
            )
    rows = 0
    for name, table in manifest.tables.items():
        for piece in table.pieces:
            for blob in piece.blobs:
                await _insert(connection, name, table.columns, await asyncio.to_thread(repository.get, blob))
        found = await connection.query(f"SELECT count() FROM {name}")
        expected = sum(piece.rows for piece in table.pieces)
        # Versions of a row may have been merged into one by now; more than there were can't be.
        if found[0][0] > expected or (expected and not found[0][0]):
            raise DependencyError(
                "{name} has {found} rows after it was filled with {expected}",
                name=name,
                found=found[0][0],
                expected=expected,
            )
        rows += expected
        say(Sentence("{name}: {n} rows", name=name, n=f"{expected:,}"))
    return rows


async def _insert(connection: Connection, table: str, columns: Sequence[str], data: bytes) -> None:
    async def put(client: Any) -> None:
        await client.raw_insert(table, column_names=list(columns), insert_block=data, fmt="Native", settings=_INSERTING)

    await connection.run(put)
