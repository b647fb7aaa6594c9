"""The page Report: a day or a week in findings, figures and verdicts, to be read, taken along and passed on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import field, form, lazy, note_bad, select
from pipeline.errors import UserError
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.language import Language
from pipeline.render.vega import Chart
from pipeline.report.changed import nothing_changed
from pipeline.report.dates import asked_period
from pipeline.report.document import funnel_title, html, part_of_period, sections, title
from pipeline.report.gather import gather
from pipeline.report.markdown import markdown
from pipeline.report.model import (
    CHANGED,
    Facts,
    ReportPeriod,
    changed_parts,
    days_of,
    funnel_part,
    parts_of,
    pieces_of,
    users_of,
)

#: Seconds that a report is kept: of days that are over, until something is stored it stays what it is.
_KEEP: Final = 120.0
#: So long nobody waits for it to be made anew: what comes late changes days that are over a little.
_STALE: Final = 3600.0


def body(context: Context) -> Safe:
    """Which days, and a place for each part: what is read first is not kept waiting for what stands below."""
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
    try:
        facts = Facts(context.plan.product, _period(context))
    except UserError as exc:
        return text(asked, note_bad(t.said(exc)))
    drawn = {CHANGED: _changed(context, facts)}
    drawn |= {funnel_part(name): _funnel(context, name) for name in context.plan.funnels}
    parts = [drawn.get(name) or lazy(context, "report", rows=6, of=name) for name in parts_of(context.plan)]
    return text(asked, taken, h("div", *_head(t, facts), *parts, class_="report"))


def _funnel(context: Context, name: str) -> Safe:
    """A funnel: how many took each step doesn't wait for its days."""
    parts = [lazy(context, "report", rows=3, of=of(name)) for of in (users_of, days_of)]
    return h("section", h("h2", funnel_title(context.t, name)), *parts, class_="panel")


def _changed(context: Context, facts: Facts) -> Safe:
    """What changed: each part is shown when it is found, and the script puts them in one list."""
    t = context.t
    nothing = h("p", nothing_changed(t, facts), class_="nothing", hidden=True)
    parts = [lazy(context, "report", rows=1, of=name) for name in changed_parts(context.plan)]
    return h("section", h("h2", t("What changed")), h("ol", class_="what"), nothing, *parts,
             class_="panel", data_together=True)  # fmt: skip


async def found(context: Context) -> Safe:
    """One of the report's parts, or all. Raises UserError, StoreError."""
    t, only = context.t, context.query.get("of", "")
    only = only if only in (*parts_of(context.plan), *pieces_of(context.plan)) else ""
    facts = await _facts(context, only, stale=_STALE)

    def draw(chart: Chart, *, narrow: bool = False) -> Safe:
        return figure(t, chart)

    shown = sections(t, facts, draw, only)
    return text(*shown) if only else h("div", *_head(t, facts), *shown, class_="report")


def _head(t: Language, facts: Facts) -> tuple[Safe, Safe | None]:
    return h("h2", title(t, facts), class_="of"), part_of_period(t, facts)


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


async def _facts(context: Context, only: str = "", *, stale: float = 0.0) -> Facts:
    """What is told in a part of it, or in all: what is passed on in a file is of now."""
    period, plan = _period(context), context.plan
    made: Facts = await context.store.remembered(
        ("report", period, only),
        _KEEP,
        lambda: gather(context.store, plan, period, context.now, [only] if only else None),
        stale=stale,
    )
    return made


def _period(context: Context) -> ReportPeriod:
    """The days that are told. Raises UserError if they have not begun."""
    kind, day = _asked(context)
    now = datetime.fromtimestamp(context.now / 1000, UTC)
    day_asked, week_asked = (day or "yesterday", None) if kind == "day" else (None, day or "last")
    return asked_period(context.plan, day_asked, week_asked, now)


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
