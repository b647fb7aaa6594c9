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
        "Counted in ClickHouse, as the catalogue counts it: today until this minute, against the other "
        "days until the same time."
    )
    found = [_panel(context, "people", t("Active people today"), t("Different people with an event today, in the time zone {timezone}. {one_source}", timezone=plan.timezone, one_source=one_source))]  # fmt: skip
    if plan.meanings.payment:
        found.append(_panel(context, "orders", t("Orders today"), t("Different orders that were paid today. {one_source}", one_source=one_source)))  # fmt: skip
        found.append(_panel(context, "revenue", t("Revenue today"), t("Payments minus refunds of today, in the product's own currency. {one_source}", one_source=one_source)))  # fmt: skip
    elif event := key_event(plan):
        found.append(_panel(context, "orders", t("{event} today", event=event), t("How often {event} was done today. {one_source}", event=event, one_source=one_source)))  # fmt: skip
    return found


def _panel(context: Context, of: str, title: str, definition: str) -> Safe:
    return panel(term(title, definition), lazy(context, "today", every=EVERY, rows=6, of=of), data_of=of)


async def curve(context: Context) -> Safe:
    """The number so far, what it is against, and the curves."""
    t, zone = context.t, context.plan.zone
    of = context.choice("of", ["people", "orders", "revenue"])
    so_far = Period(context.today, context.today).over(context.now, zone)
    if so_far is None or so_far.until is None:
        return h("p", t("Today has only begun."), class_="empty")
    await require_plan(context.store, context.plan)
    found = pace(await _counts(context, of), context.today, so_far.until)
    form = t.money if of == "revenue" else t.number
    if found.last is None and found.yesterday is None and found.last_week is None:
        return h(
            "p",
            t("Nothing is stored of today, yesterday, or the same day last week."),
            class_="empty",
        )
    names = [
        t("today"), t("yesterday"), t.of("a week before", "{weekday}", weekday=t.day(against(context.today)[1], weekday=True), day=t.day(against(context.today)[1])),
    ]  # fmt: skip
    lines = [Line(name, values) for name, values in zip(names, found.curves, strict=True)]
    places = [f"{at // 60:02}:{at % 60:02}" for at in found.places]
    title = {
        "people": t("Active people"),
        "orders": t("Orders"),
        "revenue": t("Revenue"),
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
        return dim(t("no data of the same day last week") if week else t("no data of yesterday"))
    then = form(other.by_now)
    name = t.day(other.day, weekday=True)
    kind = t.of("the week before", "") if week else t.of("the day before", "")
    change = h("strong", t.change(other.change) if other.change is not None else NONE,
               class_="bad-word" if (other.change or 0) < -0.1 else None)  # fmt: skip
    against_ = (
        t("against {name} by {at}: {then}", name=name, at=at, then=then)
        if week
        else t("against yesterday by {at}: {then}", at=at, then=then)
    )
    return text(dim(kind), change, " ", dim(against_))


def _behind(context: Context, found: Pace) -> Safe | None:
    minute = found.until.hour * 60 + found.until.minute
    if found.last is None:
        return h("p", context.t("Nothing is stored of today yet."), class_="note")
    if minute - found.last <= _BEHIND:
        return None
    at = f"{found.last // 60:02}:{found.last % 60:02}"
    return h(
        "p",
        context.t("Nobody new since {at}: is everything stored?", at=at),
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
        return dim(t("nobody at this time yesterday"))
    change = t.change((now - before) / before)
    return dim(h("strong", change), " ", t("stored by {end}: {now}, at this time yesterday {before}", end=t.clock(end, zone), now=t.number(now), before=t.number(before)))  # fmt: skip
