"""The first page on a real ClickHouse: figures that are the catalogue's, falls with what follows, alerts with their causes."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

import aiohttp
import pytest
from metrics.world import Event, World, event, worlds

from dashboard.drawn import drawn, words
from pipeline.alerts.prometheus import ActiveAlert, AlertWatch
from pipeline.dashboard.context import Context
from pipeline.dashboard.pages import PARTS, attention, report, scorecard, today
from pipeline.dashboard.server import Dashboard
from pipeline.errors import UserError
from pipeline.render.html import Safe
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

PLAN = parse_plan(
    """
product: Shop
timezone: Asia/Shanghai
events:
  look:
  cart:
  buy: {value: amount, properties: {amount: number!, order_id: string}}
  back: {value: amount, properties: {amount: {type: number, max: 0}, order_id: string}}
dimensions: [event, platform]
funnels:
  buying: {steps: [look, cart, buy], window: 1h, breakdown: [platform]}
meanings:
  payment: {event: buy, order_id: properties.order_id}
  refund: {event: back, order_id: properties.order_id}
alerting:
  labels: [event, platform]
  receivers: {all: {print: true}}
  tell: all
  alerts:
    cart_breaks: {title: Cart is failing, metric: conversion, funnel: buying, step: cart, below: 20%, over: 5m, for: 1m}
    cart_breaks_on: {title: Cart fails on a platform, metric: conversion, funnel: buying, step: cart, by: platform, below: 10%, over: 5m, for: 1m, under: cart_breaks}
    few_orders: {title: Fewer orders, metric: events, event: buy, drop: 40%, over: 10m, for: 5m, under: [cart_breaks, cart_breaks_on]}
    odd_revenue: {title: Odd revenue, metric: revenue, unusual: 6, over: 30m, for: 10m, under: few_orders}
    lags: {title: Behind, metric: lag, above: 2m, for: 2m, todo: Add workers.}
