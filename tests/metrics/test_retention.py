"""Retention and segments, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from metrics.world import Event, World, event


def visits(actor: str, *days: str, **fields: str) -> list[Event]:
    """The actor joins on the first day, late in the evening, and opens the app on the others."""
    first, *others = days
    joined = [event(actor, "join", f"{first} 23:30", **fields)]
    return joined + [event(actor, "open", f"{day} 00:10", **fields) for day in others]


def bought(actor: str, day: str, amount: float) -> Event:
    return event(actor, "buy", f"{day} 12:00", {"amount": amount, "order_id": f"{actor} {day} {amount}"})


async def test_by_day(world: World) -> None:
    """The clocks go back on 25 October; joining at 23:30 and coming at 00:10 is day 1 all the same."""
    await world.tell(
        [
            *visits("a", "2026-10-24", "2026-10-25", "2026-10-27"),
            *visits("b", "2026-10-24", "2026-10-26"),
            *visits("c", "2026-10-24"),
            *visits("d", "2026-10-25", "2026-10-28"),  # comes back after the period
            *visits("e", "2026-10-23", "2026-10-24"),  # joined before it
            event("f", "open", "2026-10-24 10:00"),  # never joined
            event("a", "open", "2026-10-23 10:00"),  # was there before joining
        ]
    )
    assert await world.ask("retention", from_="2026-10-24", to="2026-10-27") == [
        # cohort, n, users, classic, rate, rolling, rate
        ("2026-10-24", 0, 3, 3, 1.0, 3, 1.0, 1),
        ("2026-10-24", 1, 3, 1, 0.333333, 2, 0.666667, 1),
        ("2026-10-24", 2, 3, 1, 0.333333, 2, 0.666667, 1),
        ("2026-10-24", 3, 3, 1, 0.333333, 1, 0.333333, 1),
        ("2026-10-25", 0, 1, 1, 1.0, 1, 1.0, 1),
        ("2026-10-25", 1, 1, 0, 0.0, 0, 0.0, 1),
        ("2026-10-25", 2, 1, 0, 0.0, 0, 0.0, 1),
    ]


async def test_by_week_and_month(world: World) -> None:
    """a joins on Sunday 1 November: Monday is week 1. b joins on Monday and comes on Sunday: week 0."""
    await world.tell(
        [
            *visits("a", "2026-11-01", "2026-11-02", "2026-12-01"),
            *visits("b", "2026-11-02", "2026-11-08", "2026-11-16"),
        ]
    )
    columns = "cohort n users classic rolling whole"
    assert await world.ask("retention", columns, from_="2026-10-26", to="2026-11-16", period="week") == [
        ("2026-10-26", 0, 1, 1, 1, 1),
        ("2026-10-26", 1, 1, 1, 1, 1),
        ("2026-10-26", 2, 1, 0, 0, 1),
        ("2026-10-26", 3, 1, 0, 0, 0),
        ("2026-11-02", 0, 1, 1, 1, 1),
        ("2026-11-02", 1, 1, 0, 1, 1),
        ("2026-11-02", 2, 1, 1, 1, 0),
    ]
    assert await world.ask("retention", columns, from_="2026-11-01", to="2026-12-31", period="month") == [
        ("2026-11-01", 0, 2, 2, 2, 1),
        ("2026-11-01", 1, 2, 1, 1, 1),
    ]


async def test_day_n_by_channel(world: World) -> None:
    """Until 9 November: those who joined on the 3rd have had no day 7, nor day 30 anybody."""
    await world.tell(
        [
            *visits("a", "2026-11-01", "2026-11-02", "2026-11-08", channel="ads"),
            *visits("b", "2026-11-01", "2026-11-09", channel="ads"),
            *visits("c", "2026-11-02", channel="mail"),
            *visits("d", "2026-11-03", "2026-11-04", "2026-11-10", channel="mail"),
        ]
    )
    period = {"from_": "2026-11-01", "to": "2026-11-30", "until": "2026-11-09"}
    assert await world.ask("retention_by", **period) == [
        ("", 1, 4, 2, 0.5, 3, 0.75),
        ("", 3, 4, 0, 0.0, 2, 0.5),
        ("", 7, 3, 1, 0.333333, 2, 0.666667),
    ]
    assert await world.ask("retention_by", **period, days="1,7", dimension="channel") == [
        ("ads", 1, 2, 1, 0.5, 2, 1.0),
        ("mail", 1, 2, 1, 0.5, 1, 0.5),
        ("ads", 7, 2, 1, 0.5, 2, 1.0),
        ("mail", 7, 1, 0, 0.0, 0, 0.0),
    ]


async def test_coming_back_to_buy(world: World) -> None:
    """a comes on day 1 and buys on day 2, b buys on day 1."""
    await world.tell(
        [
            *visits("a", "2026-11-01", "2026-11-02", "2026-11-03"),
            bought("a", "2026-11-03", 1),
            *visits("b", "2026-11-01"),
            bought("b", "2026-11-02", 1),
        ]
    )
    period = {"from_": "2026-11-01", "to": "2026-11-01", "until": "2026-11-03", "return_event": "buy"}
    assert await world.ask("retention_by", "n classic rolling", **period, days="1,2") == [(1, 1, 2), (2, 1, 1)]
    assert await world.ask("retention_bracket", "active", **period, starts="1,2,3") == [(1,), (1,)]


async def test_day_n_agrees_with_the_cohorts(world: World) -> None:
    days = [date(2026, 10, 1) + timedelta(days=i) for i in range(40)]
    actors = {f"u{i}": sorted({days[(i * k * k) % 40] for k in range(1, 6)}) for i in range(1, 40)}
    await world.tell([e for actor, active in actors.items() for e in visits(actor, *map(str, active))])
    cohorts = await world.ask("retention", "n users classic rolling", from_="2026-10-01", to="2026-11-09")
    by_n = await world.ask(
        "retention_by",
        "n users classic rolling",
        from_="2026-10-01",
        to="2026-11-09",
        until="2026-11-09",
        days="1,5,20",
    )
    for n, *counts in by_n:
        same = [row[1:] for row in cohorts if row[0] == n]
        assert counts == [sum(column) for column in zip(*same, strict=True)]
    assert len(by_n) == 3


async def test_brackets(world: World) -> None:
    """Brackets 1-2, 3-6. a comes on day 2, b on days 3 and 6, c on day 7 only; d's second bracket has not ended."""
    await world.tell(
        [
            *visits("a", "2026-11-01", "2026-11-03"),
            *visits("b", "2026-11-01", "2026-11-04", "2026-11-07"),
            *visits("c", "2026-11-01", "2026-11-08"),
            *visits("d", "2026-11-03", "2026-11-06"),
        ]
    )
    given = {"from_": "2026-11-01", "to": "2026-11-30", "until": "2026-11-08", "starts": "1,3,7"}
    assert await world.ask("retention_bracket", "first last bracket users active rate", **given) == [
        (1, 2, "days 1 to 2", 4, 1, 0.25),
        (3, 6, "days 3 to 6", 3, 1, 0.333333),
    ]


