"""Clients that take their time, and many at once: bounded in time and in memory, and told so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.collect.native import Native
from pipeline.collect.server import FrontDoor
from pipeline.collect.sources import Sources, add_source
from pipeline.serve import guard
from pipeline.settings import Settings

HEAD = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[FrontDoor, bytes]]:
    """A front door that Kafka is not known to yet, in this process."""
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.2)
    sources = tmp_path / "sources.json"
    key = add_source(sources, "web")
    settings = Settings(collect_port=0, collect_max_waiting=1 << 20, collect_sources=sources)
    made = FrontDoor(settings, Sources(sources), [Native()])
    await made.start()
    yield made, key.encode()
    await made.stop()


async def said(port: int, sent: bytes) -> bytes:
    """What a connection is told until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_a_head_that_does_not_come_closes_the_connection(door: tuple[FrontDoor, bytes]) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert await said(door[0].port, b"POST /v1/eve") == b""


async def test_a_body_that_does_not_come_is_told_so(door: tuple[FrontDoor, bytes]) -> None:
    answer = await said(door[0].port, HEAD % door[1] + b"Content-Length: 10\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"too_slow"' in answer
    assert door[0].taken == 0


async def test_bodies_of_many_at_once_take_no_more_memory_than_they_may(door: tuple[FrontDoor, bytes]) -> None:
    piece = HEAD % door[1] + b"Content-Length: 300000\r\n\r\n" + bytes(280_000)
    answers = await asyncio.gather(*(said(door[0].port, piece) for _ in range(8)))
    statuses = sorted(answer[9:12] for answer in answers)
    assert set(statuses) == {b"408", b"503"}
    assert any(b"Retry-After: 2" in answer for answer in answers)
    assert door[0].taken == 0


async def test_without_kafka_events_are_to_come_again(door: tuple[FrontDoor, bytes]) -> None:
    answer = await said(
        door[0].port, HEAD % door[1] + b'Connection: close\r\nContent-Length: 16\r\n\r\n{"event":"look"}'
    )
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 2" in answer
    assert door[0].health()["problems"]["kafka"] == "not reached yet"
