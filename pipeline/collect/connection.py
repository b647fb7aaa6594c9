"""HTTP/1.1 as strangers speak it: whole requests in, answers out in their order, bounded in bytes, time and number.

The parser is httptools' (llhttp, which is Node's). No request has a task or a timer of its own: a connection knows
until when what it waits for has to come, and all of them are looked at every quarter of a second.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from math import inf
from typing import Final, NamedTuple

import httptools

from pipeline.collect.answers import ALWAYS, RETRY_SECONDS, Failure, refusal
from pipeline.collect.model import Answer
from pipeline.serve import guard

#: Bytes of a request's target and headers; those that come in small pieces may be counted twice.
MAX_HEAD: Final = 65_536
#: What comes after a refusal is read and thrown away for so long, so that a client gets to see the answer. Seconds.
_LINGER_SECONDS: Final = 5.0
#: How often it is looked who is late. Seconds.
_LOOK_SECONDS: Final = 0.25
_STATUS_LINES: Final = {one.value: b"HTTP/1.1 %d %s\r\n" % (one, one.phrase.encode()) for one in HTTPStatus}
_ALWAYS: Final = "".join(f"{name}: {value}\r\n" for name, value in ALWAYS.items()).encode()
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Received(NamedTuple):
    """A whole request as it came. `headers` are all of them in their order, names in small letters."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    #: Where it was sent from.
    peer: str


Reply = Callable[[Answer], None]
#: Answers a request, at once or later, exactly once.
Handler = Callable[[Received, Reply], None]


