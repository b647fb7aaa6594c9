"""The page Funnels: live and over any days, by any dimension, against another period, the worst step pointed out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from pipeline.dashboard.annotated import marks
from pipeline.dashboard.bar import bar_form, condition_of, kept
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import (
    dim,
    field,
    lazy,
    live,
    note_bad,
    panel,
    select,
    term,
)
from pipeline.dashboard.steps import step_list
from pipeline.errors import UserError
from pipeline.insight.significance import ENOUGH
from pipeline.insight.steps import fallen_step, worst_step
from pipeline.measure.periods import Period, mature_days, moment_back
from pipeline.queries.funnel_period import FunnelPeriodRow, daily_window, funnel_fields, funnel_period_sql, funnel_rows
from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.language import Language
from pipeline.render.tables import table
from pipeline.render.vega import lines as line_chart
from schemas.plan import Funnel

_SHOWN = 30


def body(context: Context) -> Safe:
    """The form, the live funnel, and places for what ClickHouse counts."""
    t, plan = context.t, context.plan
    if not plan.funnels:
        return h("p", t("The plan has no funnels. Add one under `funnels:`, see docs/plan.md."), class_="empty")  # fmt: skip
    name, funnel = _chosen(context)
    first, last = context.period()
    by = context.choice("by", funnel_fields(plan, funnel))
    asked = bar_form(
        context,
        first,
        last,
        field(t("Funnel"), select("funnel", [(n, n) for n in plan.funnels], name)),
        field(t("Broken down by"), select("by", [(f, f) for f in funnel_fields(plan, funnel)], by)),
        field(
            t("Compared with"),
            select("than", _comparisons(context), context.choice("than", ["before", "week", "none"])),
        ),
    )
    return text(
        h("p", funnel.description, " ", dim(_terms(context, funnel))),
        asked,
        h(
            "div",
            panel(
                t("Live"),
                live("funnel"),
                note=(t("cohort of today") if funnel.bucket == "day" else t("cohort of this hour"))
                + (t("; of everybody, without filters") if condition_of(context, last, strict=False) else ""),
            ),
            panel(t("The days chosen"), lazy(context, "funnel"), _further(context, name, first, last, by),
                  note=_days(context)),
            panel(t("Conversion by day"), lazy(context, "funnel-days"), wide=True,
                  note=t("share of the step before, of those who began on that day")),
            panel(t("By {by}", by=by), lazy(context, "funnel-by"), wide=True),
            class_="grid",
        ),
    )  # fmt: skip


def fragments(context: Context) -> dict[str, Safe]:
    """The live funnel."""
    numbers = context.live.numbers
    if numbers is None:
        return {}
    found = {}
    for name, funnel in numbers["funnels"].items():
        found[name] = step_list(context.t, funnel["steps"], funnel["users"])
    name, _ = _chosen(context)
    return {"funnel": found[name]} if name in found else {}


def _further(context: Context, name: str, first: date, last: date, by: str) -> Safe:
    """The way to the people: the same funnel in Explore."""
    asked = {"funnel": name, "from": first.isoformat(), "to": last.isoformat(), "by": by}
    words = context.t("Who they are, and who was lost")
    return h(
        "p", h("a", words, href=f"/explore?{urlencode({**_kept(context), 'kind': 'funnel', **asked})}"), class_="more"
    )


def _kept(context: Context) -> dict[str, str]:
    try:
        return kept(context)
    except UserError:
        return {}


async def past(context: Context) -> Safe:
    """The funnel over the days chosen, against the period that it is compared with."""
    t = context.t
    name, funnel = _chosen(context)
    now, before = await _both(context, name, funnel, "")
    titles = [step.title for step in funnel.steps]
    if not now:
        return h("p", t("Nobody began this funnel in these days. Choose others, or look at the live part."), class_="empty")  # fmt: skip
    compared = before[0].users if before else None
    fall = fallen_step(now[0].users, compared) if compared is not None else None
    said = None
    if fall is not None and compared is not None:
        kept, was = _share(now[0].users, fall), _share(compared, fall)
        said = note_bad(
            t("{before} → {step} fell from {was} to {now}.", before=titles[fall - 1], step=titles[fall], was=t.percent(was), now=t.percent(kept))
        )  # fmt: skip
    spans = _spans(context)
    notes = []
    if spans.than is not None and compared is None:
        notes.append(t("Nothing to compare with: nobody began it in the days before."))
    if spans.shown.bounds(context.plan.zone)[1] + funnel.window > context.now:
        notes.append(
            t("Whoever began in the last {window} may still go on.", window=t.duration(funnel.window))
        )  # fmt: skip
        if compared is not None:
            notes.append(t("The other days are seen as they stood at the same time."))
    return text(said, step_list(t, titles, now[0].users, compared, now[0].median_ms),
                h("p", " ".join(notes), class_="note") if notes else None)  # fmt: skip


async def days(context: Context) -> Safe:
    """Each step's conversion by day."""
    t, plan = context.t, context.plan
    _, funnel = _chosen(context)
    asked = Period(*context.period())
    shown = mature_days(asked, daily_window(funnel), context.now, plan.zone)
    if shown is None:
        return h(
            "p",
            t("No day is over, with the time that its users have to go on."),
            class_="empty",
        )
    answer = await context.store.ask(_sql(context, funnel, shown, daily=True), keep=30)
    by_day = {datetime.fromtimestamp(row.bucket / 1000, plan.zone).date(): row for row in funnel_rows(answer.rows)}
    if not by_day:
        return h("p", t("No days to draw yet."), class_="empty")
    wanted = [shown.first + timedelta(days=k) for k in range(shown.days)]
    steps = [step.title for step in funnel.steps]
    lines = [
        Line(f"{steps[k - 1]} → {steps[k]}", [_share(by_day[d].users, k) if d in by_day else None for d in wanted])
        for k in range(1, len(steps))
    ]

    happened = marks(context, wanted)
    chart = line_chart(t("Conversion by day"), [t.day(d) for d in wanted], lines,
                       lambda v: t.percent(v, 0 if v is not None and round(v, 2) == v else 1), annotations=happened.drawn)  # fmt: skip

    notes = []
    if shown.last != asked.last:
        notes.append(
            t("Up to {last}: the users of later days have not had their time yet.", last=t.day(shown.last))
        )  # fmt: skip
    if daily_window(funnel) != funnel.window:
        notes.append(t("Steps within a day of the first, so that all days are alike."))
    return text(figure(t, chart), happened.words, h("p", " ".join(notes), class_="note") if notes else None)


