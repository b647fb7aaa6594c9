"""Funnels built in a page: literal events in, the exact steps and people out."""

from __future__ import annotations

from typing import Any

from metrics.world import PLAN, World, event

from explore.asking import events, people, rows, scope
from pipeline.explore.filters import make_filter
from pipeline.explore.funnel import BuiltFunnelRow, built_rows, built_sql
from pipeline.explore.question import BuiltFunnel, Cell
from schemas.duration import DAY, HOUR

STEPS = (events("look"), events("cart"), events("buy"))
EVENTS = [
    event("ann", "look", "2026-11-01 10:00", platform="ios", session_id="s1"),
    event("ann", "cart", "2026-11-01 10:10", platform="ios", session_id="s1"),
    event("ann", "buy", "2026-11-01 10:20", platform="web", session_id="s1"),
    event("bob", "look", "2026-11-01 10:00", platform="ios", session_id="s2"),
    event("bob", "ad", "2026-11-01 10:05", platform="ios", session_id="s2"),
    event("bob", "cart", "2026-11-01 10:10", platform="ios", session_id="s3"),
    # Backwards.
    event("eve", "buy", "2026-11-01 10:00", platform="web"),
    event("eve", "cart", "2026-11-01 10:05", platform="web"),
    event("eve", "look", "2026-11-01 10:06", platform="web"),
    # Too late for an hour, and after the days asked for.
    event("max", "look", "2026-11-05 23:50", platform="web"),
    event("max", "cart", "2026-11-06 00:20", platform="web"),
    event("max", "buy", "2026-11-06 00:51", platform="web"),
    event("zoe", "look", "2026-11-06 00:01", platform="web"),
]


async def ask(world: World, **changes: Any) -> list[BuiltFunnelRow]:
    funnel = BuiltFunnel(**{"scope": scope(), "steps": STEPS, "window": HOUR, **changes})
    return built_rows(await rows(world, built_sql(funnel, PLAN)))


async def users(world: World, **changes: Any) -> list[tuple[int, ...]]:
    return [row.users for row in await ask(world, **changes)]


async def test_steps_in_order_and_how_long_they_took(world: World) -> None:
    await world.tell(EVENTS)
    (row,) = await ask(world)
    assert row.users == (4, 3, 1)
    assert row.median_ms[0] is None
    assert row.median_ms[2] is not None
    assert abs(row.median_ms[2] - 600_000) < 6_000


async def test_steps_in_any_order(world: World) -> None:
    await world.tell(EVENTS)
    # Eve did all three, the last first. Who only did one begins too.
    assert await users(world, order="any") == [(4, 4, 2)]
    assert await users(world, order="any", window=DAY) == [(4, 4, 3)]


async def test_strictly_in_order_nothing_comes_between(world: World) -> None:
    await world.tell(EVENTS)
    assert await users(world, order="strict") == [(4, 2, 1)]


async def test_an_exclusion_ends_the_way(world: World) -> None:
    await world.tell(EVENTS)
    assert await users(world, exclude=(events("ad"),)) == [(4, 2, 1)]
    assert await users(world, exclude=(events("ad", where=[make_filter("platform", "is", "web")]),)) == [(4, 3, 1)]


async def test_by_session_only_what_happened_in_one_counts(world: World) -> None:
    await world.tell(EVENTS)
    assert await users(world, per_session=True) == [(2, 1, 1)]


async def test_a_step_of_several_events_and_of_conditions(world: World) -> None:
    await world.tell(EVENTS)
    assert await users(world, steps=(events("look"), events("cart", "ad"), events("buy"))) == [(4, 3, 1)]
    steps = (events("look"), events("buy", where=[make_filter("platform", "is", "web")]))
    assert await users(world, steps=steps) == [(4, 1)]


async def test_by_the_value_of_the_first_step(world: World) -> None:
    await world.tell(EVENTS)
    found = await ask(world, by="platform")
    assert [(row.value, row.users) for row in found] == [("ios", (2, 2, 1)), ("web", (2, 1, 0))]


async def test_who_came_on_and_who_was_lost(world: World) -> None:
    await world.tell(EVENTS)
    funnel = BuiltFunnel(scope(), STEPS, HOUR)
    assert await people(world, funnel, Cell(0)) == ["ann", "bob", "eve", "max"]
    assert await people(world, funnel, Cell(1)) == ["ann", "bob", "max"]
    assert await people(world, funnel, Cell(2)) == ["ann"]
    assert await people(world, funnel, Cell(1, lost=True)) == ["eve"]
    assert await people(world, funnel, Cell(2, lost=True)) == ["bob", "max"]
    by = BuiltFunnel(scope(), STEPS, HOUR, by="platform")
    assert await people(world, by, Cell(2, values=("web",), lost=True)) == ["max"]
    session = BuiltFunnel(scope(), STEPS, HOUR, per_session=True)
    assert await people(world, session, Cell(1, lost=True)) == ["bob"]
    assert await people(world, BuiltFunnel(scope(), STEPS, DAY, "any"), Cell(2)) == ["ann", "eve", "max"]


async def test_seen_until_a_moment(world: World) -> None:
    await world.tell(EVENTS)
    assert await users(world, scope=scope(until=1793524140000)) == [(3, 0, 0)]  # 10:09 in Berlin
