"""Revenue, worked out by hand."""

from __future__ import annotations

import pytest

from metrics.world import Event, World, event


def bought(actor: str, at: str, amount: float, order: str = "", **fields: str) -> Event:
    return event(actor, "buy", at, {"amount": amount, "order_id": order or f"{actor} {at}"}, **fields)


def returned(actor: str, at: str, amount: float) -> Event:
    return event(actor, "refund", at, {"amount": amount, "order_id": "o"})


SHOP = [
    bought("a", "2026-10-31 23:59", 1000),  # before the period
    bought("a", "2026-11-01 00:00", 19.99),
    bought("a", "2026-11-01 10:00", 0.01, "o2"),
    bought("a", "2026-11-01 10:05", 5, "o2"),  # the second payment of one order
    bought("b", "2026-11-01 23:59", 10),
    returned("a", "2026-11-02 10:00", 19.99),  # the plan's refunds may be written positive
    returned("b", "2026-11-02 11:00", -2),  # or negative
    event("c", "open", "2026-11-02 10:00"),
    event("d", "open", "2026-11-01 10:00"),
    bought("b", "2026-11-04 00:00", 77),  # after it
]


async def test_revenue_by_day(world: World) -> None:
    await world.tell(SHOP)
    assert await world.ask("revenue", from_="2026-11-01", to="2026-11-03") == [
        # gmv, refunds, revenue, orders, buyers, active, arpu, arppu, paying rate, average order
        ("2026-11-01", 35.0, 0.0, 35.0, 3, 2, 3, 11.666667, 17.5, 0.666667, 11.666667, 1),
        ("2026-11-02", 0.0, -21.99, -21.99, 0, 0, 3, -7.33, None, 0.0, None, 1),
        ("2026-11-03", 0.0, 0.0, 0.0, 0, 0, 0, None, None, None, None, 1),
    ]


async def test_revenue_by_week_and_month(world: World) -> None:
    """1 November 2026 is a Sunday: its week began on 26 October."""
    await world.tell(SHOP)
    columns = "period gmv revenue buyers active_users whole"
    assert await world.ask("revenue", columns, from_="2026-11-01", to="2026-11-08", period="week") == [
        ("2026-10-26", 35.0, 35.0, 2, 3, 0),
        ("2026-11-02", 77.0, 55.01, 1, 3, 1),
    ]
    assert await world.ask("revenue", columns, from_="2026-11-01", to="2026-11-30", period="month") == [
        ("2026-11-01", 112.0, 90.01, 2, 4, 1)
    ]


async def test_every_view_has_the_same_revenue(world: World) -> None:
    """By day, by dimension, of segments, of cohorts, of RFM; and `value`, from which live windows take it."""
    await world.tell([event("a", "join", "2026-10-30 10:00"), event("b", "join", "2026-10-30 10:00"), *SHOP])
    period = {"from_": "2026-10-30", "to": "2026-11-30"}
    by_day = await world.ask("revenue", "gmv revenue", **period)
    gmv, revenue = (round(sum(column), 6) for column in zip(*by_day, strict=True))
    assert (gmv, revenue) == (1112.0, 1090.01)
    by_platform = await world.ask("revenue_by", "gmv", **period)
    assert sum(value for (value,) in by_platform) == gmv
    for name, given in (("segments", {"on": "2026-11-30"}), ("rfm_segments", period), ("rfm", period)):
        rows = await world.ask(name, "revenue", **given)
        assert round(sum(value for (value,) in rows), 6) == revenue, name
    cohorts = await world.ask("ltv", "cohort n revenue", **period, period="month")
    assert cohorts == [("2026-10-01", 0, 1000.0), ("2026-10-01", 1, 1090.01)]
    (live,) = await world.sql("SELECT toFloat64(sum(if(event = 'refund', -abs(value), value))) FROM events")
    assert round(live[0], 6) == revenue


async def test_orders_without_an_id_are_orders(world: World) -> None:
    await world.tell([event("a", "buy", "2026-11-01 10:00", {"amount": 1}) for _ in range(3)])
    assert await world.ask("revenue", "orders average_order", from_="2026-11-01", to="2026-11-01") == [(3, 1.0)]


async def test_by_dimension(world: World) -> None:
    await world.tell(
        [
            bought("a", "2026-11-01 10:00", 30, channel="ads"),
            bought("a", "2026-11-01 11:00", 10, channel="mail"),
            bought("b", "2026-11-01 11:00", 0, channel="mail"),
            returned("a", "2026-11-01 12:00", 30),
        ]
    )
    day = {"from_": "2026-11-01", "to": "2026-11-01"}
    assert await world.ask("revenue_by", **day, dimension="channel") == [
        ("ads", 30.0, 0.75, 1, 1, 30.0),
        ("mail", 10.0, 0.25, 2, 2, 5.0),
    ]
    await world.tell([bought("b", "2026-11-01 11:00", 0)])
    assert await world.ask("revenue_by", **day) == [("", 0.0, None, 1, 1, 0.0)]


