"""HTTP as strangers speak it, in pieces, too much, too long, half closed: each request has one answer, or an end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from pipeline.collect.connection import HttpConnection, HttpListener, Received, Reply
from pipeline.collect.model import Answer
from pipeline.process import cancelled
from pipeline.serve import guard

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


class Echo:
    """Answers with what it was asked, at once, or when it is let."""

    def __init__(self) -> None:
        self.asked: list[Received] = []
        self.waiting: list[tuple[Received, Reply]] = []
        self.holds = False
        self.listener = HttpListener(self._handle, lambda _: None, max_body=1_000, max_bytes=1 << 20)
        self.port = 0

    def _handle(self, came: Received, reply: Reply) -> None:
        self.asked.append(came)
        if self.holds:
            self.waiting.append((came, reply))
        else:
            self.answer(came, reply)

    def answer(self, came: Received, reply: Reply) -> None:
        said = b"%s %s %d" % (came.method.encode(), came.target, len(came.body))
        reply(Answer(200, said, "text/plain", {"X-Told": "again\r\nX-Evil: 1"}))


@pytest.fixture
async def echo(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Echo]:
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    made = Echo()
    made.port = await made.listener.start("127.0.0.1", 0)
    yield made
    await made.listener.stop(1)
    await asyncio.sleep(0)  # clients close, too
    assert made.listener.taken == 0


async def told(echo: Echo, *pieces: bytes, ends: bool = True) -> bytes:
    """What a connection is told until it is closed, without the time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)  # so that it comes by itself
        if ends:
            writer.write_eof()
        async with asyncio.timeout(10):
            return re.sub(rb"Date: [^\r]+\r\n", b"", await reader.read())
    finally:
        writer.close()


def answer(said: bytes, last: bool = True, body: bytes | None = None) -> bytes:
    """The answer to a request, as it is sent."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n%s"
        b"X-Told: againX-Evil: 1\r\n\r\n%s"
    ) % (len(said), b"Connection: close\r\n" if last else b"", said if body is None else body)


async def test_an_answer_is_whole_and_has_a_date(echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(GET % b"a")
    head = await reader.readuntil(b"\r\n\r\n")
    assert re.search(rb"\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n", head)
    assert await reader.readexactly(8) == b"GET /a 0"
    writer.write(GET % b"b")  # the connection stays
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(8) == b"GET /b 0"
    writer.close()


async def test_requests_that_come_at_once_are_answered_one_after_the_other(echo: Echo) -> None:
    echo.holds = True
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(GET % b"a" + b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz" + GET % b"c")
    for n, target in enumerate((b"/a", b"/b", b"/c")):
        while len(echo.waiting) <= n:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert [came.target for came, _ in echo.waiting][n:] == [target]  # no second one meanwhile
        echo.answer(*echo.waiting[n])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(8 if target != b"/b" else 9)
    writer.close()


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_a_request_in_pieces_is_one(echo: Echo, size: int) -> None:
    whole = (
        b"POST /v1/events?a=b HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nX-One: 2\r\nContent-Length: 5\r\n"
        b"Connection: close\r\n\r\nhello"
    )
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    assert (await reader.read()).endswith(b"POST /v1/events?a=b 5")
    writer.close()
    (came,) = echo.asked
    assert (came.method, came.target, came.body, came.peer) == ("POST", b"/v1/events?a=b", b"hello", "127.0.0.1")
    assert came.headers == [
        (b"host", b"x"), (b"x-one", b"1"), (b"x-one", b"2"), (b"content-length", b"5"), (b"connection", b"close"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", answer(b"HEAD /a 0", body=b"")),
        (b"GET /a HTTP/1.0\r\n\r\n", answer(b"GET /a 0")),
        (b"GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n", answer(b"GET /a 0")),
        (GET % b"a", answer(b"GET /a 0", last=False)),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nmore", answer(b"GET /a 0")),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: any\r\n\r\nxx", answer(b"GET /a 0")),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\nxx", answer(b"CONNECT a:80 0")),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
         b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n", answer(b"POST /a 5")),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf", b""),
        (b"", b""),
        (b"GET /a HT", b""),
    ],
)  # fmt: skip
async def test_each_way_to_ask_has_its_answer(echo: Echo, sent: bytes, said: bytes) -> None:
    found = await told(echo, sent, ends=not said.count(b"Connection: close"))
    assert found == said


H2C = (
    b"POST /a HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 5\r\nHost: x\r\n"
    b"HTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n\r\nhello"
)


@pytest.mark.parametrize("size", [1, 7, len(H2C) - 5, 1_000])
async def test_who_would_rather_speak_another_protocol_is_answered_in_this_one(echo: Echo, size: int) -> None:
    """Java's HttpClient asks so for HTTP/2, and sends its body all the same."""
    whole = H2C + H2C + b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    for at in range(0, len(whole), size):
        writer.write(whole[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
    said = re.sub(rb"Date: [^\r]+\r\n", b"", await reader.read())
    assert said == answer(b"POST /a 5", last=False) * 2 + answer(b"GET /b 0")
    writer.close()
    assert [came.body for came in echo.asked] == [b"hello", b"hello", b""]


async def test_who_has_said_all_gets_the_answer_that_comes_later(echo: Echo) -> None:
    echo.holds = True
    asking = asyncio.create_task(told(echo, GET % b"a"))
    while not echo.waiting:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # the end of what it has to say is here, too
    echo.answer(*echo.waiting[0])
    assert await asking == answer(b"GET /a 0")


async def test_who_is_gone_costs_nothing(echo: Echo) -> None:
    echo.holds = True
    _, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    gone_at_once = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, gone_at_once)
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n" + bytes(500))
    while not echo.waiting:
        await asyncio.sleep(0.01)
    assert echo.listener.taken == 500
    writer.transport.abort()
    while echo.listener.connections:
        await asyncio.sleep(0.01)
    echo.answer(*echo.waiting[0])
    assert echo.listener.taken == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 70_000), 431),
        (b"GET / HTTP/1.1\r\nA: %s\r\n\r\n" % (b"a" * 70_000), 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 40_000, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + bytes(1_001), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", 408),
    ],
)
async def test_what_can_not_be_a_request_is_told_so_once(echo: Echo, sent: bytes, status: int) -> None:
    found = await told(echo, sent, ends=False)
    assert found.startswith(b"HTTP/1.1 %d " % status)
    assert found.count(b"Content-Length: ") == 1
    assert b"\r\nConnection: close\r\n" in found
    assert echo.asked == []
    # After another one, that one is answered first.
    both = await told(echo, GET % b"a" + sent, ends=False)
    assert both.startswith(b"HTTP/1.1 200 ")
    assert b"GET /a 0HTTP/1.1 %d " % status in both


