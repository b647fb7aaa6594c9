"""What is not over is left out or NULL, never shown as falling: literal users on both sides of the edge."""

from __future__ import annotations

import pytest

from metrics.side_tables import put
from metrics.world import World, event
from schemas.side_tables import Campaign, Spend

#: By local time of Berlin it is the 25th: the 24th is the last day that is over.
TODAY = {"today": "2026-11-25"}


def bought(actor: str, at: str, amount: float = 10) -> dict[str, object]:
    return event(actor, "buy", at, {"amount": amount})


async def test_retention_of_a_week_that_is_not_over(world: World) -> None:
    """Of two who joined in the week of the 16th one was back in the next, of which two days are over."""
    await world.tell(
        [
            event("a", "join", "2026-11-16 10:00"),
            event("b", "join", "2026-11-17 10:00"),
            event("a", "open", "2026-11-23 10:00"),
        ]
    )
    columns = "cohort n users classic classic_rate rolling_rate whole"
    assert await world.ask("retention", columns, from_="2026-11-16", period="week", **TODAY) == [
        ("2026-11-16", 0, 2, 2, 1.0, 1.0, 1),
        ("2026-11-16", 1, 2, 1, None, None, 0),
    ]


async def test_churn_of_a_week_that_is_not_over(world: World) -> None:
    await world.tell([event("a", "open", "2026-11-16 10:00"), event("b", "open", "2026-11-17 10:00")])
    assert await world.ask("churn", from_="2026-11-23", period="week", **TODAY) == [("2026-11-23", 2, None, None, 0)]


async def test_lifetime_value_of_a_week_that_is_not_over(world: World) -> None:
    await world.tell(
        [event("a", "join", "2026-11-16 10:00"), bought("a", "2026-11-17 10:00"), bought("a", "2026-11-23 10:00")]
    )
    columns = "cohort n revenue ltv whole"
    assert await world.ask("ltv", columns, from_="2026-11-16", **TODAY) == [
        ("2026-11-16", 0, 10.0, 10.0, 1),
        ("2026-11-16", 1, 20.0, None, 0),
    ]


@pytest.mark.parametrize(("joined", "shown"), [("2026-11-17", (1, 1, 1.0)), ("2026-11-18", (1, None, None))])
async def test_users_who_have_not_had_their_seven_days(world: World, joined: str, shown: tuple[object, ...]) -> None:
    """Who joined on the 17th has had seven days by the end of the 24th, who joined on the 18th has not."""
    await world.tell([event("a", "join", f"{joined} 23:59"), bought("a", f"{joined} 23:59")])
    given = {"from_": "2026-11-10", "to": "2026-11-24", **TODAY}
    assert await world.ask("activation", "users activated rate", **given) == [shown]
    within = 1 if shown[1] else 0
    assert [row[0] for row in await world.ask("activation_time", "users", **given)] == [within, 0, 0, 0, 0, 0]
    assert await world.ask("onboarding", "joined", **given) == [(within,)] * 4
    assert await world.ask("acquisition_by_channel", "users paid_rate", **given) == [(1, 1.0)] * within


async def test_value_and_cost_of_users_who_have_not_lived_their_days(world: World) -> None:
    """Spend of 10 on the 17th and 90 on the 18th: a came on the 17th and paid 10, b came on the 18th."""
    spend = [
        {"day": "2026-11-17", "channel": "ads", "amount": "10"},
        {"day": "2026-11-18", "channel": "ads", "amount": "90"},
    ]
    await put(world, *(Spend.model_validate(row) for row in spend))
    await world.tell(
        [
            event("a", "open", "2026-11-17 10:00", channel="ads"),
            bought("a", "2026-11-18 09:00"),
            event("b", "open", "2026-11-18 10:00", channel="ads"),
        ]
    )
    given = {"from_": "2026-11-10", "to": "2026-11-24", **TODAY}
    assert await world.ask("ltv_cac", "channel new_users ltv spend ratio", **given) == [("ads", 1, 10.0, 10.0, 1.0)]
    # Of the users up to the 18th each has had the days 0 to 5 of life by the end of the 24th.
    days = await world.ask("payback", "day recovered", from_="2026-11-10", to="2026-11-18", days=14, **TODAY)
    assert days == [(day, 0.1) for day in range(6)]


async def test_an_operation_that_is_not_over_is_compared_with_as_many_days(world: World) -> None:
    """It runs from the 23rd to the 30th; two days are over. a pays on each day from the 15th on."""
    sale = {"name": "sale", "starts": "2026-11-23", "ends": "2026-11-30", "comparison": "before"}
    await put(world, Campaign.model_validate(sale))
    days = [f"2026-11-{day} 10:00" for day in range(15, 26)]
    await world.tell([event("a", "joinsale", "2026-11-23 09:00", {"sale": "sale"}), *(bought("a", at) for at in days)])
    columns = "ends participants revenue compared_users compared_revenue_per_user extra_revenue returned_rate whole"
    assert await world.ask("campaign_results", columns, **TODAY) == [("2026-11-30", 1, 20.0, 1, 20.0, 0.0, None, 0)]
    # Once it and the seven days after it are over: eight days against eight.
    columns = "revenue compared_revenue_per_user returned_rate whole"
    assert await world.ask("campaign_results", columns, today="2026-12-08") == [(30.0, 80.0, 0.0, 1)]


async def test_a_funnel_is_compared_over_days_whose_users_have_had_their_window(world: World) -> None:
    """Half of each day's two look, and buy a day later: of the 24th's nobody has had the day."""
    events = []
    for day in range(10, 25):
        events += [event(f"{day}{n}", "look", f"2026-11-{day} 12:00") for n in range(2)]
        if day < 24:
            events.append(bought(f"{day}0", f"2026-11-{day + 1} 11:00"))
    await world.tell(events)
    given = {"steps": ["look", "buy"], "within": 86_400, **TODAY}
    columns = "users compare_users from_previous compare_from_previous worst"
    assert await world.ask("funnel_compare", columns, **given) == [
        (12, 12, None, None, 0),
        (6, 6, 0.5, 0.5, 0),
    ]


async def test_an_invitation_that_has_not_had_its_days_is_not_called_refused(world: World) -> None:
    """Invitations have seven days: that of the week of the 23rd has not had them."""
    await world.tell(
        [
            event("a", "invite", "2026-11-09 10:00", {"invite": "1"}),
            event("a", "invite", "2026-11-09 11:00", {"invite": "2"}),
            event("g", "accept", "2026-11-12 10:00", {"invite": "1"}),
            event("h", "accept", "2026-11-16 11:00", {"invite": "2"}),
            event("a", "invite", "2026-11-23 10:00", {"invite": "3"}),
        ]
    )
    columns = "period sent accepted acceptance_rate k_factor"
    assert await world.ask("invitations", columns, from_="2026-11-09", **TODAY) == [
        ("2026-11-09", 2, 2, 1.0, 1.0),
        ("2026-11-16", 0, 0, None, 0.0),
        ("2026-11-23", 1, None, None, None),
    ]
