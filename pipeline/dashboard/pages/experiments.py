"""The pages Experiments and Campaigns: the numbers that decide, with a verdict in words, before the metrics themselves."""

from __future__ import annotations

from typing import Any

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, panel, term
from pipeline.dashboard.metrics import known, run_metric
from pipeline.dashboard.pages.groups import group_page
from pipeline.insight.verdicts import campaign_verdict, experiment_verdict, interval
from pipeline.render.html import Safe, h
from pipeline.render.language import NONE
from pipeline.render.metric import definition
from pipeline.render.tables import table


def _experiments(context: Context) -> Safe:
    t = context.t
    return panel(t("What the experiments say"), lazy(context, "experiments", rows=6),
                 note=t("payments after the first exposure, against the control"))  # fmt: skip


def _campaigns(context: Context) -> Safe:
    t = context.t
    return panel(t("What the campaigns brought"), lazy(context, "campaigns", rows=6),
                 note=t("who takes part chooses to: a difference shows no cause"))  # fmt: skip


#: The bodies of the two pages: verdicts, then the metrics.
experiments = group_page("experiments", before=_experiments)
campaigns = group_page("campaigns", before=_campaigns)


async def experiment_verdicts(context: Context) -> Safe:
    """A row for each variant, with the verdict."""
    t = context.t
    results, allocation = known("experiment_results"), known("experiment_allocation")
    assert results is not None
    assert allocation is not None
    given = _days(context)
    rows = (await run_metric(context, results, given))[0].records()
    split = {
        (row["experiment"], row["variant"]): row for row in (await run_metric(context, allocation, given))[0].records()
    }
    controls = {row["experiment"]: row for row in rows if row["variant"] == "control"}
    made: list[list[Any]] = []
    for row in rows:
        known_split = split.get((row["experiment"], row["variant"]))
        said = experiment_verdict(
            t, row, controls.get(row["experiment"]), bool(known_split and known_split["mismatch"])
        )
        bounds = NONE if row["difference_low"] is None else interval(t, row["difference_low"], row["difference_high"])
        made.append([row["experiment"], row["variant"], t.number(row["users"]), t.percent(row["conversion"]), bounds,
                     t.money(row["mean_value"]), h("strong", said, class_="verdict-cell")])  # fmt: skip
    what = definition(t, results)
    heads = [
        t("Experiment"), t("Variant"), t("Users"), term(t("Conversion"), what),
        term(t("Difference, 95 %"), what), term(t("Value a user"), what), t("Verdict"),
    ]  # fmt: skip
    return table(heads, made, label=t("What the experiments say"), numeric=[2, 3, 4, 5],
                 empty=t("No user met an experiment in these days. The plan's `meanings` say which event is an exposure."))  # fmt: skip


async def campaign_verdicts(context: Context) -> Safe:
    """A row for each operation, with the verdict."""
    t = context.t
    metric = known("campaign_results")
    assert metric is not None
    found, _ = await run_metric(context, metric, _days(context))
    what = definition(t, metric)
    made: list[list[Any]] = [
        [row["campaign"], f"{t.day(row['starts'])} – {t.day(row['ends'])}", t.number(row["participants"]),
         t.percent(row["conversion"]), t.money(row["revenue"]), t.percent(row["returned_rate"]),
         h("strong", campaign_verdict(t, row), class_="verdict-cell")]
        for row in sorted(found.records(), key=lambda r: r["starts"], reverse=True)
    ]  # fmt: skip
    heads = [
        t("Campaign"), t.of("dates", "Days"), t("Took part"), term(t("Bought"), what),
        term(t("Revenue"), what), term(t("Came back"), what), t("Verdict"),
    ]  # fmt: skip
    return table(heads, made, label=t("What the campaigns brought"), numeric=[2, 3, 4, 5],
                 empty=t("No campaign in these days: `streamgauge import campaigns FILE` brings them in."))  # fmt: skip


def _days(context: Context) -> dict[str, Any]:
    first, last = context.period(30)
    return {"from": first, "to": last}
