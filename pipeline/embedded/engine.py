"""chDB as a database engine for several threads: ClickHouse inside this process, on a folder of its own.

What was found about chDB 4.4 (ClickHouse 26.9) and decides this design:

- Any number of connections to one folder run queries in parallel; queries of one connection wait for each
  other. A connection is a session (current database, settings) and takes a millisecond to make, so every
  request gets a fresh one and can leave nothing behind for the next.
- `send_insert` takes the data of an INSERT as bytes and goes through the server's own input formats: one
  append makes one block, so an INSERT is one part and is deduplicated like on a server. Data inside the text
  of a query is not safe (binary formats break) and slower.
- `INSERT ... SELECT ... FROM input()` silently reads nothing: it is given its rows through a file instead.
- Only SELECT can be fetched block by block.
- The engine runs outside the interpreter's lock, so the event loop goes on meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.embedded.statement import Statement
from pipeline.errors import UserError

_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_CODE = re.compile(r"Code: (\d+)\. (?:DB::Exception: )?")
_CACHE_BYTES = 256 << 20
# Formats of which a sequence of blocks is one valid document; others are fetched whole.
_BLOCKWISE = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
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
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
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

    def summary(self) -> Summary:
        """Counts of what was fetched up to now."""
        return Summary(self._read[0], self._read[1], result_rows=self.rows, result_bytes=self.size)

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

    `memory_limit` (bytes) bounds all queries together; half of it bounds each one. Raises `UserError` if
    chDB is not installed or the folder is in use.
    """

    def __init__(self, path: Path, memory_limit: int) -> None:
        try:
            from chdb import _chdb
        except ImportError as error:
            raise UserError("the embedded ClickHouse needs chDB: pip install 'streamgauge[embedded]'") from error
        self._chdb: Any = _chdb
        if "?" in str(path):
            raise UserError(f"the embedded ClickHouse can't use the folder {path}: its name has a '?'")
        self._path = path.resolve()
        self._scratch = self._path / "tmp"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_folder(self._path)
        # Signals belong to the event loop of the process.
        self._chdb.set_signal_handlers_enabled(0)
        self._settings = {"implicit_select": "0", "max_memory_usage": str(memory_limit // 2)}
        caches = "&".join(
            f"{name}={min(_CACHE_BYTES, memory_limit // 8)}"
            for name in ("mark_cache_size", "index_mark_cache_size", "primary_index_cache_size")
        )
        try:
            # The engine lives as long as one connection is open: this one, which runs nothing else.
            self._keeper = self._chdb.connect(f"{self._path}?max_server_memory_usage={memory_limit}&{caches}")
            answer = self._keeper.query("SELECT version(), timezone()", "TabSeparated", params={}).bytes()
        except RuntimeError as error:
            self._lock.close()
            raise UserError(f"the embedded ClickHouse can't open {self._path}: {error}") from error
        self.version, self.timezone = answer.decode().rstrip("\n").split("\t")

    def close(self) -> None:
        """Close the database. Every stream must be closed before."""
        self._keeper.close()
        self._lock.close()

    def execute(self, job: Job) -> tuple[bytes, Summary]:
        """Run a statement and return its whole result in the job's format."""
        connection = self._open(job)
        try:
            result = connection.query(job.statement.text, job.format, params={})
            body: bytes = result.bytes()
            rows = result.rows_read()
            return body, Summary(
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

    def insert(self, job: Job, data: bytes) -> Summary:
        """Run an INSERT with its rows in the job's format. Acknowledged rows are in the folder."""
        if job.statement.input_at is not None:
            return self._insert_through_input(job, data)
        connection = self._open(job)
        try:
            # A line end, because the engine puts the format behind the statement, which may end in a comment.
            handle = connection.send_insert(job.statement.text + b"\n", job.format)
            if data:
                connection.insert_append(handle, data)
            result = connection.insert_done(handle)
            return Summary(written_rows=result.rows_written(), written_bytes=result.bytes_written())
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

    def _insert_through_input(self, job: Job, data: bytes) -> Summary:
        assert job.statement.input_at is not None
        start, end = job.statement.input_at
        with tempfile.NamedTemporaryFile(dir=self._scratch, prefix="input-", suffix=".data") as file:
            file.write(data)
            file.flush()
            call = f"file({quote(file.name)}, {quote(job.format)}, ".encode()
            text = job.statement.text[:start] + call + job.statement.text[end:]
            statement = Statement(text, None, None, reads=False, streams=False)
            return self.execute(Job(statement, "Null", job.tag, job.database, job.settings, job.readonly))[1]

    def _open(self, job: Job) -> Any:
        settings = self._settings | {"log_comment": job.tag}
        if job.statement.reads:
            settings |= _STEP_BACK
        settings |= job.settings
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
            if job.readonly:
                connection.query("SET readonly = 2", "Null", params={})
            # An INSERT was parted from its data, so only others can hold a second statement.
            text = job.statement.text
            if job.statement.data_at is None and connection.classify_query(text)["statement_count"] > 1:
                raise EngineError(62, "Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)")
        except RuntimeError as error:
            connection.close()
            raise EngineError.of(error) from None
        except BaseException:
            connection.close()
            raise
        return connection


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
            f"{path} is in use by another embedded ClickHouse (process {owner}): stop it or choose another folder"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
