"""chDB as a database engine for several threads: ClickHouse inside this process, on a folder of its own.

What was found about chDB 4.4 (ClickHouse 26.9) and decides this design:

- Any number of connections to one folder run queries in parallel; queries of one connection wait for each
  other. A connection is a session (current database, settings) and takes a millisecond to make, so every
  request gets a fresh one and can leave nothing behind for the next.
- The data of an INSERT are given as a file in memory: ``INSERT INTO t FROM INFILE '/proc/self/fd/N'`` goes through
  the server's own input formats and makes one block, so an INSERT is one part and is deduplicated like on a server.
  `send_insert`, which takes bytes, swallows every error after parsing (a constraint, a full disk, too many parts):
  its answer says nothing of what was stored. Data inside the text of a query is not safe (binary formats break).
- `INSERT ... SELECT ... FROM input()` silently reads nothing: its rows are put into a temporary table first.
- The session's user is always `default`; what it may is decided by a role (see `access`).
- Only SELECT can be fetched block by block.
- The engine runs outside the interpreter's lock, so the event loop goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.embedded import access
from pipeline.embedded.access import Role
from pipeline.embedded.statement import Statement, reaches_files
from pipeline.errors import UserError

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_CODE = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?")
# Characters after which chDB reads options, where it is given a folder.
_PATH_ENDS = re.compile(r"[?&#]")
# Words of statements that are worth a closer look: most have none of them.
_SUSPECT = re.compile(rb"outfile|infile|database|rocksdb|disk", re.IGNORECASE)
_CACHE_BYTES = 256 << 20
_ONE_STATEMENT = "Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)"
# Where `input()` finds its rows.
_STAGED = b"_input"
# Formats of which a sequence of blocks is one valid document; others are fetched whole.
_BLOCKWISE = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
# One INSERT is one block; its rows are in memory already.
_INSERTING = {"input_format_parallel_parsing": "0", "storage_file_read_method": "mmap"}
# To compile what a question calculates takes longer than to calculate it, for as many rows as one machine has.
_NOT_COMPILED = {
    "compile_expressions": "0",
    "compile_aggregate_expressions": "0",
    "compile_sort_description": "0",
}
# Queries of analysts step back for inserts, where the process may set priorities (CAP_SYS_NICE).
_STEP_BACK = {"os_threads_nice_value_query": "10"}


class EngineError(Exception):
    """An error of ClickHouse: its number (`code`), and as its text ClickHouse's line with number and name."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}")
        self.code = code

    @classmethod
    def of(cls, error: Exception) -> EngineError:
        """The engine's error, its number read from its text (1001, STD_EXCEPTION, if there is none)."""
        text = str(error)
        if access.NO_FILES in text:
            return cls(497, f"Not enough privileges: {access.NO_FILES}. (ACCESS_DENIED)")
        found = _CODE.search(text)
        return cls(1001, text) if found is None else cls(int(found.group(1)), text[found.end() :])


def quote(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True, slots=True)
class Job:
    """One request: a statement and the session it runs in."""

    statement: Statement
    format: str
    """Format of the result; for an INSERT with data, of the data."""
    tag: str
    """Names the running query (by its log_comment), so that it can be cancelled. Empty: it can't."""
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings, and bound parameters as ``param_<name>``. Bytes that are no UTF-8 stand as surrogates."""
    role: Role = "writer"


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """What a request did, as ClickHouse's X-ClickHouse-Summary counts it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0


class Stream:
    """The result of a SELECT, fetched piece by piece. One caller at a time; `close` frees the session."""

    def __init__(self, connection: Any, handle: Any) -> None:
        self._connection = connection
        self._handle = handle
        self.done = False
        self.rows = 0
        self.size = 0
        self._read = (0, 0)

    def take(self, at_least: int) -> bytes:
        """The next blocks, `at_least` so many bytes unless the result ends before, which sets `done`."""
        out: list[bytes] = []
        size = 0
        while size < at_least:
            try:
                block = self._connection.streaming_fetch_result(self._handle)
            except RuntimeError as error:
                raise EngineError.of(error) from None
            if block is None or block.rows_read() == 0:
                self.done = True
                break
            data = block.bytes()
            self.rows += block.rows_read()
            self._read = (block.storage_rows_read(), block.storage_bytes_read())
            size += len(data)
            out.append(data)
        self.size += size
        return out[0] if len(out) == 1 else b"".join(out)

    def summary(self) -> RequestSummary:
        """Counts of what was fetched up to now."""
        return RequestSummary(self._read[0], self._read[1], result_rows=self.rows, result_bytes=self.size)

    def close(self) -> None:
        """End the query, if it still runs, and its session."""
        if not self.done:
            self.done = True
            try:
                self._connection.streaming_cancel_query(self._handle)
            except RuntimeError as error:
                raise EngineError.of(error) from None
            finally:
                self._connection.close()
        else:
            self._connection.close()


