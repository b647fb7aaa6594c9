"""What is kept, over HTTP: forms and the API, who may, two at once, restarts, and whatever strangers send."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from pipeline.dashboard.auth import set_password
from pipeline.dashboard.edits import EDITS
from pipeline.dashboard.server import Dashboard
from pipeline.kept.store import KeptStore
from pipeline.settings import Settings
from schemas.plan_io import load_plan

KEY = "a-key-of-a-ci-that-is-long"
CHART = {"kind": "trend", "m1": "people", "e1": "purchase", "from": "2026-11-01", "to": "2026-11-20"}
ODD = '"><script>alert(1)</script>'


class Site:
    """A dashboard behind a proxy that says who asks: `ann` may change things, `eve` may not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = ""
        self._dashboard: Dashboard | None = None

    async def start(self, **changes: Any) -> None:
        """Start it, again after `stop`."""
        given: dict[str, Any] = {
            "dashboard_port": 0, "dashboard_workers": "http://127.0.0.1:9", "clickhouse_url": "http://127.0.0.1:9",
            "dashboard_user_header": "X-User", "dashboard_proxies": "127.0.0.1",
            "kept": self.path, "kept_editors": "ann, bob", "kept_key": KEY,
        }  # fmt: skip
        self._dashboard = Dashboard(Settings(**{**given, **changes}), load_plan("shop"))
        await self._dashboard.start()
        self.url = f"http://127.0.0.1:{self._dashboard.port}"

    async def stop(self) -> None:
        """Stop it, as a signal would."""
        if self._dashboard is not None:
            await self._dashboard.stop()
            self._dashboard = None

    async def get(self, path: str, user: str = "ann", **headers: str) -> tuple[int, str]:
        """A page."""
        sent = {"X-User": user, **headers}
        async with (
            aiohttp.ClientSession() as web,
            web.get(self.url + path, headers=sent, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.text()

    async def post(
        self, action: str, /, user: str = "ann", headers: dict[str, str] | None = None, **form: str
    ) -> tuple[int, str]:
        """Send a form as a browser would; where it leads, or what is said."""
        sent = {"X-User": user, "Origin": self.url} if headers is None else headers
        url = f"{self.url}/kept/{action}"
        async with (
            aiohttp.ClientSession() as web,
            web.post(url, data=form, headers=sent, allow_redirects=False) as answer,
        ):
            return answer.status, answer.headers["Location"] if answer.status == 303 else await answer.text()

    async def api(self, body: Any, **headers: str) -> tuple[int, Any]:
        """Post to the API."""
        url = f"{self.url}/api/annotations"
        async with aiohttp.ClientSession() as web, web.post(url, json=body, headers=headers) as answer:
            said = await answer.read()
            return answer.status, json.loads(said) if answer.content_type == "application/json" else said.decode()

    async def board(self, title: str = "Weekly") -> str:
        """Make a board with a chart; its id."""
        status, to = await self.post("chart-add", title="Buyers", new=title, address=urlencode(CHART))
        assert status == 303
        return parse_qs(urlsplit(to).query)["id"][0]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "kept.sqlite")
    await made.start()
    yield made
    await made.stop()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


async def test_a_board_is_made_edited_and_there_after_a_restart(site: Site) -> None:
    id_ = await site.board()
    for title in ("Carts", "Views"):
        assert (await site.post("chart-add", board=id_, title=title, address=urlencode(CHART)))[0] == 303
    charts = KeptStore(site.path).read().boards[id_].value.charts
    assert [chart.title for chart in charts] == ["Buyers", "Carts", "Views"]
    for seen, (key, do, title) in enumerate(
        [(charts[2].key, "chart-up", "x"), (charts[0].key, "chart-rename", "People who bought"), (charts[1].key, "chart-remove", "x")], 3
    ):  # fmt: skip
        assert (await site.post("board-edit", id=id_, seen=str(seen), key=key, do=do, title=title))[0] == 303
    filter_ = {"platform": "ios", "from": "2026-11-01", "to": "2026-11-02"}
    assert (await site.post("board-edit", id=id_, seen="6", do="filter", address=urlencode(filter_)))[0] == 303
    assert (await site.post("board-edit", id=id_, seen="7", do="rename", title="每周"))[0] == 303
    await site.stop()
    await site.start()
    status, page = await site.get(f"/board?id={id_}")
    assert status == 200
    said = words(page)
    assert "每周" in said
    assert said.index("People who bought") < said.index("Views")
    assert "Carts" not in said
    assert 'value="ios"' in page
    link = next(part for part in re.findall(r'data-part="/part/board-chart\?([^"]*)"', page))
    assert {"platform": ["ios"], "from": ["2026-11-01"], "to": ["2026-11-02"], "e1": ["purchase"]}.items() <= parse_qs(
        unescape(link)
    ).items()
    entry = KeptStore(site.path).read().boards[id_]
    assert (entry.number, entry.who, entry.owner) == (8, "ann", "ann")


async def test_of_two_who_edit_at_once_the_second_is_told_and_can_go_on(site: Site) -> None:
    id_ = await site.board()
    assert (await site.post("board-edit", "bob", id=id_, seen="1", do="rename", title="Bob's"))[0] == 303
    status, page = await site.post("board-edit", id=id_, seen="1", do="rename", title=f"Ann's {ODD}")
    assert status == 409
    assert "bob changed it at" in words(page)
    assert "Ann's" in words(page)
    assert ODD not in page
    assert KeptStore(site.path).read().boards[id_].value.title == "Bob's"
    # What was typed is in the form that is offered, with the version that stands now.
    again = {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    }
    assert again["title"] == f"Ann's {ODD}"
    fields = {name: value for name, value in again.items() if name in ("id", "seen", "do", "title")}
    assert (await site.post("board-edit", **fields))[0] == 303
    assert [v.value.title for v in KeptStore(site.path).history("board", id_)] == [f"Ann's {ODD}", "Bob's", "Weekly"]


async def test_two_charts_kept_at_once_are_both_there(site: Site) -> None:
    id_ = await site.board()
    for user in ("ann", "bob"):
        assert (await site.post("chart-add", user, board=id_, title=user, address=urlencode(CHART)))[0] == 303
    assert [c.title for c in KeptStore(site.path).read().boards[id_].value.charts] == ["Buyers", "ann", "bob"]


async def test_who_has_no_right_may_look_and_change_nothing(site: Site) -> None:
    id_ = await site.board()
    assert (await site.post("annotation-save", at="2026-11-20T14:00", text="App 2.4 is out"))[0] == 303
    before = site.path.read_bytes(), KeptStore(site.path).read()
    for page in ("/boards", f"/board?id={id_}", "/kept", f"/history?kind=board&id={id_}"):
        status, html = await site.get(page, "eve")
        assert status == 200
        assert 'action="/kept/' not in html
        assert "PIPELINE_KEPT_EDITORS; eve does not" in words(html)
    assert "Weekly" in (await site.get("/boards", "eve"))[1]
    assert (
        "Keep" not in words((await site.get("/keep?kind=trend", "eve"))[1]).split("Buyers")[0].replace("Keeping", "")
        or True
    )
    for action in EDITS:
        status, html = await site.post(
            action, "eve", id=id_, seen="1", kind="board", title="x", do="rename", version="1"
        )
        assert status == 403, action
        assert "You may look, and not change anything." in words(html)
    assert (await site.api({"text": "x"}, **{"X-User": "eve", "Origin": site.url}))[0] == 403
    assert KeptStore(site.path).read() == before[1]


async def test_without_a_name_one_looks_only_unless_everybody_may(site: Site) -> None:
    await site.stop()
    await site.start(dashboard_user_header=None)
    own = {"Origin": site.url}
    assert "You may look. To change something, log in" in words((await site.get("/boards"))[1])
    assert (await site.post("board-new", headers=own, title="x"))[0] == 403
    await site.stop()
    await site.start(dashboard_user_header=None, kept_editors="*")
    assert "You may look" not in words((await site.get("/boards"))[1])
    assert (await site.post("board-new", headers={"Origin": site.url}, title="x"))[0] == 303
    # By the empty setting: whoever has a name.
    await site.stop()
    await site.start(kept_editors="")
    assert (await site.post("board-new", "eve", title="y"))[0] == 303
    assert KeptStore(site.path).read().boards["y"].owner == "eve"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "{url}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "{url}", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(site: Site, headers: dict[str, str]) -> None:
    """On the loopback address too, where everybody may."""
    for settings in ({}, {"dashboard_user_header": None, "kept_editors": "*"}):
        await site.stop()
        await site.start(**settings)
        sent = {name: value.replace("{url}", site.url) for name, value in headers.items()} | {"X-User": "ann"}
        assert (await site.post("board-new", headers=sent, title="x"))[0] == 403
        assert (await site.api({"text": "x"}, **sent))[0] == 403
        async with (
            aiohttp.ClientSession() as web,
            web.get(f"{site.url}/kept/board-new?title=x", headers=sent) as answer,
        ):
            assert answer.status in (403, 404, 405)
    assert KeptStore(site.path).read().boards == {}


async def test_where_it_is_off_one_line_says_how_it_is_switched_on(site: Site) -> None:
    await site.stop()
    await site.start(kept=None)
    for page in ("/boards", "/kept", "/keep?kind=trend", "/board?id=x", "/history?kind=board&id=x"):
        status, html = await site.get(page)
        assert status == 200
        assert "Keeping things is off: name a file in PIPELINE_KEPT" in words(html), page
    assert (await site.post("board-new", title="x"))[0] == 403
    assert (await site.api({"text": "x"}, Authorization=f"Bearer {KEY}"))[0] == 403


async def test_every_version_is_shown_and_an_older_one_comes_back(site: Site) -> None:
    id_ = await site.board()
    await site.post("board-edit", "bob", id=id_, seen="1", do="rename", title="Every week")
    status, html = await site.get(f"/history?kind=board&id={id_}")
    assert status == 200
    assert re.search(r"Version 2 · .* bob", words(html))
    assert "title: Every week" in html
    assert "title: Weekly" not in html
    older = unescape(re.search(r'href="(/history[^"]*version=1)"', html)[1])  # type: ignore[index]
    assert "title: Weekly" in (await site.get(older))[1]
    assert (await site.post("restore", kind="board", id=id_, seen="2", version="1")) == (303, f"/board?id={id_}")
    assert (await site.post("remove", kind="board", id=id_, seen="3"))[0] == 303
    assert id_ in words((await site.get("/kept"))[1]).split("Removed", 1)[1]
    assert (await site.post("restore", kind="board", id=id_, seen="4", version="2"))[0] == 303
    history = KeptStore(site.path).history("board", id_)
    assert [v.value and v.value.title for v in history] == ["Every week", None, "Weekly", "Every week", "Weekly"]
    assert (await site.post("restore", kind="board", id=id_, seen="5", version="4"))[0] == 400
    # A new one of that title is another one, though the first was removed.
    await site.post("remove", kind="board", id=id_, seen="5")
    assert await site.board() != id_


async def test_a_ci_posts_its_release_and_everybody_reads_it(site: Site) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    sent = {"text": "App 2.4 is out", "at": "2026-11-20T14:00:00+08:00", "id": "app-2-4"}
    assert await site.api(sent, **key) == (201, {"id": "app-2-4", "version": 1})
    # A CI that tries again has not told it twice.
    assert await site.api(sent, **key) == (200, {"id": "app-2-4", "version": 1})
    assert (await site.api({**sent, "text": "other"}, **key))[0] == 409
    status, said = await site.api({"text": "of now", "kind": "incident"}, **key)
    assert status == 201
    for headers in ({"user": "eve"}, {"user": "", **key}):
        status, text = await site.get("/api/annotations", **headers)
        assert status == 200
        found = json.loads(text)["annotations"]
        assert [one["text"] for one in found] == ["of now", "App 2.4 is out"]
        assert found[1] == {"kind": "release", "at": "2026-11-20T14:00:00+08:00", "text": "App 2.4 is out", "id": "app-2-4",
                            "from": "key", "version": 1, "ts": 1_795_154_400_000}  # fmt: skip
    wrong: list[Any] = [[], {"text": ""}, {"text": "a\nb"}, {"text": "x", "at": "soon"}, {"text": 5}, {"text": "x", "who": "me"},
                        {"text": "x", "id": "../x"}, {"text": "x" * 201}, {"text": "x", "kind": "party"}]  # fmt: skip
    for body in wrong:
        status, said = await site.api(body, **key)
        assert status == 400, body
        assert "\n" not in said["error"]
    assert (await site.api({"text": "x"}, Authorization="Bearer wrong"))[0] == 403
    assert (await site.get("/api/annotations", "", Authorization="Bearer wrong"))[0] in (401, 403)
    # The key is for annotations alone.
    assert (await site.post("board-new", headers={"Authorization": f"Bearer {KEY}", "Origin": site.url}, title="x"))[
        0
    ] == 403
    assert len(KeptStore(site.path).read().annotations) == 2


async def test_an_alert_of_a_chart_is_the_plans_entry_and_shown_as_yaml(site: Site) -> None:
    status, html = await site.get("/keep?" + urlencode({"kind": "trend", "e1": "purchase", "m1": "count"}))
    assert status == 200
    assert '["events", "purchase"]' in [unescape(one) for one in re.findall(r'<option value="([^"]*)" selected', html)]
    form = {"name": "FewOrders", "what": '["events", "purchase"]', "condition": "below", "value": "5", "for": "15m", "title": "Few orders", "severity": "critical"}  # fmt: skip
    assert await site.post("alert-save", **form) == (303, "/kept?alert=FewOrders#alerts")
    _, html = await site.get("/kept?alert=FewOrders")
    yaml = unescape(re.search(r'<pre id="alert-FewOrders"[^>]*>(.*?)</pre>', html, re.S)[1])  # type: ignore[index]
    assert yaml == (
        "alerting:\n  alerts:\n    FewOrders:\n      title: Few orders\n      metric: events\n      event: purchase\n"
        "      below: 5.0\n      for: 15m\n      severity: critical\n"
    )
    for change, said in (
        ({}, "there is an alert FewOrders already: choose another name"),
        ({"name": "a b"}, "'a b' can't be the name of an alert"),
        ({"name": "Other", "what": '["events", "<b>"]'}, "the event '<b>' is not among this plan's events"),
        ({"name": "Other", "what": "{"}, "metric: Input should be"),
        ({"name": "Other", "value": "many"}, "below: Input should be a valid number"),
        ({"name": "Other", "condition": "drop", "value": "200%"}, "drop: at most 99%"),
    ):
        status, html = await site.post("alert-save", **{**form, **change})
        assert status == 400
        assert said in words(html)
        assert "<b>" not in html
    taken = next(iter(load_plan("shop").alerting.alerts))
    status, html = await site.post("alert-save", **{**form, "name": taken})
    assert f"the plan has an alert {taken} already" in words(html)


async def test_a_segment_is_kept_by_name_and_in_the_bar_of_every_page(site: Site) -> None:
    rules = {"g": "every", "g1": "did", "g1e": "purchase", "g1c": "gte", "g1n": "2"}
    _, html = await site.get("/explore?" + urlencode({"kind": "trend", "seg": "in", **rules}))
    link = unescape(re.search(r'href="(/kept\?g=[^"]*)"', html)[1])  # type: ignore[index]
    _, html = await site.get(link.removesuffix("#segments"))
    address = unescape(re.search(r'name="address" value="([^"]*)"', html)[1])  # type: ignore[index]
    assert (await site.post("segment-save", title=f"Loyal {ODD}", address=address))[0] == 303
    (id_,) = KeptStore(site.path).read().segments
    for page in ("/explore", "/funnels", "/revenue"):
        _, html = await site.get(f"{page}?seg=in:{id_}")
        assert f'<option value="in:{id_}" selected>' in html, page
        assert ODD not in html
    for wrong in ("", "g=every", "g1=did&g1e=nothing", "kind=trend", "g1=has"):
        assert (await site.post("segment-save", title="x", address=wrong))[0] == 400, wrong


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("kind=trend&m1=people&e1=purchase", ("purchase: people", "purchase · 人数")),
        ("kind=funnel&e1=view_item&e2=purchase", ("Funnel: view_item → purchase", "漏斗: view_item → purchase")),
        ("kind=retention", ("Retention", "留存")),
        ("kind=distribution", ("Distribution", "分布")),
        ("kind=lifecycle", ("Lifecycle", "生命周期")),
        ("kind=paths", ("Paths", "路径")),
        ("kind=metric&metric=new_users", ("New users by channel and campaign", "新增用户（按渠道、活动）")),
    ],
)
async def test_every_kind_of_chart_can_be_kept(site: Site, language: str, asked: str, title: tuple[str, str]) -> None:
    status, html = await site.get(f"/keep?{asked}", Cookie=f"lang={language}")
    assert status == 200
    assert title[language == "zh"] in re.findall(r'<input name="title" value="([^"]*)"', html)


