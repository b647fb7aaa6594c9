"""The page Funnels: live and over any days, by any dimension, against another period, the worst step pointed out."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import (
    dim,
    field,
    form,
    lazy,
    live,
    note_bad,
    panel,
    period_fields,
    select,
    table,
    term,
)
from pipeline.dashboard.steps import step_list
from pipeline.insight.significance import ENOUGH
from pipeline.insight.steps import fallen_step, worst_step
from pipeline.queries.funnel_period import FunnelPeriodRow, funnel_fields, funnel_period_sql, funnel_rows
from pipeline.render.chart import Line, fitting, legend, line_chart
from pipeline.render.html import Safe, h, text
from schemas.plan import Funnel

_SHOWN = 30


def body(context: Context) -> Safe:
    """The form, the live funnel, and places for what ClickHouse counts."""
    t, plan = context.t, context.plan
    if not plan.funnels:
        return h("p", t("The plan has no funnels. Add one under `funnels:`, see docs/plan.md.",
                        "方案里没有漏斗。请在 `funnels:` 下添加，见 docs/plan.md。"), class_="empty")  # fmt: skip
    name, funnel = _chosen(context)
    first, last = context.period()
    by = context.choice("by", funnel_fields(plan, funnel))
    asked = form(
        context,
        field(t("Funnel", "漏斗"), select("funnel", [(n, n) for n in plan.funnels], name)),
        *period_fields(context, first, last),
        field(t("Broken down by", "按维度拆分"), select("by", [(f, f) for f in funnel_fields(plan, funnel)], by)),
        field(
            t("Compared with", "对比"),
            select("than", _comparisons(context), context.choice("than", ["before", "week", "none"])),
        ),
    )
    return text(
        h("p", funnel.description, " ", dim(_terms(context, funnel))),
        asked,
        h(
            "div",
            panel(
                t("Live", "实时"),
                live("funnel"),
                note=t("cohort of today", "今天进入的用户") if funnel.bucket == "day" else t("cohort of this hour", "本小时进入的用户"),
            ),
            panel(t("The days chosen", "所选日期"), lazy(context, "funnel"), note=_days(context, first, last)),
            panel(t("Conversion by day", "每日转化"), lazy(context, "funnel-days"), wide=True,
                  note=t("share of the step before, of those who began on that day", "按进入日期，到达该步占上一步的比例")),
            panel(t(f"By {by}", f"按 {by}"), lazy(context, "funnel-by"), wide=True),
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


async def past(context: Context) -> Safe:
    """The funnel over the days chosen, against the period that it is compared with."""
    t = context.t
    name, funnel = _chosen(context)
    now, before = await _both(context, name, funnel, "")
    titles = [step.title for step in funnel.steps]
    if not now:
        return h("p", t("Nobody began this funnel in these days. Choose others, or look at the live part.",
                        "这些天没有人进入该漏斗。请换日期，或看实时部分。"), class_="empty")  # fmt: skip
    compared = before[0].users if before else None
    fall = fallen_step(now[0].users, compared) if compared is not None else None
    said = None
    if fall is not None and compared is not None:
        kept, was = _share(now[0].users, fall), _share(compared, fall)
        said = note_bad(
            t(f"{titles[fall - 1]} → {titles[fall]} fell from {t.percent(was)} to {t.percent(kept)}.",
              f"{titles[fall - 1]} → {titles[fall]} 从 {t.percent(was)} 降到 {t.percent(kept)}。")
        )  # fmt: skip
    note = None
    if context.choice("than", ["before", "week", "none"]) != "none" and compared is None:
        note = h(
            "p",
            t("Nothing to compare with: nobody began it in the days before.", "没有可对比的数据：对比期内没有人进入。"),
            class_="note",
        )
    return text(said, step_list(t, titles, now[0].users, compared, now[0].median_ms), note)


async def days(context: Context) -> Safe:
    """Each step's conversion by day."""
    t, plan = context.t, context.plan
    _, funnel = _chosen(context)
    first, last = context.period()
    low, high = context.bounds(first, last)
    answer = await context.store.ask(funnel_period_sql(plan, funnel, low, high, daily=True), keep=30)
    by_day = {datetime.fromtimestamp(row.bucket / 1000, plan.zone).date(): row for row in funnel_rows(answer.rows)}
    if not by_day:
        return h("p", t("No days to draw yet.", "还没有可绘制的日期。"), class_="empty")
    wanted = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    steps = [step.title for step in funnel.steps]
    lines = [
        Line(f"{steps[k - 1]} → {steps[k]}", [_share(by_day[d].users, k) if d in by_day else None for d in wanted])
        for k in range(1, len(steps))
    ]

    def draw(width: int) -> Safe:
        return line_chart(t("Conversion by day", "每日转化"), [t.day(d) for d in wanted], lines,
                          lambda v: t.percent(v, 0 if v is not None and round(v, 2) == v else 1), width=width)  # fmt: skip

    return text(fitting(draw), legend(lines))


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
        term(f"→ {title}", t(f"Share of the users of {titles[k - 1]} that got to {title}; below it the difference to the "
                             f"period compared with, where both have at least {ENOUGH} users.",
                             f"{titles[k - 1]} 的用户中到达 {title} 的比例；下方为与对比期之差（两期都至少 {ENOUGH} 人）。"))
        for k, title in enumerate(titles) if k
    ]  # fmt: skip
    heads.append(
        term(
            t("Whole", "整体"),
            t("Share of the first step's users that got to the last.", "首步用户中到达最后一步的比例。"),
        )
    )
    rows = []
    for row in sorted(now, key=lambda r: -r.users[0])[:_SHOWN]:
        cells: list[Safe | str] = [row.value or t("(not given)", "（未提供）"), t.number(row.users[0])]
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
    made = table(heads, rows, label=t(f"Funnel by {by}", f"按 {by} 的漏斗"), numeric=range(1, len(heads)),
                 empty=t("Nobody began this funnel in these days.", "这些天没有人进入该漏斗。"))  # fmt: skip
    more = len(now) - _SHOWN
    return text(made, h("p", t(f"and {more} more values", f"还有 {more} 个取值"), class_="note") if more > 0 else None)


