"""The page of the people behind a number: who they are, as a list with links to each, and as a file."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.answers import ask
from pipeline.dashboard.bar import given, said_of
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, note_bad, panel
from pipeline.dashboard.pages.answer_funnel import step_title
from pipeline.dashboard.pages.answer_trend import series_name
from pipeline.dashboard.pages.explore import KINDS
from pipeline.dashboard.people import person_link
from pipeline.errors import UserError
from pipeline.explore.address import read_cell, read_with_people
from pipeline.explore.lifecycle import STATES
from pipeline.explore.metric_people import METRIC_PEOPLE
from pipeline.explore.people import COLUMNS, IN_FILE, LISTED, details_sql, listed_sql, people_sql
from pipeline.explore.question import BuiltFunnel, Cell, Lifecycle, OfMetric, Paths, Retention, Trend, WithPeople
from pipeline.explore.scope import first_day
from pipeline.explore.written import write, write_cell
from pipeline.metrics import metrics
from pipeline.metrics.spreadsheet import harmless
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import Language
from pipeline.render.metric import column_name, metric_title
from pipeline.render.tables import table
from schemas.duration import HOUR


def body(context: Context) -> Safe:
    """What the number counts, the way back, and the place for the list."""
    t = context.t
    if context.query.get("kind", "") not in KINDS:
        return h("p", t("A click on a number in Explore leads to the people behind it."), " ",
                 h("a", t("Open Explore"), href="/explore"), class_="empty")  # fmt: skip
    try:
        question, cell = _asked(context)
    except UserError as exc:
        return note_bad(t.said(exc))
    back = h(
        "p",
        h("a", t("← Back to the question"), href=f"/explore?{urlencode(write(question))}"),
        class_="more",
    )
    return text(
        back,
        panel(t("Who"), h("p", words(context, question, cell)), lazy(context, "people", rows=8), wide=True),
    )


async def people(context: Context) -> Safe:
    """How many they are, and the place for the list: what it says of each takes another look at the events."""
    t = context.t
    question, cell = _asked(context)
    found = (await ask(context, listed_sql(question, cell, context.plan))).rows
    total = found[0][-1] if found else 0
    shown = t("{n} person", n=1) if total == 1 else t("{n} people", n=t.number(total))
    if total > LISTED:
        shown += t(", {listed} of them are listed, those seen lately first", listed=LISTED)
    most = t("Download CSV (at most {in_file})", in_file=t.number(IN_FILE))
    query = urlencode({**write(question), **write_cell(cell)})
    sql = people_sql(question, cell, context.plan)
    return text(
        h("p", h("strong", shown, class_="count")),
        h("div", h("a", most, href=f"/download/people.csv?{query}"), class_="buttons") if found else None,
        lazy(context, "people-list", rows=8) if found else h("p", t("Nobody."), class_="empty"),
        h("details", h("summary", t("As a query")), h("pre", sql.shown(), id="query0", tabindex="0"),
          h("div", h("button", t("Copy"), type="button", data_copy="query0"), class_="buttons")),
    )  # fmt: skip


async def listed(context: Context) -> Safe:
    """Who they are, the latest seen first."""
    t = context.t
    question, cell = _asked(context)
    rows = (await ask(context, listed_sql(question, cell, context.plan))).rows
    if rows:
        sql = details_sql(question, context.plan, [row[0] for row in rows], rows[0][1])
        rows = (await ask(context, sql)).rows
    heads = [t("User"), t("Device"), t("First seen"), t("Last seen"), t("Platform"),
             t("Channel"), t("Events"), t("Revenue")]  # fmt: skip
    lines = [_row(context, dict(zip(COLUMNS, row, strict=False))) for row in rows]
    return table(heads, lines, label=t.of("list", "People"), numeric=(6, 7), empty=t("Nobody."))


async def download(context: Context) -> tuple[str, str, bytes]:
    """The people as CSV, for those who write to them. Raises StoreError."""
    try:
        question, cell = _asked(context)
        found = await ask(context, people_sql(question, cell, context.plan, IN_FILE))
    except UserError as exc:
        raise StoreError("other", context.t.said(exc)) from None
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS[:-1])
    for row in found.rows:
        writer.writerow([harmless(_time(value)) for value in row[: len(COLUMNS) - 1]])
    return "people.csv", "text/csv", ("﻿" + out.getvalue()).encode()


def _time(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _asked(context: Context) -> tuple[WithPeople, Cell]:
    if context.query.get("kind", "") not in KINDS:
        raise UserError("kind is one of {known}", known=", ".join(KINDS))
    question = read_with_people(given(context), context.query["kind"])
    return question, read_cell(given(context), question)


def _row(context: Context, row: dict[str, Any]) -> list[Child]:
    t, zone = context.t, context.plan.zone

    def at(value: datetime) -> str:
        local = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(zone)
        return f"{local:%Y-%m-%d %H:%M}"

    user, device = row["user_id"], row["device"]
    return [
        person_link(context, row["person"], _short(user)) if user else "–",
        (person_link(context, row["person"], _short(device)) if not user else h("code", _short(device))) if device else "–",
        at(row["first_seen"]), at(row["last_seen"]), row["platform"] or "–", row["channel"] or "–",
        t.number(row["events"]), t.number(row["revenue"], 2),
    ]  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:40] + "…"


def words(context: Context, question: WithPeople, cell: Cell) -> str:
    """What a number counts, in a sentence."""
    t, scope = context.t, question.scope
    days = t("{first} to {last}", first=t.day(scope.first, year=True), last=t.day(scope.last, year=True))  # fmt: skip
    if scope.first == scope.last:
        days = t.day(scope.first, year=True)
    parts = [t.of("question", KINDS[write(question)["kind"]][0]), days, *_of_kind(context, question, cell)]
    parts += said_of(context, scope)
    return " · ".join(filter(None, parts))


def _of_kind(context: Context, question: WithPeople, cell: Cell) -> list[str]:
    t, none = context.t, context.t("(not given)")
    match question:
        case Trend():
            at = cell.at
            if question.grain == "hour" and at.isascii() and at.isdecimal():
                at = f"{datetime.fromtimestamp(int(at[:11]), context.plan.zone):%Y-%m-%d %H:%M}"
            return [series_name(t, question.series[cell.n]), at, *(value or none for value in cell.values)]
        case BuiltFunnel():
            step = step_title(t, question.steps[cell.n])
            lost = t("lost before {step}", step=step)
            return [
                lost if cell.lost else t("came to {step}", step=step),
                *(value or none for value in cell.values),
            ]
        case Retention():
            cohort = ""
            if question.grain != "hour":
                cohort = _first_day(t, question, cell.at)
            elif _numbers(cell.at):
                cohort = f"{datetime.fromtimestamp(int(cell.at) * HOUR / 1000, context.plan.zone):%Y-%m-%d %H:%M}"
            came = t("came back in period {n}", n=cell.n)
            return [t("cohort {cohort}", cohort=cohort), came if cell.n >= 0 else ""]
        case Lifecycle():
            return [t.of("state", STATES[cell.n % len(STATES)]), _first_day(t, question, cell.at)]
        case Paths():
            return [cell.at]
        case OfMetric():
            metric, of = metrics()[question.metric], METRIC_PEOPLE[question.metric]
            row = [f"{column_name(t, key)} {value or none}" for key, value in zip(of.keys, cell.values, strict=True)]
            return [metric_title(t, metric), *row, column_name(t, tuple(of.columns)[cell.n])]
    return [cell.at]


def _numbers(at: str) -> bool:
    return at.isascii() and at.isdecimal() and len(at) < 8


def _first_day(t: Language, question: Retention | Lifecycle, at: str) -> str:
    """The first day of the period of that number; "" if there is none."""
    if not _numbers(at) or not (12 if question.grain == "month" else 0) <= int(at) < 60_000:
        return ""
    return t.day(first_day(question.grain, int(at), monday=question.monday), year=True)
