"""A metric of the catalogue with its parameters, as chart and table, with its SQL: the kind "metric" of Explore."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import form, lazy, panel, select, term
from pipeline.dashboard.metrics import run_metric, shown
from pipeline.errors import UserError
from pipeline.metrics import GROUPS, Metric, arguments_for, metrics
from pipeline.metrics.arguments import written
from pipeline.metrics.metric import Parameter
from pipeline.metrics.spreadsheet import harmless
from pipeline.render.html import Safe, h, text
from pipeline.render.metric import metric_title
from schemas.event import CONTEXT_FIELDS


def body(context: Context) -> Safe:
    """The list of metrics, the form of the one chosen, and the place for its result."""
    t = context.t
    metric = _chosen(context)
    options = [
        h("optgroup", [h("option", metric_title(t, m), value=m.name, selected=m.name == metric.name) for m in found],
          label=t.of("group", GROUPS[group]))
        for group in GROUPS
        if (found := [m for m in metrics().values() if m.group == group])
    ]  # fmt: skip
    choose = h(
        "form",
        h("label", h("span", t("Metric")), h("select", options, name="metric")),
        h("input", type="hidden", name="kind", value="metric"),
        h("button", t("Choose")),
        class_="asked", action="/explore",
    )  # fmt: skip
    return text(
        choose,
        panel(
            metric_title(t, metric),
            h("p", t.of("metric", metric.definition)),
            h("p", h("strong", t("Formula: ")), t.of("metric", metric.formula), class_="note"),
            h("p", h("strong", t("Mind: ")), t.of("metric", metric.mistakes), class_="note"),
        ),
        form(context, h("input", type="hidden", name="kind", value="metric"),
             h("input", type="hidden", name="metric", value=metric.name),
             h("input", type="hidden", name="scale", value="log") if context.query.get("scale") == "log" else None,
             _fields(context, metric))
        if metric.parameters else None,
        panel(t("Result"), lazy(context, "explore", rows=8, metric=metric.name), note=t.of("metric", metric.grain)),
    )  # fmt: skip


async def result(context: Context) -> Safe:
    """Chart, table, SQL."""
    metric = _chosen(context)
    return await shown(_at(context), metric.name, _given(context, metric), sql=True, heading=False)


async def download(context: Context) -> tuple[str, str, bytes]:
    """The result as CSV, with numbers as programs read them. Raises StoreError."""
    metric = _chosen(context)
    try:
        table, _ = await run_metric(context, metric, _given(context, metric))
    except UserError as exc:
        raise StoreError("other", context.t.said(exc)) from None
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([harmless(value) for value in row])
    return f"{metric.name}.csv", "text/csv", ("\ufeff" + out.getvalue()).encode()


def _chosen(context: Context) -> Metric:
    found = metrics()
    return found.get(context.query.get("metric", "")) or found.get("active_users_daily") or next(iter(found.values()))


def _given(context: Context, metric: Metric) -> dict[str, str]:
    names = {parameter.name for parameter in metric.parameters}
    return {name: value for name, value in context.query.items() if name in names and value != ""}


def _at(context: Context) -> Context:
    return replace(context, path="/explore")


def _fields(context: Context, metric: Metric) -> list[Safe]:
    """A control for each parameter, filled with what was asked for or its default."""
    try:
        values = arguments_for(metric, _given(context, metric), context.plan, context.today)
    except UserError:
        values = dict(_given(context, metric))
    return [
        h(
            "div",
            h(
                "span",
                h("label", p.name.replace("_", " "), for_=f"p-{p.name}"),
                " ",
                term("?", context.t.of("metric", p.meaning), what=context.t("meaning")),
            ),
            _control(context, p, values.get(p.name, "")),
            class_="field",
        )
        for p in metric.parameters
    ]


def _control(context: Context, parameter: Parameter, value: Any) -> Safe:
    name, kind = parameter.name, parameter.type
    at = f"p-{name}"
    events, fields = list(context.plan.events), ["", "event", *CONTEXT_FIELDS]
    options: list[tuple[str, str]] | None = None
    if parameter.choices:
        options = [(c, c) for c in parameter.choices]
    elif name in ("dimension", "by", "breakdown"):
        options = [(f, f or context.t("(none)")) for f in dict.fromkeys([*fields, str(value)])]
    elif kind == "String" and str(value) in ("", *events) and "event" in name:
        options = [(e, e) for e in ([] if value else [""]) + events]
    if options is not None:
        return select(name, options, str(value), id_=at)
    if kind == "Date":
        return h("input", type="date", name=name, value=str(value), id=at)
    if "Int" in kind and not kind.startswith("Array"):
        return h("input", type="number", name=name, value=str(value), id=at)
    return h("input", name=name, value=written(value), id=at)
