"""Which days a report is of, from what a person typed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pipeline.errors import UserError
from pipeline.report.model import ReportPeriod, day_period, week_period
from schemas.plan import Plan


def asked_period(plan: Plan, day: str | None, week: str | None, now: datetime) -> ReportPeriod:
    """What is over at `now` of the period of `--day` or `--week`; `yesterday` and `last` for jobs.

    Raises UserError for anything else, and for days that have not begun.
    """
    today = now.astimezone(plan.zone).date()
    if (day is None) == (week is None):
        raise UserError("say which days: --day DATE (or yesterday), or --week DATE (or last)")
    if day is not None:
        asked = day_period(today - timedelta(days=1) if day == "yesterday" else _date(day))
    else:
        assert week is not None
        asked = week_period(today - timedelta(days=7) if week == "last" else _date(week))
    found = asked.so_far(int(now.timestamp() * 1000), plan.zone)
    if found is None:
        raise UserError(
            "nothing of {day} is over yet, in the time zone {timezone}: ask for earlier days",
            day=asked.first, timezone=plan.timezone,
        )  # fmt: skip
    return found


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserError("{text} is not a day: write it like 2026-11-21", text=text) from None