"""
)


server, opened, world = worlds("module", PLAN)


def day_of_orders(day: str, *orders: tuple[str, str, float]) -> list[Event]:
    return [
        event(f"u{who}", "buy", f"{day} {at}", {"amount": amount, "order_id": f"{day}{who}"})
        for at, who, amount in orders
    ]


TWO_WEEKS = [
    *day_of_orders("2026-11-18", ("08:00", "1", 10), ("12:00", "2", 20)),
    *day_of_orders("2026-11-24", ("08:00", "1", 10), ("09:59", "2", 20), ("10:00", "3", 40), ("23:00", "1", 1)),
    *day_of_orders("2026-11-25", ("00:10", "9", 5), ("07:00", "1", 60)),
    event("u9", "back", "2026-11-25 09:00", {"amount": -5, "order_id": "2026-11-259"}),
    event("u8", "look", "2026-11-25 09:58", late=True),
]


async def test_each_figure_is_held_against_the_same_time_of_both_days(world: World) -> None:
    await world.tell(TWO_WEEKS)
    expected = {
        "people": "3 +50.0 % against yesterday by 10:00: 2 +200.0 % against Wednesday, Nov 18 by 10:00: 1",
        "orders": "2 +0.0 % against yesterday by 10:00: 2 +100.0 % against Wednesday, Nov 18 by 10:00: 1",
        "revenue": "60.00 +100.0 % against yesterday by 10:00: 30.00 +500.0 % against Wednesday, Nov 18 by 10:00: 10.00",
    }
    for of, said in expected.items():
        html = await drawn(world, "2026-11-25T10:00:30+08:00", today.curve, of=of)
        assert words(html).startswith(said), words(html)
        assert html.count('class="chart"') == 1
    chinese = words(await drawn(world, "2026-11-25T10:00:30+08:00", today.curve, of="people", language="zh"))
    assert chinese.startswith("3 环比 +50.0% 昨日 10:00 为 2 同比 +200.0% 上周同日 10:00 为 1")


async def test_whole_days_are_what_the_catalogue_says(world: World) -> None:
    """Drawn in the last minute of the day, the sums are those of the metrics."""
    await world.tell(TWO_WEEKS)
    ((users,),) = await world.ask("active_users_daily", "users", from_="2026-11-25", to="2026-11-25")
    ((orders, revenue),) = await world.ask("revenue", "orders revenue", from_="2026-11-25", to="2026-11-25")
    shown = [
        words(await drawn(world, "2026-11-25T23:59:30+08:00", today.curve, of=of)).split()[0]
        for of in ("people", "orders", "revenue")
    ]
    assert shown == [str(users), str(orders), f"{revenue:.2f}"]


async def test_a_product_without_payments_has_its_key_event(world: World) -> None:
    plan = PLAN.model_copy(update={"meanings": PLAN.meanings.model_copy(update={"payment": (), "refund": ()})})

    async def panels(context: Any) -> str:
        return "".join(today.panels(context))

    html = await drawn(world, "2026-11-25T10:00+08:00", panels, plan=plan)
    assert re.findall(r'data-of="(\w+)"', html) == ["people", "orders"]
    assert "buy today" in html


async def test_the_last_five_minutes_against_those_of_yesterday(world: World) -> None:
    await world.tell([event("a", "look", "2026-11-24 09:56"), event("a", "look", "2026-11-24 10:00"),
                      *[event(f"u{k}", "look", f"2026-11-25 09:5{k}") for k in range(4, 9)]])  # fmt: skip
    said = words(await drawn(world, "2026-11-25T10:00:20+08:00", today.recently))
    assert said == "+300.0 % stored by 10:00: 4, at this time yesterday 1"


def falling(days: range, *, low_from: int) -> list[Event]:
    """100 people a day and platform look, half of them have a cart and half of those buy; of android 5 from a day on."""
    found = []
    for day in days:
        for platform in ("ios", "android"):
            carts = 5 if platform == "android" and day >= low_from else 50
            for n in range(100):
                who, at = f"{day}{platform}{n}", f"2026-11-{day:02}"
                found.append(event(who, "look", f"{at} 09:00", platform=platform))
                if n < carts:
                    found.append(event(who, "cart", f"{at} 09:10", platform=platform))
                if n < carts // 2:
                    found.append(event(who, "buy", f"{at} 09:20", {"amount": 8, "order_id": who}, platform=platform))
    return found


def firing(*names: str) -> AlertWatch:
    watch = AlertWatch("http://127.0.0.1:9")
    since = 1_795_572_000_000 - 300_000  # 2026-11-25T10:00+08:00, five minutes before
    watch.firing = [
        ActiveAlert(
            name,
            "firing",
            "warning",
            PLAN.alerting.alerts[name].title,
            "It is so.",
            PLAN.alerting.alerts[name].todo,
            "",
            since,
        )
        for name in names
    ]
    return watch


NOW = "2026-11-25T10:00+08:00"


async def test_a_fall_says_what_follows_from_it_and_which_alerts_it_explains(world: World) -> None:
    await world.tell(falling(range(11, 25), low_from=22))
    said = words(
        await drawn(world, NOW, attention.fallen, alerts=firing("cart_breaks", "few_orders", "odd_revenue", "lags"))
    )
    assert said.startswith(
        "▲ look → cart fell from 50.0 % to 5.0 % on android only (funnel buying), since Sunday, Nov 22."
    )
    # 300 looked on android since, of whom 45 % are missing; of those who have a cart 631 of 1,265 buy, for 8 each.
    assert (
        "What follows: since then about 135 fewer people got to cart, about 67 fewer orders and 538.72 less revenue."
        in said
    )
    assert "It fires: Alert for 5 min: Cart is failing." in said
    assert "What follows from it: Fewer orders (5 min) and Odd revenue (5 min)." in said
    assert "Behind" not in said
    chinese = words(
        await drawn(world, NOW, attention.fallen, alerts=firing("cart_breaks", "few_orders"), language="zh")
    )
    assert "由此带来：此后到达 cart 的用户约少 135 人，约少 67 单、收入约少 538.72。" in chinese
    assert "由此引发的告警：Fewer orders（5 分钟）。" in chinese or "由此引发的告警：Fewer orders (5 分钟)。" in chinese


async def test_alerts_are_told_with_their_causes_and_once(world: World) -> None:
    """Before anybody has looked at funnels they stand alone; then those of a step that fell stand with it."""
    await world.tell(falling(range(11, 25), low_from=22))
    watch = firing("lags", "odd_revenue", "few_orders", "cart_breaks_on", "cart_breaks")

    async def alone(context: Any) -> Any:
        return attention.alerts(context)

    async def after(context: Any) -> Any:
        await attention.fallen(context)
        return attention.alerts(context)

    html = await drawn(world, NOW, alone, alerts=watch)
    assert [words(item) for item in re.findall(r"<li>.*?</li>", html)] == [
        "▲ Alert for 5 min: Behind. It is so. Add workers.",
        "▲ Alert for 5 min: Cart is failing. It is so. What follows from it: Odd revenue (5 min), Fewer orders (5 min) and "
        "Cart fails on a platform (5 min).",
    ]
    html = await drawn(world, NOW, after, alerts=watch)
    assert [words(item) for item in re.findall(r"<li>.*?</li>", html)] == [
        "▲ Alert for 5 min: Behind. It is so. Add workers."
    ]
    assert await drawn(world, NOW, alone, alerts=firing()) == ""


def test_alerts_that_explain_each_other_in_a_circle_are_all_told() -> None:
    spec = PLAN.alerting.alerts["few_orders"]
    circle = {"a": spec.model_copy(update={"under": ("b",)}), "b": spec.model_copy(update={"under": ("a",)})}
    both = [ActiveAlert(name, "firing", "", name, "", "", "", 0) for name in ("a", "b", "unknown")]
    told = attention.chains(both, circle)
    assert sorted(one.name for alert, more in told for one in (alert, *more)) == ["a", "b", "unknown"]


async def test_a_score_is_the_metrics_and_says_whether_the_target_is_met(world: World) -> None:
    """Two weeks of people: 14 a week ago and 3 before that; all who ever came look each day."""
    days = [f"2026-11-{day:02}" for day in range(11, 25)]
    events = [event(f"{day}{n}", "look", f"{day} 09:00") for day in days[:3] for n in range(1)]
    events += [event(f"{day}{n}", "look", f"{day} 09:00") for day in days[7:] for n in range(2)]
    await world.tell(events)
    card = parse_plan("product: P\nevents: {look: }\nscorecard: {targets: {new_users: 20}}").scorecard
    plan = PLAN.model_copy(update={"scorecard": card})
    said = words(await drawn(world, NOW, scorecard.score, plan=plan, of="new_users"))
    assert said == "14 +366.7 % was 3 the week before ▲ not met : at least 20 The metric"
    ((new,),) = await world.sql(
        "SELECT uniqExact(person) FROM users WHERE first_day BETWEEN '2026-11-18' AND '2026-11-24'"
    )
    assert new == 14
    assert words(await drawn(world, NOW, scorecard.score, of="cac", language="zh")) == (
        "– 这段时间没有花费数据：`streamgauge import spend` 查看指标"
    )

    async def section(context: Any) -> Any:
        return scorecard.section(context)

    for stage, figures in (
        ("early", ["new_users", "cac", "activation"]),
        ("mature", ["arpu", "paying_rate", "ltv_cac", "nps"]),
    ):
        html = await drawn(world, NOW, section, plan=plan, stage=stage)
        assert re.findall(r"/part/score\?[^\"]*of=(\w+)", html) == figures
    for figure in ("activation", "retention", "activity", "penetration", "arpu", "paying_rate", "ltv_cac", "nps"):
        assert "The metric" in words(await drawn(world, NOW, scorecard.score, plan=plan, of=figure)), figure


async def report_page(context: Context) -> Safe:
    return report.body(context)


async def in_parts(context: Context) -> str:
    """The report as somebody reads it who scrolls down the page."""
    page = str(report.body(context))
    parts = [unquote_plus(part) for part in re.findall(r'data-part="/part/report\?of=([^"]+)"', page)]
    assert parts[:7] == [
        "changed people", "changed money", "changed steps buying", "changed quality", "keys", "users of buying", "days of buying",
    ]  # fmt: skip
    page = re.sub('<p class="nothing".*?</p>', "", page)
    told = [str(await report.found(replace(context, query={"of": part}))) for part in parts]
    return "".join([page[page.index("<h2") :], *told])


async def test_the_report_of_a_week_is_the_one_that_is_sent(world: World) -> None:
    await world.tell(falling(range(9, 25), low_from=20))
    html = await drawn(world, NOW, report.found)
    assert "Shop: week of Nov 16 – Nov 22, 2026" in words(html)
    assert "look → cart fell from" in words(html)
    # In the page each part is asked for by itself, when it is seen: together they are the same report.
    assert sorted(words(await drawn(world, NOW, in_parts)).split()) == sorted(words(html).split())
    made: dict[str, bytes] = {}

    async def take(context: Any) -> str:
        for make in (report.page_file, report.markdown_file):
            name, _, data = await make(context)
            made[name] = data
        return ""

    await drawn(world, NOW, take, kind="day", day="2026-11-23", language="zh")
    assert sorted(made) == ["report-day-2026-11-23.html", "report-day-2026-11-23.md"]
    assert "日报" in made["report-day-2026-11-23.md"].decode()
    for odd in ("2026-02-30", "<b>"):
        assert "week of Nov 16" in words(await drawn(world, NOW, report_page, day=odd))
    with pytest.raises(UserError, match="nothing of 2026-12-07 is over yet"):
        await drawn(world, NOW, report.found, day="2026-12-07")
    assert "nothing of 2026-12-07 is over yet" in words(await drawn(world, NOW, report_page, day="2026-12-07"))


async def test_whoever_leaves_a_page_leaves_no_question_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection of a browser is closed while ClickHouse counts for it."""

    async def slow(context: Context) -> Safe:
        await context.store.ask(
            "SELECT count() FROM numbers_mt(40000000000) WHERE NOT ignore(sipHash64(number, 'gone'))"
        )
        raise AssertionError("it takes minutes")

    monkeypatch.setitem(PARTS, "slow", slow)
    dashboard = Dashboard(world.settings.model_copy(update={"dashboard_port": 0}), PLAN)
    await dashboard.start()

    async def until(count: int) -> None:
        asked = "SELECT count() FROM system.processes WHERE query LIKE '%\\'gone\\'%' AND query NOT LIKE '%system.processes%'"
        async with asyncio.timeout(30):
            while (await world.sql(asked))[0][0] != count:
                await asyncio.sleep(0.05)

    try:
        async with aiohttp.ClientSession() as web:
            left = asyncio.create_task(web.get(f"http://127.0.0.1:{dashboard.port}/part/slow").__aenter__())
            await until(1)
            left.cancel()
            await until(0)
    finally:
        await dashboard.stop()