class Engine:
    """The database in folder `path`. Methods block, raise `EngineError`, and may be called from any thread.

    `memory_limit` (bytes) bounds all queries together; half of it bounds each one. With `sync`, a part of a table is
    on the disk before an INSERT is done. Raises `UserError` if chDB is not installed or the folder is in use.
    """

    def __init__(self, path: Path, memory_limit: int, sync: bool = False) -> None:
        try:
            from chdb import _chdb
        except ImportError as error:
            raise UserError("the embedded ClickHouse needs chDB: pip install 'streamgauge[embedded]'") from error
        self._chdb: Any = _chdb
        if found := _PATH_ENDS.search(str(path)):
            raise UserError(
                "the embedded ClickHouse can't use the folder {path}: its name has a '{text}'",
                path=path,
                text=found.group(),
            )
        self._path = path.resolve()
        self._path.mkdir(parents=True, exist_ok=True)
        self._path.chmod(0o700)
        self._lock = _lock_folder(self._path)
        # Signals belong to the event loop of the process.
        self._chdb.set_signal_handlers_enabled(0)
        self._settings = {"implicit_select": "0", "max_memory_usage": str(memory_limit // 2), **_NOT_COMPILED}
        caches = "&".join(
            f"{name}={min(_CACHE_BYTES, memory_limit // 8)}"
            for name in ("mark_cache_size", "index_mark_cache_size", "primary_index_cache_size")
        )
        try:
            access.own_default_database(self._path)
            with access.configuration(self._path, sync) as config:
                options = f"config-file={config}&max_server_memory_usage={memory_limit}&{caches}"
                # The engine lives as long as one connection is open: this one, which runs nothing of a client.
                self._keeper = self._chdb.connect(f"{self._path}?{options}")
            access.close_files(self._chdb, self._keeper)
            answer = self._keeper.query("SELECT version(), timezone()", "TabSeparated", params={}).bytes()
        except RuntimeError as error:
            self._lock.close()
            raise UserError("the embedded ClickHouse can't open {path}: {why}", path=self._path, why=error) from error
        self.version, self.timezone = answer.decode().rstrip("\n").split("\t")

    def close(self) -> None:
        """Close the database. Every stream must be closed before."""
        self._keeper.close()
        self._lock.close()

    def execute(self, job: Job) -> tuple[bytes, RequestSummary]:
        """Run a statement and return its whole result in the job's format."""
        connection = self._open(job)
        try:
            result = connection.query(job.statement.text, job.format, params={})
            body: bytes = result.bytes()
            rows = result.rows_read()
            return body, RequestSummary(
                read_rows=result.storage_rows_read(),
                read_bytes=result.storage_bytes_read(),
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                result_rows=rows if body else 0,
                result_bytes=len(body),
            )
        except RuntimeError as error:
            raise EngineError.of(error) from None
        finally:
            connection.close()

    def can_stream(self, job: Job) -> bool:
        """Whether `stream` takes this job."""
        return job.statement.streams and job.format in _BLOCKWISE

    def stream(self, job: Job) -> Stream:
        """Start a SELECT whose result is fetched piece by piece."""
        connection = self._open(job)
        try:
            return Stream(connection, connection.send_query(job.statement.text, job.format, params={}))
        except RuntimeError as error:
            connection.close()
            raise EngineError.of(error) from None

    def insert(self, job: Job, data: bytes) -> RequestSummary:
        """Run an INSERT with its rows in the job's format. It returns once they are in the folder, or raises."""
        statement = job.statement
        with _file_of(data) as file:
            source = f"\nFROM INFILE {quote(file)} COMPRESSION 'none' ".encode()
            connection = self._open(job)
            try:
                if statement.input_at is not None:
                    end = self._stage(connection, job, source)
                    text = statement.text[: statement.input_at[0]] + _STAGED + statement.text[end:]
                else:
                    at = len(statement.text) if statement.settings_at is None else statement.settings_at
                    text = statement.text[:at] + source + statement.text[at:] + f"\nFORMAT {job.format}".encode()
                if connection.classify_query(text)["statement_count"] > 1:
                    raise EngineError(62, _ONE_STATEMENT)
                result = connection.query(text, "Null", params={})
                return RequestSummary(written_rows=result.rows_written(), written_bytes=result.bytes_written())
            except RuntimeError as error:
                raise EngineError.of(error) from None
            finally:
                connection.close()

    def kill(self, tag: str) -> None:
        """Cancel the query that runs under `tag`, if one does."""
        connection = self._chdb.connect(str(self._path))
        try:
            connection.query(
                f"KILL QUERY WHERE Settings['log_comment'] = {quote(tag)} ASYNC", "TabSeparated", params={}
            )
        except RuntimeError as error:
            raise EngineError.of(error) from None
        finally:
            connection.close()

    def _stage(self, connection: Any, job: Job, source: bytes) -> int:
        """Put the rows of a request where the SELECT of its statement finds them; where its ``input(...)`` ends."""
        text, literal = job.statement.text, job.statement.structure_at
        end = text.find(b")", literal[1]) if literal is not None else -1
        if literal is None or end < 0:
            raise EngineError(36, "input() needs the columns of its rows as one literal. (BAD_ARGUMENTS)")
        columns = b"EMPTY AS SELECT * FROM null(" + text[slice(*literal)] + b")"
        connection.query(b"CREATE TEMPORARY TABLE " + _STAGED + b" ENGINE = Memory " + columns, "Null", params={})
        into = b"INSERT INTO " + _STAGED + source + f"\nFORMAT {job.format}".encode()
        connection.query(into, "Null", params={})
        return end + 1

    def _open(self, job: Job) -> Any:
        settings = self._settings | {"log_comment": job.tag}
        if job.statement.data_at is not None:
            settings |= _INSERTING
        if job.statement.reads:
            settings |= _STEP_BACK
        settings |= job.settings
        if job.role == "reader":
            settings.pop("readonly", None)  # it is set below
        for name in settings:
            if not _SETTING.fullmatch(name):
                raise EngineError(115, f"Unknown setting {quote(name)}. (UNKNOWN_SETTING)")
        connection = self._chdb.connect(str(self._path))
        try:
            if job.database:
                escaped = job.database.replace("\\", "\\\\").replace("`", "\\`")
                connection.query(f"USE `{escaped}`", "Null", params={})
            pairs = ", ".join(f"{name} = {quote(value)}" for name, value in settings.items())
            connection.query(f"SET {pairs}".encode(errors="surrogateescape"), "Null", params={})
            self._check(connection, job)
            connection.query(f"SET ROLE {job.role}", "Null", params={})
            if job.role == "reader":
                connection.query("SET readonly = 2", "Null", params={})
        except RuntimeError as error:
            connection.close()
            raise EngineError.of(error) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: Any, job: Job) -> None:
        """Refuse what no grant can: several statements, more than reading for a reader, files by other ways."""
        text = job.statement.text
        inserts = job.statement.data_at is not None
        found = connection.classify_query(text)
        if found["statement_count"] > 1:
            raise EngineError(62, _ONE_STATEMENT)
        # What can't be parsed is left to the engine to explain: it runs nothing of it.
        if job.role == "reader" and (
            inserts or (found["statement_count"] and found["query_class"].name != "READ_ONLY")
        ):
            raise EngineError(164, "Cannot execute query in readonly mode: only SELECT, SHOW, … here. (READONLY)")
        if _SUSPECT.search(text):
            whole = text + (f"\nFORMAT {job.format}".encode() if inserts else b"")
            written = connection.query(_canonical(whole), "TSVRaw", params={}).bytes()
            if (reached := reaches_files(written)) is not None:
                raise EngineError(497, f"Not enough privileges: {reached} would reach files. (ACCESS_DENIED)")


def _canonical(text: bytes) -> bytes:
    """The question how ClickHouse's parser writes a statement down."""
    literal = text.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"SELECT formatQuerySingleLine('" + literal + b"')"


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """The path of a file that holds `data`: in memory where the system has such files."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile(prefix="streamgauge-") as file:
            file.write(data)
            file.flush()
            yield file.name
        return
    number = os.memfd_create("insert", os.MFD_CLOEXEC)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(number, rest) :]
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def _lock_folder(path: Path) -> IO[str]:
    """Take the folder for this process until the file is closed or the process ends, however it ends."""
    file = open(path / "streamgauge.lock", "a+", encoding="ascii")  # noqa: SIM115 - held on
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise UserError(
            "{path} is in use by another embedded ClickHouse (process {owner}): stop it or choose another folder",
            path=path,
            owner=owner,
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