class HttpListener:
    """Listens, and holds its connections. `handle` is called with each request, `refused` with each refusal.

    `max_body`: bytes of a body as it is sent; `max_bytes`: of all requests that are being read or are under way.
    """

    def __init__(self, handle: Handler, refused: Callable[[Answer], None], max_body: int, max_bytes: int) -> None:
        self.handle, self.refused, self.max_body, self.max_bytes = handle, refused, max_body, max_bytes
        self.connections: set[HttpConnection] = set()
        #: Bytes of requests that are being read or are under way.
        self.taken = 0
        #: No further request is taken of any connection.
        self.stopping = False
        self._server: asyncio.Server | None = None
        self._look: asyncio.TimerHandle | None = None
        self._dated, self._date = 0, b""

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; returns the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        handshake = guard.HEAD_SECONDS if tls is not None else None
        self._server = await loop.create_server(
            lambda: HttpConnection(self),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=handshake,
            backlog=guard.MAX_CONNECTIONS,
        )
        self._look_again()
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, seconds: float) -> None:
        """Take no more requests, let those under way have their answers, and close what is open after `seconds`."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.leave()
        end = time.monotonic() + seconds
        while self.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.abort()
        if self._look is not None:
            self._look.cancel()

    def date(self) -> bytes:
        """The header with the time of this second."""
        now = int(time.time())
        if now != self._dated:
            self._dated, self._date = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._date

    def _look_again(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self.connections if one.until < now]:
            connection.late()
        self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_again)


class HttpConnection(asyncio.Protocol):
    """One connection. Its requests are answered one after the other; meanwhile no more is read of it."""

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        #: Requests that came in one piece, and wait for the one before; a refusal is the last.
        self._queue: deque[tuple[Received | Failure, int, bool]] = deque()
        self._busy = self._running = False
        #: The client does not read its answers; it is not read itself, for it sends more while it waits for one.
        self._stalled = self._paused = False
        #: What comes is thrown away: the last request is here, or no more can be understood.
        self._deaf = False
        #: Of the request that is answered: bytes held for it, whether the connection stays, and whether it was HEAD.
        self._held, self._stays, self._bare = 0, False, False
        #: Of the request that is being read.
        self._in_head = self._in_body = False
        #: Whether what came last was nothing but a part of a head.
        self._all_head = False
        self._target, self._headers, self._parts = b"", list[tuple[bytes, bytes]](), list[bytes]()
        self._head = self._size = 0
        #: When what is waited for has to be here, by `time.monotonic`.
        self.until = inf

    # -- the connection ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if len(self._listener.connections) >= guard.MAX_CONNECTIONS or self._listener.stopping:
            self._deaf = True
            transport.abort()
            return
        self._transport = transport
        self._listener.connections.add(self)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if peer else ""
        self.until = time.monotonic() + guard.HEAD_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._transport = None
        self._hear_no_more()

    def eof_received(self) -> bool:
        """Whoever has said all still gets the answers to it, where the connection can be half open."""
        self._deaf = True
        if self._busy and self._transport is not None:
            return not self._transport.get_extra_info("sslcontext")
        return False

    def pause_writing(self) -> None:
        self._stalled = True
        self.until = time.monotonic() + guard.STALLED_SECONDS

    def resume_writing(self) -> None:
        self._stalled, self.until = False, inf
        self._run()

    def late(self) -> None:
        """What is waited for has not come in time."""
        if self._in_body and not self._busy and not self._deaf:
            self._refuse(Failure(408, "too_slow", f"no whole request within {guard.BODY_SECONDS:g} s"))
            self._run()
        else:
            self.abort()

    def leave(self) -> None:
        """End after the request that is under way, at once if none is."""
        if not self._busy and not self._in_body and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._all_head = self._in_head
        if not (self._in_body or self._in_head or self._busy or self._stalled):
            self.until = time.monotonic() + guard.HEAD_SECONDS
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(Failure(400, "unreadable", "this is not HTTP/1.1"))
        if self._all_head:
            self._head += len(data)  # a header that has not ended
            self._bounded()
        self._run()

    def _feed(self, data: bytes) -> None:
        """Have it parsed. Another protocol is not spoken here: a request that asks for one is read on as it is.

        The parser ends where it is asked for one, before the body: a new one goes on, told the head without that.
        """
        rest = memoryview(data)
        while not self._deaf:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as asked:
                if not self._asks_for_another():
                    self._deaf = True  # a tunnel; it is answered, too
                    return
                method, version = self._parser.get_method(), self._parser.get_http_version().encode()
                lines = [b"%s: %s\r\n" % (name, value) for name, value in self._headers if name != b"upgrade"]
                head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self._target, version, b"".join(lines))
                rest = rest[asked.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(head)

    def _asks_for_another(self) -> bool:
        """Whether the request whose head is here asks for another protocol, and is read again without that."""
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    # -- what the parser tells -----------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = True
        self._target, self._headers, self._parts, self._head = b"", [], [], 0

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._head += len(part)
        self._bounded()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # after the body: nothing that anybody here would look at
        self._headers.append((name.lower(), value))
        self._head += len(name) + len(value)
        self._bounded()

    def on_headers_complete(self) -> None:
        if self._asks_for_another():
            return
        self._in_head, self._in_body, self._all_head = False, True, False
        if not (self._busy or self._stalled):
            self.until = time.monotonic() + guard.BODY_SECONDS
        asks = False
        for name, value in self._headers:
            if name == b"content-length" and int(value) > self._listener.max_body:
                self._refuse(self._too_large())
            elif name == b"expect" and value.lower() == b"100-continue":
                asks = True
        if asks and not (self._busy or self._deaf) and self._transport is not None:
            self._transport.write(_CONTINUE)

    def on_body(self, part: bytes) -> None:
        if self._deaf:
            return
        self._size += len(part)
        self._listener.taken += len(part)
        if self._size > self._listener.max_body:
            self._refuse(self._too_large())
        elif self._listener.taken > self._listener.max_bytes:
            self._refuse(Failure(503, "busy", "too many requests at once", RETRY_SECONDS))
        else:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        if self._in_head:
            return  # it asks for another protocol
        self._in_body = False
        if self._deaf:
            return
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        method = self._parser.get_method().decode("ascii")
        received = Received(method, self._target, self._headers, body, self._peer)
        stays = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        self._queue.append((received, self._size, stays))
        self._size, self._parts = 0, []

    def _hear_no_more(self) -> None:
        """What comes from now on, and what waits still, has no answer."""
        self._deaf = True
        self._listener.taken -= self._size + sum(held for _, held, _ in self._queue)
        self._size, self._parts = 0, []
        self._queue.clear()

    # -- answers -------------------------------------------------------------------------------------------------

    def _too_large(self) -> Failure:
        return Failure(413, "too_large", f"a request may have {self._listener.max_body} bytes as it is sent")

    def _bounded(self) -> None:
        if self._head > MAX_HEAD:
            self._refuse(Failure(431, "too_large", f"the head of a request may have {MAX_HEAD} bytes"))

    def _refuse(self, failure: Failure) -> None:
        """Answer so, after what came before, and understand no more of what comes."""
        if self._deaf:
            return
        self._deaf = True
        self._queue.append((failure, self._size, False))
        self._size, self._parts = 0, []

    def _run(self) -> None:
        """Have the next requests answered, until one waits."""
        if self._running:
            return
        self._running = True
        try:
            while self._queue and not self._busy and not self._stalled and self._transport is not None:
                what, self._held, self._stays = self._queue.popleft()
                self._busy, self._bare = True, False
                self.until = inf
                if isinstance(what, Failure):
                    answer = refusal(what.status, what.reason, what.detail, what.retry_after)
                    self._listener.refused(answer)
                    self._answer(answer)
                else:
                    self._bare = what.method == "HEAD"
                    self._listener.handle(what, self._answer)
        finally:
            self._running = False
        if self._transport is not None and not self._transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        """For the answer under way, or for more to come."""
        assert self._transport is not None
        if self._busy or self._stalled:
            if not self._paused and (self._queue or self._in_head or self._in_body):
                self._paused = True
                self._transport.pause_reading()
            return
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self.until == inf:
            in_time = (
                guard.BODY_SECONDS if self._in_body else guard.HEAD_SECONDS if self._in_head else guard.IDLE_SECONDS
            )
            self.until = time.monotonic() + in_time

    def _answer(self, answer: Answer) -> None:
        listener, transport = self._listener, self._transport
        listener.taken -= self._held
        self._busy = False
        if transport is None or transport.is_closing():
            return
        stays = self._stays and not listener.stopping and (not self._deaf or bool(self._queue))
        transport.write(self._bytes(answer, stays))
        if stays:
            self._run()
            return
        self._hear_no_more()
        if self._in_body or self._in_head:
            # Whoever is still sending would lose the answer with a connection that is closed at once.
            with suppress(OSError):  # it may be gone already
                if transport.can_write_eof():
                    transport.write_eof()
            self.until = time.monotonic() + _LINGER_SECONDS
            self._wait()
        else:
            transport.close()

    def _bytes(self, answer: Answer, stays: bool) -> bytes:
        body = answer.body
        head = [
            _STATUS_LINES.get(answer.status) or b"HTTP/1.1 %d \r\n" % answer.status,
            b"Content-Type: %s\r\n" % answer.content_type.encode(),
            _ALWAYS,
            self._listener.date(),
            b"" if answer.status == 204 else b"Content-Length: %d\r\n" % len(body),
            b"" if stays else b"Connection: close\r\n",
        ]
        for name, value in answer.headers.items():
            line = f"{name}: {value}".encode("utf-8", "surrogateescape")
            head.append(line.translate(None, b"\r\n") + b"\r\n")  # one line, whatever is told again in it
        head.append(b"\r\n")
        if not self._bare:
            head.append(body)
        return b"".join(head)
