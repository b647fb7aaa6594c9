"""The page Events on a real ClickHouse: what came through the front door, what became of it, and why."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipeline.archiver.rows import (
    STORED_AT,
    ArchiveBatch,
    with_time,
)
from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.migrate import migrate
from pipeline.collect.model import IDENTIFY, Incoming, Refused
from pipeline.collect.reception import Reception
from pipeline.dashboard.pages.events import ROWS
from pipeline.dashboard.server import Dashboard
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from schemas.plan_io import load_plan

PLAN = load_plan("shop")
#: 11:05:07 in Shanghai.
T = 1_790_132_707_000
MINUTE = 60_000


def event(name: str, ts: int = T, user: str = "u1", **more: Any) -> Incoming:
    return Incoming({"event": name, "ts": ts, "user_id": user, **more})


class Site:
    """A database, a dashboard on it, and a log whose records came through the front door."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._settings, self._url = settings, url
        self._classifier = PartitionClassifier(PLAN, Validator(PLAN), 0, 1)
        self._offsets = count()

    async def tell(self, *told: Incoming | Refused, source: str = "web", ago: int = 0) -> None:
        """Send these in one request, and store what becomes of them: `ago` ms before now."""
        taken = Reception(PLAN, 1).take("native", told, source, T)
        records = [Record(next(self._offsets), T, one.key, one.value, tuple(one.headers)) for one in taken.records]
        batch = ArchiveBatch("main")
        batch.add(0, self._classifier.classify(records))
        connection = Connection(self._settings)
        try:
            for table, names, columns in batch.tables():
                if columns[0]:
                    stored = with_time(columns, int(time.time() * 1000) - ago)
                    await connection.insert(table, [*names, STORED_AT], stored, {})
        finally:
            await connection.close()

    async def page(self, language: str = "en", **query: str) -> str:
        """The part with the records, as HTML."""
        async with (
            aiohttp.ClientSession(cookies={"lang": language}) as web,
            web.get(f"{self._url}/part/events", params=query) as answer,
        ):
            assert answer.status == 200
            return await answer.text()

    async def rows(self, language: str = "en", **query: str) -> list[list[str]]:
        """The words of each record, the newest first."""
        html = re.sub(r' role="\w+"', "", await self.page(language, **query))
        html = re.sub(r"<table(?: [^>]*)?>(?=<thead><tr><th scope=.col.>(?:Prop|Attr|属性)).*?</table>",
                      lambda found: re.sub(r"</?t[rdh][^>]*>", " ", found[0]), html)  # fmt: skip
        return [_words(row) for row in re.findall(r"<tr>(.*?)</tr>", html)[1:]]

    async def until(self, count: int) -> list[list[str]]:
        """The rows once there are so many: an answer is remembered for half a second."""
        deadline = time.monotonic() + 20
        while len(found := await self.rows()) != count:
            assert time.monotonic() < deadline, found
        return found

    async def events(self, **query: str) -> list[str]:
        """The names of the events that are shown."""
        return [row[1] for row in await self.rows(**query)]


def _words(html: str) -> list[str]:
    return [unescape(found) for piece in re.split(r"<[^>]*>", html) if (found := piece.strip())]


@pytest.fixture
async def site(needs_embedded: None, tmp_path: Path) -> AsyncIterator[Site]:
    async with EmbeddedClickHouse(tmp_path, memory_limit=1 << 30) as server:
        settings = Settings(dashboard_port=0, dashboard_workers="http://127.0.0.1:9", **server.access)
        await migrate(settings)
        dashboard = Dashboard(settings, PLAN)
        await dashboard.start()
        yield Site(settings, f"http://127.0.0.1:{dashboard.port}")
        await dashboard.stop()


async def test_each_record_says_what_became_of_it(site: Site) -> None:
    assert await site.rows() == []
    assert "Nothing came in the last 15 minutes that fits." in await site.page()
    await site.tell(event("app_open", event_id="e1", anonymous_id="d1"))
    await site.tell(event("app_open", event_id="e1", anonymous_id="d1"))
    await site.tell(event("app_open", T - 86_400_000, event_id="e2"), source="backend")
    await site.tell(event("app_opne", event_id="e3"))
    await site.tell(Refused("invalid_json", "no JSON", b"\xff<b>nonsense"))
    await site.tell(Incoming({"event": IDENTIFY, "user_id": "u1", "ts": T}, attributes={"plan": "pro"}))
    found = await site.until(7)
    assert [[row[0], row[5], *row[1:5]] for row in found] == [
        ["11:05:07", "attributes", "–", "u1", "–", "–"],
        ["11:05:07", "rejected", "–", "–", "–", "web"],
        ["11:05:07", "rejected", "app_opne", "u1", "–", "web"],
        ["11:05:07", "late: stored, not counted live", "app_open", "u1", "–", "backend"],
        ["11:05:07", "duplicate", "app_open", "u1", "–", "–"],
        ["11:05:07", "accepted", "app_open", "u1", "d1", "web"],
        ["11:05:07", "link", "–", "u1", "d1", "–"],
    ]  # fmt: skip
    shown = {row[5] + row[1]: " ".join(row[6:]) for row in found}
    assert "invalid_json no JSON \\xff<b>nonsense" in shown["rejected–"]
    assert "unknown_event" in shown["rejectedapp_opne"]
    assert "Did you mean app_open ?" in shown["rejectedapp_opne"]
    assert shown["duplicateapp_open"].startswith("Seen before: event_id e1")
    assert shown["link–"].startswith("The device, or old id, is this user's from now on.")
    assert 'plan "pro"' in shown["attributes–"]
    assert [row[5] for row in await site.rows("zh")] == ["用户属性", "被拒绝", "被拒绝", "迟到：已入库，不计入实时", "重复", "已接收",
                                                         "登录关联"]  # fmt: skip
    assert "unknown_event 方案里没有事件 'app_opne'；已有 " in unescape(re.sub("<[^>]*>", "", await site.page("zh")))
    assert "<b>nonsense" not in await site.page()


