"""Distribution: how many people did something how often, on how many days, or have how much of a property in sum."""

from __future__ import annotations

from typing import Final

from pipeline.explore.question import Cell, Distribution
from pipeline.explore.scope import names_sql, scope_sql
from pipeline.explore.segments import events_sql
from pipeline.explore.sql import ROWS, SETTINGS, Sql, Values
from pipeline.explore.trend import number_of
from schemas.plan import Plan

#: Times: each by itself up to 10, then in ranges that begin with these.
RANGES: Final = (11, 21, 51, 101)
#: Widths of the ranges of sums: the smallest that makes at most 20 of the largest.
_WIDTHS: Final = tuple(step * 10.0**power for power in range(-6, 16) for step in (1, 2, 5))


def distribution_sql(asked: Distribution, plan: Plan) -> Sql:
    """The query. Columns: `first` (the first value of the range), `width` (0: the ranges of times), `people`."""
    values = Values()
    return values.sql(f"""\
SELECT first, width, count() AS people
FROM (
{_persons(asked, plan, values)}
)
GROUP BY first, width
ORDER BY first
LIMIT {ROWS}
{SETTINGS}""")


def distribution_people(asked: Distribution, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons of a range (`at`, its first value)."""
    own = f" WHERE toString(first) = {values.text(cell.at)}" if cell.at else ""
    return f"SELECT person FROM (\n{_persons(asked, plan, values)}\n){own}"


def _persons(asked: Distribution, plan: Plan, values: Values) -> str:
    """One row a person, with the range it is in."""
    condition = events_sql(asked.events, values)
    match asked.of:
        case "times":
            amount = "count()"
        case "days":
            amount = "uniqExact(day)"
        case "sum":
            amount = f"toFloat64(sum({number_of(plan, asked.property, asked.events.names)}))"
    if asked.of == "sum":
        widths = ", ".join(map(repr, _WIDTHS))
        width = f"arrayFirst(w -> w * 20 >= max(abs(amount)) OVER (), [{widths}])"
        # Rounded to what the widths need: 0.30000000000000004 would be a range of its own.
        first = "round(floor(round(amount / width, 9)) * width, 6)"
    else:
        width = "toFloat64(0)"
        bounds = "".join(f"amount >= {low}, {low}, " for low in reversed(RANGES)) if asked.of == "times" else ""
        first = f"toFloat64(multiIf({bounds}amount))" if bounds else "toFloat64(amount)"
    return f"""\
    SELECT person, {width} AS width, {first} AS first
    FROM (
        SELECT person, {amount} AS amount
        FROM activity
        WHERE {scope_sql(asked.scope, plan.timezone, values)} AND {names_sql((asked.events,), values)} AND ({condition})
        GROUP BY person
    )
    WHERE isNotNull(amount)"""
