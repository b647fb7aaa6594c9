"""Every kind of metric follows a person through the login: as a visitor first, as a user afterwards."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from metrics.side_tables import put
from metrics.world import PLAN, World, event, link, visit
from pipeline.queries.funnel_period import funnel_period_sql, funnel_rows
from schemas.side_tables import ContentItem

LINKS = [link("d1", "u1")]
BUY = {"amount": 10}


async def test_who_logs_in_on_a_day_is_one_of_its_users(world: World) -> None:
    rows = [visit("d1", "open", "2026-11-10 10:00"), event("u1", "open", "2026-11-10 11:00"),
            event("u2", "open", "2026-11-10 12:00")]  # fmt: skip
    for links, users in (([], 3), (LINKS, 2)):
        await world.tell(rows, links)
        assert await world.ask("active_users_daily", "users events", from_="2026-11-10", to="2026-11-10") == [
            (users, 3)
        ]


async def test_new_users_are_new_at_their_first_visit(world: World) -> None:
    await world.tell(
        [
            visit("d1", "open", "2026-11-01 10:00", channel="ads"),
            event("u1", "join", "2026-11-02 10:00", channel="mail"),
        ],
        LINKS,
    )
    assert await world.ask("new_users", from_="2026-11-01", to="2026-11-02") == [
        ("2026-11-01", "ads", "", 1, 0),
        ("2026-11-02", "ads", "", 0, 1),
    ]


STEPS = [
    visit("d1", "look", "2026-11-10 10:00"), event("u1", "cart", "2026-11-10 10:05"),
    visit("d1", "buy", "2026-11-10 10:10", BUY), visit("d2", "look", "2026-11-10 10:00"),
]  # fmt: skip


async def test_a_funnel_begins_as_a_visitor_and_ends_as_a_user(world: World) -> None:
    await world.tell(STEPS, LINKS)
    rows = await world.ask(
        "funnel", "users", from_="2026-11-10", to="2026-11-10", steps=["look", "cart", "buy"], within=86_400
    )
    assert rows == [(2,), (1,), (1,)]


async def test_so_does_a_funnel_of_the_plan(world: World) -> None:
    await world.tell(STEPS, LINKS)
    first, end = (int(datetime(2026, 11, day, tzinfo=UTC).timestamp() * 1000) for day in (10, 11))
    (row,) = funnel_rows(await world.sql(funnel_period_sql(PLAN, PLAN.funnels["buying"], first, end)))
    assert row.users == (2, 1, 1)
    assert [round(ms or 0, -4) for ms in row.median_ms[1:]] == [300_000, 300_000]  # within 1 %


async def test_the_published_funnel_with_merged_people(world: World) -> None:
    """PostHog's ordered funnel: who signed up, paid, watched: 4, 2, 1. One of them signed up before the login.

    The events and the counts are those of `test_funnel_events` in posthog/hogql_queries/insights/funnels/test/
    test_funnel.py (and before it posthog/queries/test/test_funnel.py) of github.com/PostHog/posthog, MIT licence.
    """

    def did(actor: str, *names: str) -> list[dict[str, object]]:
        make = visit if actor == "had_anonymous_id" else event
        hours = 2 if actor == "completed_movie" else 1
        return [
            make(actor, name, f"2026-11-10 {hours + i:02}:00", BUY if name == "buy" else None)
            for i, name in enumerate(names)
        ]

    await world.tell(
        [
            *did("stopped_after_signup", "join"), *did("stopped_after_pay", "join", "buy"),
            *did("had_anonymous_id", "join"), *did("completed_movie", "buy", "read"),
            *did("just_did_movie", "read"), *did("wrong_order", "buy", "join", "read"),
        ],
        [link("had_anonymous_id", "completed_movie")],
    )  # fmt: skip
    rows = await world.ask(
        "funnel", "users", from_="2026-11-10", to="2026-11-10", steps=["join", "buy", "read"], within=14 * 86_400
    )
    assert rows == [(4,), (2,), (1,)]


async def test_who_comes_back_without_logging_in_has_come_back(world: World) -> None:
    rows = [event("u1", "join", "2026-11-02 10:00"), visit("d1", "open", "2026-11-03 10:00")]
    for links, back in (([], 0), (LINKS, 1)):
        await world.tell(rows, links)
        found = await world.ask("retention", "cohort n users classic", from_="2026-11-02", to="2026-11-03")
        assert found == [("2026-11-02", 0, 1, 1), ("2026-11-02", 1, 1, back)]
    by = await world.ask(
        "retention_by", "n users classic", from_="2026-11-02", to="2026-11-02", until="2026-11-03", days=[1]
    )
    assert by == [(1, 1, 1)]


async def test_a_payment_is_owed_to_what_the_visitor_touched(world: World) -> None:
    rows = [
        visit("d1", "open", "2026-11-01 10:00", channel="ads"),
        event("u1", "open", "2026-11-02 10:00", channel="mail"),
        event("u1", "buy", "2026-11-03 10:00", BUY),
    ]
    await world.tell(rows, LINKS)
    assert await world.ask("attribution", from_="2026-11-01", to="2026-11-03") == [
        ("ads", 1, 10.0, 0, 0.0),
        ("mail", 0, 0.0, 1, 10.0),
    ]


async def test_segments_know_the_whole_life(world: World) -> None:
    """New by the user's own events, of high value by all: the visitor came weeks before."""
    rows = [visit("d1", "open", "2026-11-01 10:00"), event("u1", "buy", "2026-11-20 10:00", {"amount": 60})]
    await world.tell(rows, LINKS)
    assert await world.ask("segments", "segment users", on="2026-11-20") == [
        ("new", 0), ("active", 0), ("high_value", 1), ("at_risk", 0), ("churned", 0),
    ]  # fmt: skip
    assert await world.ask("users_in_segment", "actor first_day revenue", segment="high_value", on="2026-11-20") == [
        ("u1", "2026-11-01", 60.0)
    ]


