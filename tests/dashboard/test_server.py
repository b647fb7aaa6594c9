"""The web server without a browser: every plan, headers, addresses that must not work, and a proxy's login."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from pipeline.dashboard.pages import PAGES, PARTS
from pipeline.dashboard.server import Dashboard
from pipeline.settings import Settings
from schemas.plan_io import load_plan

Start = Callable[..., Awaitable[str]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a dashboard with neither workers nor ClickHouse; its address."""
    started: list[Dashboard] = []

    async def begin(plan: str = "shop", **changes: Any) -> str:
        settings = Settings(
            dashboard_port=0, dashboard_workers="http://127.0.0.1:9", clickhouse_url="http://127.0.0.1:9", **changes
        )
        dashboard = Dashboard(settings, load_plan(plan))
        await dashboard.start()
        started.append(dashboard)
        return f"http://127.0.0.1:{dashboard.port}"

    yield begin
    for dashboard in started:
        await dashboard.stop()


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("plan", ["shop", "content", "ecom"])
async def test_every_page_of_every_plan_is_there_with_nothing_behind_it(
    start: Start, web: aiohttp.ClientSession, plan: str
) -> None:
    url = await start(plan)
    for page in PAGES:
        async with web.get(url + page.path) as answer:
            assert answer.status == 200, page.path
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert "<script>" not in await answer.text()
    for name in PARTS:
        async with web.get(f"{url}/part/{name}") as answer:
            assert answer.status == 200, name


async def test_without_clickhouse_a_part_says_what_to_do(start: Start, web: aiohttp.ClientSession) -> None:
    url = await start()
    async with web.get(f"{url}/part/funnel", headers={"Accept-Language": "zh"}) as answer:
        assert "ClickHouse（http://127.0.0.1:9）没有响应" in await answer.text()
    async with web.get(f"{url}/download/metric.csv?metric=active_users_daily") as answer:
        assert answer.status == 503


async def test_a_page_of_another_site_cannot_read_along(start: Start, web: aiohttp.ClientSession) -> None:
    url = await start()
    async with web.get(url, headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    async with web.get(url, headers={"Host": "localhost"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_nobody_is_sent_elsewhere(start: Start, web: aiohttp.ClientSession, back: str) -> None:
    url = await start()
    async with web.get(f"{url}/set", params={"lang": "zh", "back": back}, allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/"
        assert answer.cookies["lang"].value == "zh"


async def test_what_is_asked_for_is_never_markup_nor_a_file(start: Start, web: aiohttp.ClientSession) -> None:
    url = await start()
    evil = "<script>alert(1)</script>"
    for page in PAGES:
        names = ("funnel", "from", "to", "by", "metric", "event", "period", "step")
        async with web.get(url + page.path, params=dict.fromkeys(names, evil)) as answer:
            assert answer.status == 200
            assert evil not in await answer.text()
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/server.py", "/nowhere", "/part/nothing"):
        async with web.get(url + path) as answer:
            assert answer.status == 404, path


async def test_static_files_are_kept_by_the_browser_under_a_name_that_changes(
    start: Start, web: aiohttp.ClientSession
) -> None:
    url = await start()
    async with web.get(url) as answer:
        page = await answer.text()
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    async with web.get(url + address) as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.content_type == "text/css"


async def test_behind_a_proxy_its_header_is_the_login(start: Start, web: aiohttp.ClientSession) -> None:
    url = await start(dashboard_user_header="X-User", dashboard_proxies="127.0.0.1")
    async with web.get(url + "/plan") as answer:
        assert answer.status == 403
    async with web.get(url + "/plan", headers={"X-User": "ann", "Host": "dash.example"}) as answer:
        assert answer.status == 200
    other = await start(dashboard_user_header="X-User", dashboard_proxies="10.0.0.1")
    async with web.get(other + "/plan", headers={"X-User": "ann"}) as answer:
        assert answer.status == 403
