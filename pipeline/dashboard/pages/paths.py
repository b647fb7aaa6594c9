"""The page Paths: how sessions go on after an event, or come to one, as flows; and what was done instead of a step."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

from pipeline.dashboard.answers import Answered, Grid, GridItem, ask, people_address
from pipeline.dashboard.bar import bar_form
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import field, form, lazy, panel, select, term
from pipeline.dashboard.metrics import known, run_metric
from pipeline.explore.paths import paths_sql
from pipeline.explore.question import Cell, Paths
from pipeline.metrics import Table
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.metric import definition, metric_table
from pipeline.render.vega import Flow
from pipeline.render.vega import flows as flow_chart

_ARROW = " → "
#: Ways that are drawn: more are lines that nobody can follow.
_WAYS = 14
_DEPTHS = ["3", "2", "4", "5"]


def body(context: Context) -> Safe:
    """The form and the places."""
    t, plan = context.t, context.plan
    way, event, depth = _asked(context)
    first, last = context.period(14)
    steps = [step.event for funnel in plan.funnels.values() for step in funnel.steps]
    step = context.choice("step", [*dict.fromkeys(steps), *plan.events])
    following = next((b for a, b in pairwise(steps) if a == step), "")
    follows = context.choice("next", [following, *plan.events] if following else list(plan.events))
    events = [(e, e) for e in plan.events]
    ways = [("from", t("after an event")), ("to", t("before an event"))]
    instead = known("instead_of")
    return text(
        bar_form(
            context, first, last,
            field(t("Ways"), select("way", ways, way)),
            field(t("Event"), select("event", [("", t("(start of the session)")), *events], event)),
            field(t.of("number", "Steps"), select("depth", [(d, d) for d in sorted(_DEPTHS)], depth)),
        ),
        h(
            "div",
            panel(t("Flows of sessions"), lazy(context, "flows", rows=8), wide=True,
                  note=t("the {ways} most common ways; repeats of an event in a row are one", ways=_WAYS)),
            panel(
                term(t("Done instead"), definition(t, instead) if instead else None),
                form(context, *[h("input", type="hidden", name=n, value=v) for n, v in context.query.items() if n not in ("step", "next")],
                     field(t("Came to"), select("step", events, step)), field(t("but not to"), select("next", events, follows))),
                lazy(context, "metric", metric="instead_of", step=step, next=follows,
                     **_days(first, last)),
                wide=True,
            ),
            class_="grid",
        ),
    )  # fmt: skip


async def flows(context: Context) -> Safe:
    """The flows as a Sankey diagram, and the ways as a table."""
    t = context.t
    way, event, depth = _asked(context)
    metric = known(f"paths_{way}")
    assert metric is not None
    first, last = context.period(14)
    given = {"from": first, "to": last, "start" if way == "from" else "target": event, "depth": depth}
    found, _ = await run_metric(context, metric, given)
    if not found.rows:
        return h("p", t("No session in these days has this event."), class_="empty")
    drawn = flow_chart(t("Flows of sessions"), links(found, end_aligned=way == "to"), t.number)
    picture = figure(t, drawn)
    save = h(
        "div",
        h("button", t("Save chart as PNG"), type="button", data_png="paths.png"),
        class_="buttons",
    )
    listed = h("details", h("summary", t("As a table")), metric_table(t, metric, found))
    return text(picture, save, listed)


def links(ways: Table, *, end_aligned: bool = False, most: int = _WAYS) -> list[Flow]:
    """The most common ways as flows between columns; those to an event end in the same column."""
    split = [(row["path"].split(_ARROW), row["sessions"]) for row in ways.records()[:most]]
    longest = max((len(steps) for steps, _ in split), default=0)
    total: dict[tuple[int, str, str], float] = {}
    for steps, sessions in split:
        shift = longest - len(steps) if end_aligned else 0
        for k, (source, target) in enumerate(pairwise(steps)):
            key = (k + shift, source, target)
            total[key] = total.get(key, 0) + sessions
    return [Flow(layer, source, target, users) for (layer, source, target), users in total.items()]


def _days(first: date, last: date) -> dict[str, Any]:
    return {"from": first.isoformat(), "to": last.isoformat()}


def _asked(context: Context) -> tuple[str, str, str]:
    way = context.choice("way", ["from", "to"])
    event = context.choice("event", ["", *context.plan.events])
    if way == "to" and not event and context.plan.funnels:
        event = next(iter(context.plan.funnels.values())).steps[-1].event
    return way, event, context.choice("depth", _DEPTHS)


async def answer_paths(context: Context, asked: Paths) -> Answered:
    """The flows and the ways, each with the people who went it. Raises UserError, StoreError."""
    t = context.t
    sql = paths_sql(asked, context.plan)
    queries = [(t("The question"), sql)]
    found = await ask(context, sql)
    if not found.rows:
        return Answered(None, [], queries, empty=True)
    ways = Table(found.columns, (), found.rows)
    drawn = flow_chart(t("Flows of sessions"), links(ways, end_aligned=asked.way == "to"), t.number)
    picture = figure(t, drawn)
    rows = [
        [GridItem(path, path), GridItem(sessions, t.number(sessions)),
         GridItem(users, t.number(users), people_address(context, asked, Cell(0, path))), GridItem(share, t.percent(share))]
        for path, sessions, users, share in found.rows
    ]  # fmt: skip
    heads = [t("Way"), t("Sessions"), t("People"), t("share")]
    grid = Grid(t.of("found", "Ways"), heads, rows, (1, 2, 3))
    return Answered(picture, [grid], queries, [t("The {ways} most common ways are drawn.", ways=_WAYS)])
