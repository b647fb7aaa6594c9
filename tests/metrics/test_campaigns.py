"""Operations and invitations, worked out by hand."""

from __future__ import annotations

from typing import Any

from metrics.side_tables import put
from metrics.world import World, event
from schemas.side_tables import Campaign

NOVEMBER = {"from_": "2026-11-01", "to": "2026-11-30"}


def bought(actor: str, at: str, amount: float, **properties: Any) -> dict[str, Any]:
    return event(actor, "buy", at, {"amount": amount, **properties})


def joined(actor: str, at: str, sale: str) -> dict[str, Any]:
    return event(actor, "joinsale", at, {"sale": sale})


def operation(name: str, starts: str, ends: str, **more: Any) -> Campaign:
    return Campaign.model_validate({"name": name, "starts": starts, "ends": ends, **more})


async def test_an_operation_against_others(world: World) -> None:
    """The sale is on 10 and 11 November, Berlin time. Taking part: a (30 - 6 paid), b (nothing), c (20)."""
    await put(world, operation("sale", "2026-11-10", "2026-11-11", kind="sale", cost="10"))
    await world.tell(
        [
            joined("a", "2026-11-10 00:00", "sale"),
            joined("a", "2026-11-10 09:00", "sale"),
            bought("a", "2026-11-09 23:59", 500),  # the day before
            bought("a", "2026-11-10 10:00", 30),
            event("a", "refund", "2026-11-11 23:59", {"amount": -6}),
            bought("a", "2026-11-12 00:00", 700),  # the day after; but she came back
            joined("b", "2026-11-11 23:59", "sale"),
            event("b", "open", "2026-11-18 23:59"),  # the seventh day after
            joined("c", "2026-11-11 12:00", "sale"),
            bought("c", "2026-11-11 12:00", 20),
            event("c", "open", "2026-11-19 00:00"),  # the eighth: too late
            # Others: d pays 8, e is only there. f comes before, g took part in another operation and too late in this.
            bought("d", "2026-11-10 15:00", 8),
            event("e", "open", "2026-11-11 15:00"),
            event("f", "open", "2026-11-09 15:00"),
            joined("g", "2026-11-10 15:00", "check-in"),
            joined("g", "2026-11-12 15:00", "sale"),
        ]
    )
    assert await world.ask(
        "campaign_results",
        "campaign kind starts ends participants buyers conversion revenue revenue_per_user returned_rate",
        **NOVEMBER,
    ) == [("sale", "sale", "2026-11-10", "2026-11-11", 3, 2, 0.666667, 44.0, 14.666667, 0.666667)]
    # Others are d, e, g: 8 / 3 a head. Extra: (44 / 3 - 8 / 3) * 3 = 36; return (36 - 10) / 10.
    assert await world.ask(
        "campaign_results",
        "comparison compared_users compared_conversion compared_revenue_per_user extra_revenue cost roi",
        **NOVEMBER,
    ) == [("others", 3, 0.333333, 2.666667, 36.0, 10.0, 2.6)]


async def test_an_operation_against_the_days_before(world: World) -> None:
    """Two days are compared with the two before: 8 and 9 November."""
    await put(world, operation("run", "2026-11-10", "2026-11-11", comparison="before"))
    await world.tell(
        [
            joined("a", "2026-11-10 10:00", "run"),
            bought("a", "2026-11-07 23:59", 100),
            bought("a", "2026-11-08 00:00", 4),
            bought("a", "2026-11-09 23:59", 5),
            bought("a", "2026-11-10 11:00", 12),
            joined("b", "2026-11-11 10:00", "run"),
            bought("z", "2026-11-10 11:00", 1000),  # takes no part
        ]
    )
    assert await world.ask(
        "campaign_results",
        "participants conversion revenue_per_user compared_users compared_conversion compared_revenue_per_user "
        "extra_revenue roi",
        **NOVEMBER,
    ) == [(2, 0.5, 6.0, 2, 0.5, 4.5, 3.0, None)]  # without a cost there is no return on it


async def test_operations_that_nobody_took_part_in_and_those_outside(world: World) -> None:
    await put(
        world,
        operation("first day", "2026-10-01", "2026-11-01"),
        operation("last day", "2026-11-30", "2026-12-05"),
        operation("before", "2026-10-01", "2026-10-31"),
        operation("after", "2026-12-01", "2026-12-05"),
    )
    await world.tell([])
    columns = "campaign participants conversion returned_rate compared_conversion extra_revenue roi"
    assert await world.ask("campaign_results", columns, **NOVEMBER) == [
        ("first day", 0, None, None, None, None, None),
        ("last day", 0, None, None, None, None, None),
    ]
    await put(world)
    assert await world.ask("campaign_results", **NOVEMBER) == []


