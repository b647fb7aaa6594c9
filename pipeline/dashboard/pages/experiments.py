"""The pages Experiments and Campaigns: the numbers that decide, with a verdict in words, before the metrics themselves."""

from __future__ import annotations

from typing import Any

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, panel, table, term
from pipeline.dashboard.metrics import known, run_metric
from pipeline.dashboard.pages.groups import group_page
from pipeline.insight.verdicts import campaign_verdict, experiment_verdict, interval
from pipeline.render.html import Safe, h
from pipeline.render.language import NONE
from pipeline.render.metric import definition


def _experiments(context: Context) -> Safe:
    t = context.t
    return panel(t("What the experiments say", "实验结论"), lazy(context, "experiments", rows=6),
                 note=t("payments after the first exposure, against the control", "首次曝光后的付费，与对照组比较"))  # fmt: skip


def _campaigns(context: Context) -> Safe:
    t = context.t
    return panel(t("What the campaigns brought", "活动成效"), lazy(context, "campaigns", rows=6),
                 note=t("who takes part chooses to: a difference shows no cause", "参与者是自愿的：差异不等于因果"))  # fmt: skip


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
        t("Experiment", "实验"), t("Variant", "实验组"), t("Users", "用户数"), term(t("Conversion", "转化率"), what),
        term(t("Difference, 95 %", "差值 95% 区间"), what), term(t("Value a user", "人均价值"), what), t("Verdict", "结论"),
    ]  # fmt: skip
    return table(heads, made, label=t("What the experiments say", "实验结论"), numeric=[2, 3, 4, 5], cards=True,
                 empty=t("No user met an experiment in these days. The plan's `meanings` say which event is an exposure.",
                         "这些天没有实验曝光。方案的 `meanings` 指明哪个事件是曝光。"))  # fmt: skip


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
        t("Campaign", "活动"), t("Days", "日期"), t("Took part", "参与人数"), term(t("Bought", "购买率"), what),
        term(t("Revenue", "收入"), what), term(t("Came back", "回访率"), what), t("Verdict", "结论"),
    ]  # fmt: skip
    return table(heads, made, label=t("What the campaigns brought", "活动成效"), numeric=[2, 3, 4, 5], cards=True,
                 empty=t("No campaign in these days: `streamgauge import campaigns FILE` brings them in.",
                         "这些天没有活动：可用 `streamgauge import campaigns FILE` 导入。"))  # fmt: skip


def _days(context: Context) -> dict[str, Any]:
    first, last = context.period(30)
    return {"from": first, "to": last}