async def test_repeat_purchases(world: World) -> None:
    """a: two orders, a day and a half apart. b: one, and one before the period. c: two payments of one order."""
    await world.tell(
        [
            bought("a", "2026-11-01 00:00", 1, "o1"),
            bought("a", "2026-11-02 12:00", 1, "o2"),
            bought("b", "2026-10-31 23:59", 1, "o3"),
            bought("b", "2026-11-02 23:59", 1, "o4"),
            bought("c", "2026-11-01 10:00", 1, "o5"),
            bought("c", "2026-11-02 10:00", 1, "o5"),
            bought("d", "2026-10-31 10:00", 1, "o6"),
        ]
    )
    assert await world.ask("repeat_purchase", from_="2026-11-01", to="2026-11-02") == [
        (3, 1, 1, 0.333333, 0.333333, 1.333333, 1.5)
    ]
    assert await world.ask("repeat_purchase", from_="2026-11-01", to="2026-11-01") == [  # nobody ordered twice
        (2, 0, 0, 0.0, 0.0, 1.0, None)
    ]
    assert await world.ask("repeat_purchase", from_="2020-11-01", to="2020-11-02") == [
        (0, 0, 0, None, None, None, None)
    ]


async def test_buyers(world: World) -> None:
    await world.tell(
        [
            bought("a", "2026-11-01 10:00", 10),
            bought("a", "2026-11-01 12:00", 5),
            bought("a", "2026-11-05 12:00", 3),
            returned("a", "2026-11-06 12:00", 4),
            bought("b", "2026-11-02 12:00", 100),
            returned("c", "2026-11-06 12:00", 4),  # bought before the period
            bought("a", "2026-11-11 00:00", 99),  # after it
        ]
    )
    assert await world.ask("buyers", from_="2026-11-01", to="2026-11-10") == [
        ("b", "2026-11-02", "2026-11-02", 1, 0, 0, 8, 100.0, 0.0, 100.0, 100.0, None),
        ("a", "2026-11-01", "2026-11-05", 3, 1, 4, 9, 18.0, -4.0, 14.0, 6.0, 2.0),
    ]


async def test_lifetime_value(world: World) -> None:
    """Cohort of 1 November (a, b): 10 on the day, nothing on the next, 5 - 10 on the third. Of the 3rd (c): nothing."""
    await world.tell(
        [
            bought("a", "2026-11-01 08:00", 500),  # before joining
            event("a", "join", "2026-11-01 09:00"),
            bought("a", "2026-11-01 10:00", 10),
            event("b", "join", "2026-11-01 23:59"),
            bought("b", "2026-11-03 00:00", 5),
            returned("a", "2026-11-03 10:00", 10),
            event("c", "join", "2026-11-03 10:00"),
            bought("x", "2026-11-03 10:00", 900),  # never joined
            bought("b", "2026-11-04 00:00", 70),  # after the period
        ]
    )
    assert await world.ask("ltv", from_="2026-11-01", to="2026-11-03", period="day") == [
        ("2026-11-01", 0, 2, 10.0, 5.0, 1),
        ("2026-11-01", 1, 2, 10.0, 5.0, 1),
        ("2026-11-01", 2, 2, 5.0, 2.5, 1),
        ("2026-11-03", 0, 1, 0.0, 0.0, 1),
    ]
    weeks = await world.ask("ltv", "cohort n revenue whole", from_="2026-11-01", to="2026-11-07", period="week")
    assert weeks == [("2026-10-26", 0, 10.0, 1), ("2026-10-26", 1, 75.0, 0), ("2026-11-02", 0, 0.0, 0)]


async def test_ads(world: World) -> None:
    await world.tell(
        [
            event("a", "ad", "2026-11-01 10:00", {"earned": 0.0021, "ad": "x"}),
            event("a", "ad", "2026-11-01 10:01", {"earned": 0.0009, "ad": "x"}),
            event("b", "ad", "2026-11-01 10:02", {"ad": "y"}),  # one that earned nothing
            event("a", "click", "2026-11-01 10:03", {"ad": "x"}),
            event("c", "open", "2026-11-01 10:00"),
        ]
    )
    assert await world.ask("ad_revenue", from_="2026-11-01", to="2026-11-02") == [
        ("2026-11-01", 3, 1, 0.003, 2, 1.0, 0.333333, 0.001),
        ("2026-11-02", 0, 0, 0.0, 0, None, None, None),
    ]


async def test_coupons(world: World) -> None:
    def with_coupon(actor: str, code: str | None, amount: float) -> Event:
        return event(actor, "buy", "2026-11-01 10:00", {"amount": amount, "coupon": code})

    await world.tell([with_coupon("a", "TEN", 5), with_coupon("a", "TEN", 6), with_coupon("b", None, 7)])
    assert await world.ask("coupon_use", from_="2026-11-01", to="2026-11-01") == [("TEN", 2, 1, 1.0, 0.0, 11.0)]


@pytest.mark.parametrize("name", ["revenue_by", "coupon_use", "ltv", "rfm", "rfm_segments"])
async def test_nothing_is_no_rows(world: World, name: str) -> None:
    await world.tell([])
    assert await world.ask(name) == []