def invited(actor: str, at: str, invite: str) -> dict[str, Any]:
    return event(actor, "invite", at, {"invite": invite})


def accepted(actor: str, at: str, invite: str) -> dict[str, Any]:
    return event(actor, "accept", at, {"invite": invite})


async def test_invitations_and_k_factor(world: World) -> None:
    """In the first week 4 users are active; a sends 2, b 1; 2 of the 3 are accepted, one of them a week later."""
    await world.tell(
        [
            invited("a", "2026-11-01 23:59", "i0"),  # a Sunday, before the period
            invited("a", "2026-11-02 00:00", "i1"),
            invited("a", "2026-11-03 10:00", "i2"),
            invited("b", "2026-11-08 23:59", "i3"),
            accepted("c", "2026-11-04 10:00", "i1"),
            event("d", "open", "2026-11-05 10:00"),
            accepted("e", "2026-11-09 00:00", "i3"),
            accepted("f", "2026-11-10 00:00", "unknown"),
            accepted("g", "2026-12-01 00:00", "i2"),  # after the period: accepted all the same
        ]
    )
    assert await world.ask("invitations", from_="2026-11-02", to="2026-11-15", period="week") == [
        ("2026-11-02", 3, 2, 3, 1.0, 1, 4, 0.75, 0.75),
        ("2026-11-09", 0, 0, 0, None, 2, 2, 0.0, 0.0),
    ]
    assert await world.ask("invitations", "period sent came", from_="2026-11-08", to="2026-11-08", period="day") == [
        ("2026-11-08", 1, 0)
    ]
    assert await world.ask("invitations", from_="2026-01-01", to="2026-01-31") == []


async def test_chains_and_who_brings_most(world: World) -> None:
    """a brings b and c; b brings d; d brings e. x and y invited each other: a circle that hangs on nobody."""
    await world.tell(
        [
            *(
                invited(inviter, "2026-11-01 10:00", f"{inviter}{guest}")
                for inviter, guest in ("ab", "ac", "bd", "de", "xy", "yx")
            ),
            accepted("b", "2026-11-02 10:00", "ab"),
            accepted("c", "2026-11-02 11:00", "ac"),
            accepted("d", "2026-11-03 10:00", "bd"),
            accepted("e", "2026-11-04 10:00", "de"),
            accepted("e", "2026-11-05 10:00", "ac"),  # a second acceptance doesn't count
            accepted("y", "2026-11-04 10:00", "xy"),
            accepted("x", "2026-11-04 10:00", "yx"),
            bought("b", "2026-11-02 09:59", 99),  # before she came by it
            bought("b", "2026-11-02 10:00", 20),
            event("b", "refund", "2026-11-06 10:00", {"amount": -5}),
            bought("e", "2026-11-30 23:59", 7),
            bought("e", "2026-12-01 00:00", 7),
        ]
    )
    assert await world.ask("invitation_chains", **NOVEMBER) == [(1, 2, 1, None), (2, 1, 1, 0.5), (3, 1, 1, 1.0)]
    assert await world.ask("top_inviters", **NOVEMBER, limit=3) == [
        ("a", 2, 1, 15.0),
        ("d", 1, 1, 7.0),
        ("b", 1, 0, 0.0),
    ]
    assert await world.ask("invitation_chains", from_="2026-01-01", to="2026-01-31") == []
    # c0 invites c1, who invites c2, and so on: a chain is followed to depth 50.
    chain = range(70)
    sent = [invited(f"c{n}", "2026-12-02 10:00", f"to {n + 1}") for n in chain]
    await world.tell(sent + [accepted(f"c{n + 1}", "2026-12-03 10:00", f"to {n + 1}") for n in chain])
    found = await world.ask("invitation_chains", from_="2026-12-01", to="2026-12-31")
    assert found == [(depth, 1, 1, None if depth == 1 else 1.0) for depth in range(1, 51)]
    assert await world.ask("top_inviters", from_="2026-01-01", to="2026-01-31") == []


