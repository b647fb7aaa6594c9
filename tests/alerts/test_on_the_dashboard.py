"""From a rule to the page: a real Prometheus evaluates it, a real dashboard streams what it says."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from whole_system import streamed, until

from pipeline.alerts.prometheus import PrometheusClient
from pipeline.dashboard.server import Dashboard
from pipeline.embedded.prometheus import Prometheus
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.serve.numbers import snapshot
from pipeline.serve.server import LiveServer, registry
from pipeline.settings import Settings
from pipeline.state.partition import PartitionState
from schemas.plan_io import load_plan

PLAN = load_plan("shop")
RULE = """
groups:
  - name: test
    rules:
      - alert: checkout_breaks
        expr: {expression}
        labels: {{severity: critical, kind: product}}
        annotations: {{title: Checkout is failing, summary: 12 % instead of 60 %, todo: Roll back.}}
"""


@asynccontextmanager
async def worker() -> AsyncIterator[str]:
    """What a worker serves that has just counted an event; its address."""
    now = int(time.time() * 1000)
    event = {"event": "app_open", "event_id": "1", "user_id": "u", "ts": now, "platform": "ios", "session_id": "s"}
    state = PartitionState(PLAN, Validator(PLAN), 0, 1)
    state.fold([Record(0, now, b"u", json.dumps(event).encode())])
    assert state.position == 1

    class Nothing:
        def collect(self) -> list[Any]:
            return []

    def live() -> Any:
        return snapshot([state], PLAN, now, lag=0, publish_error="")

    made = LiveServer("127.0.0.1", 0, registry(Nothing()), lambda: {"ready": True}, live)  # type: ignore[arg-type]
    await made.start()
    try:
        yield f"http://127.0.0.1:{made.port}"
    finally:
        await made.stop()


@asynccontextmanager
async def dashboard(worker_url: str, prometheus_url: str | None) -> AsyncIterator[str]:
    settings = Settings(
        dashboard_port=0, dashboard_workers=worker_url, prometheus_url=prometheus_url,
        clickhouse_url="http://127.0.0.1:9",
    )  # fmt: skip
    made = Dashboard(settings, PLAN)
    await made.start()
    try:
        yield f"http://127.0.0.1:{made.port}"
    finally:
        await made.stop()


@pytest.mark.integration
@pytest.mark.usefixtures("needs_prometheus")
async def test_a_rule_that_fires_is_on_every_page(tmp_path: Path) -> None:
    rule = RULE.format(expression="vector(1)")
    async with Prometheus(tmp_path, PLAN, interval=1_000, rule_text=rule) as prometheus, worker() as live:

        async def fires() -> bool:
            return any(alert.firing for alert in await PrometheusClient(prometheus.url).alerts())

        await until(fires, "the alert", 60)
        async with dashboard(live, prometheus.url) as url:
            now = await streamed(url, "/", lambda shown: "Checkout is failing" in shown.get("verdict", ""))
            assert "12 % instead of 60 % Roll back." in now["verdict"]
            assert "1 problem" in now["status"]
            for page in ("/funnels", "/plan"):
                other = await streamed(url, page, lambda shown: "1 problem" in shown.get("status", ""))
                assert "verdict" not in other


@pytest.mark.integration
@pytest.mark.usefixtures("needs_prometheus")
async def test_a_rule_that_does_not_fire_lets_the_page_say_so(tmp_path: Path) -> None:
    rule = RULE.format(expression="vector(1) > 2")
    async with Prometheus(tmp_path, PLAN, interval=1_000, rule_text=rule) as prometheus, worker() as live:
        async with dashboard(live, prometheus.url) as url:
            now = await streamed(url, "/", lambda shown: "no alert fires" in shown.get("pipeline", ""))
            assert "The pipeline is well" in now["pipeline"]
        async with dashboard(live, None) as url:
            now = await streamed(url, "/", lambda shown: "The pipeline is well" in shown.get("pipeline", ""))
            assert "alert" not in now["pipeline"]  # nobody evaluates them: nothing is said of them


@pytest.mark.integration
async def test_a_prometheus_that_is_away_is_a_problem() -> None:
    async with worker() as live, dashboard(live, "http://127.0.0.1:9") as url:
        now = await streamed(url, "/", lambda shown: "Prometheus does not answer" in shown.get("pipeline", ""))
        assert "is well" not in now["pipeline"]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
            problems = (await answer.json())["problems"]
        assert problems["prometheus"] == "Prometheus at http://127.0.0.1:9 does not answer (ClientConnectorError)"