async def test_properties_stand_beside_those_of_the_plan(site: Site) -> None:
    await site.tell(event("purchase", event_id="p1", properties={"order_id": "o1", "amuont": 3, "gift": True}))
    await site.tell(event("pay", event_id="p2", properties={"method": "gold"}))
    pay, purchase = await site.rows()
    wrong = "properties.method: input should be 'card', 'wallet' or 'cod', found 'gold'"
    assert " ".join(" ".join(pay).split()).startswith(
        f"11:05:07 pay u1 – web rejected bad_value {wrong} Property Value In the plan "
        f"method \"gold\" input should be 'card', 'wallet' or 'cod' (string) {{\"event\":\"pay\""
    )
    assert " ".join(" ".join(purchase).split()).startswith(
        "11:05:07 purchase u1 – web rejected missing_field properties.amount: is missing Property Value In the plan "
        'order_id "o1" string amuont 3 not in the plan: did you mean amount gift true not in the plan '
        "amount – missing items – integer coupon – string discount – number"
    )


async def test_every_wrong_property_of_a_refused_record_is_named(site: Site) -> None:
    """The reason names the first one; whoever mends an app wants to know of all."""
    wrong = {"order_id": 7, "amount": -1, "items": 0, "coupon": None, "discount": True, "amonut": 3}
    await site.tell(event("purchase", event_id="p1", properties=wrong))
    (row,) = await site.rows()
    said = " ".join(" ".join(row).split())
    for words in (
        "order_id 7 input should be a valid string (string)",
        "amount -1 input should be greater than or equal to 0 (number)",
        "items 0 input should be greater than or equal to 1 (integer)",
        "coupon null string",
        "discount true input should be a valid number (number)",
        "amonut 3 not in the plan",
    ):
        assert words in said, (words, said)


async def test_an_event_that_the_plan_does_not_have_is_not_waited_for(site: Site) -> None:
    page = await site.page(event="purhcase", source="web")
    assert "The plan has no event" in page
    assert 'href="/events?event=purchase&amp;source=web"' in page
    assert "The plan has no event" not in await site.page(event="purchase")
    assert "方案里没有事件" in await site.page(event="zzz", language="zh")
    await site.tell(event("purhcase", event_id="p1"))
    assert await site.events(event="purhcase") == ["purhcase"]


async def test_who_did_it_is_one_click_away(site: Site) -> None:
    await site.tell(event("app_open", event_id="a", anonymous_id="d&1"))
    await site.until(2)
    page = await site.page()
    assert 'href="/person?id=u1"' in page
    assert 'href="/person?id=d%261"' in page


async def test_it_can_be_asked_for_one_source_one_id_one_event_one_outcome(site: Site) -> None:
    await site.tell(event("app_open", event_id="a", anonymous_id="d1"), event("search", event_id="b", user="u2",
                                                                               properties={"query": "tea"}))  # fmt: skip
    await site.tell(event("app_open", event_id="c", user="u3"), event("nothing", event_id="d", user="u2"), source="ios")
    assert len(await site.rows()) == 5
    assert await site.events(source="ios") == ["nothing", "app_open"]
    assert await site.events(id="u2") == ["nothing", "search"]
    assert sorted(row[5] for row in await site.rows(id="d1")) == ["accepted", "link"]
    assert await site.events(event="app_open") == ["app_open", "app_open"]
    assert await site.events(outcome="rejected") == ["nothing"]
    assert [row[5] for row in await site.rows(outcome="link")] == ["link"]
    assert await site.events(event="app_open", source="web", id="u1", outcome="accepted") == ["app_open"]
    assert await site.events(id="' OR 1=1 --") == []
    # What is no outcome asks for all.
    assert len(await site.rows(outcome="' OR 1")) == 5


async def test_the_last_fifty_of_fifteen_minutes(site: Site) -> None:
    await site.tell(event("app_open", event_id="before"), ago=16 * MINUTE)
    assert await site.rows() == []
    await site.tell(*[event("app_open", event_id=f"e{k}", user=f"u{k}") for k in range(ROWS + 5)], ago=14 * MINUTE)
    found = await site.until(ROWS)
    assert [row[2] for row in found] == [f"u{k}" for k in range(ROWS + 4, 4, -1)]


async def test_a_record_of_any_size_and_depth_is_shown_as_far_as_it_can_be(site: Site) -> None:
    deep = "[" * 400 + "]" * 400
    large = {"query": "x" * 990, **{f"p{k}": "y" * 900 for k in range(80)}}
    await site.tell(event("search", event_id="large", properties=large), Refused("invalid_json", "deep", deep.encode()),
                    Refused("invalid_json", "half", '{"event": "häl'.encode()[:-2]))  # fmt: skip
    assert len(await site.rows()) == 3
    assert [row[5] for row in await site.rows()].count("rejected") >= 2
