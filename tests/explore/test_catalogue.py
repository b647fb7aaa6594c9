"""The catalogue's metrics under filters and segments: all of what they count is of these events and people."""

from __future__ import annotations

from datetime import date
from typing import Any

from metrics.world import PLAN, World, event, plain

from explore.asking import FIRST, LAST, scope
from pipeline.clickhouse.questions import Store
from pipeline.explore.catalogue import filter_of
from pipeline.explore.filters import make_filter
from pipeline.explore.question import Scope
from pipeline.explore.segments import ChosenSegment, EventSet, HasDone
from pipeline.metrics import arguments_for, metric
from pipeline.metrics.ask import ask_metric

EVENTS = [
    event("ann", "join", "2026-11-01 10:00", platform="ios"),
    event("ann", "look", "2026-11-02 10:00", platform="ios"),
    event("ann", "buy", "2026-11-02 10:01", {"amount": 20, "order_id": "o1"}, platform="web"),
    event("bob", "join", "2026-11-01 10:00", platform="web"),
    event("bob", "look", "2026-11-02 10:00", platform="it's"),
    event("bob", "buy", "2026-11-03 10:00", {"amount": 5, "order_id": "o2"}, platform="web"),
]


async def ask(world: World, name: str, columns: str, seen: Scope, **given: Any) -> list[tuple[Any, ...]]:
    chosen = metric(name)
    arguments = arguments_for(chosen, {"from": FIRST, "to": LAST, **given}, PLAN, date(2026, 12, 1))
    store = Store(world.settings)
    try:
        table = await ask_metric(store, chosen, arguments, filter_of(seen, PLAN))
    finally:
        await store.close()
    return list(zip(*(map(plain, table.column(column)) for column in columns.split()), strict=True))


async def test_metrics_see_only_the_events_that_fit(world: World) -> None:
    await world.tell(EVENTS)
    ios = scope(where=(make_filter("platform", "is", "ios"),))
    assert await ask(world, "active_users_daily", "day users events", ios) == [
        ("2026-11-01", 1, 1), ("2026-11-02", 1, 1), ("2026-11-03", 0, 0), ("2026-11-04", 0, 0), ("2026-11-05", 0, 0),
    ]  # fmt: skip
    assert {row[0] for row in await ask(world, "revenue", "revenue", ios)} == {0.0}
    web = scope(where=(make_filter("platform", "is", "web"), make_filter("event", "is_not", "join")))
    assert await ask(world, "revenue", "period revenue", web) == await ask(world, "revenue", "period revenue", scope())
    odd = scope(where=(make_filter("platform", "is", "it's"),))
    assert sum(row[0] for row in await ask(world, "active_users_daily", "users", odd)) == 1


async def test_a_segment_is_of_all_that_its_people_did(world: World) -> None:
    await world.tell(EVENTS)
    dear = ChosenSegment("", HasDone(EventSet(("buy",), (make_filter("properties.amount", "gte", "10"),))))
    both = scope(where=(make_filter("platform", "is", "ios"),), segment=dear)
    # Ann bought on the web, which the filter leaves out: she is in the segment all the same.
    assert [row[0] for row in await ask(world, "active_users_daily", "users", both)] == [1, 1, 0, 0, 0]
    assert await ask(world, "active_users_daily", "users", scope(segment=dear.others())) == [
        (1,),
        (1,),
        (1,),
        (0,),
        (0,),
    ]
    steps = {"steps": ["look", "buy"], "within": 86_400}
    assert await ask(world, "funnel", "users", scope(segment=dear), **steps) == [(1,), (1,)]
    sessions = await ask(world, "sessions_daily", "day sessions", scope(segment=dear))
    assert [row for row in sessions if row[1]] == [("2026-11-01", 1), ("2026-11-02", 1)]
    assert len(await ask(world, "paths_from", "path", scope(segment=dear))) == 2