class Gone(asyncio.Transport):
    """The way to a client that is lost between an answer and the end of what there is to say, as few are."""

    def __init__(self) -> None:
        super().__init__()
        self.said = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def is_closing(self) -> bool:
        return False


async def test_who_is_refused_and_is_gone_already_is_no_mistake(echo: Echo) -> None:
    connection, way = HttpConnection(echo.listener), Gone()
    connection.connection_made(way)
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n")
    assert way.said.startswith(b"HTTP/1.1 413 ")
    connection.connection_lost(None)


async def test_a_head_without_an_end_is_not_kept(echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"GET / HTTP/1.1\r\nA: ")
    reading = asyncio.create_task(reader.read())
    with contextlib.suppress(ConnectionError):
        while not reading.done():
            writer.write(b"a" * 4_096)
            await writer.drain()
            await asyncio.sleep(0)
    assert (await reading).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on(echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(
        b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.read()).endswith(b"POST /a 3")
    writer.close()
    refused = await told(echo, b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n", ends=False)
    assert refused.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_does_not_read_its_answers_is_not_read_either(echo: Echo) -> None:
    """It would fill the memory with them."""
    _, writer = await asyncio.open_connection("127.0.0.1", echo.port, limit=1)
    writer.transport.pause_reading()
    many = 60_000  # with their answers more than any buffer on the way takes

    async def asking() -> None:
        for _ in range(many // 20):
            writer.write(GET % (b"a" * 500) * 20)
            await writer.drain()

    asks = asyncio.create_task(asking())
    before = -1
    while len(echo.asked) != before:
        before = len(echo.asked)
        await asyncio.sleep(0.5)
    assert 0 < before < many
    await cancelled(asks)
    writer.transport.abort()


async def test_no_more_connections_than_may_be(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_CONNECTIONS", 2)
    first = [await asyncio.open_connection("127.0.0.1", echo.port) for _ in range(2)]
    while len(echo.listener.connections) < 2:
        await asyncio.sleep(0.01)
    with contextlib.suppress(OSError):
        assert await told(echo, GET % b"a") == b""
    first[0][1].close()
    while len(echo.listener.connections) > 1:
        await asyncio.sleep(0.01)
    assert (await told(echo, GET % b"a")).endswith(b"GET /a 0")
    first[1][1].close()


async def test_who_says_nothing_is_let_go(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "IDLE_SECONDS", 0.3)
    with contextlib.suppress(ConnectionError):
        assert await told(echo, ends=False) == b""
    with contextlib.suppress(ConnectionError):
        assert (await told(echo, GET % b"a", ends=False)).endswith(b"GET /a 0")


async def test_asked_to_stop_it_lets_those_under_way_end(echo: Echo) -> None:
    echo.holds = True
    asking = asyncio.create_task(told(echo, GET % b"a", ends=False))
    _, idle = await asyncio.open_connection("127.0.0.1", echo.port)
    while not echo.waiting or len(echo.listener.connections) < 2:
        await asyncio.sleep(0.01)
    stopping = asyncio.create_task(echo.listener.stop(10))
    while len(echo.listener.connections) > 1:
        await asyncio.sleep(0.01)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", echo.port)
    echo.answer(*echo.waiting[0])
    assert await asking == answer(b"GET /a 0")
    await stopping
    idle.close()
