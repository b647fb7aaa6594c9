"""Addresses as they are printed, and processes that listen on them."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from pipeline.dashboard.server import Dashboard
from pipeline.errors import UserError
from pipeline.process import address, cancelled, first_of, keep_watchdog, notify
from pipeline.settings import Settings, load_settings
from schemas.plan_io import load_plan


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert address("::1", 9110) == "[::1]:9110"
    assert address("127.0.0.1", 9110) == "127.0.0.1:9110"
    assert address("kafka-1", 9092) == "kafka-1:9092"


def test_a_broker_without_its_brackets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_KAFKA_BOOTSTRAP", "::1:9092")
    with pytest.raises(UserError, match=r"an IPv6 address stands in brackets: \[::1\]:9092"):
        load_settings()
    monkeypatch.setenv("PIPELINE_KAFKA_BOOTSTRAP", "[::1]:9092,kafka-2:9092")
    assert load_settings().kafka_bootstrap == "[::1]:9092,kafka-2:9092"


async def test_who_waits_for_the_first_and_is_cancelled_leaves_nothing_running() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(first_of(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert ended.is_set()


async def loses(cancellations: int) -> None:
    """As a loop does around a library that takes a cancellation for its own."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancellations -= 1
            if cancellations < 0:
                raise


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    async with asyncio.timeout(10):
        await first_of(loses(2), asyncio.sleep(0))


async def test_who_waits_for_a_task_to_end_and_is_cancelled_leaves_nothing_running() -> None:
    stubborn = asyncio.create_task(loses(2))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(cancelled(stubborn))
    await asyncio.sleep(0)
    waiting.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(waiting, return_exceptions=True)
    assert stubborn.cancelled()
    assert waiting.cancelled()


async def test_who_can_not_listen_names_the_address_as_the_web_writes_it() -> None:
    """On a port that is taken, or on a machine without IPv6."""
    family = socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET
    with socket.socket(family) as taken:
        try:
            taken.bind(("::1", 0))
            taken.listen()
            port = taken.getsockname()[1]
        except OSError:
            port = 9
        settings = Settings(dashboard_host="::1", dashboard_port=port, clickhouse_url="http://127.0.0.1:9")
        dashboard = Dashboard(settings, load_plan("shop"))
        with pytest.raises(UserError, match=rf"^\[::1\]:{port} can't be listened on"):
            await dashboard.start()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_in_one_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"@streamgauge-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if abstract else name)
        receiver.settimeout(5)
        notify("READY=1")  # nobody has asked
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1", "STATUS=all is well")
        assert receiver.recv(1000) == b"READY=1\nSTATUS=all is well"


def test_nobody_who_listens_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (str(tmp_path / "none"), "relative", "vsock:2:7", ""):
        monkeypatch.setenv("NOTIFY_SOCKET", where)
        notify("READY=1")


async def test_the_watchdog_is_fed_as_often_as_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        feeding = asyncio.create_task(keep_watchdog())
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for _ in range(3):
            assert await asyncio.wait_for(loop.sock_recv(receiver, 100), 5) == b"WATCHDOG=1"
        assert loop.time() - began >= 0.19
        await cancelled(feeding)
        # Another process is meant: ours is none of its business.
        monkeypatch.setenv("WATCHDOG_PID", "1")
        feeding = asyncio.create_task(keep_watchdog())
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            receiver.recv(100)
        await cancelled(feeding)
