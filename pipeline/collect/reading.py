"""A request of a stranger, read and unpacked within bounds of bytes, time and memory."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from pipeline import codings
from pipeline.collect.answers import RETRY_SECONDS, Failure
from pipeline.collect.limits import client_address, networks
from pipeline.collect.model import Request
from pipeline.serve import guard
from pipeline.settings import Settings

#: Pairs of a query string.
_MAX_PAIRS: Final = 1_000
_CODINGS: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "zstd": "zstd"}


class Damaged(Failure):
    """A request whose body can't be unpacked. `request` has it as it came."""

    def __init__(self, request: Request, why: str) -> None:
        super().__init__(400, "unreadable", why)
        self.request = request


def max_unpacked(settings: Settings) -> int:
    """Bytes that a request may have once everything in it is unpacked."""
    return max(8_000_000, settings.collect_max_body)


class Reader:
    """Reads requests, and knows how much of them is in memory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._proxies = networks(settings.collect_proxies)
        #: Bytes of requests that are being read or are under way.
        self.taken = 0

    async def read(self, request: web.BaseRequest, received: int, held: list[int]) -> Request:
        """The request with its body, read and unpacked within bounds. `held` counts what it has taken of the memory.

        Raises Failure where it can't be read, Damaged where what came can't be unpacked.
        """
        query = list(request.query.items())
        if len(query) > _MAX_PAIRS:
            raise Failure(400, "unreadable", f"a query of more than {_MAX_PAIRS} parameters")
        body = await self._body(request, held)
        headers = {name.lower(): value for name, value in reversed(list(request.headers.items()))}
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        where = client_address(peer[0] if peer else "", request.headers.getall("X-Forwarded-For", []), self._proxies)
        made = Request(request.method, request.path, query, headers, body, received, where)
        named = [part.strip().lower() for part in headers.get("content-encoding", "").split(",")]
        packed = [one for one in named if one not in ("", "identity")]
        if not packed or not body:
            return made
        if len(packed) > 1 or packed[0] not in _CODINGS:
            raise Failure(415, "unsupported", f"Content-Encoding: use gzip, zstd or deflate, not {packed[0]!r:.40}")
        most = max_unpacked(self._settings)
        try:
            unpacked = codings.decode(body, _CODINGS[packed[0]], most)
        except codings.TooLargeError:
            raise Failure(413, "too_large", f"a request may have {most} bytes once it is unpacked") from None
        except codings.CodingError as exc:
            raise Damaged(made, str(exc)) from None
        self.taken += len(unpacked)
        held[0] += len(unpacked)
        del headers["content-encoding"]
        return Request(made.method, made.path, query, headers, unpacked, received, where)

    async def _body(self, request: web.BaseRequest, held: list[int]) -> bytes:
        most = self._settings.collect_max_body
        too_large = Failure(413, "too_large", f"a request may have {most} bytes as it is sent")
        if (request.content_length or 0) > most:
            raise too_large
        if not request.body_exists:
            return b""
        content = request.content
        if content.is_eof() and content.total_bytes <= most:
            # All of it came with the head, as small ones do.
            body = content.read_nowait()
            self.taken += len(body)
            held[0] += len(body)
            return body
        parts, size = [], 0
        try:
            async with asyncio.timeout(guard.BODY_SECONDS):
                async for part in request.content.iter_any():
                    size += len(part)
                    if size > most:
                        raise too_large
                    self.taken += len(part)
                    held[0] += len(part)
                    if self.taken > self._settings.collect_max_waiting:
                        raise Failure(503, "busy", "too many requests at once", RETRY_SECONDS)
                    parts.append(part)
        except TimeoutError:
            raise Failure(408, "too_slow", f"no whole request within {guard.BODY_SECONDS:g} s") from None
        except web.RequestPayloadError as exc:
            raise Failure(400, "unreadable", f"the body can't be read: {exc}") from None
        except ConnectionError:
            raise Failure(400, "unreadable", "the connection was lost within the request") from None
        return parts[0] if len(parts) == 1 else b"".join(parts)
