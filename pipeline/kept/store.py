"""The file that holds what is kept: SQLite, one row a version. Nothing is changed in place, and nothing is lost.

Each write is a new version with who made it and when; it names the version that it was made from, and is refused where
that is no longer the last one: of two people who edit at once the second is told. A write has happened when it is on
the disk (WAL, synchronous=FULL). Several processes of one machine may share a file; a network's file system has no
locks for it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.errors import DependencyError, UserError
from pipeline.kept.things import KINDS, MAX_BYTES, MAX_THINGS, Entry, Kept, Kind, check_id, data_of, make
from schemas.translatable import Term

_APPLICATION: Final = 0x53474B54
_FORMAT: Final = 1
#: Versions of a thing (the first one too, which says whose it is), and removed things of a kind.
MAX_VERSIONS: Final = 100
MAX_REMOVED: Final = 200
#: Seconds that a write waits for another one.
_WAIT: Final = 5.0
#: 256 MiB of 4 KiB.
_MAX_PAGES: Final = 65_536
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS versions (
    kind TEXT NOT NULL, id TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
    body TEXT, PRIMARY KEY (kind, id, number)
) WITHOUT ROWID, STRICT
"""
_LAST: Final = """
SELECT v.kind, v.id, v.number, v.at, v.who, v.body, f.who, f.at FROM versions v
JOIN (SELECT kind, id, max(number) AS last, min(number) AS first FROM versions GROUP BY kind, id) m
    ON v.kind = m.kind AND v.id = m.id AND v.number = m.last
JOIN versions f ON f.kind = m.kind AND f.id = m.id AND f.number = m.first
ORDER BY v.kind, v.id
"""


@dataclass(frozen=True)
class Edit:
    """A thing as it shall be (None: removed), made from its version `seen` (0: there was none)."""

    kind: Kind
    id: str
    seen: int
    value: Any


@dataclass(frozen=True)
class KeptVersion:
    """A version of a thing: `value` is None where it was removed, or can't be read."""

    number: int
    at: int
    who: str
    value: Any
    removed: bool


class ConflictError(UserError):
    """Somebody else has changed it since: `number`, `who` and `at` (epoch ms) are of the last version."""

    def __init__(self, kind: Kind, id_: str, number: int, who: str, at: int) -> None:
        self.kind, self.id, self.number, self.who, self.at = kind, id_, number, who, at
        super().__init__(
            "the {kind} {id} was changed by {who} meanwhile: look at it, and change it again",
            kind=Term("kept", kind), id=id_, who=who or "somebody",
        )  # fmt: skip


