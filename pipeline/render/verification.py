"""What `verify` found, in lines for a person."""

from __future__ import annotations

from pipeline.queries.comparison import Verification
from pipeline.render.language import Language


def summary(t: Language, result: Verification) -> str:
    """One line for all of it."""
    verdict = t("no difference") if result.ok else t("{n} differences", n=len(result.differences))
    said = t(
        "verify: {verdict} in {windows} windows and {funnels} funnel counters over {records} records",
        verdict=verdict, windows=t.number(result.windows), funnels=t.number(result.funnels),
        records=t.number(result.records),
    )  # fmt: skip
    if result.linked_later:
        said += t(
            "; {n} of them closed before somebody in them was linked, and keep what they said", n=result.linked_later
        )
    if result.moving:
        said += t(", {n} windows still moving", n=result.moving)
    for partition, why in sorted(result.left_out.items()):
        said += t("; partition {partition} not compared: {why}", partition=partition, why=t.said(why))
    if result.removed:
        said += t("; not compared: {why}", why=t.said(result.removed))
    if result.in_one_plan:
        said += t("; the plan has changed: {n} things not compared", n=len(result.in_one_plan))
    return said
