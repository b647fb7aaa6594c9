"""Answers as pages draw them, at a moment: like is compared with like, and numbers lead to people where they may."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl

import pytest
from dashboard.drawn import cells, drawn, words
from metrics.world import World, event

from pipeline.dashboard.pages import behind, explore, funnels, groups
from pipeline.errors import UserError

NOW = "2026-11-08T12:00+01:00"
EVENTS = [
    # Today until noon two people, yesterday two by noon and one after; a week ago one.
    event("ann", "look", "2026-11-08 09:00", platform="ios"),
    event("bob", "look", "2026-11-08 11:00", platform="web"),
    event("ann", "look", "2026-11-07 09:00", platform="ios"),
    event("bob", "look", "2026-11-07 11:59", platform="web"),
    event("eve", "look", "2026-11-07 12:01", platform="web"),
    event("eve", "look", "2026-11-01 08:00", platform="web"),
    event("ann", "buy", "2026-11-07 09:10", {"amount": 20}, platform="ios"),
    event("ann", "cart", "2026-11-07 09:05", platform="ios"),
]


async def answer(world: World, part: Any = explore.result, **query: str) -> str:
    return await drawn(world, NOW, part, **query)


async def test_today_is_compared_with_the_other_day_until_the_same_time(world: World) -> None:
    await world.tell(EVENTS)
    asked = {"kind": "trend", "m1": "people", "e1": "look", "from": "2026-11-08", "to": "2026-11-08"}
    html = await answer(world, **asked, than="before")
    assert cells(html)[:2] == [["look: people", "Nov 7", "change"], ["2", "2", "+0.0 %"]]
    assert "seen up to the same time of day" in words(html)
    assert cells(await answer(world, **asked, than="week"))[1] == ["2", "1", "+100.0 %"]
    # Days that are over are whole.
    over = {**asked, "from": "2026-11-07", "to": "2026-11-07"}
    html = await answer(world, **over, than="before")
    assert cells(html)[1] == ["3", "0", "–"]
    assert "seen up to" not in words(html)


async def test_a_funnel_against_the_days_before_and_another_segment(world: World) -> None:
    await world.tell(EVENTS)
    asked = {"kind": "funnel", "e1": "look", "e2": "cart", "e3": "buy", "from": "2026-11-07", "to": "2026-11-07"}
    said = words(await answer(world, **asked, than="segment", vs="in", g1="did", g1e="buy"))
    assert "1. look 3 100.0 % 2. cart 1 33.3 % 33.3 % of the step before · 2 lost" in said
    assert "own segment 1. look 1 100.0 % 2. cart 1 100.0 %" in said
    assert "Nobody began it then." in words(await answer(world, **asked, than="before"))


async def test_numbers_lead_to_people_only_where_people_may_be_looked_at(world: World) -> None:
    await world.tell(EVENTS)
    for kind in ("trend", "funnel", "retention", "distribution", "lifecycle", "paths"):
        asked = {"kind": kind, "from": "2026-11-01", "to": "2026-11-07", "e1": "look", "e2": "buy", "m1": "count"}
        assert 'href="/people?' in await answer(world, **asked), kind
        off = await drawn(world, NOW, explore.result, settings={"dashboard_people": False}, **asked)
        assert "/people" not in off, kind
        assert "/person" not in off, kind


async def test_steps_of_everybody_beside_a_breakdown_lead_to_everybody(world: World) -> None:
    await world.tell(EVENTS)
    asked = {"kind": "funnel", "e1": "look", "e2": "cart", "from": "2026-11-07", "to": "2026-11-07", "by": "platform"}
    html = await answer(world, **asked)
    addresses = [unescape(found) for found in re.findall(r'href="/people\?([^"]*)"', html)]
    said = [
        words(await answer(world, behind.people, **dict(parse_qsl(one)))).partition(" Download")[0] for one in addresses
    ]
    # Step 1, step 2 and who was lost before it; then the same of each platform.
    assert said[:3] == ["3 people", "1 person", "2 people"]
    whole = {"kind": "trend", "m1": "people", "e1": "look", "by": "platform", "from": "2026-11-07", "to": "2026-11-07"}
    assert words(await answer(world, behind.people, **whole, n="0")).startswith("3 people")


async def test_the_people_are_listed_with_what_is_known_of_them(world: World) -> None:
    await world.tell(EVENTS)
    asked = {"kind": "trend", "from": "2026-11-07", "to": "2026-11-07", "m1": "people", "e1": "look", "by": "platform"}
    one = {**asked, "n": "0", "at": "2026-11-07", "is1": "ios"}
    html = await answer(world, behind.people, **one)
    assert words(html).startswith("1 person")
    assert 'data-part="/part/people-list?' in html
    html = await answer(world, behind.listed, **one)
    assert cells(html)[1] == ["ann", "–", "2026-11-07 09:00", "2026-11-08 09:00", "ios", "–", "4", "20.00"]
    assert re.search(r'href="/person\?id=ann"', html)
    nobody = {**asked, "n": "0", "is1": "nowhere"}
    html = await answer(world, behind.people, **nobody)
    assert words(html).startswith("0 people Nobody.")
    assert "data-part" not in html
    assert words(await answer(world, behind.listed, **nobody)) == "Nobody."
    with pytest.raises(UserError, match="n is the number of one of the series, from 0, not '7'"):
        await answer(world, behind.people, **asked, n="7", is1="ios")


async def test_a_formula_of_people_in_a_file(world: World) -> None:
    await world.tell(EVENTS)
    asked = {
        "kind": "trend",
        "from": "2026-11-06",
        "to": "2026-11-07",
        "m1": "people",
        "e1": "buy",
        "m2": "count",
        "e2": "look",
    }

    async def file(context: Any) -> str:
        name, _, body = await explore.download(context)
        assert name == "trend.csv"
        return body.decode("utf-8-sig")

    assert (await answer(world, file, **asked, x1="A / B")).splitlines() == [
        "Period,A buy: people,B look: times,A / B", "2026-11-06,0,0,", "2026-11-07,1,3,0.3333333333333333",
    ]  # fmt: skip


async def test_pages_of_the_catalogue_and_funnels_obey_the_bar(world: World) -> None:
    await world.tell(EVENTS)
    asked = {"metric": "active_users_daily", "from": "2026-11-07", "to": "2026-11-07"}
    assert cells(await answer(world, groups.one, **asked))[1][:2] == ["2026-11-07", "3"]
    assert cells(await answer(world, groups.one, **asked, platform="web"))[1][:2] == ["2026-11-07", "2"]
    who = {"seg": "out", "g1": "did", "g1e": "buy"}
    assert cells(await answer(world, groups.one, **asked, **who))[1][:2] == ["2026-11-07", "2"]
    days = {"funnel": "buying", "from": "2026-11-07", "to": "2026-11-07", "than": "none"}
    assert words(await answer(world, funnels.past, **days)).startswith("1. look 3 100.0 %")
    assert words(await answer(world, funnels.past, **days, **who)).startswith("1. look 2 100.0 %")
    assert words(await answer(world, funnels.past, **days, f1="platform", o1="is", v1="ios")).startswith("1. look 1 ")
    said = words(await answer(world, groups.one, **asked, f1="colour"))
    assert said.startswith("▲ 'colour' is no field: use one of the envelope")