async def by_value(context: Context) -> Safe:
    """The funnel for each value of a dimension, with what changed most."""
    t = context.t
    name, funnel = _chosen(context)
    by = context.choice("by", funnel_fields(context.plan, funnel))
    now, before = await _both(context, name, funnel, by)
    then = {row.value: row for row in before}
    titles = [step.title for step in funnel.steps]
    heads: list[Safe | str] = [by, titles[0]]
    heads += [
        term(f"→ {title}", t("Share of the users of {before} that got to {step}; below it the difference to the period "
"compared with, where both have at least {enough} users.", before=titles[k - 1], step=title, enough=ENOUGH))
        for k, title in enumerate(titles) if k
    ]  # fmt: skip
    heads.append(
        term(
            t("Whole"),
            t("Share of the first step's users that got to the last."),
        )
    )
    rows = []
    for row in sorted(now, key=lambda r: -r.users[0])[:_SHOWN]:
        cells: list[Safe | str] = [row.value or t("(not given)"), t.number(row.users[0])]
        worst = worst_step(row.users)
        for k in range(1, len(titles)):
            shown: list[Safe | str] = (
                [h("strong", t.percent(_share(row.users, k)), " ▼", class_="leak")]
                if k == worst
                else [t.percent(_share(row.users, k))]
            )
            old = then.get(row.value)
            if old is not None and min(old.users[k - 1], row.users[k - 1]) >= ENOUGH:
                difference = (_share(row.users, k) or 0) - (_share(old.users, k) or 0)
                shown += [h("br"), h("small", t.points(difference), class_="bad-word" if difference < -0.05 else "dim")]
            cells.append(text(*shown))
        cells.append(t.percent(row.users[-1] / row.users[0]))
        rows.append(cells)
    made = table(heads, rows, label=t("Funnel by {by}", by=by), numeric=range(1, len(heads)),
                 empty=t("Nobody began this funnel in these days."))  # fmt: skip
    more = len(now) - _SHOWN
    return text(made, h("p", t("and {more} more values", more=more), class_="note") if more > 0 else None)


