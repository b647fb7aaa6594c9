"""What whoever reaches the Prometheus that `up` starts may do there: read counts, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from pipeline.demo.alerting import evaluating
from pipeline.embedded.prometheus import Prometheus
from pipeline.kept.current import with_alert
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import make
from pipeline.settings import Settings
from schemas.plan_io import load_plan

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_prometheus")]


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    async with Prometheus(tmp_path, load_plan("shop")) as found:
        yield found


async def test_nobody_changes_it_and_no_other_site_reads_it(prometheus: Prometheus) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/-/quit", "/-/reload", "/api/v1/admin/tsdb/snapshot", "/api/v1/admin/tsdb/clean_tombstones",
                     "/api/v1/admin/tsdb/delete_series?match[]=up", "/api/v1/write"):  # fmt: skip
            async with session.post(prometheus.url + path, data=b"") as answer:
                assert answer.status >= 400, path
        other, own = "http://evil.example", prometheus.url
        for origin, allowed in ((other, None), (own + ".evil.example", None), ("null", None), (own, own)):
            async with session.get(f"{own}/api/v1/query?query=1", headers={"Origin": origin}) as answer:
                assert answer.headers.get("Access-Control-Allow-Origin") == allowed, origin
    assert prometheus.running


async def test_a_head_that_never_ends_is_cut_off(prometheus: Prometheus) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(prometheus.url.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    async with asyncio.timeout(30):
        while await reader.read(1024):
            pass
    writer.close()


async def test_the_first_alert_is_evaluated_though_there_was_none_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("product: T\nevents:\n  look:\n")
    settings = Settings(plan=str(tmp_path / "plan.yaml"), kept=tmp_path / "kept.sqlite")
    async with evaluating(settings, tmp_path, {}, print, kept=None, held=()) as evaluation:
        assert evaluation.prometheus is not None
        assert "quiet" not in await evaluation.prometheus.client.rules()
        made = make("alert", {"metric": "events", "below": 5})
        KeptStore(tmp_path / "kept.sqlite").write([Edit("alert", "quiet", 0, made)], "ann", 1)
        async with asyncio.timeout(30):
            while "quiet" not in await evaluation.prometheus.client.rules():
                await asyncio.sleep(0.1)


async def test_another_plans_alerts_are_evaluated_without_a_restart(prometheus: Prometheus) -> None:
    plan = load_plan("shop")
    more = with_alert(plan, "made_in_a_page", make("alert", {"metric": "events", "below": 5}))
    before, pid = await prometheus.client.rules(), prometheus.pid
    assert "made_in_a_page" not in before
    assert prometheus.load(more)
    async with asyncio.timeout(30):
        while "made_in_a_page" not in await prometheus.client.rules():
            await asyncio.sleep(0.1)
    assert not prometheus.load(more)
    assert prometheus.load(plan)
    async with asyncio.timeout(30):
        while await prometheus.client.rules() != before:
            await asyncio.sleep(0.1)
    assert prometheus.pid == pid
