"""One event's way from the front door to its row, as a collector of OpenTelemetry sees it; and the figures."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from whole_system import Start, until

from pipeline.process import cancelled

pytestmark = pytest.mark.integration

THEIRS = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """A collector: OTLP over HTTP, with its bodies parsed."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.metrics: dict[str, dict[str, Any]] = {}
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/v1/traces", self._traces)
        app.router.add_post("/v1/metrics", self._metrics)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def of(self, name: str) -> list[Any]:
        return [span for found, span in self.spans if found == name]

    async def _body(self, request: web.Request) -> bytes:
        body = await request.read()
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body

    async def _traces(self, request: web.Request) -> web.Response:
        parsed = ExportTraceServiceRequest.FromString(await self._body(request))
        for one in parsed.resource_spans:
            role = {pair.key: pair.value.string_value for pair in one.resource.attributes}["service.name"]
            for scope in one.scope_spans:
                self.spans += [(f"{role} {span.name}", span) for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    async def _metrics(self, request: web.Request) -> web.Response:
        parsed = ExportMetricsServiceRequest.FromString(await self._body(request))
        for one in parsed.resource_metrics:
            role = {pair.key: pair.value.string_value for pair in one.resource.attributes}["service.name"]
            for scope in one.scope_metrics:
                self.metrics.setdefault(role, {}).update({metric.name: metric for metric in scope.metrics})
        return web.Response(content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    found = Collector()
    await found.start()
    yield found
    await found.stop()


async def test_an_events_way_is_one_trace_and_nobody_puts_spans_into_anothers(
    collector: Collector, start: Start, tmp_path: Path
) -> None:
    system = await start(otel_endpoint=collector.url, otel_sample=1.0, collect_sources=tmp_path / "sources.json")
    event = {"event": "share", "user_id": "u1"}
    sent = 0
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session:
        # A right one of a stranger, one that is none, and none.
        for traceparent in (f"00-{THEIRS}-b7ad6b7169203331-01", "00-x\x00y", None):
            headers = {} if traceparent is None else {"traceparent": traceparent.replace("\x00", "")}
            async with session.post(f"{system.collect.url}/v1/events", json=[event, event], headers=headers) as answer:
                assert answer.status == 200, await answer.text()
            sent += 1

    async def seen() -> bool:
        return all(len(collector.of(f"streamgauge-{name}")) >= sent for name in
                   ("collect receive", "worker fold", "archiver store"))  # fmt: skip

    await until(seen, "the spans of three requests in three roles")
    received = {span.trace_id: span for span in collector.of("streamgauge-collect receive")}
    assert len(received) == sent
    # Each begins a trace of its own; that of the stranger is linked to.
    assert bytes.fromhex(THEIRS) not in received
    assert [span.parent_span_id for span in received.values()] == [b""] * sent
    links = [link.trace_id.hex() for span in received.values() for link in span.links]
    assert links == [THEIRS]
    for name in ("streamgauge-worker fold", "streamgauge-archiver store"):
        spans = collector.of(name)
        assert {span.trace_id for span in spans} == received.keys()
        assert len(spans) == sent  # one record of each request, once
        for span in spans:
            assert span.parent_span_id == received[span.trace_id].span_id
            assert {pair.key for pair in span.attributes} == {"messaging.kafka.partition", "messaging.kafka.offset"}
            assert span.end_time_unix_nano >= span.start_time_unix_nano

    async def told() -> bool:
        records = collector.metrics.get("streamgauge-worker", {}).get("streamgauge_records_total")
        points = records.sum.data_points if records is not None else ()
        counted = sum(point.as_double + point.as_int for point in points) == 2 * sent
        return counted and all(name in collector.metrics.get(f"streamgauge-{role}", {}) for role, name in (
            ("collect", "process_cpu_seconds_total"), ("archiver", "process_cpu_seconds_total"),
            ("worker", "streamgauge_lag_records"),
        ))  # fmt: skip

    await until(told, "the figures of three roles")
    assert collector.metrics["streamgauge-worker"]["streamgauge_records_total"].sum.is_monotonic

    # A collector that is away holds nobody up, neither at work nor at the end.
    await collector.stop()
    await cancelled(system.supervision)
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session,
        session.post(f"{system.collect.url}/v1/events", json=event) as answer,
    ):
        assert answer.status == 200

    async def counted() -> bool:
        live = await system.live()
        return bool(live and sum(live["totals"].values()) == 2 * sent + 1)

    await until(counted, "the event counted")
    began = asyncio.get_running_loop().time()
    assert [await role.process.stop(12) for role in system.roles if role.process is not None][:2] == [0, 0]
    assert asyncio.get_running_loop().time() - began < 20


def test_where_nobody_asks_for_it_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    """The roles load what they need before they look at their settings: none of it is OpenTelemetry's."""
    code = (
        "import sys, pipeline.worker.role, pipeline.archiver.role, pipeline.collect.role, json;"
        "print(json.dumps([name for name in sys.modules if name.startswith('opentelemetry')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == [], done.stderr
