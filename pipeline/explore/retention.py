"""Retention: of the people who did one event in a period, who did another in the periods after.

Period 0 is that of the first event: who did the second one in it, not before the first. Without `first_time` a person
is in the cohort of every period in which they did the first event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pipeline.explore.question import Cell, Retention
from pipeline.explore.scope import first_day, names_sql, number_of_period, period_number, scope_sql
from pipeline.explore.segments import events_sql
from pipeline.explore.sql import ROWS, SETTINGS, Sql, Values
from pipeline.measure.periods import day_start
from schemas.duration import HOUR
from schemas.plan import Plan


@dataclass(frozen=True)
class RetentionCohort:
    """The people of a period (its number), and how many came back in each one after; None for one that isn't over."""

    number: int
    users: int
    returned: tuple[int | None, ...]


def retention_sql(retention: Retention, plan: Plan) -> Sql:
    """The query; its rows go to `cohorts`."""
    values = Values()
    return values.sql(f"""\
SELECT cohort, count() AS users, sumMap(periods, arrayMap(n -> toUInt64(1), periods)) AS returned
FROM (
{_persons(retention, plan, values)}
)
GROUP BY cohort
ORDER BY cohort
LIMIT {ROWS}
{SETTINGS}""")


def cohorts(rows: Sequence[Sequence[Any]], retention: Retention, plan: Plan, over: date) -> list[RetentionCohort]:
    """The rows as cohorts. Periods that last longer than the day `over`, or than the scope, have no number."""
    last = min(retention.scope.last, over)
    found = []
    for number, users, returned in rows:
        known = dict(zip(*returned, strict=True))
        found.append(
            RetentionCohort(
                number, users,
                tuple(known.get(n, 0) if _is_over(retention, plan, number + n, last) else None
                      for n in range(_periods(retention, plan, number))),
            )
        )  # fmt: skip
    return found


def retention_people(retention: Retention, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons of a cohort (`at`, its number) who came back in period `n`; all of them for -1; or of
    those who did not."""
    back = "1" if cell.n < 0 else f"{'NOT ' if cell.lost else ''}has(periods, {cell.n})"
    if not cell.at:
        return f"SELECT DISTINCT person FROM (\n{_persons(retention, plan, values)}\n) WHERE {back}"
    cohort = f"= {values.text(cell.at)}"
    scope = scope_sql(retention.scope, plan.timezone, values)
    period = number_of_period(retention.grain, monday=retention.monday)
    # Of nobody else need be known when they came: that would be gathered for everybody.
    begun = (
        f"SELECT person FROM activity WHERE {scope} AND {names_sql((retention.start,), values)} "
        f"AND toString({period}) {cohort}"
    )
    return (
        f"SELECT DISTINCT person FROM (\n{_persons(retention, plan, values, begun)}\n) "
        f"WHERE toString(cohort) {cohort} AND {back}"
    )


def _persons(retention: Retention, plan: Plan, values: Values, of: str = "") -> str:
    """One row a person and cohort: the periods after it in which the person came back; `of` some persons only."""
    scope = retention.scope
    begin = day_start(scope.first, plan.zone)
    starts = "arrayZip(begun.1, begun.2)"
    starts = f"arraySlice({starts}, 1, 1)" if retention.first_time else starts
    return f"""\
    SELECT
        person, start.1 AS cohort,
        arrayMap(k -> toUInt32(k.1 - cohort),
            arrayFilter(k -> k.1 > cohort OR k.1 = cohort AND k.2 >= start.2, arrayZip(came.1, came.2))) AS periods
    FROM (
        SELECT
            person,
            minMapIf([period], [ms], {events_sql(retention.start, values)}) AS begun,
            maxMapIf([period], [ms], {events_sql(retention.back, values)}) AS came
        FROM (
            SELECT *, {number_of_period(retention.grain, monday=retention.monday)} AS period,
                toUnixTimestamp64Milli(ts) AS ms
            FROM activity
            WHERE {scope_sql(scope, plan.timezone, values, ever=retention.first_time)}
                AND {names_sql((retention.start, retention.back), values)}{f" AND person IN ({of})" if of else ""}
        )
        GROUP BY person
    )
    ARRAY JOIN {starts} AS start
    WHERE start.2 >= {begin}"""


def _is_over(retention: Retention, plan: Plan, number: int, last: date) -> bool:
    if retention.grain == "hour":
        return (number + 1) * HOUR <= day_start(last + timedelta(days=1), plan.zone)
    return first_day(retention.grain, number + 1, monday=retention.monday) <= last + timedelta(days=1)


def _periods(retention: Retention, plan: Plan, number: int) -> int:
    """How many periods there are from a cohort to the end of the scope."""
    if retention.grain == "hour":
        return (day_start(retention.scope.last + timedelta(days=1), plan.zone) - number * HOUR + HOUR - 1) // HOUR
    return period_number(retention.grain, retention.scope.last, monday=retention.monday) - number + 1
