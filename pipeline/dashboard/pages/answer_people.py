"""The answers of questions about people over time: retention, distribution, lifecycle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from pipeline.dashboard.annotated import marks
from pipeline.dashboard.answers import Answered, Grid, GridItem, ask, people_address, period_item
from pipeline.dashboard.context import Context
from pipeline.explore.distribution import RANGES, distribution_sql
from pipeline.explore.lifecycle import STATES, lifecycle_sql
from pipeline.explore.question import Cell, Distribution, Lifecycle, Retention
from pipeline.explore.retention import RetentionCohort, cohorts, retention_sql
from pipeline.explore.scope import first_day, period_number
from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.html import text
from pipeline.render.vega import bars
from pipeline.render.vega import lines as line_chart
from schemas.duration import HOUR

#: Periods after the first that are shown.
_COLUMNS = 31


async def answer_retention(context: Context, retention: Retention) -> Answered:
    """A curve of all cohorts together, and a row a cohort. Raises UserError, StoreError."""
    t, plan = context.t, context.plan
    sql = retention_sql(retention, plan)
    queries = [(t("The question"), sql)]
    found = cohorts((await ask(context, sql)).rows, retention, plan, context.today - timedelta(days=1))
    if not found:
        return Answered(None, [], queries, empty=True)
    columns = min(_COLUMNS, max(len(cohort.returned) for cohort in found))
    curve: list[float | None] = []
    for n in range(columns):
        whole = [cohort for cohort in found if n < len(cohort.returned) and cohort.returned[n] is not None]
        users = sum(cohort.users for cohort in whole)
        curve.append(sum(cohort.returned[n] or 0 for cohort in whole) / users if users else None)
    names = [str(n) for n in range(columns)]
    title = t("Came back")
    chart = figure(t, line_chart(title, names, [Line(title, curve)], t.percent))
    unit = t.of("period", retention.grain)
    heads = [t("Cohort"), t("People"), *(t("{unit} {n}", unit=unit, n=n) for n in range(columns))]
    later = [came / cohort.users for cohort in found for came in cohort.returned[1:columns] if came]
    strongest = max(later, default=1.0)
    rows = [_cohort(context, retention, cohort, columns, strongest) for cohort in found]
    notes = [t("Periods that are not over are left out.")]
    return Answered(chart, [Grid(t("By cohort"), heads, rows, range(1, len(heads)), matrix=True)], queries, notes)


def _cohort(
    context: Context, retention: Retention, cohort: RetentionCohort, columns: int, strongest: float
) -> list[GridItem]:
    t, at = context.t, str(cohort.number)
    if retention.grain == "hour":
        begin = period_item(context, datetime.fromtimestamp(cohort.number * HOUR / 1000, UTC))
    else:
        begin = period_item(context, first_day(retention.grain, cohort.number, monday=retention.monday))
    items = [begin, GridItem(cohort.users, t.number(cohort.users), people_address(context, retention, Cell(-1, at)))]
    for n in range(columns):
        came = cohort.returned[n] if n < len(cohort.returned) else None
        if came is None:
            items.append(GridItem(None, ""))
            continue
        share = came / cohort.users
        shade = f"heat h{round(min(1.0, share / strongest) * 10)}"
        items.append(GridItem(came, t.percent(share), people_address(context, retention, Cell(n, at)), shade))
    return items


async def answer_distribution(context: Context, asked: Distribution) -> Answered:
    """Bars: how many people are in each range. Raises UserError, StoreError."""
    t = context.t
    sql = distribution_sql(asked, context.plan)
    queries = [(t("The question"), sql)]
    found = (await ask(context, sql)).rows
    if not found:
        return Answered(None, [], queries, empty=True)
    total = sum(row[2] for row in found)
    names = [_range(context, asked, row[0], row[1]) for row in found]
    shares = [row[2] / total for row in found]
    title = t("People")
    chart = figure(t, bars(title, names, [(title, [float(row[2]) for row in found])], t.number))
    rows = [
        [GridItem(name, name), GridItem(row[2], t.number(row[2]), people_address(context, asked, Cell(0, _number(row[0])))),
         GridItem(share, t.percent(share))]
        for name, row, share in zip(names, found, shares, strict=True)
    ]  # fmt: skip
    of = {"times": t("Times"), "days": t("Days"), "sum": t("Sum")}[asked.of]
    grid = Grid(t("By range"), [of, title, t("share")], rows, (1, 2))
    return Answered(chart, [grid], queries)


def _range(context: Context, asked: Distribution, first: float, width: float) -> str:
    """A range in words."""
    if asked.of == "sum":
        return context.t("{first} to below {end}", first=_number(first), end=_number(first + width))
    if asked.of == "times" and first in RANGES:
        following = dict(pairwise(RANGES)).get(int(first))
        return f"{int(first)}–{following - 1}" if following else f"{int(first)}+"
    return str(int(first))


def _number(value: float) -> str:
    """A number as ClickHouse writes it as text."""
    value = round(value, 6)
    return str(int(value)) if value == int(value) else repr(value)


async def answer_lifecycle(context: Context, asked: Lifecycle) -> Answered:
    """Lines of the four states, and a row a period. Raises UserError, StoreError."""
    t = context.t
    sql = lifecycle_sql(asked, context.plan)
    queries = [(t("The question"), sql)]
    found = {row[0]: row[1:] for row in (await ask(context, sql)).rows}
    if not found:
        return Answered(None, [], queries, empty=True)
    first, last = (
        period_number(asked.grain, day, monday=asked.monday) for day in (asked.scope.first, asked.scope.last)
    )
    numbers = range(first, last + 1)
    days = [first_day(asked.grain, number, monday=asked.monday) for number in numbers]
    names = [t.of("state", state) for state in STATES]
    over = [k for k, n in enumerate(numbers) if first_day(asked.grain, n + 1, monday=asked.monday) <= context.today]
    none = (0,) * len(STATES)
    # Who fell away stands below the line.
    lines = [
        Line(name, [float(found.get(numbers[k], none)[i]) * (-1 if state == "dormant" else 1) for k in over])
        for i, (state, name) in enumerate(zip(STATES, names, strict=True))
    ]
    happened = marks(context, [days[k] for k in over])
    places = [t.day(days[k]) for k in over]
    drawn = line_chart(t("Lifecycle"), places, lines, t.number, annotations=happened.drawn)
    chart = text(figure(t, drawn), happened.words)
    rows = [
        [period_item(context, day),
         *(GridItem(value, t.number(value), people_address(context, asked, Cell(i, str(number))))
           for i, value in enumerate(found.get(number, none)))]
        for number, day in zip(numbers, days, strict=True)
    ]  # fmt: skip
    grid = Grid(t("By period"), [t("Period"), *names], rows, range(1, 5))
    notes = [t("Dormant people are drawn below zero.")]
    if len(over) < len(days):
        notes.append(t("The running period is not over and not drawn."))
    return Answered(chart, [grid], queries, notes)
