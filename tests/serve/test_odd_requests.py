"""What no browser and no library sends, on the wire, to each of our web servers: an answer, and no mistake of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pipeline.alerts.bridge import Bridge
from pipeline.collect.native import Native
from pipeline.collect.protocols import protocols
from pipeline.collect.server import FrontDoor
from pipeline.collect.sources import Sources, add_source
from pipeline.dashboard.server import Dashboard
from pipeline.serve.server import LiveServer, registry
from pipeline.settings import Settings
from pipeline.worker.collector import WorkerCollector
from pipeline.worker.make import make_app
from pipeline.worker.role import health, live_numbers
from schemas.plan_io import load_plan

NOWHERE = "http://127.0.0.1:9"
Server = Callable[[], Awaitable[int]]


@pytest.fixture(params=["dashboard", "worker", "bridge", "front door"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    """The port of one of our servers, with nothing behind it."""
    plan = load_plan("shop")
    settings = Settings(dashboard_port=0, dashboard_workers=NOWHERE, clickhouse_url=NOWHERE, collect_port=0)
    server: Dashboard | LiveServer | Bridge | FrontDoor
    if request.param == "dashboard":
        server = Dashboard(settings, plan)
    elif request.param == "bridge":
        server = Bridge(settings, plan, "127.0.0.1", 0)
    elif request.param == "front door":
        sources = tmp_path / "sources.json"
        add_source(sources, "web", origins=("*",))
        server = FrontDoor(settings, Sources(sources), [Native(), *protocols()])
    else:
        app = make_app(settings, plan, 1, None)
        figures = registry(WorkerCollector(app))
        server = LiveServer("127.0.0.1", 0, figures, lambda: health(app), lambda: live_numbers(app))
    await server.start()
    yield server.port
    await server.stop()


TARGETS = [
    b"//[",
    b"http://[",
    b"http://[::1",
    b"//evil.example",
    b"http://evil.example/",
    b"*",
    b"",
    b"?",
    b"/?",
    b"/%",
    b"/%00",
    b"/%0a",
    b"/%0d%0aX:%20y",
    b"/%ff",
    b"/\xff",
    b"/\x00",
    b"/?\xff=\xfe",
    b"/;a=b",
    b"/..",
    b"/%2e%2e/",
    b"/" + b"a" * 7_000,
    b"/?" + b"a=b&" * 1_500,
    b"/health?" + b"&" * 5_000,
    b"/live?x=[",
    b"/metrics?name[]=%ED%A0%80",
    b"/part/%2f",
    b"a:b",
    b"/part/now?to=9999-12-31&from=0001-01-01",
    b"/stream?page=%00",
    b"/download/..%2f..%2fetc%2fpasswd",
]
HEADERS = [
    b"Accept-Language: \xff\xfe",
    b"Accept-Language: ;q=,;;q=x,zh;q=nan,en;q=1e999," + b"a," * 2_000,
    b"Accept-Language: ",
    b'Cookie: lang=\xff; theme="; streamgauge=|||',
    b"Cookie: " + b"=;" * 3_000,
    b"Cookie: streamgauge=ann|9" + b"9" * 500 + b"|x",
    b"Cookie: streamgauge=ann|\xc2\xb2|0",
    b"Accept-Encoding: " + b"gzip;q=x," * 500,
    b"Range: bytes=-1-,5-2",
    b"Expect: anything",
    b"If-Modified-Since: never",
    b"Last-Event-ID: \xff",
    b"Accept: */*;q=\x80",
    b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Content-Length: -1",
    b"Content-Length: 1\r\nContent-Length: 2",
    b"Transfer-Encoding: gzip",
    b"X-Forwarded-Proto: \xff",
    b"Content-Length: 2\r\nContent-Encoding: deflate",
    b"Content-Type: multipart/form-data\r\nContent-Length: 2",
    b"Content-Type: application/x-www-form-urlencoded; charset=nowhere",
    b"Content-Type: \xff",
    b"Content-Type: multipart/mixed",
    b"Authorization: Basic \xff",
    b"Sec-Fetch-Site: \xff",
    b"Origin: http://[",
    b"Sec-WebSocket-Key: x\r\nUpgrade: websocket",
]


async def ask(port: int, method: bytes, target: bytes, header: bytes, body: bytes = b"") -> bytes:
    """The head of the answer; b"" where the connection was closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        host = b"" if header.startswith(b"Host:") else b"Host: 127.0.0.1\r\n"
        writer.write(
            method + b" " + target + b" HTTP/1.1\r\n" + host + header + b"\r\nConnection: close\r\n\r\n" + body
        )
        async with asyncio.timeout(20):
            try:
                return await reader.readuntil(b"\r\n\r\n")  # and no more: the connection may be kept
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
    finally:
        writer.close()


def status(head: bytes) -> int:
    """0 where there was no answer; 503 is what /health says, and pages whose database is away."""
    found = int(head[9:12]) if head else 0
    return 200 if found == 503 else found


async def test_odd_addresses_have_an_answer(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for target in TARGETS:
            for method in (b"GET", b"POST", b"HEAD", b"OPTIONS", b"DELETE", b"CONNECT", b"\xff"):
                head = await ask(port, method, target, b"X: y")
                assert status(head) < 500, (method, target, head)
                assert b"evil.example" not in head
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


async def test_odd_headers_have_an_answer(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for header in HEADERS:
            for method, target in ((b"GET", b"/"), (b"GET", b"/health"), (b"GET", b"/set?lang=zh"), (b"GET", b"/live"),
                                   (b"POST", b"/login"), (b"POST", b"/console")):  # fmt: skip
                head = await ask(port, method, target, header, b"ab")
                assert status(head) < 500, (method, target, header, head)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
