"""The front door: events a second of a core, in batches of 1, 20 and 500, native and as Segment's SDKs send them.

Beside it the floor, a bare ASGI server that parses and produces. Both are clients of one embedded broker, and each
request waits for its acknowledgement. What is measured is the server's CPU time, so that the clients beside it and a
busy machine change little. And how long requests take at a steady rate.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.collect.sources import add_source
from pipeline.embedded.broker import EmbeddedBroker
from pipeline.settings import Settings
from pipeline.topics import ensure_topics

from .events import PARTITIONS
from .machine import cpu_seconds
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes

#: Events of a request, connections at once, and events in all for each full million of `Sizes.events`.
BATCHES = ((1, 32, 20_000), (20, 32, 200_000), (500, 4, 400_000))
#: Of the floor's events a core, what the front door must reach.
SHARE = 0.6
#: Events a second and of a request; the slowest request but one in a hundred is to take no longer.
RATE, RATE_SECONDS = 5_000, 10.0
RATES = ((RATE, 20), (RATE, 1))
P99_MS = 50.0
_numbers = itertools.count()


def native(_: int) -> dict[str, Any]:
    """An event in the plan's form."""
    n = next(_numbers)
    return {
        "event_id": f"e{n}", "event": "view_item", "user_id": f"u{n % 5_000}", "ts": int(time.time() * 1000),
        "platform": "ios", "channel": "search", "properties": {"item_id": f"i{n % 100}", "price": 19.9},
    }  # fmt: skip


def segment(_: int) -> dict[str, Any]:
    """The same as a message of Segment's libraries for servers."""
    n = next(_numbers)
    return {
        "type": "track", "messageId": f"e{n}", "event": "view_item", "userId": f"u{n % 5_000}",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "context": {"library": {"name": "analytics-python", "version": "2.3.4"}},
        "properties": {"item_id": f"i{n % 100}", "price": 19.9},
    }  # fmt: skip


def bodies(kind: str, size: int) -> Iterator[bytes]:
    """Bodies of requests."""
    while True:
        made: Any = [(native if kind == "native" else segment)(n) for n in range(size)]
        if kind == "segment":
            made = {"batch": made, "sentAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())}
        elif size == 1:
            made = made[0]
        yield json.dumps(made).encode()


@dataclass
class Server:
    """A process that takes events."""

    process: subprocess.Popen[Any]
    port: int
    key: str

    def request(self, kind: str, body: bytes) -> bytes:
        """The bytes of a request."""
        path, login = "/v1/events", f"Bearer {self.key}"
        if kind == "segment":
            path, login = "/v1/batch", f"Basic {base64.b64encode(f'{self.key}:'.encode()).decode()}"
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {login}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Events a second of a core, and how long requests take."""
    found: dict[tuple[str, str, int], list[float]] = {}
    waits: dict[tuple[int, int], list[list[float]]] = {}
    with TemporaryDirectory(prefix="streamgauge-collect-") as folder:
        async with EmbeddedBroker(Path(folder)) as broker:
            await ensure_topics(Settings(kafka_bootstrap=broker.bootstrap, partitions=PARTITIONS))
            for run in range(1, sizes.runs + 1):
                for name, start in (("floor", _floor), ("front door", _door)):
                    say(f"run {run} of {sizes.runs}: the {name}")
                    async with start(broker.bootstrap, Path(folder)) as server:
                        for kind in ("native", "segment"):
                            for size, connections, total in BATCHES:
                                total = max(size * connections * 2, total * sizes.events // 1_000_000)
                                rate = await _throughput(server, kind, size, connections, total)
                                found.setdefault((name, kind, size), []).append(rate)
                        if name == "front door":
                            for rate, size in RATES:
                                say(f"run {run} of {sizes.runs}: {rate:,} events a second, {size} a request")
                                waits.setdefault((rate, size), []).append(await _steady(server, rate, size))
    rows = []
    for kind in ("native", "segment"):
        for size, *_ in BATCHES:
            floor, door = found["floor", kind, size], found["front door", kind, size]
            what = f"{kind}, {size} a request"
            rows.append(Row(f"floor, {what}", "events/s a core", rounded(*floor)))
            rows.append(Row(f"front door, {what}", "events/s a core", rounded(*door)))
            shares = [ours / theirs for ours, theirs in zip(door, floor, strict=True)]
            rows.append(Row(f"front door's share of the floor, {what}", "", rounded(*shares), SHARE))
    for (rate, size), each_run in waits.items():
        for share in (0.5, 0.99):
            runs = rounded(*(1_000 * sorted(took)[int(len(took) * share)] for took in each_run))
            target = P99_MS if share == 0.99 else None
            what = f"front door: a request at {rate:,} events/s, {size} each, {share:.0%}"
            rows.append(Row(what, "ms", runs, target, at_most=True))
    return rows


@contextlib.asynccontextmanager
async def _floor(bootstrap: str, _: Path) -> AsyncIterator[Server]:
    port = _free_port()
    command = [sys.executable, "-m", "tests.bench.collect_floor", bootstrap, str(port)]
    async with _process(command, port, {}) as process:
        yield Server(process, port, "x" * 32)


@contextlib.asynccontextmanager
async def _door(bootstrap: str, folder: Path) -> AsyncIterator[Server]:
    port, sources = _free_port(), folder / f"sources-{next(_numbers)}.json"
    key = add_source(sources, "bench")
    settings = {"KAFKA_BOOTSTRAP": bootstrap, "COLLECT_PORT": str(port), "COLLECT_SOURCES": str(sources)}
    command = [sys.executable, "-P", "-m", "pipeline.cli", "collect"]
    async with _process(command, port, {f"PIPELINE_{name}": value for name, value in settings.items()}) as process:
        yield Server(process, port, key)


@contextlib.asynccontextmanager
async def _process(command: list[str], port: int, env: dict[str, str]) -> AsyncIterator[subprocess.Popen[Any]]:
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, f"{command} has ended"
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
                status = (await reader.readuntil(b"\r\n"))[9:12]
                writer.close()
                # The floor knows no such page, and is there when it says so.
                if status != b"503":
                    break
            await asyncio.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _throughput(server: Server, kind: str, size: int, connections: int, total: int) -> float:
    """Events a second of the server's CPU time."""
    each = max(1, total // size // connections)
    making = bodies(kind, size)
    loads = [[server.request(kind, next(making)) for _ in range(each)] for _ in range(connections)]
    await _send_all([server.request(kind, next(making)) for _ in range(5)], server.port)
    before = cpu_seconds(server.process.pid)
    await asyncio.gather(*(_send_all(load, server.port) for load in loads))
    return each * connections * size / (cpu_seconds(server.process.pid) - before)


async def _send_all(requests: list[bytes], port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        await _answer(reader)
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    assert head[9:12] == b"200", head + body


async def _steady(server: Server, rate: int, size: int) -> list[float]:
    """How long each request took, sent at its time or as soon as a connection was free, from that time on."""
    count = int(rate / size * RATE_SECONDS)
    making = bodies("native", size)
    requests = [server.request("native", next(making)) for _ in range(count)]
    next_one = itertools.count()
    begun = time.perf_counter() + 0.2
    took: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while (n := next(next_one)) < count:
            due = begun + n * size / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            writer.write(requests[n])
            await _answer(reader)
            took.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(32)))
    return took
