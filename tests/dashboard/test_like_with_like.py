"""Report and pages compare like with like: literal events, literal moments, a real ClickHouse."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from metrics.world import Event, World, event, worlds

from pipeline.alerts.prometheus import AlertWatch
from pipeline.clickhouse.questions import Store
from pipeline.dashboard.context import Context
from pipeline.dashboard.keeping import OFF
from pipeline.dashboard.live import LiveReader
from pipeline.dashboard.metrics import shown
from pipeline.dashboard.pages import attention, funnels, today
from pipeline.errors import UserError
from pipeline.render.language import Language
from pipeline.report.dates import asked_period
from pipeline.report.gather import gather
from pipeline.report.model import Facts
from schemas.plan import Plan
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

PLAN = parse_plan(
    """
product: Shop
timezone: Europe/Berlin
registration: join
events:
  join:
  look:
  buy: {value: amount, properties: {amount: number!}}
funnels:
  quick: {steps: [look, buy], window: 1h}
  slow: {steps: [look, buy], window: 7d}
meanings:
  payment: {event: buy}
"""
)


server, opened, world = worlds("module", PLAN)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


async def page(world: World, moment: str, part: Any, *, plan: Plan = PLAN, **query: str) -> str:
    """A part of a page as it is at a moment, as plain words."""
    live = LiveReader([])
    live.numbers = {"today": {"users": 0, "value_micro": 0}}
    store = Store(world.settings)
    try:
        context = Context(
            Language("en"), plan, world.settings, live, store, AlertWatch(None), at(moment), path="/", query=query,
            theme="auto", user="", can_log_out=False, kept=OFF,
        )  # fmt: skip
        made = await part(context)
    finally:
        await store.close()
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", str(made)))).strip()


def day_of(day: str, users: int, *hours: int) -> list[Event]:
    return [
        event(f"{day}-{hour}-{n}", "buy", f"{day} {hour:02}:30", {"amount": 10}) for hour in hours for n in range(users)
    ]


async def test_users_today_are_stored_today_against_yesterday_by_the_same_time(world: World) -> None:
    """The worker has counted nobody since its start: that is no fall by 100 %."""
    await world.tell([*day_of("2026-11-24", 2, 8, 9, 20), *day_of("2026-11-25", 3, 8, 9)])
    for of, so_far, before in (("people", "6", "4"), ("orders", "6", "4"), ("revenue", "60.00", "40.00")):
        said = await page(world, "2026-11-25T10:00:40+01:00", today.curve, of=of)
        assert said.startswith(
            f"{so_far} +50.0 % against yesterday by 10:00: {before} no data of the same day last week"
        )


async def test_without_a_day_to_compare_nothing_is_compared(world: World) -> None:
    await world.tell(day_of("2026-11-24", 2, 8, 20))
    said = await page(world, "2026-11-25T10:00+01:00", today.curve, of="people")
    assert said.startswith(
        "0 −100.0 % against yesterday by 10:00: 2 no data of the same day last week Nothing is stored of today yet."
    )
    assert await page(world, "2026-11-25T00:00:10+01:00", today.curve, of="people") == "Today has only begun."
    said = await page(world, "2026-11-24T10:00+01:00", today.curve, of="people")
    assert said.startswith(
        "2 no data of yesterday no data of the same day last week Nobody new since 08:30: is everything stored?"
    )
    assert await page(world, "2026-12-24T10:00+01:00", today.curve, of="revenue") == (
        "Nothing is stored of today, yesterday, or the same day last week."
    )


@pytest.mark.parametrize(
    ("day", "at_ten"),
    [
        # The clocks went back in the night: ten is ten, though eleven hours have passed.
        ("2026-10-25", "2026-10-25T10:00+01:00"),
        ("2026-03-29", "2026-03-29T10:00+02:00"),
    ],
)
async def test_where_the_clocks_change(world: World, day: str, at_ten: str) -> None:
    yesterday = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    await world.tell([*day_of(yesterday, 2, 8, 9, 10), *day_of(day, 2, 8, 9, 10)])
    said = await page(world, at_ten, today.curve, of="people")
    assert said.startswith("4 +0.0 % against yesterday by 10:00: 4 ")


async def facts(world: World, moment: str, **asked: str) -> Facts:
    when = datetime.fromisoformat(moment)
    store = Store(world.settings)
    try:
        period = asked_period(PLAN, asked.get("day"), asked.get("week"), when)
        return await gather(store, PLAN, period, int(when.timestamp() * 1000))
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("moment", "orders", "before"),
    [
        ("2026-11-24T00:01+01:00", 2, 2),
        ("2026-11-25T00:01+01:00", 4, 4),
        ("2026-11-25T23:59+01:00", 4, 4),
        ("2026-11-29T12:00+01:00", 12, 12),
        ("2026-11-30T00:00+01:00", 14, 14),
    ],
)
async def test_the_report_of_a_running_week_compares_its_whole_days(
    world: World, moment: str, orders: int, before: int
) -> None:
    weeks = [f"2026-11-{day}" for day in range(16, 30)]
    await world.tell([e for day in weeks for e in day_of(day, 1, 9, 15)])
    found = await facts(world, moment, week="2026-11-25")
    assert (found.key.orders, found.before.orders) == (orders, before)
    assert found.missing == ()


async def test_the_report_of_a_running_day_compares_up_to_the_same_time(world: World) -> None:
    days = ("2026-11-18", "2026-11-24", "2026-11-25")
    await world.tell([e for day in days for e in day_of(day, 1, 9, 15)])
    found = await facts(world, "2026-11-25T12:00+01:00", day="2026-11-25")
    keys = (found.key, found.before, found.same_weekday)
    assert [(key.users, key.new_users, key.orders, key.revenue) for key in keys] == [(1, 1, 1, 10.0)] * 3
    assert {
        n: sum(one.total for one in side.values()) for n, side in enumerate(found.segments["orders"]["platform"])
    } == {0: 1, 1: 1}


def looks(day: str, hour: int, users: int, buyers: int, *, after_hours: float) -> list[Event]:
    """So many who look, of whom so many buy that much later."""
    began = datetime.fromisoformat(f"{day}T{hour:02}:00")
    bought = began + timedelta(hours=after_hours)
    found = [event(f"{day}-{hour}-{n}", "look", began.isoformat(" ")) for n in range(users)]
    found += [event(f"{day}-{hour}-{n}", "buy", bought.isoformat(" "), {"amount": 1}) for n in range(buyers)]
    return found


async def test_a_funnel_of_a_week_is_seen_as_the_other_week_stood(world: World) -> None:
    """Of each day's users half buy within three days. On Wednesday this week's have not had them: no fall."""
    days = [f"2026-11-{day:02}" for day in range(9, 25)]
    wednesday = "2026-11-25T10:00+01:00"
    events = [e for day in days for e in looks(day, 9, 100, 50, after_hours=72)]
    until = datetime.fromisoformat("2026-11-25T10:00")
    await world.tell([e for e in events if datetime.fromisoformat(e["at"]) < until])
    said = await page(world, wednesday, funnels.past, funnel="slow", **{"from": "2026-11-23", "to": "2026-11-29"})
    assert "fell" not in said
    assert "The other days are seen as they stood at the same time." in said
    found = await facts(world, wednesday, week="2026-11-25")
    slow = next(f for f in found.funnels if f.name == "slow")
    assert (slow.users, slow.before) == ((200, 0), (200, 0))
    # Of days, what is done within one day is compared; nobody buys within one here, so nothing fell.
    assert slow.changes == ()


async def test_the_funnel_page_leaves_out_the_day_that_is_not_over(world: World) -> None:
    """Until yesterday half of 100 a day bought within the hour; today 100 looked a minute ago."""
    days = [f"2026-11-{day}" for day in range(11, 25)]
    events = [e for day in days for e in looks(day, 9, 100, 50, after_hours=0.5)]
    await world.tell([*events, *looks("2026-11-25", 9, 100, 0, after_hours=1)])
    chosen = {"from": "2026-11-19", "to": "2026-11-25"}
    said = await page(world, "2026-11-25T09:01+01:00", funnels.past, funnel="quick", **chosen)
    assert "fell" not in said
    assert "1. look 600 100.0 % 2. buy 300 50.0 % 50.0 % of the step before · 300 lost · +0.0 points" in said
    by_day = await page(world, "2026-11-25T09:01+01:00", funnels.days, funnel="quick", **chosen)
    assert "Up to Nov 24: the users of later days have not had their time yet." in by_day
    assert await page(world, "2026-11-25T09:01+01:00", attention.fallen) == (
        "● Funnels: no step fell surely in the last 14 whole days."
    )
    # Asked for today alone, it is compared with yesterday as it stood at this time.
    said = await page(
        world, "2026-11-25T09:01+01:00", funnels.past, funnel="quick", **{"from": "2026-11-25", "to": "2026-11-25"}
    )
    assert "fell" not in said
    assert "2. buy 0 0.0 % 0.0 % of the step before · 100 lost · +0.0 points" in said


async def test_right_after_midnight_yesterdays_last_hour_accuses_nobody(world: World) -> None:
    """At 00:20 those who began at 23:55 have had 25 minutes of their hour."""
    days = [f"2026-11-{day}" for day in range(11, 25)]
    events = [
        event(f"{day}-{n}", "look", f"{day} 23:55") for day in days for n in range(100)
    ]  # fmt: skip
    for day in days[:-1]:
        following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        events += [event(f"{day}-{n}", "buy", f"{following} 00:30", {"amount": 1}) for n in range(60)]
    await world.tell(events)
    assert "no step fell surely" in await page(world, "2026-11-25T00:20+01:00", attention.fallen)
    found = await facts(world, "2026-11-25T00:20+01:00", day="2026-11-24")
    quick = next(f for f in found.funnels if f.name == "quick")
    assert (quick.users, quick.before, quick.changes) == ((100, 0), (100, 0), ())


async def test_the_views_of_another_plan_answer_neither_a_page_nor_the_report(world: World) -> None:
    """They would count by another plan's meanings, without a word."""
    await world.tell(day_of("2026-11-24", 2, 8))
    other = PLAN.model_copy(update={"product": "Other"})
    told = "are those of the plan 'Shop', not of 'Other': give its plan with --plan (or PIPELINE_PLAN)"

    async def users(context: Context) -> Any:
        return await shown(context, "active_users_daily", {})

    moment = "2026-11-25T10:00+01:00"
    assert told in await page(world, moment, users, plan=other)
    assert told not in await page(world, moment, users)
    store = Store(world.settings)
    try:
        period = asked_period(other, "2026-11-24", None, datetime.fromisoformat(moment))
        with pytest.raises(UserError, match=re.escape(told)):
            await gather(store, other, period, at(moment))
    finally:
        await store.close()
