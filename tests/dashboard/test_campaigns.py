"""The page Campaigns on a real ClickHouse: each operation against the one of its kind before it, like with like."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from urllib.parse import parse_qsl

import pytest
from metrics.side_tables import put
from metrics.world import Event, World, event, worlds

from dashboard.drawn import cells, drawn, words
from pipeline.dashboard.context import Context
from pipeline.dashboard.pages import behind, campaigns
from pipeline.render.html import Safe
from pipeline.render.language import Language
from schemas.side_tables import Campaign

pytestmark = pytest.mark.usefixtures("needs_embedded")

server, opened, world = worlds("module")

EN = Language("en")
#: Of the operation that runs, two days are over.
NOW = "2026-11-18T12:00+01:00"
DAYS = {"from": "2026-11-09", "to": "2026-11-18"}


def took(sale: str, day: str, people: range, buyers: int = 0) -> list[Event]:
    joined = [event(f"{sale}{k}", "joinsale", f"{day} 09:00", {"sale": sale}) for k in people]
    return joined + [event(f"{sale}{k}", "buy", f"{day} 10:00", {"amount": 10}) for k in people[:buyers]]


@pytest.fixture
async def sales(world: World) -> World:
    """w45 lies before the days of the page; w46 is over; w47 runs. A check-in between them is no sale."""
    await put(
        world,
        Campaign(name="w45", kind="sale", starts=date(2026, 11, 2), ends=date(2026, 11, 4)),
        Campaign(name="w46", kind="sale", starts=date(2026, 11, 9), ends=date(2026, 11, 11)),
        Campaign(name="daily", kind="check-in", starts=date(2026, 11, 12), ends=date(2026, 11, 15)),
        Campaign(name="w47", kind="sale", starts=date(2026, 11, 16), ends=date(2026, 11, 20)),
    )
    await world.tell([
        *took("w45", "2026-11-02", range(40), 10),
        *took("w46", "2026-11-09", range(40), 25),
        *took("w46", "2026-11-11", range(40, 50), 5),
        *took("w47", "2026-11-16", range(40), 8),
        *took("w47", "2026-11-18", range(40, 45), 5),
    ])  # fmt: skip
    return world


async def test_a_campaign_against_the_one_before(sales: World) -> None:
    """Of w46 what the first two days brought stands beside the two days that w47 has had; beside w45 all of it."""
    money = [EN.money(amount) for amount in (2.0, 6.25, 6.0, 2.5)]
    assert cells(await drawn(sales, NOW, campaigns.pairs, **DAYS))[1:] == [
        ["w47", "w46 its first 2 days", "40 before: 40", "20.0 % before: 62.5 %", f"{money[0]} before: {money[1]}",
         "– before: –", "Fewer of them bought: −42.5 points, p < 0.001."],
        ["w46", "w45", "50 before: 40", "60.0 % before: 25.0 %", f"{money[2]} before: {money[3]}",
         "– before: 0.0 %", "More of them bought: +35.0 points, p < 0.001."],
    ]  # fmt: skip


async def test_where_there_is_none_before_it_says_so(world: World) -> None:
    await put(world, Campaign(name="w46", kind="sale", starts=date(2026, 11, 9), ends=date(2026, 11, 11)))
    await world.tell(took("w46", "2026-11-09", range(3)))
    said = words(await drawn(world, NOW, campaigns.pairs, **DAYS))
    assert said == "No campaign in these days has one of its kind before it."
    assert words(await drawn(world, NOW, campaigns.pairs, language="zh", **DAYS)).startswith("这些天的活动都没有")


async def test_who_took_part_and_who_bought_are_a_click_away(sales: World) -> None:
    html = await drawn(sales, NOW, campaigns.verdicts, **DAYS)
    addresses = [dict(parse_qsl(one)) for one in map(unescape, re.findall(r'href="/people\?([^"]*)"', html))]
    assert len(addresses) == 4  # nobody took part in the check-in
    counts = [words(await drawn(sales, NOW, behind.people, **one)).partition(" ")[0] for one in addresses]
    assert counts == ["40", "8", "50", "30"]
    assert "/people" not in await drawn(sales, NOW, campaigns.verdicts, settings={"dashboard_people": False}, **DAYS)
    said = words(await drawn(sales, NOW, as_part, **addresses[1]))
    assert "campaign w47 · buyers" in said


async def as_part(context: Context) -> Safe:
    """The page of the people, without its list."""
    return behind.body(context)
