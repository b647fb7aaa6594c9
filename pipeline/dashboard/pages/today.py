"""Today as a curve against yesterday and the same weekday before: people, orders, revenue, each from one source."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from pipeline.dashboard.annotated import marks
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import dim, lazy, panel, term
from pipeline.insight.pace import Against, Pace, against, pace
from pipeline.measure.periods import Period, moment_back
from pipeline.metrics.ask import require_plan
from pipeline.metrics.by_minute import EVENT, MONEY, PEOPLE, key_event, parameters
from pipeline.queries.conditions import moments_sql
from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import NONE
from pipeline.render.vega import lines as line_chart
from schemas.duration import MINUTE

#: Seconds between two looks; and for how long days that are over are believed to stay as they are.
EVERY: Final = 30
_KEEP_TODAY, _KEEP_OVER = 20.0, 600.0
#: Minutes without any stored event after which it is said, for then today only looks small.
_BEHIND: Final = 15
_RECENT: Final = 5 * MINUTE
_NOW: Final = moments_sql("{start:Int64}", "{end:Int64}")
_THEN: Final = moments_sql("{then:Int64}", "{then_end:Int64}")
_RECENT_SQL: Final = (
    f"SELECT uniqExactIf(person, {_NOW}), uniqExactIf(person, {_THEN}) FROM events WHERE {_NOW} OR {_THEN}"
)


def panels(context: Context) -> list[Safe]:
    """The three curves: people, orders (or the plan's key event), revenue."""
    t, plan = context.t, context.plan
    one_source = t(
        "Counted in ClickHouse, as the catalogue counts it: today until this minute, against the other days until the same time.",
        "均由 ClickHouse 按指标库口径统计：今天截至此刻，对比其他日期的同一时刻。",
    )
    found = [_panel(context, "people", t("Active people today", "今日活跃用户"), t(
        f"Different people with an event today, in the time zone {plan.timezone}. {one_source}",
        f"今天（时区 {plan.timezone}）有事件的去重用户数。{one_source}"))]  # fmt: skip
    if plan.meanings.payment:
        found.append(_panel(context, "orders", t("Orders today", "今日订单"), t(
            f"Different orders that were paid today. {one_source}", f"今天支付的去重订单数。{one_source}")))  # fmt: skip
        found.append(_panel(context, "revenue", t("Revenue today", "今日净收入"), t(
            f"Payments minus refunds of today, in the product's own currency. {one_source}",
            f"今天的支付减退款，单位为产品自己的货币。{one_source}")))  # fmt: skip
    elif event := key_event(plan):
        found.append(_panel(context, "orders", t(f"{event} today", f"今日 {event}"), t(
            f"How often {event} was done today. {one_source}", f"今天 {event} 的次数。{one_source}")))  # fmt: skip
    return found


def _panel(context: Context, of: str, title: str, definition: str) -> Safe:
    return panel(term(title, definition), lazy(context, "today", every=EVERY, rows=6, of=of), data_of=of)


async def curve(context: Context) -> Safe:
    """The number so far, what it is against, and the curves."""
    t, zone = context.t, context.plan.zone
    of = context.choice("of", ["people", "orders", "revenue"])
    so_far = Period(context.today, context.today).over(context.now, zone)
    if so_far is None or so_far.until is None:
        return h("p", t("Today has only begun.", "今天刚刚开始。"), class_="empty")
    await require_plan(context.store, context.plan)
    found = pace(await _counts(context, of), context.today, so_far.until)
    form = t.money if of == "revenue" else t.number
    if found.last is None and found.yesterday is None and found.last_week is None:
        return h(
            "p",
            t("Nothing is stored of today, yesterday, or the same day last week.", "今天、昨天和上周同日都没有数据。"),
            class_="empty",
        )
    names = [
        t("today", "今天"), t("yesterday", "昨天"), t(f"{t.day(against(context.today)[1], weekday=True)}", f"上周同日（{t.day(against(context.today)[1])}）"),
    ]  # fmt: skip
    lines = [Line(name, values) for name, values in zip(names, found.curves, strict=True)]
    places = [f"{at // 60:02}:{at % 60:02}" for at in found.places]
    title = {
        "people": t("Active people", "活跃用户"),
        "orders": t("Orders", "订单"),
        "revenue": t("Revenue", "净收入"),
    }[of]

    def written(value: float | None) -> str:
        return t.compact(None if value is None else round(value, 2))

    begin = context.day_start(context.today)
    moments = [datetime.fromtimestamp(begin / 1000 + at * 60, UTC) for at in found.places]
    happened = marks(context, moments)
    chart = line_chart(title, places, lines, written, height=140, annotations=happened.drawn)
    return text(
        h("div", form(found.so_far), class_="value"),
        h("ul", h("li", _said(context, found, found.yesterday, form, week=False)),
          h("li", _said(context, found, found.last_week, form, week=True)), class_="against"),
        _behind(context, found) if of == "people" else None,
        figure(t, chart),
        happened.words,
    )  # fmt: skip


def _said(context: Context, found: Pace, other: Against | None, form: Child, *, week: bool) -> Safe:
    """One comparison in words: the change, and what it is against."""
    t, at = context.t, f"{found.until:%H:%M}"
    if other is None:
        return dim(
            t("no data of the same day last week", "没有上周同日的数据")
            if week
            else t("no data of yesterday", "没有昨天的数据")
        )
    then = form(other.by_now)
    name = t.day(other.day, weekday=True)
    kind = t("", "同比 ") if week else t("", "环比 ")
    change = h("strong", t.change(other.change) if other.change is not None else NONE,
               class_="bad-word" if (other.change or 0) < -0.1 else None)  # fmt: skip
    against_ = (
        t(f"against {name} by {at}: {then}", f"上周同日 {at} 为 {then}")
        if week
        else t(f"against yesterday by {at}: {then}", f"昨日 {at} 为 {then}")
    )
    return text(dim(kind), change, " ", dim(against_))


def _behind(context: Context, found: Pace) -> Safe | None:
    minute = found.until.hour * 60 + found.until.minute
    if found.last is None:
        return h("p", context.t("Nothing is stored of today yet.", "今天还没有已存储的数据。"), class_="note")
    if minute - found.last <= _BEHIND:
        return None
    at = f"{found.last // 60:02}:{found.last % 60:02}"
    return h(
        "p",
        context.t(f"Nobody new since {at}: is everything stored?", f"{at} 之后没有新用户：数据是否都已入库？"),
        class_="note",
    )


async def _counts(context: Context, of: str) -> dict[tuple[date, int], float]:
    """By day and minute. Days that are over are asked apart: they stay what they are."""
    sql, column, event = PEOPLE, 2, ""
    if of != "people" and context.plan.meanings.payment:
        sql, column = MONEY, 3 if of == "revenue" else 2
    elif of != "people":
        sql, event = EVENT, key_event(context.plan) or ""
    found: dict[tuple[date, int], float] = {}
    for days, keep in (((context.today,), _KEEP_TODAY), (against(context.today), _KEEP_OVER)):
        answer = await context.store.ask(sql, {**parameters(days), "event": event}, keep=keep)
        found |= {(row[0], int(row[1])): float(row[column]) for row in answer.rows}
    return found


async def recently(context: Context) -> Safe:
    """Under the people of the last minutes: those that are stored, against the same minutes of yesterday."""
    t, zone = context.t, context.plan.zone
    end = context.now // MINUTE * MINUTE
    then_end = moment_back(context.now, 1, zone)
    given = {"start": end - _RECENT, "end": end, "then": then_end - _RECENT, "then_end": then_end}
    now, before = (await context.store.ask(_RECENT_SQL, given, keep=55)).rows[0]
    if not before:
        return dim(t("nobody at this time yesterday", "昨天此时没有人"))
    change = t.change((now - before) / before)
    return dim(h("strong", change), " ", t(f"stored by {t.clock(end, zone)}: {t.number(now)}, at this time yesterday {t.number(before)}",
                                           f"截至 {t.clock(end, zone)} 已存储 {t.number(now)}，昨天此时 {t.number(before)}"))  # fmt: skip
