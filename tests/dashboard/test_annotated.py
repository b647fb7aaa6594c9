"""What happened, on charts over time: at its place, said below, of the plan and kept; as data whatever it says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from metrics.world import World, event, worlds

from dashboard.drawn import drawn, words
from pipeline.dashboard.pages import explore, groups
from pipeline.kept.things import AnnotationSpec
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

TEXT = """
product: Shop
timezone: Asia/Shanghai
events: {look: , buy: {value: amount, properties: {amount: number!}}}
meanings: {payment: {event: buy}}
"""
PLAN = parse_plan(TEXT)
server, opened, world = worlds("module", PLAN)
NOW = "2026-11-25T12:00:00+08:00"


def annotated(*of: tuple[str, str]) -> Any:
    return PLAN.model_copy(update={"annotations": tuple(AnnotationSpec(at=at, text=text) for at, text in of)})


def marked(html: str) -> list[tuple[str, str]]:
    """The annotations of the first chart, as (what stands at the axis, text)."""
    brought = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.S)[1])  # type: ignore[index]
    spec = brought["spec"]
    places = next(p["value"] for p in spec["params"] if p["name"] == "places")
    texts = [layer for layer in spec["layer"] if layer["mark"].get("type") == "text"]
    return [(places[row["x"]], row["text"]) for layer in texts for row in layer["data"]["values"]]


async def tell(world: World) -> None:
    await world.tell([event("u1", "buy", f"2026-11-{day} 10:00", {"amount": 10}) for day in range(18, 25)])


async def trend(world: World, plan: Any, **asked: str) -> str:
    given = {"kind": "trend", "m1": "count", "from": "2026-11-18", "to": "2026-11-24", **asked}
    return await drawn(world, NOW, explore.result, plan=plan, **given)


async def test_it_stands_at_its_day_in_the_plans_zone_and_is_said_below(world: World) -> None:
    await tell(world)
    plan = annotated(
        ("2026-11-20T00:00", "first moment"), ("2026-11-20T23:59", "last minute"),
        ("2026-11-20T16:00+00:00", "midnight here"), ("2026-11-17T23:59", "too early"), ("2026-11-25T00:00", "too late"),
    )  # fmt: skip
    html = await trend(world, plan)
    assert marked(html) == [("Nov 20", "first moment · last minute"), ("Nov 21", "midnight here")]
    said = words(html)
    assert "Nov 20 00:00 first moment Nov 20 23:59 last minute Nov 21 00:00 midnight here" in said
    assert "too" not in said


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"grain": "hour", "from": "2026-11-20", "to": "2026-11-20"}, "Nov 20 14:00"),
        ({"grain": "day"}, "Nov 20"),
        ({"grain": "week"}, "Nov 16"),
    ],
)
async def test_by_hour_day_and_week(world: World, asked: dict[str, str], place: str) -> None:
    await tell(world)
    html = await trend(
        world, annotated(("2026-11-20T14:30", "App 2.4")), **{"from": "2026-11-09", "to": "2026-11-22", **asked}
    )
    assert marked(html) == [(place, "App 2.4")]


async def test_on_a_metric_of_the_catalogue_too_and_not_where_there_is_no_time(world: World) -> None:
    await tell(world)
    plan = annotated(("2026-11-20", "App 2.4"))
    days = {"from": "2026-11-18", "to": "2026-11-24"}
    assert marked(await drawn(world, NOW, groups.one, plan=plan, metric="revenue", **days)) == [("Nov 20", "App 2.4")]
    html = await drawn(world, NOW, explore.result, plan=plan, kind="distribution", of="times", **days)
    assert "App 2.4" not in html


async def test_a_text_is_never_markup_nor_code_and_of_many_the_newest_are_drawn(world: World) -> None:
    await tell(world)
    odd = "</script><script>alert(1)</script> ' + datum.x + \" ${x} {{y}}"
    html = await trend(world, annotated(("2026-11-20", odd)))
    assert marked(html) == [("Nov 20", odd)]
    assert "<script>alert" not in html
    many = annotated(*((f"2026-11-{18 + k % 7}T10:00", f"n{k:02}") for k in range(70)))
    html = await trend(world, many)
    assert sum(text.count("n") for _, text in marked(html)) == 20
    assert {place for place, _ in marked(html)} == {"Nov 23", "Nov 24"}
    assert "and 50 before these" in words(html)
