"""The page Campaigns: what each operation brought, and against the one of its kind before it, each with a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import dim, lazy, linked, panel, term
from pipeline.dashboard.metrics import known, people_of, run_metric
from pipeline.dashboard.pages.groups import group_page
from pipeline.insight.verdicts import campaign_change, campaign_verdict
from pipeline.metrics import Metric
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.metric import definition
from pipeline.render.tables import table

#: Letters of names that are not broken.
_SHORT: Final = 16


def _panels(context: Context) -> Safe:
    t = context.t
    return text(
        panel(t("What the campaigns brought"), lazy(context, "campaigns", rows=6),
              note=t("who takes part chooses to: a difference shows no cause")),
        panel(t("Each campaign against the one before"), lazy(context, "campaign-pairs", rows=6),
              note=t("the last of the same kind that was over when it began")),
    )  # fmt: skip


#: The body of the page: verdicts, then the metrics.
body = group_page("campaigns", before=_panels)


async def verdicts(context: Context) -> Safe:
    """A row for each operation, with the verdict."""
    t = context.t
    metric, rows, arguments = await _rows(context, "campaign_results")
    what, people = definition(t, metric), people_of(context, metric, arguments)
    made: list[list[Child]] = [
        [row["campaign"], f"{t.day(row['starts'])} – {t.day(row['ends'])}", linked(t.number(row["participants"]), people("participants", row)),
         linked(t.percent(row["conversion"]), people("buyers", row)), t.money(row["revenue"]), t.percent(row["returned_rate"]),
         h("strong", campaign_verdict(t, row), class_="verdict-cell")]
        for row in rows
    ]  # fmt: skip
    heads = [
        t("Campaign"), t.of("dates", "Days"), t("Took part"), term(t("Bought"), what),
        term(t("Revenue"), what), term(t("Came back"), what), t("Verdict"),
    ]  # fmt: skip
    return table(heads, made, label=t("What the campaigns brought"), numeric=[2, 3, 4, 5], whole=[*_names(rows), 1],
                 empty=t("No campaign in these days: `streamgauge import campaigns FILE` brings them in."))  # fmt: skip


async def pairs(context: Context) -> Safe:
    """A row for each operation that has one before it: both figures, and whether more of those who took part bought."""
    t = context.t
    metric, rows, arguments = await _rows(context, "campaign_compare")
    what, people = definition(t, metric), people_of(context, metric, arguments)
    made: list[list[Child]] = [
        [
            row["campaign"], _before(context, row),
            *[text(linked(form(row[name]), people(counted, row)), " ", h("br"),
                   dim(t("before: {then}", then=form(row[f"before_{name}"]))))
              for name, form, counted in (("participants", t.number, "participants"), ("conversion", t.percent, "buyers"),
                                          ("revenue_per_user", t.money, "revenue_per_user"),
                                          ("returned_rate", t.percent, "returned_rate"))],
            h("strong", campaign_change(t, row), class_="verdict-cell"),
        ]
        for row in rows
    ]  # fmt: skip
    heads = [
        t("Campaign"), t("The one before"), t("Took part"), term(t("Bought"), what),
        term(t("Revenue a user"), what), term(t("Came back"), what), t("Verdict"),
    ]  # fmt: skip
    return table(heads, made, label=t("Each campaign against the one before"), numeric=[2, 3, 4, 5],
                 empty=t("No campaign in these days has one of its kind before it."))  # fmt: skip


def _names(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The column of the names, if all are so short that they need not be broken."""
    return [0] if all(len(row["campaign"]) <= _SHORT for row in rows) else []


def _before(context: Context, row: Mapping[str, Any]) -> Child:
    """The one before, and of how many days if it is told of its first ones alone."""
    t, name, days = context.t, row["before"], row["before_days"]
    if row["whole"]:
        return name
    return text(name, " ", h("br"), dim(t("its first {n} day{s}", n=days, s="s" if days > 1 else "")))


async def _rows(context: Context, name: str) -> tuple[Metric, list[dict[str, Any]], dict[str, Any]]:
    """What a metric says of the operations of the page's days, the last one first, and what it was asked with."""
    metric = known(name)
    assert metric is not None
    first, last = context.period(30)
    found, arguments = await run_metric(context, metric, {"from": first, "to": last})
    rows = sorted(found.records(), key=lambda row: (row["starts"], row["campaign"]), reverse=True)
    return metric, rows, arguments
