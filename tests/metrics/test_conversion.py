"""Funnels and paths, worked out by hand, and against the plan's funnels counted by `pipeline.measure`."""

from __future__ import annotations

import random

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from metrics.world import PLAN, Event, World, event
from pipeline.errors import UserError
from pipeline.queries.funnel import cell_of, funnel_sql
from pipeline.queries.plan_funnels import funnel_query
from schemas.plan import Funnel, Step

STEPS = ["look", "cart", "buy"]
DAY = {"from_": "2026-11-01", "to": "2026-11-01", "steps": STEPS, "within": 3600}


def way(actor: str, day: str, *moments: str, **fields: str) -> list[Event]:
    """`look 10:00`, `cart 10:05`: one event each."""
    return [event(actor, name, f"{day} {at}", **fields) for name, at in (m.split() for m in moments)]


async def test_funnel(world: World) -> None:
    await world.tell(
        [
            # The way that leads on began at 10:10: 10:10, 10:20, 10:50.
            *way("a", "2026-11-01", "look 10:00", "look 10:10", "cart 10:20", "buy 10:50", "buy 10:55"),
            *way("b", "2026-11-01", "look 10:00", "cart 10:10", "buy 11:01"),  # 61 minutes
            *way("c", "2026-11-01", "cart 10:00", "look 10:10", "buy 10:20"),  # out of order
            *way("d", "2026-11-01", "look 23:50"),  # and goes on the next day: within the time
            *way("d", "2026-11-02", "cart 00:10"),
            *way("e", "2026-11-02", "look 00:00", "cart 00:10", "buy 00:20"),  # began after the period
            *way("f", "2026-11-01", "buy 10:00"),
        ]
    )
    assert await world.ask("funnel", **DAY) == [
        (1, "look", 4, 1.0, None, 0, None, None),
        (2, "cart", 3, 0.75, 0.75, 1, 600.0, 1080.0),  # 10, 10, 20 minutes
        (3, "buy", 1, 0.25, 0.333333, 2, 1800.0, 1800.0),
    ]
    two = DAY | {"steps": "look,cart", "within": 700}
    assert await world.ask("funnel", "users", **two) == [(4,), (2,)]
    # a: 10:10 to 10:50, of the window of an hour the 7th tenth (36 to 42 minutes)
    assert [row for row in await world.ask("conversion_time", **DAY) if row[1]] == [(2520.0, 1, 1.0, 1.0)]


async def test_funnel_of_nobody(world: World) -> None:
    await world.tell([])
    assert await world.ask("funnel", **DAY) == [
        (1, "look", 0, None, None, 0, None, None),
        (2, "cart", 0, None, None, 0, None, None),
        (3, "buy", 0, None, None, 0, None, None),
    ]
    assert await world.ask("funnel_by", **DAY) == []
    assert (await world.ask("conversion_time", **DAY))[9] == (3600.0, 0, None, None)
    with pytest.raises(UserError, match="funnel takes at most 8 steps"):
        await world.ask("funnel", steps=["look"] * 9)
    await world.tell(way("a", "2026-11-01", "look 10:00"))
    with pytest.raises(DatabaseError, match="a funnel has at most 8 steps"):
        steps = ", ".join(["'look'"] * 9)
        await world.sql(f"SELECT * FROM funnel(from = '2026-11-01', to = '2026-11-01', steps = [{steps}], within = 60)")


async def test_by_dimension(world: World) -> None:
    """b begins on the web and goes on on ios: a user of the web."""
    await world.tell(
        [
            *way("a", "2026-11-01", "look 10:00", "cart 10:10", platform="ios"),
            *way("b", "2026-11-01", "look 10:00", platform="web"),
            *way("b", "2026-11-01", "look 10:05", "cart 10:10", "buy 10:20", platform="ios"),
            *way("c", "2026-11-01", "look 10:00", platform="web"),
        ]
    )
    columns = "value event users from_first from_previous median_seconds"
    assert await world.ask("funnel_by", columns, **DAY, dimension="platform") == [
        ("web", "look", 2, 1.0, None, None),
        ("web", "cart", 1, 0.5, 0.5, 300.0),
        ("web", "buy", 1, 0.5, 1.0, 600.0),
        ("ios", "look", 1, 1.0, None, None),
        ("ios", "cart", 1, 1.0, 1.0, 600.0),
        ("ios", "buy", 0, 0.0, 0.0, None),
    ]


async def test_worst_step(world: World) -> None:
    """Before: 4 look, 4 cart, 2 buy. Now: 4 look, 2 cart, 1 buy: from look to cart is worse, to buy the same."""
    events = []
    for i in range(4):
        events += way(f"b{i}", "2026-10-31", "look 10:00", "cart 10:10", *["buy 10:20"] * (i < 2))
        events += way(f"n{i}", "2026-11-01", "look 10:00", *["cart 10:10"] * (i < 2), *["buy 10:20"] * (i < 1))
    await world.tell(events)
    # z of the second step: 0.5 / sqrt(0.75 * 0.25 * (1/4 + 1/4)) = 1.632993, two-sided 0.102470
    assert await world.ask("funnel_compare", **DAY) == [
        (1, "look", 4, 4, None, None, None, 0.0, None, 0),
        (2, "cart", 2, 4, 0.5, 1.0, -0.5, 2.0, 0.10247, 1),
        (3, "buy", 1, 2, 0.5, 0.5, 0.0, 0.0, 1.0, 0),
    ]
    nobody = await world.ask("funnel_compare", "users compare_users change p_value worst", **DAY | {"to": "2026-11-01"},
                             compare_from="2020-01-01", compare_to="2020-01-02")  # fmt: skip
    assert nobody == [(4, 0, None, None, 0), (2, 0, None, None, 0), (1, 0, None, None, 0)]


