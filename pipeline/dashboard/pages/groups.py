"""Pages that are one group of the catalogue each: experiments, campaigns, acquisition, revenue, segments, and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.dashboard.bar import bar_form
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, panel, term
from pipeline.dashboard.metrics import known, shown
from pipeline.metrics import Metric, metrics
from pipeline.render.html import Safe, h, text
from pipeline.render.metric import definition, metric_title


def group_page(*wanted: str, before: Callable[[Context], Safe] | None = None) -> Callable[[Context], Safe]:
    """The body of a page with all metrics of these groups, or of these names, and something `before` them."""

    def body(context: Context) -> Safe:
        t = context.t
        found = [m for name in wanted for m in metrics().values() if name in (m.group, m.name)]
        # Charts first, lists of people last; what needs a user to be named first is for Explore.
        found = sorted(
            (m for m in found if m.name not in ("user_profile", "channel_quality")),
            key=lambda m: m.chart.kind == "table",
        )
        if not found:
            return h("p", t("The catalogue has no metric of this kind yet."), class_="empty")
        first, last = context.period(30)
        panels = [
            panel(
                term(metric_title(t, m), definition(t, m)),
                lazy(context, "metric", metric=m.name, **_span(context, m)),
                note=context.t.of("metric", m.grain),
                wide=True,
            )
            for m in found
        ]
        asked = bar_form(context, first, last)
        return text(asked, before(context) if before else None, h("div", *panels, class_="grid"))

    return body


def channels_first(context: Context) -> Safe:
    """What decides about channels, before the metrics: one row each."""
    t, metric = context.t, known("channel_quality")
    title = term(metric_title(t, metric), definition(t, metric)) if metric is not None else None
    note = t("new users of the 30 days that are a week old")
    return panel(title, lazy(context, "channels", rows=6), note=note)


async def channels(context: Context) -> Safe:
    """The channels with retention, cost and return, in one table."""
    given: dict[str, Any] = {}
    if "from" in context.query:
        first, last = context.period(30)
        given = {"from": first, "to": last}
    return await shown(context, "channel_quality", given, heading=False, most=50)


async def one(context: Context) -> Safe:
    """One metric: the part that each panel is filled with."""
    metric = known(context.query.get("metric", ""))
    names = {p.name for p in metric.parameters} if metric else set()
    given: dict[str, Any] = {name: value for name, value in context.query.items() if name in names}
    return await shown(
        context,
        context.query.get("metric", ""),
        given,
        heading=False,
        most=20,
        rows=metric is not None and is_list(metric),
    )


def _span(context: Context, metric: Metric) -> dict[str, Any]:
    """The days of the page for a metric that has them, if somebody chose some: else its own defaults are better."""
    if not context.query.get("from") and not context.query.get("to"):
        return {}
    first, last = context.period(30)
    names = {p.name for p in metric.parameters}
    days = {"from": first.isoformat(), "to": last.isoformat(), "on": last.isoformat(), "until": last.isoformat()}
    return {name: day for name, day in days.items() if name in names}


def is_list(metric: Metric) -> bool:
    """Whether the rows themselves are what decides."""
    return metric.chart.kind == "table" or metric.group in ("experiments", "campaigns")
