"""What users cost and bring back, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from metrics.side_tables import put
from metrics.world import World, event
from schemas.side_tables import Spend

DAYS = {"from_": "2026-11-01", "to": "2026-11-03"}


def bought(actor: str, at: str, amount: float, **fields: str) -> dict[str, Any]:
    return event(actor, "buy", at, {"amount": amount}, **fields)


def spent(day: str, channel: str, amount: str, **more: Any) -> Spend:
    return Spend.model_validate({"day": day, "channel": channel, "amount": amount, **more})


SPEND = [
    spent("2026-10-31", "ads", "1000", campaign="x"),
    spent("2026-11-01", "ads", "20", campaign="x", impressions=1000, clicks=10),
    spent("2026-11-03", "ads", "10", campaign="y", impressions=500),
    spent("2026-11-04", "ads", "1000", campaign="x"),
    spent("2026-11-02", "tv", "50", impressions=9),
]
#: Ads bring a, b (campaign x) and c (y); mail brings d. z was there before.
EVENTS = [
    event("z", "open", "2026-10-31 23:59", channel="ads", campaign="x"),
    bought("z", "2026-11-01 10:00", 500),
    event("a", "open", "2026-11-01 00:00", channel="ads", campaign="x"),
    event("a", "join", "2026-11-01 00:01"),
    bought("a", "2026-11-01 10:00", 24, channel="mail"),  # another channel later: still of ads
    event("a", "refund", "2026-11-03 23:59", {"amount": -4}),
    event("b", "open", "2026-11-02 10:00", channel="ads", campaign="x"),
    event("b", "join", "2026-11-04 00:00"),  # after the period
    bought("b", "2026-11-04 00:00", 70),
    event("c", "open", "2026-11-03 23:59", channel="ads", campaign="y"),
    event("d", "join", "2026-11-02 10:00", channel="mail"),
    bought("d", "2026-11-02 11:00", 8),
]


async def test_cost_of_acquisition(world: World) -> None:
    await put(world, *SPEND)
    await world.tell(EVENTS)
    columns = "channel campaign spend new_users cac registered cost_per_registration paying cost_per_buyer revenue roas"
    assert await world.ask("acquisition_cost", columns, **DAYS) == [
        ("tv", "", 50.0, 0, None, 0, None, 0, None, 0.0, 0.0),
        ("ads", "", 30.0, 3, 10.0, 1, 30.0, 1, 30.0, 20.0, 0.666667),
        ("mail", "", None, 1, None, 1, None, 1, None, 8.0, None),  # without spend it isn't free
    ]
    assert await world.ask("acquisition_cost", columns, **DAYS, by_campaign=1) == [
        ("tv", "", 50.0, 0, None, 0, None, 0, None, 0.0, 0.0),
        ("ads", "x", 20.0, 2, 10.0, 1, 20.0, 1, 20.0, 20.0, 1.0),
        ("ads", "y", 10.0, 1, 10.0, 0, None, 0, None, 0.0, 0.0),
        ("mail", "", None, 1, None, 1, None, 1, None, 8.0, None),
    ]
    columns = "channel impressions clicks ctr cpc cpm"
    assert await world.ask("acquisition_cost", columns, **DAYS) == [
        ("tv", 9, 0, 0.0, None, 5555.555556),
        ("ads", 1500, 10, 0.006667, 3.0, 20.0),
        ("mail", 0, 0, None, None, None),
    ]
    assert await world.ask("acquisition_cost", from_="2026-01-01", to="2026-01-02") == []


async def test_spend_of_nothing(world: World) -> None:
    await put(world, spent("2026-11-01", "ads", "0"))
    await world.tell([event("a", "open", "2026-11-01 10:00", channel="ads")])
    assert await world.ask("acquisition_cost", "spend cac roas", **DAYS) == [(0.0, 0.0, None)]


async def test_currencies_are_not_added_up(world: World) -> None:
    await put(
        world,
        spent("2026-11-01", "ads", "1", currency="EUR"),
        spent("2026-11-01", "tv", "1"),
        spent("2026-11-04", "ads", "1", currency="USD"),
    )
    await world.tell([])
    assert len(await world.ask("acquisition_cost", **DAYS)) == 2  # not said is no other one
    for name in ("acquisition_cost", "channel_quality", "ltv_cac", "payback"):
        with pytest.raises(DatabaseError, match="spend is in several currencies"):
            await world.ask(name, from_="2026-11-01", to="2026-11-04")


async def test_lifetime_value_against_cost(world: World) -> None:
    """Of ads, in 2 days of life: a pays 24 (the refund comes later), b 70 after 38 hours: (24 + 70) / 3."""
    await put(world, *SPEND)
    await world.tell(EVENTS)
    assert await world.ask("ltv_cac", **DAYS, days=2) == [
        ("ads", 3, 31.333333, 30.0, 10.0, 3.133333),
        ("mail", 1, 8.0, None, None, None),
    ]
    assert await world.ask("ltv_cac", from_="2026-01-01", to="2026-01-02") == []


async def test_payback(world: World) -> None:
    """Ads cost 30: 24 come back on day 0, 70 on day 1 (b), and -4 on day 2. TV never brings anybody."""
    await put(world, *SPEND)
    await world.tell(EVENTS)
    assert await world.ask("payback", **DAYS, days=3) == [
        ("ads", 0, 3, 10.0, 8.0, 0.8, 1),
        ("ads", 1, 3, 10.0, 31.333333, 3.133333, 1),
        ("ads", 2, 3, 10.0, 30.0, 3.0, 1),
        ("ads", 3, 3, 10.0, 30.0, 3.0, 1),
        ("tv", 0, 0, None, None, 0.0, None),
        ("tv", 1, 0, None, None, 0.0, None),
        ("tv", 2, 0, None, None, 0.0, None),
        ("tv", 3, 0, None, None, 0.0, None),
    ]
    await put(world)
    assert await world.ask("payback", **DAYS) == []


async def test_channels_by_who_stays(world: World) -> None:
    """Of ads b comes back the day after (the fourth), a not before the third; in 2 days of life a pays 24, b 70."""
    await put(world, *SPEND)
    await world.tell([*EVENTS, event("b", "open", "2026-11-03 09:00"), event("d", "open", "2026-11-04 09:00")])
    columns = "channel new_users next_day_rate retained_rate paid_rate ltv spend cac roi"
    assert await world.ask("channel_quality", columns, **DAYS, days=2) == [
        ("ads", 3, 0.333333, 0.666667, 0.666667, 31.333333, 30.0, 10.0, 2.133333),
        ("mail", 1, 0.0, 1.0, 1.0, 8.0, None, None, None),
    ]
    # Who has not had the time by then is left out, and what was spent on their days.
    rows = await world.ask("channel_quality", "channel new_users spend", **DAYS, days=2, until="2026-11-03")
    assert rows == [("ads", 1, 20.0)]
    assert await world.ask("channel_quality", from_="2026-01-01", to="2026-01-02") == []
