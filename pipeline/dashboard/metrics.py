"""Metrics of the catalogue in a page: run with what was asked for, and shown with definition, SQL and downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.annotated import marks
from pipeline.dashboard.answers import Axis, axis_link, people_address, scale_of
from pipeline.dashboard.bar import filtered, kept
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import note_bad, term
from pipeline.dashboard.people import person_link
from pipeline.errors import UserError
from pipeline.explore.catalogue import filter_of
from pipeline.explore.of_metric import people_behind
from pipeline.metrics import Metric, Table, arguments_for, metrics
from pipeline.metrics.arguments import last_day, written
from pipeline.metrics.ask import ask_metric, require_plan
from pipeline.metrics.person import ABOUT_ONE, PERSON_COLUMNS
from pipeline.metrics.run import call
from pipeline.render.html import Safe, h, text
from pipeline.render.metric import definition, drawing, in_page, metric_table, metric_title
from pipeline.render.vega import Annotation


async def run_metric(
    context: Context,
    metric: Metric,
    given: Mapping[str, Any],
    *,
    keep: float = 30.0,
    stale: float = 0.0,
    most: int | None = None,
) -> tuple[Table, dict[str, Any]]:
    """The metric's result, at most so many rows, and the arguments it was run with. Raises UserError, StoreError."""
    if metric.name in ABOUT_ONE and not context.settings.dashboard_people:
        raise UserError(
            "{metric} is about one person, and this dashboard shows none (PIPELINE_DASHBOARD_PEOPLE)",
            metric=metric.name,
        )
    arguments = arguments_for(metric, given, context.plan, context.today)
    await require_plan(context.store, context.plan)
    filters = _filters(context, arguments)
    table = await ask_metric(context.store, metric, arguments, filters, keep=keep, stale=stale, most=most)
    return table, arguments


def _filters(context: Context, arguments: Mapping[str, Any]) -> str:
    """What the filter bar says, as ClickHouse is told it. A segment is seen from the end of the metric's days."""
    return filter_of(filtered(context, last_day(arguments) or context.today), context.plan)


def known(name: str) -> Metric | None:
    """The metric of that name, None if the catalogue has none."""
    return metrics().get(name)


async def shown(
    context: Context,
    name: str,
    given: Mapping[str, Any],
    *,
    sql: bool = False,
    heading: bool = True,
    rows: bool = True,
    most: int = 200,
) -> Safe:
    """A metric with its chart, table, and the link to look further; in words what kept it from being run."""
    t = context.t
    metric = known(name)
    if metric is None:
        return h("p", t("The catalogue has no metric {name} yet.", name=name), class_="empty")
    try:
        # A chart is of all rows.
        few = most if metric.chart.kind == "table" else None
        table, arguments = await run_metric(context, metric, given, most=few)
    except UserError as exc:
        return note_bad(t.said(exc))
    except StoreError as exc:
        if exc.kind != "empty":
            raise
        return note_bad(t("The metric's view is not installed: run `streamgauge migrate`."))
    title = h("h3", term(metric_title(t, metric), definition(t, metric))) if heading else None
    if not table.rows:
        empty = h("p", t("Nothing in these days. Choose others, or see whether the plan's `meanings` name the events."), class_="empty")  # fmt: skip
        return text(title, empty, _sql(context, metric, arguments) if sql else None)
    happened: list[Safe | None] = []

    def of_places(places: Sequence[Any]) -> Sequence[Annotation]:
        found = marks(context, places)
        happened[:] = [found.words]
        return found.drawn

    wanted = bool(scale_of(context.query))
    made = drawing(t, metric, table, context.today, of_places, log=wanted)
    chart = in_page(t, made) if made is not None else None
    axis = Axis(made.decades, wanted and made.decades) if made is not None else Axis()
    links = dict.fromkeys(PERSON_COLUMNS, lambda id_: person_link(context, id_))
    listed = metric_table(t, metric, table, most, links, people_of(context, metric, arguments))
    if chart is not None and not rows:
        listed = h("details", h("summary", t("As a table")), listed)
    running = None
    if any(arguments.get(name, context.today) >= context.today for name in ("to", "until") if name in arguments):
        running = h(
            "p",
            t("Today is not over: its figures are those so far."),
            class_="note",
        )
    return text(title, chart, happened, running, _buttons(context, metric, arguments, chart is not None, axis), listed,
                _sql(context, metric, arguments) if sql else None)  # fmt: skip


def people_of(
    context: Context, metric: Metric, arguments: Mapping[str, Any]
) -> Callable[[str, Mapping[str, Any]], str]:
    """Where the people behind a number of a row are, "" for a number that doesn't lead to any."""
    scope = filtered(context, last_day(arguments) or context.today)

    def address(column: str, row: Mapping[str, Any]) -> str:
        if not row[column]:
            return ""
        if metric.name == "segments" and column == "users":
            asked = {**kept(context), "kind": "metric", "metric": "users_in_segment"}
            return f"/explore?{urlencode({**asked, 'segment': row['segment'], 'on': written(arguments['on'])})}"
        found = people_behind(metric.name, column, row, arguments, scope, context.plan)
        return people_address(context, *found) if found is not None else ""

    return address


def _buttons(context: Context, metric: Metric, arguments: Mapping[str, Any], chart: bool, axis: Axis) -> Safe:
    t = context.t
    state = {**kept(context), "metric": metric.name, **{n: written(v) for n, v in arguments.items()}}
    asked = urlencode(state)
    return h(
        "div",
        h("a", t("Download CSV"), href=f"/download/metric.csv?{asked}"),
        h("button", t("Save chart as PNG"), type="button", data_png=f"{metric.name}.png") if chart else None,
        axis_link(context, axis, {"kind": "metric", **state}),
        h("a", t("Keep"), href=f"/keep?{urlencode({'kind': 'metric', **state, **scale_of(context.query)})}")
        if context.kept.changeable
        else None,
        None if context.path.endswith("/explore") else h("a", t("Explore"), href=f"/explore?{asked}"),
        class_="buttons",
    )


def _sql(context: Context, metric: Metric, arguments: Mapping[str, Any]) -> Safe:
    t = context.t
    return h(
        "div",
        h("h3", t("As a query")),
        h("pre", call(metric, arguments, _filters(context, arguments)), id="query", tabindex="0"),
        h("div", h("button", t("Copy"), type="button", data_copy="query"), class_="buttons"),
        h("details", h("summary", t("The SQL of the view")),
          h("pre", metric.sql.replace("{database}", context.settings.clickhouse_database), id="view", tabindex="0"),
          h("div", h("button", t("Copy"), type="button", data_copy="view"), class_="buttons")),
    )  # fmt: skip
