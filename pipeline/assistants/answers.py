"""The answers of questions as tables: asked, read by Explore's own functions, with what each column counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pipeline.assistants.sources import AnswerSources
from pipeline.explore.comparing import compared
from pipeline.explore.distribution import distribution_sql
from pipeline.explore.formula import LETTERS, is_percent
from pipeline.explore.funnel import BuiltFunnelRow, built_rows, built_sql
from pipeline.explore.lifecycle import STATES, lifecycle_sql
from pipeline.explore.paths import paths_sql
from pipeline.explore.question import (
    MAX_VALUES,
    BuiltFunnel,
    Distribution,
    Lifecycle,
    Paths,
    Question,
    Retention,
    Trend,
)
from pipeline.explore.retention import cohorts, retention_sql
from pipeline.explore.scope import first_day, period_number
from pipeline.explore.sql import Sql
from pipeline.explore.trend import trend_sql
from pipeline.explore.trend_answer import TrendTable, at_of, periods_of, read_trend
from schemas.duration import HOUR

#: Unit of a measure.
_UNITS: Final = {"people": "persons", "count": "events", "sessions": "sessions", "per_person": "events a person",
                 "per_session": "events a session"}  # fmt: skip


@dataclass(frozen=True)
class AnswerTable:
    """A table. `columns` are names and units, in the order of the rows' values."""

    name: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class QuestionAnswer:
    """The tables of an answer, the first of them the answer itself; its queries; what must be known to read it."""

    parts: Sequence[AnswerTable]
    queries: Sequence[tuple[str, Sql]]
    notes: Sequence[str] = ()


async def answer_of(sources: AnswerSources, question: Question) -> QuestionAnswer:
    """Ask a question. Raises UserError, StoreError."""
    match question:
        case Trend():
            return await _trend(sources, question)
        case BuiltFunnel():
            return await _funnel(sources, question)
        case Retention():
            return await _retention(sources, question)
        case Distribution():
            return await _distribution(sources, question)
        case Lifecycle():
            return await _lifecycle(sources, question)
        case Paths():
            sql = paths_sql(question, sources.plan)
            found = await sources.ask(sql)
            columns = [("at", "way"), ("sessions", "sessions"), ("users", "persons"), ("share", "share of 1")]
            return QuestionAnswer([AnswerTable("answer", columns, found.rows)], [("answer", sql)])


async def _trend(sources: AnswerSources, trend: Trend) -> QuestionAnswer:
    asked = [("answer", trend)]
    other = compared(trend, sources.clock(), sources.plan.zone)
    if isinstance(other, Trend):
        asked.append(("compared_with", other))
    queries = [(name, trend_sql(one, sources.plan)) for name, one in asked]
    answers = await asyncio.gather(*(sources.ask(sql) for _, sql in queries))
    columns = [
        ("at", "first day of the period; empty: all periods together"),
        *((field, "value") for field in trend.by),
    ]
    for letter, series in zip(LETTERS, trend.series, strict=False):
        of = "" if series.property in ("", "value") else f" of {series.property}"
        columns.append((letter, _UNITS.get(series.measure, f"{series.measure}{of or ' of the amount of the events'}")))
    columns += [(f"F{k}", "share of 1" if is_percent(text) else text) for k, text in enumerate(trend.formulas, 1)]
    if trend.grain == "hour":
        columns[0] = ("at", "begin of the hour in seconds since 1970; empty: all periods together")
        columns.insert(1, ("begin", "time"))
    parts, notes = [], ["all periods together are counted, not added up: a person of two periods is one person"]
    for (name, one), found in zip(asked, answers, strict=True):
        table = read_trend(one, found.rows)
        parts.append(AnswerTable(name, columns, _trend_rows(sources, one, table)))
        if table.many > MAX_VALUES:
            notes.append(f"{name}: the {MAX_VALUES} largest of {table.many} values")
    return QuestionAnswer(parts, queries, [*notes, *_seen_until(sources, other)])


def _trend_rows(sources: AnswerSources, trend: Trend, table: TrendTable) -> list[list[Any]]:
    count, rows = len(trend.series) + len(trend.formulas), []
    for values in table.values or ([] if trend.by else [()]):
        for period in (None, *periods_of(trend, sources.plan.zone)):
            if trend.by and (values, period) not in table.found:
                continue
            begin = [period] if trend.grain == "hour" else []
            numbers = [_whole(table.number(trend, values, period, n)) for n in range(count)]
            rows.append([at_of(period), *begin, *values, *numbers])
    return rows


