"""Questions to the world of the tests, and short ways to write them."""

from __future__ import annotations

from datetime import date
from typing import Any

from metrics.world import PLAN, World, plain

from pipeline.explore.people import people_sql
from pipeline.explore.question import Cell, Scope, TrendSeries, WithPeople
from pipeline.explore.segments import EventSet
from pipeline.explore.sql import Sql

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 5)


def scope(first: str | date = FIRST, last: str | date = LAST, **more: Any) -> Scope:
    """Days, as text or as they are."""
    return Scope(date.fromisoformat(str(first)), date.fromisoformat(str(last)), **more)


def events(*names: str, where: Any = ()) -> EventSet:
    """Events of these names."""
    return EventSet(names, tuple(where))


def series(name: str, measure: Any = "people", of: str = "", where: Any = ()) -> TrendSeries:
    """A series of one event ("" for all)."""
    return TrendSeries(events(*filter(None, [name]), where=where), measure, of)


async def rows(world: World, sql: Sql, *, shown: bool = True) -> list[tuple[Any, ...]]:
    """The answer by bound values; and by the text that is `shown` alike."""

    async def work(client: Any) -> Any:
        bound = await client.query(sql.text, parameters=dict(sql.values), settings={"readonly": 2})
        if shown:
            assert (await client.query(sql.shown(), settings={"readonly": 2})).result_rows == bound.result_rows
        return [tuple(map(plain, row)) for row in bound.result_rows]

    found: list[tuple[Any, ...]] = await world.connection.run(work)
    return found


async def people(world: World, question: WithPeople, cell: Cell) -> list[str]:
    """Who is behind a cell, sorted; as many as the list says that there are."""
    found = await rows(world, people_sql(question, cell, PLAN, 1000), shown=False)
    assert all(row[-1] == len(found) for row in found)
    return sorted(row[-2] for row in found)