async def _both(
    context: Context, name: str, funnel: Funnel, by: str
) -> tuple[list[FunnelPeriodRow], list[FunnelPeriodRow]]:
    """The funnel in the days chosen, and in those compared with, seen when as much time had passed since."""
    plan, spans = context.plan, _spans(context)
    found: list[list[FunnelPeriodRow]] = []
    for span, back in ((spans.shown, 0), (spans.than, spans.back)):
        if span is None:
            found.append([])
            continue
        seen = moment_back(context.now, back, plan.zone)
        sql = _sql(context, funnel, span, by, seen=seen)
        found.append(funnel_rows((await context.store.ask(sql, keep=20)).rows))
    return found[0], found[1]


def _sql(
    context: Context, funnel: Funnel, span: Period, by: str = "", *, daily: bool = False, seen: int | None = None
) -> str:
    """The funnel in some days, of the events and people that the filter bar leaves."""
    only = condition_of(context, span.last)
    return funnel_period_sql(
        context.plan, funnel, *span.bounds(context.plan.zone), by, daily=daily, seen=seen, only=only
    )


@dataclass(frozen=True)
class _Spans:
    """What is shown, and what it is compared with: the same part of other days, `back` days before."""

    shown: Period
    than: Period | None = None
    back: int = 0


def _spans(context: Context) -> _Spans:
    """What of the days chosen is over, and its counterpart; all of them where nothing is compared."""
    asked = Period(*context.period())
    than = context.choice("than", ["before", "week", "none"])
    over = asked.over(context.now, context.plan.zone)
    if than == "none" or over is None:
        return _Spans(asked)
    back = 7 * (1 + (asked.days - 1) // 7) if than == "week" else asked.days
    return _Spans(over, over.back(back), back)


def _comparisons(context: Context) -> list[tuple[str, str]]:
    t = context.t
    return [
        ("before", t("the days before")),
        ("week", t("the same weekdays before")),
        ("none", t("nothing")),
    ]


def _share(users: tuple[int, ...], k: int) -> float | None:
    return users[k] / users[k - 1] if users[k - 1] else None


def _chosen(context: Context) -> tuple[str, Funnel]:
    name = context.choice("funnel", list(context.plan.funnels))
    return name, context.plan.funnels[name]


def _terms(context: Context, funnel: Funnel) -> str:
    t = context.t
    window = t.duration(funnel.window)
    who = t("sessions") if funnel.per == "session" else t("users")
    return t("Counts {who} whose steps follow each other within {window} of the first.", who=who, window=window)


def _days(context: Context) -> str:
    """Which days are shown, and against which; what is left out because it is not over."""
    t, spans, asked = context.t, _spans(context), Period(*context.period())
    said = _span_words(t, spans.shown)
    if spans.than is not None:
        said = t("{said}, against {than}", said=said, than=_span_words(t, spans.than))
        if spans.shown.last != asked.last:
            said += t("; today is not over and left out")
    elif context.choice("than", ["before", "week", "none"]) != "none":
        said += t("; not over, so not compared")
    return said


def _span_words(t: Language, span: Period) -> str:
    if span.first != span.last:
        return f"{t.day(span.first)} – {t.day(span.last)}"
    day = t.day(span.first)
    return day if span.until is None else t("{day} up to {until}", day=day, until=f"{span.until:%H:%M}")
