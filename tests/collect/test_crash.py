"""The front door killed amid requests, and asked to end: clients that try again lose nothing, nothing counts twice."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest
from collect.doors import Door

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]

CLIENTS, REQUESTS, EVENTS = 8, 60, 5


@pytest.fixture
def door(tmp_path: Any) -> Iterator[Door]:
    made = Door(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.close()


async def post(session: aiohttp.ClientSession, door: Door, body: bytes) -> int | None:
    """The status of one attempt, None where the connection was lost."""
    try:
        async with session.post(
            f"http://127.0.0.1:{door.port}/v1/events", data=body, headers={"Authorization": f"Bearer {door.key}"}
        ) as said:
            await said.read()
            return said.status
    except (aiohttp.ClientError, OSError):
        return None


async def until_taken(session: aiohttp.ClientSession, door: Door, body: bytes) -> int:
    """Send the same request until it is taken, as an SDK does; returns how often it was sent."""
    for attempt in range(1, 1_000):
        if await post(session, door, body) == 200:
            return attempt
        await asyncio.sleep(0.05)
    raise AssertionError("never taken")


def test_a_door_that_is_killed_three_times_loses_nothing_and_counts_nothing_twice(door: Door) -> None:
    now = int(time.time() * 1000)
    rng = random.Random(1)
    taken = 0

    def request(client: int, number: int) -> bytes:
        events = []
        for n in range(EVENTS):
            event: dict[str, Any] = {
                "event": "look", "user_id": f"u{rng.randrange(50)}", "ts": now - number,
                "properties": {"item": f"{client}/{number}/{n}"},
            }  # fmt: skip
            if client % 2:
                event["event_id"] = f"{client}/{number}/{n}"  # the others get one of their content
            events.append(event)
        return json.dumps(events).encode()

    async def client(number: int) -> int:
        nonlocal taken
        attempts = 0
        async with aiohttp.ClientSession() as session:
            for n in range(REQUESTS):
                attempts += await until_taken(session, door, request(number, n))
                taken += 1
        return attempts

    async def killer() -> None:
        for share in (0.2, 0.5, 0.8):
            while taken < share * CLIENTS * REQUESTS:
                await asyncio.sleep(0.002)
            await asyncio.to_thread(door.end, signal.SIGKILL)
            await asyncio.to_thread(door.start)

    async def run() -> int:
        *attempts, _ = await asyncio.gather(*(client(n) for n in range(CLIENTS)), killer())
        return sum(attempt for attempt in attempts if attempt is not None)

    attempts = asyncio.run(run())
    assert attempts > CLIENTS * REQUESTS, "no request met a crash"
    counted = Counter(fields["properties"]["item"] for fields in door.accepted())
    wanted = {f"{c}/{n}/{e}" for c in range(CLIENTS) for n in range(REQUESTS) for e in range(EVENTS)}
    assert counted.keys() == wanted
    assert set(counted.values()) == {1}


def test_asked_to_end_while_kafka_is_away_it_ends_in_time(door: Door) -> None:
    door.freeze()
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(door.send, {"event": "look", "user_id": "u1"})
            deadline = time.monotonic() + 20
            while not door.ask("GET", "/health").data["waiting_bytes"]:
                assert time.monotonic() < deadline
            began = time.monotonic()
            assert door.end() == 0
            assert time.monotonic() - began < 10
            with contextlib.suppress(ConnectionError, http.client.HTTPException):
                assert waiting.result().status == 503
    finally:
        door.thaw()


def test_asked_to_end_it_answers_what_it_has_begun_and_takes_no_more(door: Door) -> None:
    now = int(time.time() * 1000)
    bodies = [
        json.dumps({"event": "look", "user_id": f"u{n}", "ts": now, "event_id": f"e{n}"}).encode() for n in range(400)
    ]
    statuses: list[int | None] = []

    async def run() -> int:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20)) as session:

            async def one(body: bytes) -> None:
                statuses.append(await post(session, door, body))

            async def end() -> int:
                while len(statuses) < 50:
                    await asyncio.sleep(0.001)
                return await asyncio.to_thread(door.end)

            *_, code = await asyncio.gather(*map(one, bodies), end())
            assert code is not None
            return code

    assert asyncio.run(run()) == 0
    assert set(statuses) <= {200, None}
    stored = {fields["event_id"] for fields in door.accepted()}
    # What was answered is there; a connection that was refused brought nothing.
    assert len(stored) == statuses.count(200)
    assert 50 <= len(stored) < 400
    assert "Traceback" not in door.log
