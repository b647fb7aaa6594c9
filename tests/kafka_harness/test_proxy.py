"""The proxy alone, before a server that sends back what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import pytest

from kafka_harness import TcpProxy, free_port
from kafka_harness.reading import until


class Echo:
    """A server that answers each byte with itself, and keeps what it got."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.got += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    async with await asyncio.start_server(echo.serve, "127.0.0.1", echo.port):
        yield echo


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    with TcpProxy(target=("127.0.0.1", echo.port)) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def connect(proxy: TcpProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_every_byte_passes_both_ways_up_to_the_end(proxy: TcpProxy) -> None:
    sent = random.Random(1).randbytes(3_000_000)
    async with connect(proxy) as (reader, writer):
        reading = asyncio.ensure_future(reader.read(-1))
        writer.write(sent)
        writer.write_eof()
        assert await reading == sent
        await until(lambda: proxy.connections == 0, "the proxy forgets the connection")
    assert proxy.accepted == 1


async def test_held_requests_reach_the_server_in_order_after_release(proxy: TcpProxy, echo: Echo) -> None:
    async with connect(proxy) as (reader, writer):
        proxy.hold("up")
        writer.write(b"one ")
        writer.write(b"two")
        await until(lambda: proxy.waiting("up") == 7, "the proxy has both")
        assert echo.got == b""
        proxy.release()
        assert await reader.readexactly(7) == b"one two"


async def test_requests_pass_until_one_has_the_mark(proxy: TcpProxy, echo: Echo) -> None:
    async with connect(proxy) as (reader, writer):
        proxy.hold_from(b"mark")
        writer.write(b"one ma")
        assert await reader.readexactly(6) == b"one ma"
        writer.write(b"rk two")  # in two pieces, as a network may cut it
        await until(lambda: proxy.waiting("up") == 6, "the proxy has it")
        assert proxy.holds("up")
        writer.write(b" three")
        await until(lambda: proxy.waiting("up") == 12, "the proxy has the next one, too")
        assert echo.got == b"one ma"
        proxy.release()
        assert await reader.readexactly(12) == b"rk two three"
        writer.write(b" mark four")
        assert await reader.readexactly(10) == b" mark four"


async def test_a_held_request_arrives_although_its_client_hung_up(proxy: TcpProxy, echo: Echo) -> None:
    async with connect(proxy) as (_, writer):
        proxy.hold("up")
        writer.write(b"late")
        await until(lambda: proxy.waiting("up") == 4, "the proxy has it")
    proxy.release()
    await until(lambda: echo.got == b"late", "the request arrives")


async def test_an_answer_is_lost_when_held_and_cut(proxy: TcpProxy, echo: Echo) -> None:
    async with connect(proxy) as (reader, writer):
        proxy.hold("down")
        writer.write(b"done?")
        await until(lambda: proxy.waiting("down") == 5, "the answer is on its way")
        assert echo.got == b"done?"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
    assert proxy.connections == 0


async def test_refuses_new_connections_and_keeps_open_ones(proxy: TcpProxy) -> None:
    async with connect(proxy) as (reader, writer):
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    proxy.accept()
    async with connect(proxy) as (reader, writer):
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"


async def test_delay_is_added_each_way_and_not_for_each_chunk(proxy: TcpProxy) -> None:
    async with connect(proxy) as (reader, writer):
        proxy.delay(100)
        began = time.monotonic()
        writer.write(bytes(2_000_000))  # more than 30 chunks each way: 6 s if each waited by itself
        await reader.readexactly(2_000_000)
        assert 0.2 <= time.monotonic() - began < 2


async def test_without_a_server_connections_are_reset(proxy: TcpProxy) -> None:
    proxy.target = ("127.0.0.1", free_port())
    with pytest.raises(ConnectionResetError):
        async with connect(proxy) as (reader, _):
            await reader.read(1)
