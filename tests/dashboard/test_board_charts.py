"""Charts of a board on a real ClickHouse: both filters hold, the board's days come first, kept segments are people."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from metrics.world import World, event, worlds

from dashboard.drawn import cells, drawn, words
from pipeline.dashboard.context import Context
from pipeline.dashboard.keeping import KeptView
from pipeline.dashboard.pages import boards, explore, keep
from pipeline.dashboard.pages.boards import seen_under
from pipeline.errors import UserError
from pipeline.kept.store import KeptStore
from pipeline.kept.things import Entry, Kept, make
from pipeline.render.html import Safe, text
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

PLAN = parse_plan(
    """
product: Shop
timezone: Asia/Shanghai
events: {look: , buy: {value: amount, properties: {amount: number!}}}
meanings: {payment: {event: buy}}
segments: {lookers: {title: Lookers, did: look}}
"""
)
server, opened, world = worlds("module", PLAN)
NOW = "2026-11-25T12:00:00+08:00"
DAYS = {"from": "2026-11-20", "to": "2026-11-24"}
CHART = {"kind": "trend", "m1": "count", "e1": "buy", **DAYS}
METRIC = {"kind": "metric", "metric": "revenue", **DAYS}
BIG = {"g": "every", "g1": "did", "g1e": "buy", "g1c": "gte", "g1n": "2"}
KEPT = KeptView(
    now=Kept(
        segments={
            "often": Entry("often", 1, 1, "ann", "ann", 1, make("segment", {"title": "Often <b>", "address": BIG}))
        }
    )
)


async def tell(world: World) -> None:
    """u1 buys twice on ios, u2 once on ios, u3 once on android; u1 looks."""
    await world.tell(
        [
            event("u1", "buy", "2026-11-20 10:00", {"amount": 10}, platform="ios"),
            event("u1", "buy", "2026-11-21 10:00", {"amount": 10}, platform="ios", channel="ad"),
            event("u2", "buy", "2026-11-21 11:00", {"amount": 10}, platform="ios"),
            event("u3", "buy", "2026-11-22 11:00", {"amount": 10}, platform="android"),
            event("u1", "look", "2026-11-20 09:00", platform="ios"),
        ]
    )


async def under(world: World, chart: dict[str, str], **chosen: str) -> str:
    """A chart of a board as it is seen under a filter: the part's HTML."""
    found: dict[str, str] = {}

    async def address(context: Context) -> Safe:
        found.update(seen_under(context, chart, chosen))
        return text("")

    await drawn(world, NOW, address, plan=PLAN, kept=KEPT)
    return await drawn(world, NOW, boards.chart_part, plan=PLAN, kept=KEPT, **found)


def total(html: str) -> str:
    """The number of all days together."""
    rows = cells(html)
    return rows[1][0]


@pytest.mark.parametrize(
    ("more", "chosen", "count"),
    [
        ({}, {}, "4"),
        ({}, {"platform": "ios"}, "3"),
        ({"platform": "ios"}, {"channel": "ad"}, "1"),
        ({"platform": "ios"}, {"platform": "ios"}, "3"),
        ({"f1": "properties.amount", "o1": "gte", "v1": "10"}, {"f1": "platform", "o1": "is_not", "v1": "ios"}, "1"),
        ({}, {"from": "2026-11-21", "to": "2026-11-21"}, "2"),
        ({}, {"seg": "in:often"}, "2"),
        ({"seg": "in:often"}, {"seg": "in:often"}, "2"),
        ({"seg": "out:often"}, {"platform": "android"}, "1"),
        ({}, {"seg": "out:lookers"}, "2"),
        ({}, {"seg": "in", **BIG}, "2"),
    ],
)
async def test_the_filters_of_both_hold(world: World, more: dict[str, str], chosen: dict[str, str], count: str) -> None:
    await tell(world)
    assert total(await under(world, CHART | more, **chosen)) == count


