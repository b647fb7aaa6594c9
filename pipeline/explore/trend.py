"""Trends: events and formulas of them over time, in one pass over the events.

A session counts in every period in which such an event of it lies; without a session_id, sessions are parted by the
plan's pause (`sessions_between`). People, sessions and percentiles of a whole period are counted, not added up.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pipeline.explore.filters import number_sql
from pipeline.explore.formula import LETTERS, formula_sql
from pipeline.explore.question import MAX_VALUES, Cell, Trend, TrendSeries
from pipeline.explore.scope import by_sql, names_sql, period_sql, scope_sql
from pipeline.explore.segments import events_sql
from pipeline.explore.sql import ROWS, SETTINGS, Sql, Values
from schemas.plan import Plan

_PERCENTILE: Final = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def trend_sql(trend: Trend, plan: Plan) -> Sql:
    """The query. Columns: `whole` (1 in the row of all periods together), `period`, `by1`, `by2`, A, B, …, F1, F2, …,
    `place` of the values by size from 1, `many` values that there are. Rows by value, all periods together first."""
    values = Values()
    fields = [by_sql(field, values) for field in trend.by]
    names = [f"by{k}" for k in range(1, len(fields) + 1)]
    conditions = [events_sql(series.events, values) for series in trend.series]
    measures = [
        f"{_measure(plan, series, condition)} AS {letter}"
        for series, condition, letter in zip(trend.series, conditions, LETTERS, strict=False)
    ]
    formulas = [f"{formula_sql(text, len(trend.series))} AS F{k}" for k, text in enumerate(trend.formulas, 1)]
    by = "".join(f", {name}" for name in names)
    only = f" AND ({' OR '.join(f'({c})' for c in conditions)})" if "1" not in conditions else ""
    columns = [f"{period_sql(trend.grain, monday=trend.monday)} AS period"]
    columns += [f"{field} AS {name}" for field, name in zip(fields, names, strict=True)]
    letters = ", ".join([*LETTERS[: len(trend.series)], *(f"F{k}" for k in range(1, len(formulas) + 1))])
    value = f"tuple({', '.join(names)})" if names else "1"
    return values.sql(f"""\
SELECT whole, period{by}, {letters}, place, many
FROM (
    SELECT *, max(place) OVER () AS many
    FROM (
        SELECT *, dense_rank() OVER (ORDER BY size DESC, {value}) AS place
        FROM (
            SELECT {", ".join(["*", *formulas])},
                max(if(whole = 1, toFloat64(ifNull(A, 0)), 0)) OVER (PARTITION BY {value}) AS size
            FROM (
                SELECT grouping(period) AS whole, period{by}, {", ".join(measures)}
                FROM (
                    SELECT *, {", ".join(columns)}
                    FROM {_source(trend, values)}
                    WHERE {scope_sql(trend.scope, plan.timezone, values)}
                        AND {names_sql(tuple(series.events for series in trend.series), values)}{only}
                )
                GROUP BY GROUPING SETS ((period{by}), ({by.removeprefix(", ")}))
            )
        )
    )
)
WHERE place <= {MAX_VALUES}
ORDER BY place, whole DESC, period
LIMIT {ROWS}
{SETTINGS}""")


def trend_people(trend: Trend, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons behind a cell: who did the events of series `n` in that period, with those values.

    Without values it is whoever did them.
    """
    series = trend.series[cell.n]
    parts = [scope_sql(trend.scope, plan.timezone, values), names_sql((series.events,), values)]
    parts.append(events_sql(series.events, values))
    if cell.at:
        at = f"toString({_named(trend)})" if trend.grain != "hour" else f"toString(toUnixTimestamp({_named(trend)}))"
        parts.append(f"{at} = {values.text(cell.at)}")
    parts += [
        f"{by_sql(field, values)} = {values.text(value)}"
        for field, value in zip(trend.by, cell.values, strict=bool(cell.values))
    ]
    return f"SELECT DISTINCT person FROM activity WHERE {' AND '.join(f'({part})' for part in parts)}"


def _named(trend: Trend) -> str:
    return period_sql(trend.grain, monday=trend.monday)


def _source(trend: Trend, values: Values) -> str:
    """The events; where sessions are counted, each with its session."""
    if not any("session" in series.measure for series in trend.series):
        return "activity"
    # Events without a session_id are in the session of their person that began last before them: two days are enough.
    first, last = values.day(trend.scope.first - timedelta(days=2)), values.day(trend.scope.last)
    return (
        "(SELECT a.*, (a.person, a.session_id, if(a.session_id = '', toUnixTimestamp64Milli(s.start), 0)) AS session "
        "FROM activity AS a ASOF LEFT JOIN (SELECT person, start FROM "
        f"sessions_between(from = {first}, to = {last}) WHERE session_id = '') AS s "
        "ON a.person = s.person AND a.ts >= s.start)"
    )


def _measure(plan: Plan, series: TrendSeries, condition: str) -> str:
    count, people = f"countIf({condition})", f"uniqExactIf(person, {condition})"
    match series.measure:
        case "count":
            return count
        case "people":
            return people
        case "per_person":
            return f"{count} / nullIf({people}, 0)"
        case "sessions":
            return f"uniqExactIf(session, {condition})"
        case "per_session":
            return f"{count} / nullIf(uniqExactIf(session, {condition}), 0)"
    number = property_sql(plan, series)
    if series.measure == "sum":
        return f"ifNull(sumIf({number}, {condition}), 0)"
    if series.measure == "average":
        return f"avgOrNullIf(toFloat64({number}), {condition})"
    return f"quantileExactInclusiveOrNullIf({_PERCENTILE[series.measure]})(toFloat64({number}), {condition})"


def property_sql(plan: Plan, series: TrendSeries) -> str:
    """The number of an event that is summed; the plan's value of the events is exact."""
    return number_of(plan, series.property, series.events.names)


def number_of(plan: Plan, field: str, names: tuple[str, ...]) -> str:
    """A field as a number: where it is the one that the plan sums for all these events, the exact column `value`."""
    specs = [plan.events.get(name) for name in names]
    own = field.removeprefix("properties.")
    if field == "value" or (specs and all(spec is not None and spec.value == own for spec in specs)):
        return "value"
    return number_sql(field)