async def test_an_experiment_met_as_a_visitor_is_won_as_a_user(world: World) -> None:
    """And who meets one variant before the login and another after it, was in both."""
    met = {"experiment": "e", "variant": "control"}
    rows = [
        visit("d1", "see", "2026-11-10 10:00", met), event("u1", "buy", "2026-11-10 11:00", BUY),
        visit("d2", "see", "2026-11-10 10:00", met), event("u2", "see", "2026-11-10 11:00", {**met, "variant": "b"}),
    ]  # fmt: skip
    await world.tell(rows, [*LINKS, link("d2", "u2")])
    found = await world.ask("experiment_results", "variant users converted", from_="2026-11-10", to="2026-11-10")
    assert found == [("control", 1, 1), ("(several)", 1, 0)]
    sizes = await world.ask(
        "experiment_allocation", "variant users also_in_another", from_="2026-11-10", to="2026-11-10"
    )
    assert sizes == [("control", 2, 1)]


@pytest.mark.parametrize("session", ["s1", ""])
async def test_a_session_goes_on_through_the_login(world: World, session: str) -> None:
    rows = [
        visit("d1", "open", "2026-11-10 10:00", session_id=session),
        visit("d1", "look", "2026-11-10 10:01", session_id=session),
        event("u1", "cart", "2026-11-10 10:02", session_id=session),
    ]
    await world.tell(rows, LINKS)
    span = {"from_": "2026-11-10", "to": "2026-11-10"}
    assert await world.ask("paths_from", "path sessions users", **span) == [("open → look → cart", 1, 1)]
    assert await world.ask("sessions_daily", "sessions users median_seconds", **span) == [(1, 1, 120.0)]


async def test_lifetime_value_is_what_the_person_paid(world: World) -> None:
    rows = [
        event("u1", "join", "2026-11-02 10:00"), event("u1", "buy", "2026-11-02 11:00", BUY),
        visit("d1", "buy", "2026-11-03 10:00", {"amount": 5}),
    ]  # fmt: skip
    await world.tell(rows, LINKS)
    found = await world.ask("ltv", "n users revenue ltv", from_="2026-11-02", to="2026-11-03", period="day")
    assert found == [(0, 1, 10.0, 10.0), (1, 1, 15.0, 15.0)]
    assert await world.ask("buyers", "actor orders gmv", from_="2026-11-02", to="2026-11-03") == [("u1", 2, 15.0)]
    assert await world.ask("rfm", "actor orders revenue", from_="2026-11-02", to="2026-11-03") == [("u1", 2, 15.0)]


async def test_an_activation_on_the_other_side_of_the_login_counts(world: World) -> None:
    rows = [event("u1", "join", "2026-11-02 10:00"), visit("d1", "buy", "2026-11-02 12:00", BUY)]
    await world.tell(rows, LINKS)
    found = await world.ask(
        "activation", "users activated median_hours", from_="2026-11-02", to="2026-11-02", days=7, until="2026-11-30"
    )
    assert found == [(1, 1, 2.0)]


async def test_a_profile_is_found_by_any_id(aliased: World) -> None:
    rows = [visit("d1", "open", "2026-11-01 10:00", platform="web"), event("u0", "buy", "2026-11-02 10:00", BUY),
            event("u1", "open", "2026-11-03 10:00"), event("u2", "open", "2026-11-03 10:00")]  # fmt: skip
    await aliased.tell(rows, [link("d1", "u0"), link("u0", "u1", kind="alias")])
    for id_ in ("d1", "u0", "u1"):
        found = await aliased.ask("user_profile", "actor events orders favourite_platform", actor=id_, on="2026-11-03")
        assert found == [("u1", 3, 1, "web")]
    assert await aliased.ask("user_profile", "actor events", actor="u2", on="2026-11-03") == [("u2", 1)]
    assert await aliased.ask("user_profile", "actor events", actor="nobody", on="2026-11-03") == []


async def test_who_invited_before_the_login_is_the_user(world: World) -> None:
    rows = [
        visit("d1", "invite", "2026-11-10 10:00", {"invite": "i1"}),
        visit("d2", "accept", "2026-11-10 11:00", {"invite": "i1"}), event("u2", "buy", "2026-11-10 12:00", BUY),
    ]  # fmt: skip
    await world.tell(rows, [*LINKS, link("d2", "u2")])
    span = {"from_": "2026-11-10", "to": "2026-11-10"}
    assert await world.ask("top_inviters", "inviter brought buyers revenue", **span) == [("u1", 1, 1, 10.0)]
    assert await world.ask("invitation_chains", "depth users inviters", **span) == [(1, 1, 1)]


async def test_what_a_device_made_its_user_made(world: World) -> None:
    """By an event of the device, and by the id that a file names."""
    rows = [
        visit("d1", "write", "2026-11-10 10:00", {"item": "a"}),
        event("u2", "look", "2026-11-10 11:00", {"item_id": "a"}),
        event("u2", "look", "2026-11-10 12:00", {"item_id": "b"}),
    ]
    await world.tell(rows, LINKS)
    await put(
        world, ContentItem(item="b", title="B", creator="$device:d1", published=datetime(2026, 11, 1, tzinfo=UTC))
    )
    found = await world.ask("content_creators", "creator items views readers", from_="2026-11-10", to="2026-11-10")
    await put(world)
    assert found == [("u1", 1, 2, 1)]
