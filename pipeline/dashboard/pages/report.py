"""The page Report: a day or a week in findings, figures and verdicts, to be read, taken along and passed on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import field, form, lazy, select
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.vega import Chart
from pipeline.report.dates import asked_period
from pipeline.report.document import html, part_of_period, sections, title
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown
from pipeline.report.model import Facts

#: Seconds that a report is kept: of days that are over, until something is stored it stays what it is.
_KEEP: Final = 120.0


def body(context: Context) -> Safe:
    """Which days, and a place for what happened in them."""
    t = context.t
    kind, day = _asked(context)
    kinds = [("week", t("a week")), ("day", t("a day"))]
    asked = form(
        context,
        field(t("Report of"), select("kind", kinds, kind)),
        field(t("with the day (empty: the last that is over)"),
              h("input", type="date", name="day", value=day)),
    )  # fmt: skip
    query = urlencode({"kind": kind, "day": day})
    taken = h("div", h("a", t("Download HTML"), href=f"/download/report.html?{query}"),
              h("a", t("Download Markdown"), href=f"/download/report.md?{query}"), class_="buttons")  # fmt: skip
    return text(asked, taken, lazy(context, "report", rows=14))


async def found(context: Context) -> Safe:
    """The report's parts. Raises UserError, StoreError."""
    t = context.t
    facts = await _facts(context)

    def draw(chart: Chart, *, narrow: bool = False) -> Safe:
        return figure(t, chart)

    return h(
        "div",
        h("h2", title(t, facts), class_="of"),
        part_of_period(t, facts),
        *sections(t, facts, draw),
        class_="report",
    )


async def page_file(context: Context) -> tuple[str, str, bytes]:
    """The report as one HTML file. Raises UserError, StoreError."""
    facts = await _facts(context)
    made = await asyncio.to_thread(html, context.t, facts, _made_at(context))
    return _name(facts, "html"), "text/html", made.encode(errors="replace")


async def markdown_file(context: Context) -> tuple[str, str, bytes]:
    """The report as Markdown. Raises UserError, StoreError."""
    facts = await _facts(context)
    made = await asyncio.to_thread(markdown, context.t, facts, _made_at(context))
    return _name(facts, "md"), "text/markdown", made.encode(errors="replace")


async def _facts(context: Context) -> Facts:
    kind, day = _asked(context)
    now = datetime.fromtimestamp(context.now / 1000, UTC)
    day_asked, week_asked = (day or "yesterday", None) if kind == "day" else (None, day or "last")
    period = asked_period(context.plan, day_asked, week_asked, now)
    key = ("report", period)
    made: Facts = await context.store.remembered(
        key, _KEEP, lambda: gather(context.store, context.plan, period, context.now)
    )
    return made


def _asked(context: Context) -> tuple[str, str]:
    """Week or day, and a day of it ("" for the last one that is over)."""
    day = context.query.get("day", "")
    if day:
        try:
            asked = datetime.strptime(day, "%Y-%m-%d").date()
        except ValueError:
            day = ""
        else:
            if not 1971 <= asked.year <= 2148:
                day = ""
    return context.choice("kind", ["week", "day"]), day


def _name(facts: Facts, ending: str) -> str:
    return f"report-{facts.period.kind}-{facts.period.first}.{ending}"


def _made_at(context: Context) -> str:
    return datetime.fromtimestamp(context.now / 1000, context.plan.zone).strftime("%Y-%m-%d %H:%M")
