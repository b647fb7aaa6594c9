"""Which steps of funnels have fallen lately: conversions of the last whole days, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from pipeline.dashboard.context import Context
from pipeline.insight.funnel_changes import Days, changes
from pipeline.insight.model import Drop
from pipeline.measure.periods import Period, mature_days
from pipeline.queries.funnel_period import daily_window, funnel_days, funnel_days_sql
from schemas.plan import Funnel

#: Days that are looked at, of which whoever began has had the time to go on.
DAYS: Final = 14
_DIMENSIONS: Final = ("platform", "app_version", "channel", "platform,app_version")
#: Days change slowly, and the question is not small.
_KEEP: Final = 600.0
#: So long nobody waits for them to be looked at anew.
_STALE: Final = 3600.0


@dataclass(frozen=True)
class Looked:
    """What was looked at: days of all funnels by name, the first day, how many there are; and the steps that fell."""

    whole: Mapping[str, Days]
    first: date
    days: int
    drops: tuple[Drop, ...]


async def look(context: Context) -> Looked:
    """The steps that fell in the last whole days, at most some minutes ago. Raises StoreError."""
    found: Looked = await context.store.remembered(_key(context), _KEEP, lambda: _look(context), stale=_STALE)
    return found


def known(context: Context) -> Looked | None:
    """What was seen the last time, without asking; None if nobody has asked today."""
    found: Any = context.store.held(_key(context))
    return found if isinstance(found, Looked) else None


def _key(context: Context) -> tuple[str, date]:
    return ("drops", context.today)


async def _look(context: Context) -> Looked:
    whole: dict[str, Days] = {}
    found: list[Drop] = []
    for name, funnel in context.plan.funnels.items():
        whole[name], segments = await _days(context, funnel)
        found += changes(name, [step.title for step in funnel.steps], whole[name], segments)
    return Looked(whole, context.today - timedelta(days=DAYS), max(map(len, whole.values()), default=0), tuple(found))


async def _days(
    context: Context, funnel: Funnel
) -> tuple[dict[date, tuple[int, ...]], dict[str, dict[str, dict[date, tuple[int, ...]]]]]:
    """Users by step and day: of all, and by the value of each field."""
    zone, yesterday = context.plan.zone, context.today - timedelta(days=1)
    asked = Period(yesterday - timedelta(days=DAYS - 1), yesterday)
    days = mature_days(asked, daily_window(funnel), context.now, zone)
    questions = funnel_days_sql(context.plan, funnel, *days.bounds(zone), _DIMENSIONS) if days is not None else ()
    return funnel_days([row for sql in questions for row in (await context.store.ask(sql, keep=_KEEP)).rows], zone)