async def test_an_operation_on_the_day_of_25_hours(world: World) -> None:
    """Berlin's 25 October lasts from 22:00 UTC of the 24th to 23:00 UTC of the 25th."""
    await put(world, operation("autumn", "2026-10-25", "2026-10-25"))
    await world.tell(
        [
            joined("a", "2026-10-24T21:59+00:00", "autumn"),  # still the 24th
            joined("b", "2026-10-24T22:00+00:00", "autumn"),
            bought("b", "2026-10-25T00:30+00:00", 10),  # 02:30 for the first time
            bought("b", "2026-10-25T01:30+00:00", 20),  # and for the second
            bought("b", "2026-10-25T22:59+00:00", 30),
            bought("b", "2026-10-25T23:00+00:00", 40),  # the 26th; she comes back
            event("c", "open", "2026-10-25T22:59+00:00"),
        ]
    )
    columns = "participants buyers revenue returned_rate compared_users"
    assert await world.ask("campaign_results", columns, from_="2026-10-25", to="2026-10-25") == [(1, 1, 60.0, 1.0, 1)]


async def test_an_operation_beside_the_one_before_is_what_each_is_alone(world: World) -> None:
    """Of sales in a row, with people in several of them; and of one that runs, beside as many days of the other."""
    sales = [("s1", 1, 3), ("s2", 8, 12), ("s3", 13, 14), ("s4", 20, 29)]
    await put(
        world,
        *[operation(name, f"2026-11-{a:02}", f"2026-11-{b:02}", kind="sale") for name, a, b in sales],
        operation("c1", "2026-11-02", "2026-11-05", kind="check-in"),
    )
    events = []
    for number, (name, first, last) in enumerate(sales):
        for n in range(30 + 5 * number):
            day = first + n % (last - first + 1)
            events.append(joined(f"p{n + 5 * number}", f"2026-11-{day:02} 10:{n:02}", name))
            if n % 3:
                events.append(bought(f"p{n * 7 % 50}", f"2026-11-{first + n % 7:02} 12:{n:02}", 5 + n))
    await world.tell(events)
    alone = "participants buyers conversion revenue_per_user returned_rate"
    columns = f"campaign days {alone} before before_days " + " ".join(f"before_{name}" for name in alone.split())
    found = await world.ask("campaign_compare", columns, **NOVEMBER, until="2026-12-07")
    results = {
        row[0]: row[1:]
        for row in await world.ask("campaign_results", f"campaign {alone}", **NOVEMBER, until="2026-12-07")
    }
    assert found == [
        ("s2", 5, *results["s2"], "s1", 3, *results["s1"]),
        ("s3", 2, *results["s3"], "s2", 5, *results["s2"]),
        ("s4", 10, *results["s4"], "s3", 2, *results["s3"]),
    ]
    assert [results[name][0] for name, *_ in sales] == [30, 35, 40, 45]
    assert [results[name][1] for name, *_ in sales] == [7, 12, 10, 20]
    assert [results[name][4] for name, *_ in sales] == [0.666667, 0.942857, 0.6, 0.0]
    # After the 9th two days of s2 are over; beside them stand two of s1, and whether those came back is not told.
    ((now, before),) = [
        (row[:7], row[7:]) for row in await world.ask("campaign_compare", columns, **NOVEMBER, until="2026-11-09")
    ]
    second, first = [
        (await world.ask("campaign_results", f"campaign {alone}", from_=day, to=day, until=until))[0][1:]
        for day, until in (("2026-11-08", "2026-11-09"), ("2026-11-01", "2026-11-02"))
    ]
    assert now == ("s2", 2, *second)
    assert before == ("s1", 2, *first)
    assert await world.ask("campaign_compare", from_="2026-11-01", to="2026-11-05") == []


async def test_whether_more_bought_than_the_time_before_is_tested_as_two_shares(world: World) -> None:
    """60 of 200 against 40 of 200, pooled: z = 2.3094, p = 0.0209."""
    await put(
        world,
        operation("w1", "2026-11-02", "2026-11-02", kind="sale"),
        operation("w2", "2026-11-09", "2026-11-09", kind="sale"),
    )
    events = []
    for name, day, buyers in (("w1", 2, 40), ("w2", 9, 60)):
        for n in range(200):
            events.append(joined(f"{name}{n}", f"2026-11-{day:02} 10:00", name))
            if n < buyers:
                events.append(bought(f"{name}{n}", f"2026-11-{day:02} 12:00", 5))
    await world.tell(events)
    assert await world.ask("campaign_compare", "conversion before_conversion p_value", **NOVEMBER) == [
        (0.3, 0.2, 0.020921)
    ]
