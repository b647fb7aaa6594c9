"""Trends: literal events in, the exact table out."""

from __future__ import annotations

import pytest
from metrics.world import PLAN, World, event, visit

from explore.asking import events, people, rows, scope, series
from pipeline.explore.filters import make_filter
from pipeline.explore.question import Cell, Trend, TrendSeries
from pipeline.explore.trend import trend_sql

EVENTS = [
    event("ann", "look", "2026-11-01 10:00", {"category": "shoes", "price": 10}, platform="ios", session_id="s1"),
    event("ann", "look", "2026-11-01 10:05", {"category": "tents", "price": 30}, platform="ios", session_id="s1"),
    event("ann", "buy", "2026-11-01 10:06", {"amount": 12.5}, platform="ios", session_id="s1"),
    event("bob", "look", "2026-11-01 23:59", {"category": "shoes", "price": 20.5}, platform="web"),
    event("bob", "look", "2026-11-02 00:10", {"category": "shoes", "price": "7"}, platform="web"),
    event("ann", "look", "2026-11-03 09:00", {}, platform="android", session_id="s2"),
    event("eve", "buy", "2026-11-03 09:00", {"amount": 0.1}),
    event("eve", "buy", "2026-11-03 09:00", {"amount": 0.2}),
]


async def ask(world: World, trend: Trend) -> list[tuple[object, ...]]:
    """Rows without the columns that only order them."""
    return [row[:-2] for row in await rows(world, trend_sql(trend, PLAN))]


async def test_measures_of_an_event(world: World) -> None:
    await world.tell(EVENTS)
    measures = ("count", "people", "per_person", "sessions", "per_session")
    trend = Trend(scope(), tuple(series("look", measure) for measure in measures))
    assert await ask(world, trend) == [
        (1, "1970-01-01", 5, 2, 2.5, 3, 1.666667),
        (0, "2026-11-01", 3, 2, 1.5, 2, 1.5),
        # Bob's session went on after midnight: it is one of both days, and one in all.
        (0, "2026-11-02", 1, 1, 1.0, 1, 1.0),
        (0, "2026-11-03", 1, 1, 1.0, 1, 1.0),
    ]


async def test_measures_of_a_property_leave_out_what_is_no_number(world: World) -> None:
    await world.tell(EVENTS)
    measures = ("sum", "average", "median", "p90")
    trend = Trend(scope(), tuple(series("look", measure, "properties.price") for measure in measures))
    assert await ask(world, trend) == [
        (1, "1970-01-01", 60.5, 20.166667, 20.5, 28.1),
        (0, "2026-11-01", 60.5, 20.166667, 20.5, 28.1),
        (0, "2026-11-02", 0.0, None, None, None),
        (0, "2026-11-03", 0.0, None, None, None),
    ]


async def test_the_value_of_an_event_is_summed_exactly(world: World) -> None:
    await world.tell(EVENTS)
    trend = Trend(scope("2026-11-03"), (series("buy", "sum", "properties.amount"), series("", "sum", "value")))
    assert await ask(world, trend) == [(1, "1970-01-01", 0.3, 0.3), (0, "2026-11-03", 0.3, 0.3)]


async def test_formulas_of_series(world: World) -> None:
    await world.tell(EVENTS)
    trend = Trend(scope(), (series("buy"), series("look", "count")), formulas=("A / B %", "-(A - 2) * 3 + B"))
    assert await ask(world, trend) == [
        (1, "1970-01-01", 2, 5, 0.4, 5.0),
        (0, "2026-11-01", 1, 3, 0.333333, 6.0),
        (0, "2026-11-02", 0, 1, 0.0, 7.0),
        (0, "2026-11-03", 1, 1, 1.0, 4.0),
    ]


async def test_a_formula_that_divides_by_zero_has_no_value(world: World) -> None:
    await world.tell(EVENTS)
    trend = Trend(scope("2026-11-02", "2026-11-02"), (series("look"), series("buy")), formulas=("A / B",))
    assert await ask(world, trend) == [(1, "1970-01-01", 1, 0, None), (0, "2026-11-02", 1, 0, None)]


async def test_breakdowns_the_largest_value_first(world: World) -> None:
    await world.tell(EVENTS)
    trend = Trend(scope(), (series("look", "count"),), by=("properties.category", "platform"), grain="month")
    assert await ask(world, trend) == [
        (1, "1970-01-01", "shoes", "web", 2),
        (0, "2026-11-01", "shoes", "web", 2),
        (1, "1970-01-01", "", "android", 1),
        (0, "2026-11-01", "", "android", 1),
        (1, "1970-01-01", "shoes", "ios", 1),
        (0, "2026-11-01", "shoes", "ios", 1),
        (1, "1970-01-01", "tents", "ios", 1),
        (0, "2026-11-01", "tents", "ios", 1),
    ]