async def _funnel(sources: AnswerSources, funnel: BuiltFunnel) -> QuestionAnswer:
    other = compared(funnel, sources.clock(), sources.plan.zone)
    asked = [("answer", replace(funnel, by=""))]
    if isinstance(other, BuiltFunnel):
        asked.append(("compared_with", replace(other, by="")))
    if funnel.by:
        asked.append((f"by {funnel.by}", funnel))
    queries = [(name, built_sql(one, sources.plan)) for name, one in asked]
    answers = [built_rows(found.rows) for found in await asyncio.gather(*(sources.ask(sql) for _, sql in queries))]
    unit = "sessions" if funnel.per_session else "persons"
    columns = [
        ("n", "number of the step, from 0"), ("step", "events"), ("users", unit), ("from_first", "share of 1"),
        ("from_previous", "share of 1"), ("lost", unit), ("median_seconds", "seconds from the step before"),
    ]  # fmt: skip
    parts = []
    for (name, one), rows in zip(asked, answers, strict=True):
        steps = [[*([row.value] if one.by else []), *step] for row in rows for step in _steps(funnel, row)]
        parts.append(AnswerTable(name, [*([(one.by, "value")] if one.by else []), *columns], steps))
    notes = [f"one of these {unit} counts once in all of the days, by when the first step was taken"]
    if funnel.scope.last >= sources.today:
        notes.append("whoever began just now may still go on")
    return QuestionAnswer(parts, queries, [*notes, *_seen_until(sources, other)])


def _steps(funnel: BuiltFunnel, row: BuiltFunnelRow) -> list[list[Any]]:
    found: list[list[Any]] = []
    for k, users in enumerate(row.users):
        before = row.users[k - 1] if k else 0
        median = row.median_ms[k]
        found.append([
            k, " or ".join(funnel.steps[k].names), users, users / row.users[0], users / before if before else None,
            before - users if k else None, None if median is None else median / 1000,
        ])  # fmt: skip
    return found


async def _retention(sources: AnswerSources, retention: Retention) -> QuestionAnswer:
    sql = retention_sql(retention, sources.plan)
    found = cohorts((await sources.ask(sql)).rows, retention, sources.plan, sources.today - timedelta(days=1))
    columns = [
        ("at", "number of the cohort"), ("cohort", "begin of its period"), ("n", f"{retention.grain}s after it"),
        ("users", "persons of the cohort"), ("returned", "persons who came back"), ("rate", "share of 1"),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    curve: dict[int, list[int]] = {}
    for cohort in found:
        begin: Any = datetime.fromtimestamp(cohort.number * HOUR / 1000, UTC)
        if retention.grain != "hour":
            begin = first_day(retention.grain, cohort.number, monday=retention.monday)
        for n, returned in enumerate(cohort.returned):
            if returned is not None:
                rows.append([str(cohort.number), begin, n, cohort.users, returned, returned / cohort.users])
                whole = curve.setdefault(n, [0, 0])
                whole[0], whole[1] = whole[0] + cohort.users, whole[1] + returned
    together = [[n, users, returned, returned / users] for n, (users, returned) in sorted(curve.items())]
    notes = [
        "periods that are not over are left out; of all cohorts together only those whose period n is over are counted"
    ]
    parts = [AnswerTable("all_cohorts", columns[2:], together), AnswerTable("by_cohort", columns, rows)]
    return QuestionAnswer(parts, [("answer", sql)], notes)


async def _distribution(sources: AnswerSources, asked: Distribution) -> QuestionAnswer:
    sql = distribution_sql(asked, sources.plan)
    found = (await sources.ask(sql)).rows
    total = sum(row[2] for row in found)
    unit = {"times": "times", "days": "days", "sum": f"sum of {asked.property}"}[asked.of]
    columns = [("at", f"{unit}: first value of the range"), ("up_to", "begin of the next range"), ("people", "persons"),
               ("share", "share of 1")]  # fmt: skip
    starts = [_whole(round(float(row[0]), 6)) for row in found]
    rows = []
    for start, (first, width, people) in zip(starts, found, strict=True):
        rows.append([str(start), _whole(round(float(first + width), 6)) if width else None, people, people / total])
    notes = ["times up to 10 are each by themselves, then 11 to 20, 21 to 50, 51 to 100, 101 and more"]
    return QuestionAnswer(
        [AnswerTable("answer", columns, rows)], [("answer", sql)], notes if asked.of == "times" else []
    )


async def _lifecycle(sources: AnswerSources, asked: Lifecycle) -> QuestionAnswer:
    sql = lifecycle_sql(asked, sources.plan)
    found = {row[0]: row[1:] for row in (await sources.ask(sql)).rows}
    first, last = (
        period_number(asked.grain, day, monday=asked.monday) for day in (asked.scope.first, asked.scope.last)
    )
    columns = [("at", "number of the period"), ("period", "first day"), *((state, "persons") for state in STATES)]
    none = (0,) * len(STATES)
    rows = [
        [str(number), first_day(asked.grain, number, monday=asked.monday), *found.get(number, none)]
        for number in range(first, last + 1)
    ]
    return QuestionAnswer([AnswerTable("answer", columns, rows if found else [])], [("answer", sql)])


def _seen_until(sources: AnswerSources, other: Question | None) -> list[str]:
    if other is None or other.scope.until is None:
        return []
    until = datetime.fromtimestamp(other.scope.until / 1000, sources.plan.zone)
    return [f"the days compared with are seen up to the same time of day: until {until.isoformat(timespec='minutes')}"]


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value
