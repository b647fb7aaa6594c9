"""The page Experiments: the numbers that decide, with a verdict in words, before the metrics themselves."""

from __future__ import annotations

from typing import Any

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, linked, panel, term
from pipeline.dashboard.metrics import known, people_of, run_metric
from pipeline.dashboard.pages.groups import group_page
from pipeline.insight.verdicts import experiment_verdict, interval
from pipeline.render.html import Safe, h
from pipeline.render.language import NONE
from pipeline.render.metric import definition
from pipeline.render.tables import table


def _experiments(context: Context) -> Safe:
    t = context.t
    return panel(t("What the experiments say"), lazy(context, "experiments", rows=6),
                 note=t("payments after the first exposure, against the control"))  # fmt: skip


#: The body of the page: verdicts, then the metrics.
body = group_page("experiments", before=_experiments)


async def verdicts(context: Context) -> Safe:
    """A row for each variant, with the verdict."""
    t = context.t
    results, allocation = known("experiment_results"), known("experiment_allocation")
    assert results is not None
    assert allocation is not None
    given = _days(context)
    found, arguments = await run_metric(context, results, given)
    rows, people = found.records(), people_of(context, results, arguments)
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
        made.append([row["experiment"], row["variant"], linked(t.number(row["users"]), people("users", row)),
                     linked(t.percent(row["conversion"]), people("converted", row)), bounds,
                     t.money(row["mean_value"]), h("strong", said, class_="verdict-cell")])  # fmt: skip
    what = definition(t, results)
    heads = [
        t("Experiment"), t("Variant"), t("Users"), term(t("Conversion"), what),
        term(t("Difference, 95 %"), what), term(t("Value a user"), what), t("Verdict"),
    ]  # fmt: skip
    return table(heads, made, label=t("What the experiments say"), numeric=[2, 3, 4, 5],
                 empty=t("No user met an experiment in these days. The plan's `meanings` say which event is an exposure."))  # fmt: skip


def _days(context: Context) -> dict[str, Any]:
    first, last = context.period(30)
    return {"from": first, "to": last}
