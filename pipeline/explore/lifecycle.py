"""Lifecycle: the people of each period as new, returning or resurrected, and those who fell away in it."""

from __future__ import annotations

from typing import Final

from pipeline.explore.question import Cell, Lifecycle
from pipeline.explore.scope import names_sql, number_of_period, period_number, scope_sql
from pipeline.explore.segments import events_sql
from pipeline.explore.sql import ROWS, SETTINGS, Sql, Values
from schemas.plan import Plan

#: New: never before. Returning: not longer away than `away` periods. Resurrected: longer. Dormant: it is `away` periods
#: since the last one, and the person did not come in any of them.
STATES: Final = ("new", "returning", "resurrected", "dormant")


def lifecycle_sql(asked: Lifecycle, plan: Plan) -> Sql:
    """The query. Columns: `period` (its number), and one of `STATES` each."""
    values = Values()
    counts = ", ".join(f"countIf(state = '{state}') AS {state}" for state in STATES)
    return values.sql(f"""\
SELECT period, {counts}
FROM (
{_moves(asked, plan, values)}
)
GROUP BY period
ORDER BY period
LIMIT {ROWS}
{SETTINGS}""")


def lifecycle_people(asked: Lifecycle, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons who were in state `n` of `STATES` in the period `at` (its number)."""
    state = STATES[cell.n % len(STATES)]
    period = f" AND toString(period) = {values.text(cell.at)}" if cell.at else ""
    return f"SELECT DISTINCT person FROM (\n{_moves(asked, plan, values)}\n) WHERE state = '{state}'{period}"


def _moves(asked: Lifecycle, plan: Plan, values: Values) -> str:
    """One row a person, period and state."""
    scope, away = asked.scope, asked.away
    first, last = (period_number(asked.grain, day, monday=asked.monday) for day in (scope.first, scope.last))
    return f"""\
    SELECT person, move.1 AS period, move.2 AS state
    FROM (
        SELECT
            person,
            arraySort(groupUniqArray({number_of_period(asked.grain, monday=asked.monday)})) AS periods,
            arrayConcat(
                arrayMap((p, i) -> (p, multiIf(
                    i = 1, 'new', p - periods[i - 1] <= {away}, 'returning', 'resurrected')),
                    periods, arrayEnumerate(periods)),
                arrayMap(p -> (toUInt32(p + {away}), 'dormant'), arrayFilter(
                    (p, i) -> i = length(periods) OR periods[i + 1] - p > {away}, periods, arrayEnumerate(periods)))
            ) AS moves
        FROM activity
        WHERE {scope_sql(scope, plan.timezone, values, ever=True)}
            AND {names_sql((asked.events,), values)} AND ({events_sql(asked.events, values)})
        GROUP BY person
    )
    ARRAY JOIN moves AS move
    WHERE period BETWEEN {first} AND {last}"""