async def test_only_so_many_values_are_answered_and_all_are_counted(world: World) -> None:
    await world.tell([event(f"u{k}", "look", "2026-11-01 10:00", channel=f"c{k:02}") for k in range(30)])
    found = await rows(world, trend_sql(Trend(scope(), (series("look"),), by=("channel",)), PLAN))
    assert [row[2] for row in found if row[0]] == [f"c{k:02}" for k in range(25)]
    assert {row[-1] for row in found} == {30}


@pytest.mark.parametrize(
    ("grain", "monday", "periods"),
    [
        ("hour", True, ["2026-10-25 00:00:00", "2026-10-25 01:00:00", "2026-10-31 23:00:00"]),
        ("week", True, ["2026-10-19", "2026-10-26"]),
        ("week", False, ["2026-10-25", "2026-11-01"]),
        ("month", True, ["2026-10-01", "2026-11-01"]),
    ],
)
async def test_periods_are_those_of_the_plans_zone(world: World, grain: str, monday: bool, periods: list[str]) -> None:
    # The hour from 2 to 3 came twice on that night; the first of November began at 23:00 UTC.
    times = ["2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00", "2026-11-01T00:00+01:00"]
    await world.tell([event("ann", "look", at) for at in times])
    trend = Trend(scope("2026-10-25", "2026-11-01"), (series("look"),), grain=grain, monday=monday)  # type: ignore[arg-type]
    assert [row[1] for row in await ask(world, trend) if not row[0]] == periods


async def test_conditions_and_any_of_several_events(world: World) -> None:
    await world.tell(EVENTS)
    shoes = TrendSeries(events("look", where=[make_filter("properties.category", "is", "shoes")]), "count")
    either = TrendSeries(events("look", "buy"), "people")
    dear = TrendSeries(events("look", where=[make_filter("properties.price", "gte", "20.5")]), "people")
    every = TrendSeries(events(), "count")
    assert (await ask(world, Trend(scope(), (shoes, either, dear, every))))[0] == (1, "1970-01-01", 3, 3, 2, 8)


@pytest.mark.parametrize(
    ("operator", "value", "who"),
    [
        ("is", "ios", ["ann"]), ("is", "ios, web", ["ann", "bob"]), ("is_not", "ios", ["ann", "bob"]),
        ("contains", "o", ["ann"]), ("excludes", "o", ["bob"]), ("set", "", ["ann", "bob"]), ("unset", "", ["eve"]),
    ],
)  # fmt: skip
async def test_filters_of_a_field(world: World, operator: str, value: str, who: list[str]) -> None:
    await world.tell(EVENTS)
    trend = Trend(scope(where=(make_filter("platform", operator, value),)), (series(""),))
    assert await people(world, trend, Cell()) == who


async def test_filters_and_breakdowns_by_an_attribute_of_the_person(world: World) -> None:
    await world.tell([*EVENTS, visit("phone", "look", "2026-11-01 10:00")])
    await world.command("TRUNCATE TABLE user_attributes_raw")
    await world.command(
        "INSERT INTO user_attributes_raw (actor, name, value) VALUES ('ann', 'tier', 'gold'), ('bob', 'tier', 'iron'), "
        "('ann', 'age', '31'), ('bob', 'age', 'old')"
    )
    trend = Trend(scope(), (series("", "people"),), by=("user.tier",), grain="month")
    assert [row[2:] for row in await ask(world, trend) if row[0]] == [("", 2), ("gold", 1), ("iron", 1)]
    for field, operator, value, who in (
        ("user.tier", "is", "gold", ["ann"]), ("user.tier", "is_not", "gold", ["bob"]),
        ("user.age", "lt", "40", ["ann"]),
        ("user.tier", "unset", "", ["$device:phone", "eve"]), ("user.tier", "set", "", ["ann", "bob"]),
    ):  # fmt: skip
        asked = Trend(scope(where=(make_filter(field, operator, value),)), (series(""),))
        assert await people(world, asked, Cell()) == who, (field, operator)


async def test_the_people_of_a_cell_are_those_who_did_it_then_with_that_value(world: World) -> None:
    await world.tell(EVENTS)
    trend = Trend(scope(), (series("look"), series("buy")), by=("platform",))
    assert await people(world, trend, Cell(0, "2026-11-01", ("ios",))) == ["ann"]
    assert await people(world, trend, Cell(0, "", ("web",))) == ["bob"]
    assert await people(world, trend, Cell(1, "2026-11-03", ("",))) == ["eve"]
    hours = Trend(scope(), (series("look"),), grain="hour")
    # 23:00 in Berlin.
    assert await people(world, hours, Cell(0, "1793574000")) == ["bob"]


async def test_a_period_seen_until_a_moment(world: World) -> None:
    await world.tell(EVENTS)
    trend = Trend(
        scope("2026-11-01", "2026-11-01", until=1793523660000), (series("look", "count"), series("buy", "count"))
    )
    assert (await ask(world, trend))[0] == (1, "1970-01-01", 1, 0)  # until 10:01 in Berlin
