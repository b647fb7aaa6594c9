"""Answers of questions: tables whose numbers lead to the people behind them, for the page and for the file alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from pipeline.clickhouse.questions import Rows
from pipeline.dashboard.context import Context
from pipeline.explore.question import Cell, WithPeople
from pipeline.explore.sql import Sql
from pipeline.explore.written import write, write_cell
from pipeline.metrics.ask import require_plan
from pipeline.metrics.spreadsheet import harmless
from pipeline.render.chart import Line
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import NONE
from pipeline.render.tables import table
from pipeline.render.vega import spans_decades

#: Rows of a table in a page.
SHOWN = 400


@dataclass(frozen=True)
class GridItem:
    """A cell of a table: the value, how it is written, and the address of the people behind it."""

    value: Any
    written: str
    people: str = ""
    #: A class of the cell: `day`, or a colour of the heat map, `heat h3`.
    shade: str = ""


@dataclass(frozen=True)
class Grid:
    """A table. `numeric` says which columns stand on the right."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[GridItem]]
    numeric: Sequence[int]
    folded: bool = False
    #: Cohorts: each column says something only beside the others.
    matrix: bool = False


@dataclass(frozen=True)
class Axis:
    """What the value axis of lines can be: logarithmic where the values span decades and all are above zero."""

    possible: bool = False
    chosen: bool = False


def scale_of(query: Mapping[str, str]) -> dict[str, str]:
    """The axis that an address asks for, as its parameter: it belongs to how a question is seen, not to the question."""
    return {"scale": "log"} if query.get("scale") == "log" else {}


def axis_of(context: Context, series: Sequence[Line]) -> Axis:
    """The axis that the address asks for (`scale=log`), where it can be had."""
    possible = spans_decades(series)
    return Axis(possible, possible and bool(scale_of(context.query)))


def axis_link(context: Context, axis: Axis, state: Mapping[str, str]) -> Safe | None:
    """To the same page with the other axis."""
    if not axis.possible:
        return None
    rest = {name: value for name, value in state.items() if name != "scale"}
    if axis.chosen:
        return h("a", context.t("Linear axis"), href=f"/explore?{urlencode(rest)}")
    return h("a", context.t("Logarithmic axis"), href=f"/explore?{urlencode({**rest, 'scale': 'log'})}")


@dataclass(frozen=True)
class Answered:
    """An answer: pictures, tables, and the queries."""

    above: Child
    grids: Sequence[Grid]
    queries: Sequence[tuple[str, Sql]]
    notes: Sequence[str] = ()
    has_chart: bool = True
    empty: bool = False
    #: Which of the tables is the file.
    file: int = 0
    #: Whether another axis can be chosen, and is.
    axis: Axis = Axis()


async def ask(context: Context, sql: Sql) -> Rows:
    """The answer to a query, at most half a minute old. Raises UserError, StoreError."""
    await require_plan(context.store, context.plan)
    return await context.store.ask(sql.text, sql.values, keep=30.0)


def people_address(context: Context, question: WithPeople, cell: Cell) -> str:
    """Where the people behind a cell are; "" where nobody may look at single people."""
    if not context.settings.dashboard_people:
        return ""
    return f"/people?{urlencode({**write(question), **write_cell(cell)})}"


def word(value: str, none: str) -> GridItem:
    """A text of a table; what stands for an empty one."""
    return GridItem(value, value or none)


def period_item(context: Context, period: date | datetime) -> GridItem:
    """The begin of a period."""
    t = context.t
    if isinstance(period, datetime):
        shown = period.astimezone(context.plan.zone)
        return GridItem(shown.strftime("%Y-%m-%d %H:%M"), f"{t.day(shown.date())} {shown:%H:%M}", shade="day")
    return GridItem(period.isoformat(), period.isoformat(), shade="day")


def as_page(context: Context, answer: Answered, state: Mapping[str, str]) -> Safe:
    """The answer in a page."""
    t = context.t
    if answer.empty:
        nothing = h("p", t("Nothing in these days fits. Choose other days, or fewer conditions."), class_="empty")  # fmt: skip
        return text(nothing, _queries(context, answer.queries))
    buttons = h(
        "div",
        h("a", t("Download CSV"), href=f"/download/explore.csv?{urlencode(state)}"),
        h("button", t("Save chart as PNG"), type="button", data_png=f"{state['kind']}.png")
        if answer.has_chart else None,
        axis_link(context, answer.axis, state),
        h("a", t("Keep"), href=f"/keep?{urlencode({**state, **scale_of(context.query)})}") if context.kept.changeable else None,
        class_="buttons",
    )  # fmt: skip
    return text(
        answer.above,
        [h("p", note, class_="note") for note in answer.notes],
        buttons,
        [_grid(context, grid) for grid in answer.grids],
        _queries(context, answer.queries),
    )


def as_panel(context: Context, answer: Answered) -> Safe:
    """The answer in a panel of a board: what is drawn; the tables are folded where something is."""
    t = context.t
    if answer.empty:
        return h("p", t("Nothing in these days fits."), class_="empty")
    grids = [_grid(context, replace(grid, folded=answer.above is not None)) for grid in answer.grids]
    return text(answer.above, [h("p", note, class_="note") for note in answer.notes], grids)


def as_csv(answer: Answered) -> bytes:
    """A table as a file, with numbers as programs read them."""
    out = io.StringIO()
    writer = csv.writer(out)
    if answer.grids:
        grid = answer.grids[answer.file]
        writer.writerow([harmless(head) for head in grid.heads])
        for row in grid.rows:
            writer.writerow([harmless("" if item.value is None else item.value) for item in row])
    return ("﻿" + out.getvalue()).encode()


def _grid(context: Context, grid: Grid) -> Safe:
    t = context.t
    rows = [[_item(context, item) for item in row] for row in grid.rows[:SHOWN]]
    found = table(list(grid.heads), rows, label=grid.title, numeric=grid.numeric, matrix=grid.matrix, empty=NONE)
    left = len(grid.rows) - SHOWN
    more = h("p", t("and {left} more rows, in the download", left=left), class_="note") if left > 0 else None
    if grid.folded:
        return h("details", h("summary", grid.title), found, more)
    return text(h("h3", grid.title), found, more)


def _item(context: Context, item: GridItem) -> Child:
    leads = item.people and item.value and context.settings.dashboard_people
    shown: Child = h("a", item.written, href=item.people) if leads else item.written
    return h("span", shown, class_=item.shade) if item.shade else shown


def _queries(context: Context, queries: Sequence[tuple[str, Sql]]) -> Safe:
    t = context.t
    parts = [
        text(
            h("h3", title) if len(queries) > 1 else None,
            h("pre", sql.shown(), id=f"query{k}", tabindex="0"),
            h("div", h("button", t("Copy"), type="button", data_copy=f"query{k}"), class_="buttons"),
        )
        for k, (title, sql) in enumerate(queries)
    ]
    return h("details", h("summary", t("As a query")), *parts)