async def _both(
    context: Context, name: str, funnel: Funnel, by: str
) -> tuple[list[FunnelPeriodRow], list[FunnelPeriodRow]]:
    """The funnel in the days chosen, and in those compared with."""
    first, last = context.period()
    found: list[list[FunnelPeriodRow]] = []
    for span in ((first, last), _compared(context, first, last)):
        if span is None:
            found.append([])
            continue
        low, high = context.bounds(*span)
        answer = await context.store.ask(funnel_period_sql(context.plan, funnel, low, high, by), keep=20)
        found.append(funnel_rows(answer.rows))
    return found[0], found[1]


def _compared(context: Context, first: date, last: date) -> tuple[date, date] | None:
    than = context.choice("than", ["before", "week", "none"])
    if than == "none":
        return None
    back = timedelta(days=7) * (1 + (last - first).days // 7) if than == "week" else last - first + timedelta(days=1)
    return first - back, last - back


def _comparisons(context: Context) -> list[tuple[str, str]]:
    t = context.t
    return [
        ("before", t("the days before", "之前的同样天数")),
        ("week", t("the same weekdays before", "上周同日")),
        ("none", t("nothing", "不对比")),
    ]


def _share(users: tuple[int, ...], k: int) -> float | None:
    return users[k] / users[k - 1] if users[k - 1] else None


def _chosen(context: Context) -> tuple[str, Funnel]:
    name = context.choice("funnel", list(context.plan.funnels))
    return name, context.plan.funnels[name]


def _terms(context: Context, funnel: Funnel) -> str:
    t = context.t
    window = t.duration(funnel.window)
    who = t("sessions", "会话") if funnel.per == "session" else t("users", "用户")
    return t(
        f"Counts {who} whose steps follow each other within {window} of the first.",
        f"统计在首步之后 {window} 内依次完成各步的{who}。",
    )


def _days(context: Context, first: date, last: date) -> str:
    t = context.t
    span = t.day(first) if first == last else f"{t.day(first)} – {t.day(last)}"
    than = _compared(context, first, last)
    if than is None:
        return span
    other = t.day(than[0]) if than[0] == than[1] else f"{t.day(than[0])} – {t.day(than[1])}"
    return t(f"{span}, against {other}", f"{span}，对比 {other}")
