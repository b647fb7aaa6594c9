"""Whom a web server lets in, and for how long it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from pipeline.serve import guard
from pipeline.serve.guard import Door, Runner, door, host_of, middleware, refused

LOOPBACK = door("127.0.0.1")
#: As in a container: it listens on every address, and is called by the name of its service.
CONTAINER = door("0.0.0.0", "worker, Archiver.shop.svc")
PAGES = door("127.0.0.1", links=True)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("127.0.0.1", ("127.0.0.1", "")), ("127.0.0.1:8123", ("127.0.0.1", "8123")),
        ("LocalHost:80", ("localhost", "")),
        ("[::1]:8123", ("::1", "8123")), ("[::1]", ("::1", "")), ("worker:9600", ("worker", "9600")),
        ("[", None), ("]", None), ("[]", None), ("", None), (":8123", None), ("::1", None), ("[::1", None),
        ("a b", None),
        ("[zz]", None), ("[1:2]", None), ("127.0.0.1:99999", None), ("127.0.0.1:", None), ("127.0.0.1:8123:1", None),
        ("a@127.0.0.1", None), ("127.0.0.1/x", None), ("127.0.0.1\x00", None), ("127.0.0.1,evil", None), ("é", None),
    ],
)  # fmt: skip
def test_a_host_is_read_as_an_address(value: str, found: tuple[str, str] | None) -> None:
    assert host_of(value) == found


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["127.0.0.1:8123"], None), (["localhost:8123"], None), (["[::1]:8123"], None), (["127.8.9.1"], None),
        (["127.0.0.1.evil.example"], 403), (["localhost.evil.example"], 403), (["evil.example"], 403),
        (["localhost."], 403),
        (["127.1"], 403), (["2130706433"], 403), (["0x7f.1"], 403), (["10.0.0.5:8123"], 403), (["[2001:db8::1]"], 403),
        ([], 400), (["["], 400), ([""], 400), (["127.0.0.1", "127.0.0.1"], 400), (["127.0.0.1", "evil.example"], 400),
    ],
)  # fmt: skip
def test_on_loopback_it_answers_to_loopback_names_only(hosts: list[str], status: int | None) -> None:
    found = refused(LOOPBACK, "GET", hosts, {})
    assert (found and found[0]) == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("10.1.2.3:9600", None), ("[2001:db8::1]:9600", None), ("worker:9600", None), ("archiver.shop.svc", None),
        ("127.0.0.1:9600", None), ("evil.example", 403), ("worker.evil.example", 403), ("10.1.2.3.evil.example", 403),
    ],
)  # fmt: skip
def test_in_a_container_it_answers_to_addresses_and_its_names(host: str, status: int | None) -> None:
    found = refused(CONTAINER, "GET", [host], {})
    assert (found and found[0]) == status


@pytest.mark.parametrize(
    ("headers", "lets"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8123"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "anything"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
        ({"Origin": "http://127.0.0.1:8123"}, True),
        ({"Origin": "http://127.0.0.1:9000"}, False),
        ({"Origin": "http://localhost:8123"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://127.0.0.1:8123.evil.example"}, False),
        ({"Origin": "http://127.0.0.1:8123@evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "file://"}, False),
        ({"Origin": "chrome-extension://abc"}, False),
        ({"Sec-Fetch-Site": "none", "Origin": "http://evil.example"}, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_other_origins_are_sent_away(method: str, headers: dict[str, str], lets: bool) -> None:
    assert (refused(LOOPBACK, method, ["127.0.0.1:8123"], headers) is None) == lets


def test_a_link_may_open_a_page_and_nothing_else() -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert refused(PAGES, "GET", ["127.0.0.1:9110"], link) is None
    assert refused(PAGES, "POST", ["127.0.0.1:9110"], link) is not None
    for change in ({"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Dest": "object"}, {"Sec-Fetch-Mode": "no-cors"}):
        assert refused(PAGES, "GET", ["127.0.0.1:9110"], link | change) is not None
    assert refused(PAGES, "GET", ["evil.example"], link) is not None


def test_behind_a_proxy_its_name_is_ours() -> None:
    behind = door("127.0.0.1", "dash.example", links=True)
    assert refused(behind, "POST", ["127.0.0.1:9110"], {"Origin": "https://dash.example"}) is None
    assert refused(behind, "POST", ["dash.example"], {"Origin": "https://dash.example"}) is None
    assert refused(behind, "POST", ["dash.example"], {"Origin": "https://other.example"}) is not None
    assert refused(behind, "POST", ["127.0.0.1:9110"], {"Origin": "http://dash.example:9000"}) is not None
    assert refused(Door(any_name=True), "GET", ["any.example"], {}) is None


Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """A server that says what it was sent, with short bounds; its port."""
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(guard, "MAX_CONNECTIONS", 5)
    runners: list[Runner] = []

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {await request.text()}")

    async def begin(idle_seconds: float = 0.3) -> int:
        app = web.Application(client_max_size=1024, middlewares=[middleware(LOOPBACK)])
        app.router.add_route("*", "/", answer)
        runner = Runner(app, idle_seconds=idle_seconds)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return int(runner.addresses[0][1])

    yield begin
    for runner in runners:
        await runner.cleanup()


async def talk(port: int, *pieces: bytes) -> bytes:
    """Send the pieces and read until the server closes, which it has to within some seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
        async with asyncio.timeout(10):
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""
    finally:
        writer.close()


HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b""),
        (b"G", b""),
        (HEAD, b""),
        (HEAD + b"X: y", b""),
        (HEAD + b"Content-Length: 5\r\n\r\nab", b"408 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", b"408 "),
        (HEAD + b"Content-Length: 2\r\n\r\nab", b"200 "),
        (HEAD + b"Content-Length: 2\r\n\r\nabPOST / HT", b"200 "),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.0\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.1\r\nHost: [\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403 "),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403 "),
        (b"GET http://[/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400 "),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"400 "),
        (b"\x00\x00\x00\x10\xff\r\n\r\n", b"400 "),
    ],
)  # fmt: skip
async def test_nothing_is_waited_for_for_ever(serve: Serve, sent: bytes, expected: bytes) -> None:
    answer = await talk(await serve(), sent)
    assert answer[9:13] == expected
    assert (answer == b"") == (expected == b"")
    assert b"Traceback" not in answer


@pytest.mark.parametrize("sent", [b"", b"G", HEAD])
async def test_a_connection_is_not_kept_for_a_request_that_does_not_come(serve: Serve, sent: bytes) -> None:
    """However long one is kept that had its request."""
    assert await talk(await serve(idle_seconds=3600), sent) == b""


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(serve: Serve) -> None:
    port = await serve(idle_seconds=3600)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(HEAD + b"X: ")
    with pytest.raises(ConnectionError):
        for _ in range(1_000):
            writer.write(b"x")
            await writer.drain()
            if reader.at_eof():
                raise ConnectionResetError
            await asyncio.sleep(0.02)
    assert time.monotonic() - began < 10
    writer.close()


async def test_more_connections_than_there_is_room_for_are_closed(serve: Serve) -> None:
    port = await serve(idle_seconds=30)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for reader, writer in held:
        writer.write(request)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert await talk(port, request) == b""
    held[0][1].close()
    await held[0][1].wait_closed()
    async with asyncio.timeout(10):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            try:
                answered = await reader.readline()
            except ConnectionResetError:
                answered = b""
            writer.close()
            if answered.startswith(b"HTTP/1.1 200"):
                break
    for _, writer in held:
        writer.close()


async def test_what_is_answered_is_never_taken_for_something_else(serve: Serve) -> None:
    port = await serve()
    for head in (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /no HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
        assert b"\r\nX-Content-Type-Options: nosniff\r\n" in await talk(port, head)