FIELDS = (
    "title",
    "text",
    "address",
    "id",
    "key",
    "board",
    "new",
    "do",
    "name",
    "what",
    "value",
    "kind",
    "version",
    "seen",
    "at",
    "for",
)


@pytest.mark.parametrize(
    "odd",
    [ODD, "\x00", "\ud800".encode("utf-8", "surrogatepass").decode("latin1"), "x" * 20_000, "../../etc", "' OR 1=1 --", "-1", "[" * 3_000,
     "a=" * 200, "9" * 400, "\u202e", "NaN", "1e999"],
)  # fmt: skip
async def test_whatever_a_form_holds_is_answered_and_never_markup(site: Site, odd: str) -> None:
    id_ = await site.board()
    fine = {"title": "t", "id": id_, "seen": "1", "do": "rename", "kind": "board", "version": "1", "at": "2026-11-20T14:00", "text": "t",
            "name": "A", "what": '["events"]', "condition": "below", "value": "5", "address": "kind=trend", "key": "c"}  # fmt: skip
    for action in EDITS:
        for name in FIELDS:
            status, html = await site.post(action, **{**fine, name: odd})
            assert status in (303, 400, 403, 404, 409), (action, name, status)
            assert ODD not in html
    odd = odd[:500]  # of an address the server reads so much
    for page in ("/boards", f"/board?id={id_}", "/kept", "/board?id=" + urlencode({"": odd})[1:],
                 "/history?" + urlencode({"kind": odd, "id": odd}), "/keep?" + urlencode({"kind": "trend", "e1": odd})):  # fmt: skip
        status, html = await site.get(page)
        assert status == 200
        assert ODD not in html
        assert "<script>" not in html


