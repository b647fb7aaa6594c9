"""Acquisition and activation, worked out by hand."""

from __future__ import annotations

from metrics.world import PLAN, World, event
from pipeline.embedded.clickhouse import EmbeddedClickHouse


def bought(actor: str, at: str, amount: float, **fields: str) -> dict[str, object]:
    return event(actor, "buy", at, {"amount": amount}, **fields)


async def test_new_users(world: World) -> None:
    """A user's channel is the first that any event names; one without a registration is new all the same."""
    await world.tell(
        [
            event("a", "open", "2026-11-01 00:00"),
            event("a", "look", "2026-11-01 10:00", channel="ads", campaign="eleven"),
            event("a", "join", "2026-11-02 10:00", channel="mail"),
            event("a", "join", "2026-11-03 10:00"),  # a second registration is none
            event("b", "open", "2026-11-02 23:59", channel="ads"),
            event("c", "join", "2026-10-31 23:59"),  # before the period
            event("c", "open", "2026-11-01 10:00"),
            event("d", "join", "2026-11-02 12:00"),
        ]
    )
    assert await world.ask("new_users", from_="2026-11-01", to="2026-11-03") == [
        ("2026-11-01", "ads", "eleven", 1, 0),
        ("2026-11-02", "", "", 1, 1),
        ("2026-11-02", "ads", "", 1, 0),
        ("2026-11-02", "ads", "eleven", 0, 1),
    ]


async def test_without_a_registration_the_first_event_is_joining(server: EmbeddedClickHouse) -> None:
    plan = PLAN.model_copy(update={"registration": None})
    world = await World(server, plan).open()
    await world.tell([event("a", "open", "2026-11-01 10:00"), event("a", "join", "2026-11-02 10:00")])
    assert await world.ask("new_users", "day new registered", from_="2026-11-01", to="2026-11-03") == [
        ("2026-11-01", 1, 1)
    ]
    await world.close()


async def test_conversion_by_channel(world: World) -> None:
    """Users of ads: a (all of it), b (pays after 7 days), c (nothing). Of mail: d, who came before the period."""
    await world.tell(
        [
            event("a", "open", "2026-11-01 10:00", channel="ads", campaign="x"),
            event("a", "join", "2026-11-01 10:01"),
            bought("a", "2026-11-02 10:00", 20),
            bought("a", "2026-11-03 10:00", 5.5, channel="mail"),  # another touch doesn't move the user
            event("a", "refund", "2026-11-04 10:00", {"amount": -5.5}),
            event("b", "open", "2026-11-02 10:00", channel="ads", campaign="y"),
            bought("b", "2026-11-09 10:00", 99),  # 168 hours later: the time is over
            event("c", "open", "2026-11-03 23:59", channel="ads", campaign="x"),
            event("d", "open", "2026-10-31 23:59", channel="mail"),
            bought("d", "2026-11-01 10:00", 10),
        ]
    )
    columns = "channel campaign users registered activated paid paid_rate revenue"
    period = {"from_": "2026-11-01", "to": "2026-11-03"}
    assert await world.ask("acquisition_by_channel", columns, **period) == [("ads", "", 3, 1, 1, 1, 0.333333, 20.0)]
    assert await world.ask("acquisition_by_channel", columns, **period, by_campaign=1) == [
        ("ads", "x", 2, 1, 1, 1, 0.5, 20.0),
        ("ads", "y", 1, 0, 0, 0, 0.0, 0.0),
    ]
    assert await world.ask("acquisition_by_channel", from_="2025-11-01", to="2025-11-03") == []


async def test_attribution(world: World) -> None:
    await world.tell(
        [
            event("a", "open", "2026-10-01 10:00", channel="old"),  # 31 days before the payment
            event("a", "open", "2026-10-20 10:00", channel="ads"),
            event("a", "open", "2026-10-30 10:00", channel="mail"),
            event("a", "look", "2026-10-31 10:00"),
            bought("a", "2026-11-01 10:00", 10),
            event("a", "open", "2026-11-01 10:01", channel="social"),  # after the payment
            bought("b", "2026-11-01 23:59", 7, channel="mail"),  # the payment itself is a touch
            bought("c", "2026-11-01 12:00", 3),
            bought("c", "2026-11-02 00:00", 100),  # after the period
        ]
    )
    assert await world.ask("attribution", from_="2026-11-01", to="2026-11-01") == [
        ("mail", 1, 7.0, 2, 17.0),
        ("ads", 1, 10.0, 0, 0.0),
        ("(none)", 1, 3.0, 1, 3.0),
    ]
    assert (await world.ask("attribution", from_="2026-11-01", to="2026-11-01", lookback=60))[1] == (
        "old", 1, 10.0, 0, 0.0,
    )  # fmt: skip


async def test_activation(world: World) -> None:
    """a after 2 hours, b at once (and before joining), c after 7 days, d never; the 25-hour day is no 24 hours."""
    await world.tell(
        [
            event("a", "join", "2026-10-24 12:00"),
            bought("a", "2026-10-24 14:00", 1),
            bought("b", "2026-10-24 11:00", 1),
            event("b", "join", "2026-10-24 12:00"),
            event("c", "join", "2026-10-24 12:00"),
            bought("c", "2026-10-31 11:00", 1),  # 168 hours: the day of 25 hours is among them
            event("d", "join", "2026-10-24 12:00"),
            event("e", "join", "2026-10-26 12:00"),
            event("f", "open", "2026-10-26 12:00"),  # never joined
        ]
    )
    assert await world.ask("activation", from_="2026-10-24", to="2026-10-26") == [
        ("2026-10-24", 4, 2, 0.5, 1.0, 1.8),
        ("2026-10-26", 1, 0, 0.0, None, None),
    ]
    assert await world.ask("activation_time", from_="2026-10-24", to="2026-10-26") == [
        ("1 hour", 1, 0.2, 0.2),
        ("1 day", 1, 0.2, 0.4),
        ("3 days", 0, 0.0, 0.4),
        ("7 days", 0, 0.0, 0.4),
        ("later", 1, 0.2, 0.6),
        ("not yet", 2, 0.4, None),
    ]
    assert (await world.ask("activation_time", from_="2020-10-24", to="2020-10-26"))[0] == ("1 hour", 0, None, None)


async def test_onboarding(world: World) -> None:
    """The steps: open, seen a shoe, buy. a does all, b the third and not the second, c nothing in time."""
    await world.tell(
        [
            event("a", "open", "2026-11-01 09:00"),  # before joining
            event("a", "join", "2026-11-01 10:00"),
            event("a", "look", "2026-11-01 12:00", {"category": "shoes"}),
            bought("a", "2026-11-01 14:00", 1),
            event("b", "join", "2026-11-01 10:00"),
            event("b", "open", "2026-11-01 10:00"),
            event("b", "look", "2026-11-01 12:00", {"category": "hats"}),
            bought("b", "2026-11-01 12:00", 1),
            event("c", "join", "2026-11-01 10:00"),
            event("c", "open", "2026-11-08 10:00"),
            event("d", "open", "2026-11-01 10:00"),
        ]
    )
    assert await world.ask("onboarding", from_="2026-11-01", to="2026-11-01") == [
        (1, "open", 3, 2, 0.666667, 0.0),
        (2, "seen a shoe", 3, 1, 0.333333, 2.0),
        (3, "buy", 3, 2, 0.666667, 3.0),
        (0, "all steps", 3, 1, 0.333333, 4.0),
    ]
    assert (await world.ask("onboarding", from_="2020-11-01", to="2020-11-01"))[0] == (1, "open", 0, 0, None, None)