@pytest.mark.parametrize(
    ("steps", "within"),
    [
        (["look", "cart", "buy"], 86_400),
        (["look", "look", "buy"], 3_600),  # an event that is two steps
        (["look", "cart", "look", "buy"], 7_200),
        (["look", "cart", "buy"], 60),
        (["open", "look", "cart", "buy", "open", "look", "cart", "buy"], 86_400),
    ],
)
async def test_the_plans_funnels_agree(world: World, steps: list[str], within: int) -> None:
    """Users, and the times between steps, of 300 random users: as `verify` counts the live funnels."""
    rng = random.Random(7)
    events = []
    for i in range(300):
        minutes = rng.choice([60, 960])  # close together: many events at one time
        for _ in range(rng.randint(1, 12)):
            name = rng.choice(["look", "look", "cart", "buy", "open"])
            minute = rng.randrange(minutes)
            events.append(event(f"u{i}", name, f"2026-11-01 {8 + minute // 60:02}:{minute % 60:02}"))
    await world.tell(events)
    funnel = Funnel(steps=tuple(Step(event=name) for name in steps), window=within * 1000)
    source = "(SELECT * REPLACE (toUnixTimestamp64Milli(ts) AS ts) FROM events WHERE NOT late)"
    (row,) = await world.sql(funnel_sql(funnel_query(PLAN, funnel, "", source)))
    users, sums, bins = row[2], row[3], row[4]
    day = {"from_": "2026-11-01", "to": "2026-11-01", "steps": steps, "within": within}
    rows = await world.ask("funnel", "users median_seconds", **day)
    assert [count for count, _ in rows] == list(users)
    cell = cell_of(users, sums, bins)
    for times, (count, median) in zip(cell.times, rows[1:], strict=True):
        assert median == (pytest.approx(times.quantile(0.5) / 1000, rel=0.02) if count else None)
    call = f"funnel_users(from = '2026-11-01', to = '2026-11-01', steps = {steps}, within = {within}, dimension = '')"
    waits = "sumForEach(arrayPopFront(arrayDifference(chain)))"
    ((total,),) = await world.sql(f"SELECT {waits} FROM {world.settings.clickhouse_database}.{call}")
    assert list(total) == list(sums)[: len(total)]


VISITS = [
    *way("a", "2026-11-01", "open 10:00", "look 10:01", "look 10:02", "cart 10:03", "buy 10:04", session_id="1"),
    *way("a", "2026-11-01", "open 12:00", "look 12:01", "cart 12:02", "look 12:03", session_id="2"),
    *way("b", "2026-11-01", "open 10:00", "look 10:10", "cart 10:20", "open 11:00", "look 11:01"),  # a pause of 40'
    *way("c", "2026-11-02", "open 00:00", session_id="1"),  # after the period
]
SESSIONS = {"from_": "2026-11-01", "to": "2026-11-01"}


async def test_paths_from(world: World) -> None:
    await world.tell(VISITS)
    assert await world.ask("paths_from", **SESSIONS, start="look", depth=2) == [
        ("look → (end)", 1, 1, 0.25),
        ("look → cart → (end)", 1, 1, 0.25),
        ("look → cart → buy", 1, 1, 0.25),
        ("look → cart → look", 1, 1, 0.25),
    ]
    assert await world.ask("paths_from", **SESSIONS, depth=2) == [("open → look", 4, 2, 1.0)]
    assert (await world.ask("paths_from", **SESSIONS, start="look", depth=1, collapse=0))[1:] == [
        ("look → (end)", 1, 1, 0.25),
        ("look → look", 1, 1, 0.25),
    ]
    assert await world.ask("paths_from", **SESSIONS, start="nothing") == []


async def test_paths_to(world: World) -> None:
    await world.tell(VISITS)
    assert await world.ask("paths_to", **SESSIONS, target="cart", depth=1) == [("look → cart", 3, 2, 1.0)]
    assert await world.ask("paths_to", **SESSIONS, target="buy", depth=4) == [
        ("(start) → open → look → cart → buy", 1, 1, 1.0)
    ]
    assert await world.ask("paths_to", **SESSIONS, target="nothing") == []


async def test_transitions(world: World) -> None:
    await world.tell(VISITS)
    assert await world.ask("transitions", **SESSIONS) == [
        ("(start)", "open", 4, 2, 1.0),
        ("buy", "(end)", 1, 1, 1.0),
        ("cart", "(end)", 1, 1, 0.333333),
        ("cart", "buy", 1, 1, 0.333333),
        ("cart", "look", 1, 1, 0.333333),
        ("look", "cart", 3, 2, 0.6),
        ("look", "(end)", 2, 2, 0.4),
        ("open", "look", 4, 2, 1.0),
    ]


async def test_instead_of_the_next_step(world: World) -> None:
    """Of the three sessions with cart one has buy after it; one went back to look, one ended."""
    await world.tell(VISITS)
    assert await world.ask("instead_of", **SESSIONS, step="cart", next="buy") == [
        ("(end)", 1, 1, 0.5),
        ("look", 1, 1, 0.5),
    ]
    assert await world.ask("instead_of", **SESSIONS, step="buy", next="nothing") == [("(end)", 1, 1, 1.0)]