async def test_a_metric_of_the_catalogue_is_seen_under_the_filter_too(world: World) -> None:
    await tell(world)

    async def revenue(**chosen: str) -> float:
        rows = cells(await under(world, METRIC, **chosen))
        at = rows[0].index("revenue")
        return sum(float(row[at].replace(",", "").replace("¥", "")) for row in rows[1:])

    assert await revenue() == 40.0
    assert await revenue(platform="ios") == 30.0
    assert await revenue(platform="ios", **{"from": "2026-11-21", "to": "2026-11-21"}) == 20.0
    assert await revenue(seg="in:often") == 20.0


@pytest.mark.parametrize(
    ("chart", "chosen", "said"),
    [
        ({"seg": "in:often"}, {"seg": "in:lookers"}, "the chart has a segment of its own"),
        ({"than": "segment", "vs": "in", **BIG}, {"seg": "in", "g1": "did", "g1e": "look"}, "keep the one of the board under a name first"),
        ({f"f{k}": f"properties.p{k}" for k in range(1, 9)} | {f"v{k}": "x" for k in range(1, 9)},
         {"f1": "properties.q", "v1": "x"}, "the filters of the chart and of the board together are more than"),
        ({}, {"seg": "in:gone"}, "the plan has no segment 'gone'"),
    ],
)  # fmt: skip
async def test_what_does_not_go_together_is_said(
    world: World, chart: dict[str, str], chosen: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        await under(world, CHART | chart, **chosen)


async def test_a_kept_segment_has_its_name_and_is_no_markup(world: World) -> None:
    await tell(world)
    html = await drawn(world, NOW, explore.result, plan=PLAN, kept=KEPT, **CHART, seg="in:often")
    assert "Only: Often <b>" in words(html)
    assert "Often <b>" not in html


async def test_a_board_has_its_own_filter_until_another_is_chosen(world: World) -> None:
    board = make("board", {"title": "B", "filter": {"address": {"platform": "ios"}, "days": 7}, "charts": [
        {"key": "a", "title": "Bought", "address": {"kind": "trend", "m1": "count", "e1": "buy"}, "days": 30}]})  # fmt: skip
    kept = KeptView(now=Kept(boards={"b": Entry("b", 1, 1, "ann", "ann", 1, board)}))

    async def page(**query: str) -> str:
        async def body(context: Context) -> Safe:
            return boards.board(context)

        return await drawn(world, NOW, body, plan=PLAN, kept=kept, id="b", **query)

    def part(html: str) -> Any:
        return html.split('data-part="/part/board-chart?')[1].split('"')[0]

    assert "from=2026-11-19&amp;to=2026-11-25" in part(await page())
    assert "platform=ios" in part(await page())
    # Nothing chosen is a choice: each chart is as it was kept.
    assert "platform" not in part(await page(f="1"))
    assert "from=2026-10-27&amp;to=2026-11-25" in part(await page(f="1"))
    assert "channel=ad" in part(await page(f="1", channel="ad"))


@pytest.mark.parametrize(
    "chart", [{"kind": "trend", "m1": "sum", "p1": "properties.amount", "e1": "buy", **DAYS}, METRIC]
)
async def test_a_chart_that_is_kept_keeps_its_logarithmic_axis(
    world: World, tmp_path: Path, chart: dict[str, str]
) -> None:
    await world.tell(
        [
            event("u1", "buy", f"2026-11-{day} 10:00", {"amount": amount})
            for day, amount in ((20, 1), (21, 10), (22, 1_000), (23, 100), (24, 10_000))
        ]
    )
    store = KeptStore(tmp_path / "kept.db")
    kept = replace(KEPT, store=store, may_change=True)

    async def keep_page(context: Context) -> Safe:
        return keep.keep(context)

    async def logarithmic(**query: str) -> bool:
        """Whether a chart of Explore is drawn so on a board: by its link Keep, the form there, the board's panel."""
        html = await drawn(world, NOW, explore.result, plan=PLAN, kept=kept, **query)
        link = unescape(html.split('href="/keep?')[1].split('"')[0])
        form = await drawn(world, NOW, keep_page, plan=PLAN, kept=kept, **dict(parse_qsl(link)))
        address = unescape(form.split('name="address" value="')[1].split('"')[0])
        return '"type":"log"' in (await under(world, dict(parse_qsl(address)))).replace(" ", "")

    assert not await logarithmic(**chart)
    assert await logarithmic(**chart, scale="log")
    store.close()
