"""The web server without a browser: every plan, headers, addresses that must not work, and a proxy's login."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl

from pipeline.dashboard.auth import password_fits, set_password
from pipeline.dashboard.navigation import TASKS
from pipeline.dashboard.pages import PAGES, PARTS
from pipeline.dashboard.server import Dashboard
from pipeline.settings import Settings
from schemas.plan_io import load_plan

from .drawn import words

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


async def test_every_page_is_found_under_one_task(start: Start, web: aiohttp.ClientSession) -> None:
    named = [path for _, paths in TASKS for path in paths]
    assert len(named) == len(set(named))
    assert set(named) <= {page.path for page in PAGES}
    for people in (True, False):
        url = await start(dashboard_people=people)
        async with web.get(url + "/funnels") as answer:
            page = await answer.text()
        nav = page.split("<nav")[1].split("</nav>")[0]
        links = re.findall(r'<a href="([^"]*)"', nav)
        assert links == [path for path in named if people or path != "/person"]
        assert re.findall(r'<a href="([^"]*)" aria-current="page"', nav) == ["/funnels"]
        assert nav.count('class="task"') == len(TASKS) == nav.count("aria-labelledby")


async def test_where_single_people_are_off_there_is_no_way_to_one(start: Start, web: aiohttp.ClientSession) -> None:
    paths = ["/person?id=u1", "/download/person.csv?id=u1", "/download/person.json?id=u1"]
    paths += ["/people", "/part/people", "/part/people-list", "/download/people.csv"]
    paths += [f"/part/{name}?id=u1" for name in PARTS if name.startswith("person")]
    for shown, status in ((True, {200, 400, 503}), (False, {404})):
        url = await start(dashboard_people=shown)
        for path in paths:
            async with web.get(url + path) as answer:
                assert answer.status in status, path
        async with web.get(url) as answer:
            assert ('action="/person"' in await answer.text()) is shown


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


@pytest.mark.parametrize(
    "back",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example",
     "/\n/evil.example", "/\r\nSet-Cookie: a=b", "\\/evil.example", "///evil.example", "/.//evil.example", "http:/x",
     "/nowhere", "", " //evil.example", "/%2f/evil.example", "/\x00", "//[", "/@evil.example", "?back=//evil.example",
     "/\u2028/evil.example", "/static/../..//evil.example"],
)  # fmt: skip
async def test_nobody_is_sent_elsewhere(start: Start, web: aiohttp.ClientSession, back: str) -> None:
    url = await start()
    async with web.get(f"{url}/set", params={"lang": "zh", "back": back}, allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/"
        assert answer.cookies["lang"].value == "zh"


@pytest.mark.parametrize(
    ("back", "location"),
    [("/", "/"), ("/funnels?funnel=checkout&from=2026-11-01", "/funnels?funnel=checkout&from=2026-11-01"),
     ("/login", "/login"), ("/explore?metric=a\r\nX: y", "/explore?metric=aX%3A+y"), ("/plan#x", "/plan")],
)  # fmt: skip
async def test_one_comes_back_to_the_page_one_was_on(
    start: Start, web: aiohttp.ClientSession, back: str, location: str
) -> None:
    url = await start()
    async with web.get(f"{url}/set", params={"theme": "dark", "back": back}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, location)


async def test_a_link_of_another_site_opens_a_page_and_sets_nothing(start: Start, web: aiohttp.ClientSession) -> None:
    url = await start()
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with web.get(f"{url}/plan", headers=link) as answer:
        assert answer.status == 200
    async with web.get(f"{url}/set?lang=zh", headers=link, allow_redirects=False) as answer:
        assert (answer.status, "lang" in answer.cookies) == (403, False)
    for path in ("/plan", "/part/funnel", "/stream", "/static/style.css"):
        async with web.get(url + path, headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 403
    for path in ("/login", "/logout"):
        async with web.post(url + path, headers={"Origin": "http://evil.example"}, data={"name": "a"}) as answer:
            assert answer.status == 403


#: Values of parameters that are no days, names or numbers.
ODD = ["9999-12-31", "0001-01-01", "-1", "2026-02-30", "%0a", "%00", "%ff", "%ED%A0%80", "%F0%9F%98%80", "x" * 6_000, "%",
       "1e400", "NaN", "' OR 1=1 --", "{x:String}", "2026-11-25T00:00:00", "%0d%0aX:%20y", "..%2f..%2f", "[", "&&&==="]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
async def test_odd_addresses_are_answered(start: Start, web: aiohttp.ClientSession, odd: str) -> None:
    url = await start()
    names = (
        "from",
        "to",
        "metric",
        "event",
        "by",
        "funnel",
        "step",
        "period",
        "kind",
        "limit",
        "than",
        "id",
        "source",
        "outcome",
        "lang",
        "page",
        "actor",
    )
    query = "&".join(f"{name}={odd}" for name in names)
    paths = (
        [page.path for page in PAGES] + [f"/part/{name}" for name in PARTS] + ["/download/metric.csv", "/set", "/login"]
    )
    for path in [*paths, f"/part/{odd[:50]}", f"/static/{odd[:50]}", f"/{odd[:50]}", "/health"]:
        for asked in (f"{path}?{query}", f"{path}?from={odd}&to={odd}&from=2026-01-01", f"{path}?to={odd}"):
            async with web.get(yarl.URL(url + asked, encoded=True), allow_redirects=False) as answer:
                assert answer.status in (200, 303, 400, 404, 503), asked
                assert "Traceback" not in await answer.text(errors="replace")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/explore?kind=trend&m1=people&e1=view_itme", "方案里没有事件 'view_itme'：是不是想写 view_item？"),
        ("/explore?kind=trend&f1=platform&o1=gt&v1=many", "platform：'many' 不是数字"),
        ("/explore?kind=trend&x1=A+%2F+B", "公式 'A / B' 用到了 B，但没有指标 B"),
        ("/explore?kind=funnel&window=soon", "转化窗口：'soon' 不是时长：请写成 30s、15m、1h30m 或 7d"),
        ("/explore?kind=retention&from=2026-11-30&to=2026-11-01", "开始日期（2026-11-30）晚于结束日期（2026-11-01）"),
        ("/explore?kind=trend&f1=platform&o1=lt", "platform 小于 什么？请填写值"),
        ("/part/metric?metric=retention&period=year", "retention：period 只能是 day, week, month 之一，不能是 'year'"),
        ("/people?kind=trend&n=7", "n 应为曲线的序号（从 0 起），不能是 '7'"),
        (
            "/download/explore.csv?kind=trend&m1=people&e1=view_itme",
            "方案里没有事件 'view_itme'：是不是想写 view_item？",
        ),
    ],
)
async def test_a_mistake_in_an_address_is_said_in_the_language_of_the_page(
    start: Start, web: aiohttp.ClientSession, path: str, said: str
) -> None:
    url = await start()
    async with web.get(yarl.URL(url + path, encoded=True), headers={"Accept-Language": "zh-CN"}) as answer:
        text = words(await answer.text())
    assert f"▲ {said}" in text or text == said


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


async def test_logins_that_come_at_once_are_no_more_than_their_limit(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From as many connections, and in bodies that are forms, files and neither."""
    passwords, looked_at = tmp_path / "passwords", list[str]()
    set_password(passwords, "ann", "correct horse")
    set_password(passwords, "bob", "correct horse")

    def fits(password: str, stored: str) -> bool:
        looked_at.append(password)
        return password_fits(password, stored)

    monkeypatch.setattr("pipeline.dashboard.auth.password_fits", fits)
    url = await start(dashboard_password_file=passwords)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    ) as web:

        async def log_in(name: str, password: str) -> tuple[int, bool]:
            form = {"name": name, "password": password}
            async with web.post(url + "/login", data=form, allow_redirects=False) as answer:
                return answer.status, "streamgauge" in answer.cookies

        found = await asyncio.gather(*(log_in("ann", f"guess {n}") for n in range(60)))
        assert found == [(303, False)] * 60
        assert len(looked_at) == 5
        assert await log_in("ann", "correct horse") == (303, False)
        assert await log_in("bob", "correct horse") == (303, True)  # nobody else waits
        for body, kind in ((b"name=ann&name=ann&password=guess", "text/plain"), (b"\xff&" * 99, "multipart/form-data")):
            headers = {"Content-Type": kind}
            async with web.post(url + "/login", data=body, headers=headers, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/login?wrong")
        assert len(looked_at) == 7


async def test_behind_a_proxy_its_header_is_the_login(start: Start, web: aiohttp.ClientSession) -> None:
    url = await start(dashboard_user_header="X-User", dashboard_proxies="127.0.0.1")
    async with web.get(url + "/plan") as answer:
        assert answer.status == 403
    async with web.get(url + "/plan", headers={"X-User": "ann", "Host": "dash.example"}) as answer:
        assert answer.status == 200
    other = await start(dashboard_user_header="X-User", dashboard_proxies="10.0.0.1")
    async with web.get(other + "/plan", headers={"X-User": "ann"}) as answer:
        assert answer.status == 403