class KeptStore:
    """The file. Safe for threads. Raises UserError for a file that is none of ours, DependencyError for its disk."""

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.Lock()
        self._seen: tuple[int, Kept] | None = None
        try:
            # For its owner only: SQLite's other files beside it take the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as exc:
            raise UserError(
                "the file of kept things {path} can't be used (PIPELINE_KEPT): {why}", path=path, why=exc
            ) from None
        try:
            self._prepare()
        except (UserError, sqlite3.Error) as exc:
            self._db.close()
            if isinstance(exc, sqlite3.OperationalError):
                raise DependencyError("the file of kept things {path}: {why}", path=path, why=exc) from None
            raise UserError("{path} is no file of kept things (PIPELINE_KEPT): {why}", path=path, why=exc) from None

    def _prepare(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (number,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count() FROM sqlite_schema").fetchone()
        if application != _APPLICATION and (application or tables):
            raise UserError("it is another program's database")
        if number > _FORMAT:
            raise UserError("it is of format {number}, of a newer Streamgauge", number=number)
        self._db.execute("PRAGMA trusted_schema = OFF")
        self._db.execute(f"PRAGMA max_page_count = {_MAX_PAGES}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if application != _APPLICATION:
            with self._writing():
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {_FORMAT}")
                self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def read(self) -> Kept:
        """Everything as it stands; read anew only where somebody has written."""
        with self._lock, self._told("read"):
            (number,) = self._db.execute("PRAGMA data_version").fetchone()
            if self._seen is None or self._seen[0] != number:
                self._seen = (number, _kept(self._db.execute(_LAST)))
            return self._seen[1]

    def write(self, changes: Iterable[Edit], who: str, at: int) -> None:
        """Make new versions, all or none. `at` is epoch ms. Raises ConflictError, UserError, DependencyError."""
        self.change(lambda kept: list(changes), who, at)

    def change(self, changes: Callable[[Kept], Sequence[Edit]], who: str, at: int) -> Kept:
        """The same, of what stands at the moment of writing: `changes` sees it, and nobody writes in between."""
        with self._lock, self._told("written"):
            with self._writing():
                edits = changes(_kept(self._db.execute(_LAST)))
                for edit in edits:
                    self._one(edit, who[:100], at)
                after = _kept(self._db.execute(_LAST))
                for kind in {edit.kind for edit in edits}:
                    if len(after.of(kind)) > MAX_THINGS[kind]:
                        raise UserError(
                            "there are {most} {kind}s already: remove one first",
                            most=MAX_THINGS[kind],
                            kind=Term("kept", kind),
                        )
                    self._forget_removed(kind)
            self._seen = None
            return after

    def history(self, kind: Kind, id_: str) -> list[KeptVersion]:
        """The versions of a thing, the last one first; empty for one that never was."""
        sql = "SELECT number, at, who, body FROM versions WHERE kind = ? AND id = ? ORDER BY number DESC"
        with self._lock, self._told("read"):
            return [_version(kind, *row) for row in self._db.execute(sql, (kind, id_))]

    def removed(self, kind: Kind) -> list[tuple[str, KeptVersion]]:
        """Things of a kind that were removed, with that version, the last one first."""
        sql = (
            "SELECT id, number, at, who, body FROM versions v WHERE kind = ? AND body IS NULL AND number = "
            "(SELECT max(number) FROM versions WHERE kind = v.kind AND id = v.id) ORDER BY at DESC, id"
        )
        with self._lock, self._told("read"):
            return [(row[0], _version(kind, *row[1:])) for row in self._db.execute(sql, (kind,))]

    def dump(self) -> bytes:
        """The whole file as of one moment, with its history, as it can stand elsewhere."""
        with self._lock, self._told("read"):
            copy = sqlite3.connect(":memory:")
            try:
                self._db.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                return copy.serialize()
            finally:
                copy.close()

    def _one(self, change: Edit, who: str, at: int) -> None:
        check_id(change.kind, change.id)
        body = None
        if change.value is not None:
            body = json.dumps(data_of(change.value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            if len(body.encode()) > MAX_BYTES:
                raise UserError(
                    "the {kind} {id} is larger than {most} bytes",
                    kind=Term("kept", change.kind),
                    id=change.id,
                    most=f"{MAX_BYTES:,}",
                )
        sql = "SELECT number, who, at FROM versions WHERE kind = ? AND id = ? ORDER BY number DESC LIMIT 1"
        last = self._db.execute(sql, (change.kind, change.id)).fetchone() or (0, "", 0)
        if last[0] != change.seen:
            raise ConflictError(change.kind, change.id, *last)
        row = (change.kind, change.id, last[0] + 1, at, who, body)
        self._db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", row)
        self._db.execute(
            "DELETE FROM versions WHERE kind = ? AND id = ? AND number > 1 AND number <= ?",
            (change.kind, change.id, last[0] + 1 - MAX_VERSIONS),
        )

    def _forget_removed(self, kind: Kind) -> None:
        sql = (
            "DELETE FROM versions WHERE kind = ?1 AND id IN (SELECT id FROM versions v "
            "WHERE kind = ?1 AND body IS NULL AND number = "
            "(SELECT max(number) FROM versions WHERE kind = ?1 AND id = v.id) "
            "ORDER BY at DESC, id LIMIT -1 OFFSET ?2)"
        )
        self._db.execute(sql, (kind, MAX_REMOVED))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            if what == "read":
                raise DependencyError(
                    "the file of kept things {path} can't be read: {why}", path=self.path, why=exc
                ) from None
            raise DependencyError(
                "the file of kept things {path} can't be written: {why}", path=self.path, why=exc
            ) from None


def _kept(rows: Iterable[tuple[Any, ...]]) -> Kept:
    found: dict[Kind, dict[str, Entry]] = {kind: {} for kind in KINDS}
    unreadable: list[tuple[Kind, str, UserError]] = []
    numbers: dict[tuple[Kind, str], int] = {}
    for kind, id_, number, at, who, body, owner, since in rows:
        numbers[kind, id_] = number
        if body is None or kind not in found:
            continue
        try:
            value = make(kind, json.loads(body))
        except (UserError, ValueError, RecursionError) as exc:
            unreadable.append((kind, id_, UserError.of(exc)))
            continue
        found[kind][id_] = Entry(id_, number, at, who, owner, since, value)
    things = (found["board"], found["segment"], found["annotation"], found["alert"])
    return Kept(*things, unreadable=tuple(unreadable), numbers=numbers)


def _version(kind: Kind, number: int, at: int, who: str, body: str | None) -> KeptVersion:
    value = None
    if body is not None:
        try:
            value = make(kind, json.loads(body))
        except (UserError, ValueError, RecursionError):
            value = None
    return KeptVersion(number, at, who, value, body is None)
