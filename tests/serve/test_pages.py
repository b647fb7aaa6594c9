"""The pages of real roles: what they say, and that it is what is described."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from whole_system import until

from pipeline.demo.role import Role
from pipeline.demo.system import System
from pipeline.serve import feed, names
from pipeline.serve.answers import ARCHIVER_HEALTH, LIVE, WORKER_HEALTH
from pipeline.serve.feed import MAX_LISTENERS, EventStream
from pipeline.serve.server import LiveServer, registry
from pipeline.settings import Settings
from pipeline.simulate import Noise, Population, add_noise
from schemas.plan_io import load_plan

EVENTS = 3_000
#: Of records that are no event of their own.
BETWEEN = ("forwarded", "forwarded_again", "link")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[System]:
    async with System(Settings(plan="shop"), folder) as system:
        await system.wait_ready()
        yield system


async def send(system: System, count: int = EVENTS) -> None:
    """Send the events of the last minutes, noise included."""
    plan, rate = load_plan("shop"), 25.0
    producer = AIOKafkaProducer(**system.settings.kafka_kwargs())
    await producer.start()
    try:
        start = int(time.time() * 1000) - int(count / rate * 1000)
        population = Population(5, start_ms=start, rate=rate, users=500)
        records = add_noise(population.events(), Noise().times(3), plan, seed=5, partitions=8)
        for _ in range(count):
            record = next(records)
            await producer.send(system.settings.events_topic, record.value, key=record.key, partition=record.partition)
        await producer.flush()
    finally:
        await producer.stop()


async def text(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


def samples(page: str) -> dict[str, list[Any]]:
    return {family.name: family.samples for family in text_string_to_metric_families(page)}


@pytest.mark.integration
@pytest.mark.usefixtures("needs_embedded")
async def test_every_page_says_what_its_description_says(tmp_path: Path) -> None:
    async with running(tmp_path) as system:
        await send(system)

        async def counted() -> bool:
            live = await system.worker.ask("/live")
            health = await system.archiver.ask("/health")
            done = sum(v for k, v in live["totals"].items() if k not in BETWEEN) if live else 0
            return bool(health) and done >= EVENTS and health["lag"] == 0

        await until(counted, "counting")
        for role, adapter in ((system.worker, WORKER_HEALTH), (system.archiver, ARCHIVER_HEALTH)):
            adapter.validate_json(await text(role.url + "/health"))
        LIVE.validate_json(await text(system.worker.url + "/live"))
        await described(system.worker, {"/health", "/metrics", "/live", "/live/stream", "/openapi.json"})
        await described(system.archiver, {"/health", "/metrics", "/openapi.json"})
        await metrics_are_as_named(system)


async def described(role: Role, paths: set[str]) -> None:
    document = json.loads(await text(role.url + "/openapi.json"))
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == paths
    async with aiohttp.ClientSession() as session:
        for path, methods in document["paths"].items():
            async with session.get(role.url + path) as response:
                stated = methods["get"]["responses"][str(response.status)]["content"]
                assert response.headers["Content-Type"].split(";")[0] in {kind.split(";")[0] for kind in stated}


async def metrics_are_as_named(system: System) -> None:
    known = {metric.name: metric for metric in names.METRICS}
    seen = set()
    for role in (system.worker, system.archiver, system.collect):
        found = samples(await text(role.url + "/metrics"))
        ours = {name: s for name, s in found.items() if name.startswith("streamgauge_")}
        assert {"process_cpu_seconds", "process_resident_memory_bytes"} <= set(found)
        for name, rows in ours.items():
            assert known[name].role == role.name
            for row in rows:
                assert set(row.labels) - {"le"} == set(known[name].labels), name
        seen |= set(ours)
        if role.name == "worker":
            outcomes = {row.labels["outcome"] for row in ours["streamgauge_records"]}
            assert outcomes == {"accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again", "link"}
            total = sum(row.value for row in ours["streamgauge_records"] if row.labels["outcome"] not in BETWEEN)
            assert total == EVENTS
            assert sum(row.value for row in ours["streamgauge_partition_current"]) == 8
            minute = {row.value for row in ours["streamgauge_minute_start_seconds"]}
            assert len(minute) == 1
            events = sum(row.value for row in ours["streamgauge_minute_events"] if not row.labels["dimension"])
            by_event = sum(row.value for row in ours["streamgauge_minute_events"] if row.labels["dimension"] == "event")
            assert events == by_event > 1_000  # 25 a second
    # Nobody has sent to the front door: what has labels is not there yet.
    assert set(known) - seen == {"streamgauge_collect_requests", "streamgauge_collect_events"}


class Numbers:
    """A source of numbers that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> dict[str, int]:
        self.asked += 1
        return {"asked": self.asked}


@asynccontextmanager
async def server(source: Callable[[], Any]) -> AsyncIterator[str]:
    class Nothing:
        def collect(self) -> list[Any]:
            return []

    made = LiveServer("127.0.0.1", 0, registry(Nothing()), lambda: {"ready": True}, source)  # type: ignore[arg-type]
    await made.start()
    try:
        yield f"http://127.0.0.1:{made.port}"
    finally:
        await made.stop()


async def next_event(response: aiohttp.ClientResponse) -> dict[str, str]:
    fields = {}
    while (line := (await response.content.readline()).decode().rstrip("\n")) != "":
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


async def test_listeners_share_the_numbers_and_get_new_ones() -> None:
    source = Numbers()
    timeout = aiohttp.ClientTimeout(total=10)
    async with server(source) as url, aiohttp.ClientSession(timeout=timeout) as session:
        async with session.get(url + "/live/stream") as one, session.get(url + "/live/stream") as other:
            first = await next_event(one)
            assert (first["event"], json.loads(first["data"])) == ("live", {"asked": int(first["id"])})
            second = await next_event(one)
            assert int(second["id"]) == int(first["id"]) + 1
            met = await next_event(other)
            assert json.loads(met["data"]) == {"asked": int(met["id"])}
            assert source.asked == int(second["id"])  # once for both
        before = source.asked
        # Nobody listens: nothing is worked out. One more may be under way when the last one goes.
        await asyncio.sleep(1.5)
        assert source.asked <= before + 1


async def test_the_server_ends_though_somebody_listens() -> None:
    async with aiohttp.ClientSession() as session:
        async with server(Numbers()) as url:
            response = await session.get(url + "/live/stream")
            await next_event(response)
        await asyncio.wait_for(response.read(), 5)
        response.close()


async def test_too_many_listeners_are_turned_away() -> None:
    async with server(Numbers()) as url:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            held = [await session.get(url + "/live/stream") for _ in range(MAX_LISTENERS)]
            async with session.get(url + "/live/stream") as refused:
                assert refused.status == 503
            for response in held:
                response.close()


async def test_a_listener_that_reads_nothing_gives_up_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "STALLED_SECONDS", 0.2)
    stream, closed = EventStream(1), asyncio.Event()

    async def events() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "data: " + "x" * (1 << 20) + "\n\n"
        finally:
            closed.set()

    async def page(request: web.Request) -> web.StreamResponse:
        return await stream.answer(request, events())

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await asyncio.wait_for(closed.wait(), 10)
        assert stream.listeners == 0
    finally:
        writer.close()
        await runner.cleanup()
