"""Funnels built in a page: SQL of `pipeline.queries.funnel` over `activity`, one cohort of all days.

`ordered` and `strict` are ClickHouse's windowFunnel (strict: no other event of these or of all may come between), `any`
counts how many of the steps were taken within the window, whichever came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pipeline.explore.question import MAX_VALUES, BuiltFunnel, Cell
from pipeline.explore.scope import by_sql, names_sql, scope_sql
from pipeline.explore.segments import EventSet, events_sql
from pipeline.explore.sql import SETTINGS, Sql, Values
from pipeline.measure.periods import day_start
from pipeline.queries.funnel import FunnelQuery, cell_of, funnel_actors_sql, funnel_sql
from schemas.duration import DAY
from schemas.event import CONTEXT_FIELDS
from schemas.plan import Plan


@dataclass(frozen=True)
class BuiltFunnelRow:
    """A value of the breakdown: people (or sessions) by step, median ms from the step before."""

    value: str
    users: tuple[int, ...]
    median_ms: tuple[float | None, ...]


def built_sql(funnel: BuiltFunnel, plan: Plan) -> Sql:
    """The query; its rows go to `built_rows`."""
    values = Values()
    return values.sql(f"{funnel_sql(_query(funnel, plan, values))}{SETTINGS}")


def built_rows(rows: Sequence[Sequence[Any]], most: int = MAX_VALUES) -> list[BuiltFunnelRow]:
    """The values of the breakdown, the largest first, at most so many."""
    found = []
    for _, value, users, sums, bins in rows:
        if not users[0]:
            continue  # began after the days asked for
        medians: list[float | None] = [None] * len(users)
        if sums:
            for k, times in enumerate(cell_of(users, sums, bins).times, start=1):
                medians[k] = times.median
        found.append(BuiltFunnelRow(str(value), tuple(map(int, users)), tuple(medians)))
    return sorted(found, key=lambda row: (-row.users[0], row.value))[:most]


def funnel_people(funnel: BuiltFunnel, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons who took step `n` (from 0), or of those who took the one before and not it.

    Of a funnel by session it is the persons of such sessions.
    """
    reached = f"level = {cell.n}" if cell.lost else f"level > {cell.n}"
    person = "f_actor.1" if funnel.per_session else "f_actor"
    own = f" AND value = {values.text(cell.values[0])}" if cell.values and funnel.by else ""
    actors = funnel_actors_sql(_query(funnel, plan, values))
    return f"SELECT DISTINCT {person} AS person FROM (\n{actors}\n) WHERE {reached}{own}"


def _query(funnel: BuiltFunnel, plan: Plan, values: Values) -> FunnelQuery:
    scope = funnel.scope
    begin, end = (day_start(day, plan.zone) for day in (scope.first, scope.last + timedelta(days=1)))
    strict = funnel.order == "strict"
    sets: tuple[EventSet, ...] = (*funnel.steps, *funnel.exclude)
    names = "1" if strict else names_sql(sets, values)
    fields = ", ".join(("person", "session_id", "event", *CONTEXT_FIELDS, "properties"))
    further = (funnel.window + DAY - 1) // DAY
    source = (
        f"(SELECT {fields}, toUnixTimestamp64Milli(ts) AS ms FROM activity "
        f"WHERE {scope_sql(scope, plan.timezone, values, further=further)} AND {names})"
    )
    return FunnelQuery(
        source,
        tuple(f"({events_sql(step, values)})" for step in funnel.steps),
        funnel.window,
        # One cohort: whatever the time is, its bucket begins with the first day, and ends with the last.
        f"toUInt64({begin} + 0 * {{}})",
        f"toUInt64({end if scope.until is None else min(end, scope.until)} + 0 * {{}})",
        actor="(person, session_id)" if funnel.per_session else "person",
        ts="ms",
        breakdown=by_sql(funnel.by, values) if funnel.by else "''",
        modes=frozenset({"strict_order"} if strict else ()),
        exclude=" OR ".join(f"({events_sql(one, values)})" for one in funnel.exclude),
        where="session_id != ''" if funnel.per_session else "",
        any_order=funnel.order == "any",
    )
