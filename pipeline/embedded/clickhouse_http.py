"""ClickHouse's HTTP interface over the embedded engine, for clickhouse-connect, curl and whatever else
speaks it.

Taken from ClickHouse: the query in the URL or the body (or begun in one and ended in the other), multipart
forms, settings and bound parameters in the URL, ``database``, ``default_format``, compression by
Content-Encoding and Accept-Encoding, the X-ClickHouse headers, users and passwords, error codes and their HTTP
statuses, GET reads only. Not taken: sessions (a SET or a temporary table lasts for one request), external
tables, and the framing of ``compress=1`` and ``decompress=1``.

Who asks is known by a password that lies in a file (see `users`), and what they may is decided in the engine (see
`access`). It listens on the loopback only, and requests of web pages are refused whatever they know (see
`pipeline.serve.guard`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import string
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from pipeline import codings
from pipeline.embedded.access import Role
from pipeline.embedded.clickhouse_request import Question, RequestReader, url_parameters
from pipeline.embedded.engine import Engine, EngineError, Job, RequestSummary, Stream
from pipeline.embedded.users import credentials, role_of
from pipeline.serve import guard

T = TypeVar("T")

_READERS = 16  # so that a short query need not wait for long ones
_WRITERS = 8
_MAX_WAITING = 64
_STALLED_SECONDS = 300.0
_PIECE_BYTES = 1 << 20

# Parameters of the interface itself; everything else in the URL is a setting.
_NOT_SETTINGS = frozenset(
    (
        *("query", "database", "default_format", "query_id", "client_protocol_version"),
        *("user", "password", "quota_key", "role", "stacktrace", "buffer_size", "wait_end_of_query"),
        *("session_id", "session_timeout", "session_check", "close_session", "compress", "decompress"),
    )
)
_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
}
# After ClickHouse's mapping, for the errors that a client may meet; all others are a 500.
_STATUS = (
    dict.fromkeys((6, 26, 27, 36, 38, 41, 43, 44, 47, 53, 62, 69, 72, 117, 130, 131, 457), 400)
    | dict.fromkeys((16, 46, 50, 56, 60, 73, 81, 83, 115), 404)
    | {48: 501, 159: 408, 164: 403, 202: 503, 209: 408, 307: 413, 497: 403, 516: 403}
)


class _Pieces:
    """A streamed result in pieces for the wire. Its methods block; `close` is always to be called."""

    def __init__(self, engine: Engine, job: Job, coding: str | None) -> None:
        self._engine = engine
        self._job = job
        self._stream: Stream | None = None
        self._encoder = codings.encoder(coding) if coding else None

    def next(self) -> tuple[bytes, bool]:
        """The next piece, and whether it is the last. The first one starts the query."""
        if self._stream is None:
            self._stream = self._engine.stream(self._job)
        piece = self._stream.take(_PIECE_BYTES)
        last = self._stream.done
        if self._encoder is not None:
            piece = self._encoder.compress(piece) + (self._encoder.flush() if last else b"")
        return piece, last

    def error(self, message: str, tag: str) -> bytes:
        """The piece that says, in the middle of a result, why it ends there."""
        text = message.encode(errors="surrogateescape")
        head, tail = f"\r\n__exception__\r\n{tag}\r\n", f"{len(text)} {tag}\r\n__exception__\r\n"
        piece = head.encode() + text + tail.encode()
        return piece if self._encoder is None else self._encoder.compress(piece) + self._encoder.flush()

    def summary(self) -> RequestSummary:
        """What was fetched up to now."""
        return self._stream.summary() if self._stream else RequestSummary()

    def close(self) -> None:
        """End the query, if one was started."""
        if self._stream:
            self._stream.close()


class _Lane:
    """So many at a time; so many more wait; the rest are sent away."""

    def __init__(self, width: int) -> None:
        self._free = asyncio.Semaphore(width)
        self._waiting = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        if self._waiting >= _MAX_WAITING:
            raise EngineError(
                202,
                "Too many simultaneous queries: try again later. (TOO_MANY_SIMULTANEOUS_QUERIES)",
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


class ClickHouseHttp:
    """The handlers. Reads and writes have lanes of their own, so slow queries do not hold up inserts."""

    def __init__(self, engine: Engine, users: Mapping[str, str], users_file: Path) -> None:
        self._engine = engine
        self._users, self._users_file = users, users_file
        self._reads = _Lane(_READERS)
        self._writes = _Lane(_WRITERS)
        self._reader = RequestReader()
        # One thread for each query that may run, and some for cancelling.
        self._threads = ThreadPoolExecutor(_READERS + _WRITERS + 2, thread_name_prefix="engine")
        self._running: set[str] = set()

    def application(self) -> web.Application:
        """To be served by a server that leaves bodies compressed and cancels abandoned handlers."""
        app = web.Application(middlewares=[guard.middleware(guard.door("127.0.0.1"), reads_bodies=False)])
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_route("*", "/", self.handle)
        return app

    async def cancel_all(self) -> None:
        """Cancel all queries that can be cancelled."""
        for tag in filter(None, tuple(self._running)):
            await self._on_thread(self._engine.kill, tag)

    def close(self) -> None:
        """Wait for the threads."""
        self._threads.shutdown()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.method in ("GET", "HEAD") and not request.rel_url.raw_query_string:
            return await _ok(request)
        query_id = str(uuid.uuid4())
        try:
            async with AsyncExitStack() as held:
                role = self._role(request)
                question = await self._reader.read(request, held)
                query_id = question.params.get("query_id") or query_id
                return await self._answer(request, question, role, query_id)
        except EngineError as error:
            headers = self._headers(query_id) | {"X-ClickHouse-Exception-Code": str(error.code)}
            headers["Content-Type"] = "text/plain; charset=UTF-8"
            text = self._message(error).encode(errors="surrogateescape")
            return web.Response(status=_STATUS.get(error.code, 500), body=text, headers=headers)

    def _role(self, request: web.Request) -> Role:
        """What a request may do. Raises EngineError for a wrong user or password, before anything is read."""
        name, password = credentials(request.headers, url_parameters(request))
        role = role_of(self._users, name, password)
        if role is None:
            raise EngineError(
                516,
                f"Authentication failed: the users of this ClickHouse and their passwords are in {self._users_file}, "
                "which its owner can read. (AUTHENTICATION_FAILED)",
            )
        return "reader" if request.method in ("GET", "HEAD") else role

    # Answering

    async def _answer(self, request: web.Request, question: Question, role: Role, query_id: str) -> web.StreamResponse:
        statement = question.statement
        settings = {name: value for name, value in question.params.items() if name not in _NOT_SETTINGS}
        default_format = question.params.get("default_format") or request.headers.get("X-ClickHouse-Format")
        job = Job(
            statement,
            statement.format or default_format or "TabSeparated",
            tag="" if "log_comment" in settings else f"http-{uuid.uuid4()}",
            database=question.params.get("database") or request.headers.get("X-ClickHouse-Database") or "",
            settings=settings,
            role=role,
        )
        coding = None
        if settings.get("enable_http_compression", "0") in ("1", "true"):
            coding = codings.choose(request.headers.get("Accept-Encoding", ""))
        lane = self._reads if statement.reads else self._writes
        async with lane.enter():
            self._running.add(job.tag)
            try:
                started = time.perf_counter()
                if statement.data_at is not None:
                    summary = await self._on_thread(self._engine.insert, job, question.data or b"")
                    return self._whole(b"", summary, started, job.format, query_id, None)
                if self._engine.can_stream(job):
                    return await self._stream(request, job, coding, query_id, started)
                body, summary = await self._for_client(job, self._engine.execute, job)
                if coding and body:
                    body = await self._on_thread(_encode, body, coding)
                return self._whole(body, summary, started, job.format, query_id, coding)
            finally:
                self._running.discard(job.tag)

    async def _stream(
        self, request: web.Request, job: Job, coding: str | None, query_id: str, started: float
    ) -> web.StreamResponse:
        pieces = _Pieces(self._engine, job, coding)
        try:
            piece, last = await self._for_client(job, pieces.next)
            if last:
                summary = pieces.summary()
                body = piece if summary.result_bytes else b""
                return self._whole(body, summary, started, job.format, query_id, coding)
            tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
            headers = self._headers(query_id, job.format, coding) | {"X-ClickHouse-Exception-Tag": tag}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            try:
                await self._write(response, piece)
                while not last:
                    piece, last = await self._for_client(job, pieces.next)
                    await self._write(response, piece)
            except EngineError as error:
                # The status is long sent: a client finds the error by the tag, or by the connection that is
                # cut.
                await self._write(response, pieces.error(self._message(error), tag))
                if request.transport is not None:
                    request.transport.close()
                return response
            await response.write_eof()
            return response
        finally:
            await self._on_thread(pieces.close)

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        async with asyncio.timeout(_STALLED_SECONDS):
            await response.write(piece)

    def _whole(
        self,
        body: bytes,
        summary: RequestSummary,
        started: float,
        format_name: str,
        query_id: str,
        coding: str | None,
    ) -> web.Response:
        headers = self._headers(query_id, format_name, coding if body else None)
        figures = {name: str(getattr(summary, name)) for name in RequestSummary.__slots__}
        figures["total_rows_to_read"] = "0"
        figures["elapsed_ns"] = str(int((time.perf_counter() - started) * 1e9))
        headers["X-ClickHouse-Summary"] = json.dumps(figures)
        return web.Response(body=body, headers=headers)

    def _headers(self, query_id: str, format_name: str = "", coding: str | None = None) -> dict[str, str]:
        headers = {
            "X-ClickHouse-Server-Display-Name": "embedded",
            "X-ClickHouse-Query-Id": "".join(c for c in query_id if c.isprintable() and c.isascii()),
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        if format_name:
            headers["X-ClickHouse-Format"] = format_name
            headers["Content-Type"] = _CONTENT_TYPES.get(format_name, "application/octet-stream")
        if coding:
            headers["Content-Encoding"] = coding
        return headers

    def _message(self, error: EngineError) -> str:
        text = str(error).rstrip()
        return text + "\n" if "(version " in text else f"{text} (version {self._engine.version})\n"

    # Threads

    async def _on_thread(self, call: Callable[..., T], *args: object) -> T:
        """Run a blocking call to its end, even if the client goes away; then its thread is free."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    async def _for_client(self, job: Job, call: Callable[..., T], *args: object) -> T:
        """Run a blocking call of the engine; if the client goes away, cancel what only reads."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                if job.statement.reads and job.tag:
                    # Again and again: the query may not have begun when it is first cancelled.
                    await self._on_thread(self._engine.kill, job.tag)
                await asyncio.wait([future], timeout=0.2)
            raise


def _encode(body: bytes, coding: str) -> bytes:
    encoder = codings.encoder(coding)
    return encoder.compress(body) + encoder.flush()


async def _ok(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="Ok.\n", content_type="text/html", charset="UTF-8")
