"""What every web server of the project checks before it answers: who is meant, who asks, and how long it takes.

A page in somebody's browser can send requests to any address that the browser reaches, loopback included. Such a
request is known by its Host (a name that was made to point here), by its Origin and by what the browser says of where
it comes from (Fetch metadata, https://www.w3.org/TR/fetch-metadata/). Programs send neither of the last two.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

#: For the head of a request, and for its body after that.
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 10.0
#: For a piece of a stream to be taken.
STALLED_SECONDS: Final = 30.0
#: A connection without a request is kept for so long.
IDLE_SECONDS: Final = 75.0
MAX_CONNECTIONS: Final = 512

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN: Final = re.compile(r"https?://([^/?#@\\]+)")
_DEFAULT_PORTS: Final = {None: "", "80": "", "443": ""}


class _OneLine(logging.Filter):
    """A request that can't be read is its sender's mistake: a line, and no traceback as of one of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        exc = record.exc_info[1] if record.exc_info else None
        if isinstance(exc, HttpProcessingError) and exc.code < 500:
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = "a request that can't be read: %s", (type(exc).__name__,)
            record.exc_info = record.exc_text = None
        return True


_log: Final = logging.getLogger("pipeline.serve.requests")
_log.addFilter(_OneLine())

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Door:
    """Which requests a server lets in.

    `names` are further hosts that it is called by. `addresses`: by any address, which is right beyond the loopback
    (only a name can be made to point here). `any_name`: by any name, where a login guards the door. `links`: other
    pages may link to its pages.
    """

    names: frozenset[str] = frozenset()
    addresses: bool = False
    any_name: bool = False
    links: bool = False


def door(listens_on: str, allowed_hosts: str = "", *, links: bool = False, any_name: bool = False) -> Door:
    """The door of a server that listens on that address; `allowed_hosts` are names separated by commas."""
    names = {name.strip().lower().strip("[]") for name in allowed_hosts.split(",") if name.strip()}
    if host_of(listens_on) is not None and not _is_address(listens_on):
        names.add(listens_on.lower())
    return Door(frozenset(names), not is_loopback(listens_on), any_name, links)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(value: str) -> tuple[str, str] | None:
    """Host (lower case, without brackets) and port of a Host header or of an authority; None if it is neither."""
    found = _HOST.fullmatch(value)
    if found is None or int(found[2] or 0) > 65_535:
        return None
    host = found[1].lower()
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return None
    return host, _DEFAULT_PORTS.get(found[2], found[2] or "")


def refused(door: Door, method: str, hosts: Sequence[str], headers: Mapping[str, str]) -> tuple[int, str] | None:
    """Status and reason why a request is not let in; None if it is.

    `hosts` are all its Host headers; `headers` the others, of which the first of a name counts.
    """
    called = host_of(hosts[0]) if len(hosts) == 1 else None
    if called is None:
        return 400, "the request needs one Host header, with a name or an address"
    if not _known(door, called[0]):
        return (
            403,
            f"this server is not called {called[0]}: use its address, or put the name into PIPELINE_ALLOWED_HOSTS",
        )
    origin = headers.get("Origin")
    if origin is not None:
        found = _ORIGIN.fullmatch(origin)
        came = host_of(found[1]) if found is not None else None
        # Behind a proxy that puts its own Host into the request, a page of an allowed name is ours too.
        if came is None or (came != called and not (came[0] in door.names and came[1] == "")):
            return 403, "requests of other sites' pages are refused"
    site = headers.get("Sec-Fetch-Site")
    if site in (None, "same-origin", "none"):
        return None
    opened = method == "GET" and headers.get("Sec-Fetch-Mode") == "navigate"
    if door.links and opened and headers.get("Sec-Fetch-Dest") == "document":
        return None
    return 403, "requests of other sites' pages are refused"


def _known(door: Door, host: str) -> bool:
    return door.any_name or host in door.names or is_loopback(host) or (door.addresses and _is_address(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def middleware(door: Door, *, reads_bodies: bool = True) -> Any:
    """The first middleware of a server. `reads_bodies`: handlers read none themselves, but find it read."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = request.transport.get_protocol() if request.transport is not None else None
        if isinstance(connection, GuardedConnection):
            connection.begin()
        try:
            response = await _answer(request, handler)
        finally:
            if isinstance(connection, GuardedConnection):
                connection.end()
        if not response.prepared:
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        problem = refused(door, request.method, hosts, request.headers)
        if problem is not None:
            return refusal(*problem)
        if reads_bodies and request.body_exists:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    await request.read()
            except TimeoutError:
                return refusal(408, f"no whole request within {BODY_SECONDS:g} s")
        try:
            return await handler(request)
        except web.HTTPException as exc:
            exc.headers.setdefault("X-Content-Type-Options", "nosniff")
            raise

    return guard


def refusal(status: int, reason: str) -> web.Response:
    """The answer to a request that is not let in."""
    response = web.Response(status=status, text=reason + "\n")
    response.force_close()
    return response


class Runner(web.AppRunner):
    """Runs an application whose connections are bounded in number, and whose requests in time."""

    def __init__(self, app: web.Application, *, idle_seconds: float = IDLE_SECONDS, **more: Any) -> None:
        super().__init__(app, access_log=None, logger=_log, keepalive_timeout=idle_seconds, **more)
        self._idle_seconds = idle_seconds
        self._open: set[GuardedConnection] = set()

    @property
    def server(self) -> Any:
        """What makes the protocol of a connection."""
        made = super().server
        return None if made is None else (lambda: GuardedConnection(made(), self._open, self._idle_seconds))


class GuardedConnection(asyncio.Protocol):
    """A connection that is closed if the head of a request doesn't come, or nothing does."""

    def __init__(self, inner: Any, others: set[GuardedConnection], idle_seconds: float) -> None:
        self._inner, self._others, self._idle_seconds = inner, others, idle_seconds
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._busy = self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._others) >= MAX_CONNECTIONS:
            transport.abort()
            self._transport = None
            return
        self._others.add(self)
        self._inner.connection_made(transport)
        self._close_in(HEAD_SECONDS)

    def begin(self) -> None:
        """The head of a request is there: its handler has its own bounds."""
        self._busy, self._begun = True, False
        if self._timer is not None:
            self._timer.cancel()

    def end(self) -> None:
        """It is answered."""
        self._busy = False
        self._close_in(self._idle_seconds)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if not self._busy and not self._begun:
            self._begun = True
            self._close_in(HEAD_SECONDS)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self in self._others:
            self._others.discard(self)
            self._inner.connection_lost(exc)

    def _close_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
