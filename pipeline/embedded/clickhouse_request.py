"""What a request to ClickHouse's HTTP interface says: its statement, data and parameters, read within bounds."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from pipeline import codings
from pipeline.embedded.engine import EngineError
from pipeline.embedded.statement import Statement, parse_statement

MAX_BODY_BYTES = 512 << 20
"""Of a body as it is sent, and of what it decompresses to."""
_LARGE_BODY_BYTES = 1 << 20
_LARGE_BODIES = 4  # in memory at the same time; further ones wait in their sockets
_MAX_FIELDS = 10_000
_STALLED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Question:
    """A request, read and decompressed."""

    statement: Statement
    data: bytes | None
    """The rows of an INSERT that takes data."""
    params: dict[str, str]
    """Everything else of the URL or the form. Bytes that are no UTF-8 stand as surrogates."""


def url_parameters(request: web.Request) -> dict[str, str]:
    """The parameters in the URL. Raises `EngineError` if they can't be read."""
    try:
        pairs = parse_qsl(
            request.rel_url.raw_query_string,
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise _bad_arguments(str(error)) from None
    return dict(pairs)


class RequestReader:
    """Reads requests, a few large ones at a time. Raises `EngineError` for what can't be read."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(_LARGE_BODIES)

    async def read(self, request: web.Request, held: AsyncExitStack) -> Question:
        """Read one request. `held` is to be closed once it is answered: its body is in memory as long."""
        params = url_parameters(request)
        body = b""
        try:
            async with asyncio.timeout(_STALLED_SECONDS):
                if request.content_type == "multipart/form-data":
                    params |= await self._read_form(request)
                elif request.body_exists:
                    body = await self._read_body(request, held)
        except TimeoutError:
            raise EngineError(209, f"No whole request within {_STALLED_SECONDS:g} s. (SOCKET_TIMEOUT)") from None
        if params.get("compress", "0") != "0" or params.get("decompress", "0") != "0":
            raise _not_implemented("compress=1 and decompress=1: use Accept-Encoding and Content-Encoding")
        coding = request.headers.get("Content-Encoding", "identity").lower()
        if body and coding != "identity":
            body = await asyncio.to_thread(_decode, body, coding)
        statement, data = _split(params.pop("query", "").encode(errors="surrogateescape"), body)
        return Question(statement, data, params)

    async def _read_body(self, request: web.Request, held: AsyncExitStack) -> bytes:
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise _too_large()
        chunks: list[bytes] = []
        size = 0
        large = False
        while chunk := await request.content.readany():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise _too_large()
            chunks.append(chunk)
            if size > _LARGE_BODY_BYTES and not large:
                await self._large.acquire()
                held.callback(self._large.release)
                large = True
        return b"".join(chunks)

    async def _read_form(self, request: web.Request) -> dict[str, str]:
        fields: dict[str, str] = {}
        size = 0
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.filename is not None or part.name is None:
                raise _not_implemented("external tables")
            value = bytearray()
            while chunk := await part.read_chunk():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                value += chunk
            if len(fields) >= _MAX_FIELDS:
                raise _bad_arguments(f"more than {_MAX_FIELDS} form fields")
            fields[part.name] = value.decode(errors="surrogateescape")
        return fields


def _split(query: bytes, body: bytes) -> tuple[Statement, bytes | None]:
    """The statement of a request, and the data of an INSERT, from the URL's query and the body."""
    if query:
        statement = parse_statement(query)
        if statement.data_at is None and body:
            query = query + b"\n" + body
            statement = parse_statement(query)
            body = b""
        rest = query[statement.data_at :] if statement.data_at is not None else b""
        if rest.strip():
            body = rest + b"\n" + body if body else rest
    else:
        statement = parse_statement(body)
        body = body[statement.data_at :] if statement.data_at is not None else b""
    return statement, body if statement.data_at is not None else None


def _decode(body: bytes, coding: str) -> bytes:
    try:
        return codings.decode(body, coding, MAX_BODY_BYTES)
    except codings.TooLargeError:
        raise _too_large() from None
    except codings.CodingError as error:
        raise _bad_arguments(str(error)) from None


def _bad_arguments(what: str) -> EngineError:
    return EngineError(36, f"{what}. (BAD_ARGUMENTS)")


def _not_implemented(what: str) -> EngineError:
    return EngineError(48, f"The embedded ClickHouse has no {what}. (NOT_IMPLEMENTED)")


def _too_large() -> EngineError:
    return EngineError(
        307, f"The request body is larger than {MAX_BODY_BYTES} bytes: send smaller blocks. (TOO_MANY_BYTES)"
    )
