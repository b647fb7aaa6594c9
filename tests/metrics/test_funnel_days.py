"""Days of a funnel by several dimensions at once are those of each dimension asked alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from metrics.world import PLAN, World, event
from pipeline.measure.periods import day_start
from pipeline.queries.funnel_period import (
    funnel_days,
    funnel_days_sql,
    funnel_period_sql,
    funnel_rows,
    funnel_spans_sql,
)

FIRST, LAST = date(2026, 11, 2), date(2026, 11, 4)
DIMENSIONS = ("platform", "app_version", "platform,app_version", "channel")
#: Of two fields the first ends as the second begins: only what stands between them says where. One has a mark in it.
EVENTS = [
    event("ann", "look", "2026-11-02 09:00", platform="ios / 1", app_version="2"),
    event("ann", "look", "2026-11-02 09:01", platform="web", app_version="9", channel="ads"),
    event("ann", "cart", "2026-11-02 09:02", platform="ios / 1", app_version="2"),
    event("bob", "look", "2026-11-02 09:59", platform="ios", app_version="1 / 2"),
    event("bob", "look", "2026-11-03 10:00", platform="ios", app_version="1 / 2", channel="mail"),
    event("bob", "cart", "2026-11-03 10:00", platform="web"),
    event("bob", "buy", "2026-11-03 11:00", {"amount": 5}),
    event("cat", "look", "2026-11-04 23:59"),
    event("dan", "look", "2026-11-05 00:00", platform="ios"),
    event("dan", "cart", "2026-11-04 00:00", platform="ios"),
]


@pytest.mark.parametrize("attribution", ["first", "last", "any"])
async def test_all_dimensions_at_once_are_each_alone(world: World, attribution: str) -> None:
    await world.tell(EVENTS)
    funnel = PLAN.funnels["buying"].model_copy(update={"attribution": attribution})
    bounds = day_start(FIRST, PLAN.zone), day_start(LAST + timedelta(days=1), PLAN.zone)
    questions = funnel_days_sql(PLAN, funnel, *bounds, DIMENSIONS)
    assert len(questions) == (1 + len(DIMENSIONS) if attribution == "any" else 1)
    whole, segments = funnel_days([row for sql in questions for row in await world.sql(sql)], PLAN.zone)
    alone: dict[str, Any] = {}
    for one in ("", *DIMENSIONS):
        for row in funnel_rows(await world.sql(funnel_period_sql(PLAN, funnel, *bounds, one, daily=True))):
            day = datetime.fromtimestamp(row.bucket / 1000, PLAN.zone).date()
            alone.setdefault(one, {}).setdefault(row.value, {})[day] = row.users
    assert whole == alone.pop("")[""]
    assert segments == alone
    if attribution == "first":
        monday, tuesday, wednesday = (FIRST + timedelta(days=k) for k in range(3))
        assert whole == {monday: (2, 1, 0), tuesday: (1, 1, 1), wednesday: (1, 0, 0)}
        assert segments["platform"] == {
            "ios / 1": {monday: (1, 1, 0)},
            "ios": {monday: (1, 0, 0), tuesday: (1, 1, 1)},
            "": {wednesday: (1, 0, 0)},
        }
        assert segments["platform,app_version"]["ios / 1 / 2"] == {monday: (2, 1, 0), tuesday: (1, 1, 1)}


async def test_a_value_with_the_mark_in_it_moves_no_other(world: World) -> None:
    await world.tell([event("ann", "look", "2026-11-02 09:00", platform="a\x1fb", app_version="2", channel="ads")])
    bounds = day_start(FIRST, PLAN.zone), day_start(LAST + timedelta(days=1), PLAN.zone)
    (sql,) = funnel_days_sql(PLAN, PLAN.funnels["buying"], *bounds, DIMENSIONS)
    _, segments = funnel_days(await world.sql(sql), PLAN.zone)
    assert {name: list(values) for name, values in segments.items()} == {
        "platform": ["a b"], "app_version": ["2"], "platform,app_version": ["a b / 2"], "channel": ["ads"],
    }  # fmt: skip


async def test_what_follows_the_last_day_ends_a_strict_order_as_it_does_live(world: World) -> None:
    """An event after midnight that is no next step ends the chain of whoever began before, a first step too."""
    await world.tell([
        event("ann", "look", "2026-11-04 23:50"),
        event("ann", "look", "2026-11-05 00:05"),
        event("ann", "cart", "2026-11-05 00:10"),
        event("bob", "look", "2026-11-04 23:50"),
        event("bob", "cart", "2026-11-05 00:10"),
    ])  # fmt: skip
    funnel = PLAN.funnels["buying"].model_copy(update={"modes": ("strict_order",)})
    bounds = day_start(FIRST, PLAN.zone), day_start(LAST + timedelta(days=1), PLAN.zone)
    for sql in (
        funnel_period_sql(PLAN, funnel, *bounds, daily=True),
        funnel_period_sql(PLAN, funnel, *bounds),
        funnel_spans_sql(PLAN, funnel, [bounds]),
    ):
        assert [row.users for row in funnel_rows(await world.sql(sql))] == [(2, 1, 0)]


@pytest.mark.parametrize("modes", [(), ("strict_order",), ("strict_increase",)])
async def test_spans_in_one_look_are_each_alone(world: World, modes: tuple[str, ...]) -> None:
    """Whoever begins in several counts in each; a gap between them is nobody's."""
    await world.tell([*EVENTS, event("eve", "look", "2026-11-03 12:00"), event("eve", "cart", "2026-11-03 12:01")])
    funnel = PLAN.funnels["buying"].model_copy(update={"modes": modes})
    days = [day_start(FIRST + timedelta(days=k), PLAN.zone) for k in range(4)]
    for spans in ([(days[0], days[1]), (days[1], days[3])], [(days[0], days[1]), (days[2], days[3])]):
        together = funnel_rows(await world.sql(funnel_spans_sql(PLAN, funnel, spans)))
        alone = [row for one in spans for row in funnel_rows(await world.sql(funnel_period_sql(PLAN, funnel, *one)))]
        assert [(row.bucket, row.users) for row in together] == [(row.bucket, row.users) for row in alone]