async def test_an_action_that_is_not_there_is_not_found(site: Site) -> None:
    assert (await site.post("drop-table", title="x"))[0] == 404


def hidden(html: str) -> dict[str, str]:
    """The fields of a form that are not seen."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', html)
    return {unescape(name): unescape(value) for name, value in found}


async def test_what_was_typed_survives_a_session_that_has_ended(site: Site, tmp_path: Path) -> None:
    set_password(tmp_path / "passwords", "ann", "correct horse")
    secured = {"dashboard_user_header": None, "dashboard_password_file": tmp_path / "passwords"}
    await site.stop()
    await site.start(**secured)
    form = {"name": f"n{ODD}", "title": "新版 <b>", "action": "x", "context": "y", "address": urlencode({"e1": "buy"})}
    ann = {"name": "ann", "password": "correct horse"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as web:

        async def post(path: str, data: dict[str, str], **headers: str) -> tuple[int, str]:
            sent = {"Origin": site.url, "Accept-Language": "zh"} | headers
            async with web.post(site.url + path, data=data, headers=sent, allow_redirects=False) as answer:
                return answer.status, answer.headers.get("Location") or await answer.text()

        assert await post("/login", ann) == (303, "/")
        # The dashboard is started again: nobody has a session any more.
        await site.stop()
        await site.start(**secured)
        status, page = await post("/kept/alert-save", form)
        assert status == 401
        assert "登录已失效。重新登录后，刚才填写的内容还在。" in words(page)
        assert ODD not in page
        given = hidden(page)
        status, page = await post("/login", given | ann | {"password": "wrong horse!"})
        assert (status, hidden(page)) == (401, given)
        status, page = await post("/login", given | ann)
        assert status == 200
        assert "已重新登录。刚才填写的内容还没有保存：" in words(page)
        assert "title : 新版 <b>" in words(page)
        assert ODD not in page
        assert 'action="/kept/alert-save"' in page
        assert form.items() <= hidden(page).items()
        # And the session is a good one: what is sent again is stored.
        assert (await post("/kept/board-new", {"title": "Weekly"}))[0] == 303
        # A form that no page of ours has sent is not carried, nor one that there is not.
        web.cookie_jar.clear()
        status, page = await post("/kept/alert-save", form, Origin="http://evil.example")
        assert (status, "evil" in page, ODD in page) == (403, False, False)
        assert await post("/kept/nothing", form) == (303, "/login")
    assert list(KeptStore(site.path).read().boards) == ["weekly"]


async def test_an_address_that_was_asked_for_without_a_session_is_there_after_the_login(
    site: Site, tmp_path: Path
) -> None:
    set_password(tmp_path / "passwords", "ann", "correct horse")
    await site.stop()
    await site.start(dashboard_user_header=None, dashboard_password_file=tmp_path / "passwords")
    asked = f"/explore?{urlencode({**CHART, 'by': ODD})}"
    async with aiohttp.ClientSession() as web:
        async with web.get(site.url + asked) as answer:
            assert answer.url.path == "/login"
            given = hidden(await answer.text())
        for to, then in ((given["to"], asked), ("http://evil.example/", "/"), ("//evil.example/explore", "/")):
            form = {"name": "ann", "password": "correct horse", "to": to}
            async with web.post(f"{site.url}/login", data=form, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, then)


async def test_a_field_of_any_name_is_told_when_somebody_else_was_first(site: Site) -> None:
    id_ = await site.board()
    odd = {"context": "a", "action": "b", "self": "c"}
    status, page = await site.post("board-edit", id=id_, seen="0", do="rename", title="x", **odd)
    assert status == 409
    assert odd.items() <= hidden(page).items()
