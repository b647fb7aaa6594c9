"""The page Retention: cohorts as a heat map, the curve by segment, churn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pipeline.dashboard.bar import bar_form
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import field, lazy, panel, select, term
from pipeline.dashboard.metrics import known
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.metric import definition
from schemas.event import CONTEXT_FIELDS

_DAYS = {"day": 14, "week": 56, "month": 180}


def body(context: Context) -> Safe:
    """The form and the places."""
    t = context.t
    period = context.choice("period", list(_DAYS))
    # Today is not over: whoever is not here yet may still come.
    first, last = context.period(_DAYS[period], ending=1)
    last = min(last, context.today - timedelta(days=1))
    first = min(first, last)
    by = context.choice("dimension", ["channel", "", *CONTEXT_FIELDS]) if "dimension" in context.query else "channel"
    span: dict[str, Any] = {"from": first.isoformat(), "to": last.isoformat()}
    periods = [("day", t("by day")), ("week", t("by week")), ("month", t("by month"))]
    return text(
        bar_form(
            context, first, last,
            field(t("Cohorts"), select("period", periods, period)),
            field(t("Curve by"), select("dimension", [("", t("(all users)")), *[(f, f) for f in CONTEXT_FIELDS]], by)),
        ),
        h(
            "div",
            panel(
                _titled(context, "retention", t("Who comes back")),
                lazy(context, "metric", rows=8, metric="retention", period=period, **span),
                note=t("Share of a cohort that was active in its n-th period. Periods that are not over are left out."), wide=True,
            ),
            panel(
                _titled(context, "retention_by", t("By segment")),
                lazy(context, "metric", metric="retention_by", dimension=by, until=span["to"], **span), wide=True,
            ),
            panel(_titled(context, "churn", t("Churn")), lazy(context, "metric", metric="churn", period=period, **span), wide=True),
            class_="grid",
        ),
    )  # fmt: skip


def _titled(context: Context, name: str, title: str) -> Child:
    metric = known(name)
    return term(title, definition(context.t, metric)) if metric is not None else title
