"""`streamgauge up` on Apache Kafka: killed, cut off and filled up, it loses nothing that it answered.

`tests.chaos.up` draws such faults at random; here are those that need hands.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from chaos.clients import Known
from chaos.installation import Installation
from chaos.recount import differences
from chaos.up import installation, run
from chaos.watched import is_ready, until
from jumping_clock import JumpingClock
from kafka_harness.reading import read_log
from small_disk import fill, small_disk
from whole_system import command

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("needs_kafka", "needs_embedded")]


@pytest.fixture
async def new_installation(tmp_path: Path) -> AsyncIterator[Callable[..., Installation]]:
    made: list[Installation] = []

    def make(**settings: str) -> Installation:
        variables = {f"PIPELINE_{name.upper()}": value for name, value in settings.items()}
        made.append(Installation(tmp_path, {"PIPELINE_PARTITIONS": "2", **variables}))
        return made[-1]

    yield make
    for one in made:
        one.power_cut()


async def post(up: Installation, *events: dict[str, Any]) -> int | None:
    """The front door's answer; None if there is none."""
    try:
        timeout = aiohttp.ClientTimeout(total=15)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(up.door, json=list(events), headers={"Authorization": f"Bearer {up.key}"}) as answer,
        ):
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


def event(number: int, **fields: Any) -> dict[str, Any]:
    """The first step of a funnel, of one of 20 users."""
    body = {"event_id": f"e{number}", "event": "view_item", "user_id": f"u{number % 20}"}
    return {**body, "properties": {"item_id": "i1"}, **fields}


async def send(up: Installation, first: int, count: int) -> None:
    for start in range(first, first + count, 20):
        assert await post(up, *map(event, range(start, min(start + 20, first + count)))) == 200, up.said[-2000:]


async def ids(up: Installation, table: str = "events") -> list[str]:
    return sorted((row[0] for row in await up.query(f"SELECT event_id FROM {table}")), key=lambda name: int(name[1:]))


def names(*counts: int) -> list[str]:
    return [f"e{number}" for number in range(*counts)]


async def test_a_short_run_of_faults_is_exact(needs_compiler: None, tmp_path: Path) -> None:
    """Every second time the clock jumps between them. `python -m tests.chaos.up` makes longer ones."""
    seed = int(time.time()) % 1_000_000
    up, jumping = installation(seed, tmp_path), seed % 2 == 1
    up.clock = JumpingClock(tmp_path) if jumping else None
    try:
        await up.start()
        report = await run(up, seed, Known(jumping=jumping), faults=3, tell=lambda line: None)
    finally:
        up.power_cut()
    again = f"again: python -m tests.chaos.up --seed {seed} --faults 3{' --jumping' if jumping else ''}"
    assert report.exact, "\n".join([*report.timeline, *report.problems, again])
    assert report.acknowledged > 300


async def test_ports_stay_a_second_one_is_refused_and_a_web_page_can_not_speak_kafka(
    new_installation: Callable[..., Installation],
) -> None:
    up = new_installation()
    await up.start()
    await send(up, 0, 100)
    ports, stream = up.ports(), up.settings.stream
    assert up.settings.kafka_bootstrap == f"127.0.0.1:{ports['Kafka']}"
    again = command("up", "--data", str(up.data))
    assert again.returncode == 2
    assert re.fullmatch(
        rf"streamgauge: {up.data} is in use by another `streamgauge up` or `demo` \(process \d+\): end that first, or "
        r"use another --data\n",
        again.stderr,
    )
    before = await up.ends()
    for begin in (b"POST /v1 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"PUT / HTTP/1.1\r\n\r\n",
                  bytes.fromhex("160301")):  # fmt: skip
        # What a page can have a browser send to a port begins so; then a whole request of Kafka's, as it may.
        assert await asyncio.to_thread(_answer, ports["Kafka"], begin + _METADATA) == b""
    assert await asyncio.to_thread(_answer, ports["Kafka"], _METADATA) != b"", "the request itself is none"
    assert await up.ends() == before
    assert await up.terminate() == 0
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", ports["collect"]))
        other.listen()
        taken = command("up", "--data", str(up.data))
        assert (taken.returncode, taken.stderr) == (
            2,
            f"streamgauge: port {ports['collect']} of this installation (collect) is taken by another program: end "
            f"that, or remove 'collect' from {up.data}/ports.json to have another one chosen\n",
        )
    await up.start()
    assert (up.ports(), up.settings.stream) == (ports, stream)
    await send(up, 100, 50)
    await up.drained()
    assert await ids(up) == names(150)
    assert (await up.live_totals())["accepted"] == 150
    logs = await read_log(up.settings.kafka_bootstrap, "events")
    assert sum(map(len, logs.values())) == 150


#: A request for metadata of all topics, version 1, after its size.
_METADATA = struct.pack(">ihhih1si", 19 - 4, 3, 1, 7, 1, b"a", -1)


def _answer(port: int, request: bytes) -> bytes:
    """What comes back, nothing where the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(request)
            return connection.recv(1000)
        except (ConnectionResetError, BrokenPipeError):
            return b""


@pytest.mark.usefixtures("needs_mount")
@pytest.mark.parametrize("whose", ["kafka", "clickhouse", ""], ids=["of Kafka", "of ClickHouse", "of both"])
async def test_a_disk_that_was_full_has_lost_nothing(
    new_installation: Callable[..., Installation], tmp_path: Path, whose: str
) -> None:
    folder = tmp_path / "data" / whose
    folder.parent.mkdir(parents=True, exist_ok=True)
    with small_disk(folder, 256) as disk:
        up = new_installation()
        await up.start()
        await send(up, 0, 100)
        filler = fill(disk, 1 << 20)
        answered: set[int] = set()
        number, deadline = 100, time.monotonic() + 60
        while not await _ill(up, whose):
            assert time.monotonic() < deadline, up.said[-2000:]
            # What can't be packed, so that the disk is soon full.
            batch = [event(n, properties={"item_id": "".join(chr(0x4E00 + (n * 31 + k) % 20000) for k in range(200))})
                     for n in range(number, number + 20)]  # fmt: skip
            if await post(up, *batch) == 200:
                answered |= set(range(number, number + 20))
            number += 20
        filler.unlink()

        async def well() -> bool:
            return all([await is_ready(role) for role in up.answering])

        await until(well, "all are well again", 150, lambda: up.said[-3000:])
        # Who had no answer tries again.
        for start in range(100, number, 20):
            assert await post(up, *map(event, range(start, start + 20))) == 200
        await up.drained()
        stored = await ids(up)
        assert stored == names(number)
        assert {f"e{n}" for n in answered} <= set(stored)
        _, found = await differences(up)
        assert found == []
        up.power_cut()


async def _ill(up: Installation, whose: str) -> bool:
    if "the broker waits: the disk of" in up.said:
        return True
    health = await up.roles["archiver"].ask("/health")
    problems = str(health["problems"]) if health else ""
    return whose == "clickhouse" and ("No space left" in problems or "NOT_ENOUGH_SPACE" in problems)
