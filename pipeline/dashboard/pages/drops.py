"""What has fallen lately: the steps of funnels whose conversion dropped in the last whole days, and for whom."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import note_bad, note_good
from pipeline.insight.funnel_changes import changes
from pipeline.insight.model import Drop
from pipeline.insight.sentences import step_findings
from pipeline.measure.periods import Period, mature_days
from pipeline.queries.funnel_period import daily_window, funnel_period_sql, funnel_rows
from pipeline.render.html import Safe, h
from schemas.plan import Funnel

#: Days that are looked at, of which whoever began has had the time to go on.
DAYS: Final = 14
_FIELDS: Final = ("platform", "app_version", "channel")
#: Days change slowly, and the question is not small.
_KEEP: Final = 600.0


async def drops(context: Context) -> Safe:
    """The findings, or a word that there are none; empty without days to compare."""
    t = context.t
    found: list[Drop] = []
    known = 0
    for name, funnel in context.plan.funnels.items():
        whole, segments = await _days(context, funnel)
        known = max(known, len(whole))
        found += changes(name, [step.title for step in funnel.steps], whole, segments)
    if known < 2:
        return note_good(t("Funnels: no whole days to compare yet.", "漏斗：还没有可对比的完整日期。"))
    if not found:
        return note_good(
            t(
                f"Funnels: no step fell surely in the last {known} whole days.",
                f"漏斗：最近 {known} 个完整日没有步骤明显下降。",
            )
        )
    items = [
        h("li", note_bad(h("strong", f.what), " ", f.advice, h("br"), h("small", f"{f.why} ({f.sure})")))
        for f in step_findings(t, found)
    ]
    return h("ul", *items, class_="findings")


async def _days(
    context: Context, funnel: Funnel
) -> tuple[dict[date, tuple[int, ...]], dict[str, dict[str, dict[date, tuple[int, ...]]]]]:
    """Users by step and day: of all, and by the value of each field, of one question for all fields together."""
    zone, yesterday = context.plan.zone, context.today - timedelta(days=1)
    whole: dict[date, tuple[int, ...]] = {}
    segments: dict[str, dict[str, dict[date, tuple[int, ...]]]] = {}
    asked = Period(yesterday - timedelta(days=DAYS - 1), yesterday)
    days = mature_days(asked, daily_window(funnel), context.now, zone)
    if days is None:
        return whole, segments
    sql = funnel_period_sql(context.plan, funnel, *days.bounds(zone), ",".join(_FIELDS), daily=True)
    for row in funnel_rows((await context.store.ask(sql, keep=_KEEP)).rows):
        day = datetime.fromtimestamp(row.bucket / 1000, context.plan.zone).date()
        values = dict(zip(_FIELDS, row.value.split(" / "), strict=False))
        values["platform,app_version"] = f"{values['platform']} / {values.get('app_version', '')}"
        _add(whole, day, row.users)
        for dimension, value in values.items():
            _add(segments.setdefault(dimension, {}).setdefault(value, {}), day, row.users)
    return whole, segments


def _add(days: dict[date, tuple[int, ...]], day: date, users: tuple[int, ...]) -> None:
    so_far = days.get(day, (0,) * len(users))
    days[day] = tuple(a + b for a, b in zip(so_far, users, strict=True))