async def test_churn(world: World) -> None:
    """Weeks of 26 October, 2, 9 November. a: all but the second; b: the first two; c: the second."""
    await world.tell(
        [
            event("a", "open", "2026-11-01 23:59"),
            event("a", "open", "2026-11-09 00:00"),
            event("b", "open", "2026-10-26 00:00"),
            event("b", "open", "2026-11-08 23:59"),
            event("c", "open", "2026-11-05 10:00"),
            event("z", "open", "2026-10-25 23:59"),  # the week before the one before
        ]
    )
    weeks = {"from_": "2026-11-02", "to": "2026-11-10", "period": "week"}
    assert await world.ask("churn", **weeks) == [("2026-11-02", 2, 1, 0.5, 1), ("2026-11-09", 2, None, None, 0)]
    months = {"from_": "2026-11-01", "to": "2026-11-30", "period": "month"}
    assert await world.ask("churn", **months) == [("2026-11-01", 2, 1, 0.5, 1)]  # z is gone


#: On 30 November, at risk after 14 days, dormant after 30, new for 7, high value from 50.
PEOPLE = [
    event("new", "open", "2026-11-24 10:00"),  # 6 days ago
    event("older", "open", "2026-11-23 10:00"),
    bought("rich", "2026-10-01", 60),
    event("rich", "open", "2026-11-16 10:00"),  # 14 days: not yet at risk
    bought("edge", "2026-11-20", 50),
    bought("back", "2026-10-02", 90),
    event("back", "refund", "2026-10-03 10:00", {"amount": 41}),  # 49 remain
    event("back", "open", "2026-11-30 23:59"),
    bought("risk", "2026-11-15", 80),  # 15 days
    event("limit", "open", "2026-10-31 23:59", channel="ads"),  # 30 days
    event("gone", "open", "2026-10-30 10:00"),  # 31
    event("gone", "open", "2026-10-29 10:00"),
    bought("goner", "2026-09-01", 5),
    event("once", "open", "2026-09-01 10:00"),
    event("gone", "open", "2026-12-01 00:00"),  # after the day
]


async def test_segments(world: World) -> None:
    await world.tell(PEOPLE)
    assert await world.ask("segments", on="2026-11-30") == [
        ("new", 1, 0.1, 0.0, 0),
        ("active", 2, 0.2, 49.0, 0),  # older, back
        ("high_value", 2, 0.2, 110.0, 2),  # rich, edge
        ("at_risk", 2, 0.2, 80.0, 1),  # risk, limit
        ("churned", 3, 0.3, 5.0, 0),  # gone, goner, once
    ]
    assert [row[:3] for row in await world.ask("segments", on="2020-01-01")] == [
        (name, 0, None) for name in ("new", "active", "high_value", "at_risk", "churned")
    ]
    assert await world.ask("users_in_segment", "actor revenue", segment="high_value", on="2026-11-30") == [
        ("rich", 60.0), ("edge", 50.0),
    ]  # fmt: skip


async def test_lists(world: World) -> None:
    await world.tell(PEOPLE)
    assert await world.ask("users_at_risk", on="2026-11-30") == [
        ("risk", "2026-11-15", 15, "2026-11-15", 1, 1, 80.0, ""),
        ("limit", "2026-10-31", 30, "2026-10-31", 1, 0, 0.0, "ads"),
    ]
    assert await world.ask("users_to_win_back", "actor days_away active_days revenue", on="2026-11-30") == [
        ("goner", 90, 1, 5.0), ("gone", 31, 2, 0.0),
    ]  # fmt: skip


async def test_profile(world: World) -> None:
    await world.tell(
        [
            event("a", "open", "2026-11-01 10:00", channel="mail", platform="web", session_id="s1"),
            event("a", "look", "2026-11-02 10:00", channel="ads", platform="ios", session_id="s2"),
            event("a", "look", "2026-11-02 10:01", channel="ads", session_id="s2"),
            bought("a", "2026-11-03", 30),
            bought("a", "2026-11-04", 10),
            event("a", "refund", "2026-11-05 10:00", {"amount": 10}),
            event("b", "look", "2026-11-02 10:01", channel="ads"),
        ]
    )
    names = "active_days sessions events orders revenue average_order last_paid_day first_channel favourite_channel"
    names += " favourite_platform favourite_event segment days_away"
    assert await world.ask("user_profile", names, actor="a", on="2026-11-10") == [
        (5, 2, 6, 2, 30.0, 20.0, "2026-11-04", "mail", "ads", "ios", "buy", "active", 5)
    ]
    assert await world.ask("user_profile", "orders average_order last_paid_day", actor="b", on="2026-11-10") == [
        (0, None, None)
    ]
    assert await world.ask("user_profile", actor="nobody", on="2026-11-10") == []


async def test_rfm(world: World) -> None:
    """Five buyers, each a quintile by himself; e, the last of all, buys as often and much as d."""
    await world.tell(
        [
            bought("a", "2026-11-30", 100), bought("a", "2026-11-29", 1), bought("a", "2026-11-28", 1),
            bought("b", "2026-11-20", 50), bought("b", "2026-11-19", 1),
            bought("c", "2026-11-10", 30),
            bought("d", "2026-11-01", 10),
            bought("e", "2026-10-01", 10),
            bought("f", "2025-10-01", 10),  # before the period
            event("g", "refund", "2026-11-30 10:00", {"amount": 10}),  # no buyer in the period
        ]
    )  # fmt: skip
    # Quintiles of five values lie at 0.8, 1.6, 2.4, 3.2 of 0 to 4. recency_days 0 10 20 29 60, cut at 8 16 23.6 35.2:
    # R = 5 4 3 2 1. orders 3 2 1 1 1, cut at 1 1 1.4 2.2: F = 5 4 1 1 1. money 102 51 30 10 10, cut at 10 22 38.4 61.2:
    # M = 5 4 3 1 1
    period = {"from_": "2025-12-01", "to": "2026-11-30"}
    assert await world.ask("rfm", **period) == [
        ("a", 0, 3, 102.0, 5, 5, 5, "champions"),
        ("b", 10, 2, 51.0, 4, 4, 4, "champions"),
        ("c", 20, 1, 30.0, 3, 1, 3, "need attention"),
        ("d", 29, 1, 10.0, 2, 1, 1, "hibernating"),
        ("e", 60, 1, 10.0, 1, 1, 1, "hibernating"),
    ]
    assert await world.ask("rfm_segments", **period) == [
        ("champions", 2, 0.4, 153.0, 5.0, 2.5),
        ("hibernating", 2, 0.4, 20.0, 44.5, 1.0),
        ("need attention", 1, 0.2, 30.0, 20.0, 1.0),
    ]


@pytest.mark.parametrize("name", ["retention", "retention_by", "retention_bracket", "churn", "users_at_risk"])
async def test_nothing_is_no_rows(world: World, name: str) -> None:
    await world.tell([])
    assert await world.ask(name) == []
