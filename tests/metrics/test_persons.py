"""Whose an event is: the column `person` of `events`, and the views about persons. Literal rows, worked out by hand."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from metrics.world import Event, World, event, link, plain, visit

DAY = "2026-11-10"


@pytest.fixture
def world(aliased: World) -> World:
    return aliased


@pytest.fixture
async def devices_only(opened: World) -> AsyncIterator[World]:
    """A world in which no user has an old id: one link leads to the person."""
    yield opened
    await opened.connection.close()


async def persons(world: World) -> list[str]:
    """The person of each event, in the order in which they were told."""
    return [row[0] for row in await world.sql("SELECT person FROM events ORDER BY event_id")]


def opens(*ids: str, **fields: Any) -> list[Event]:
    """One event of each id: a user's if it begins with u, else a device's."""
    make = {"u": event}
    return [make.get(id_[0], visit)(id_, "open", f"{DAY} 10:{i:02}", **fields) for i, id_ in enumerate(ids)]


async def test_who_never_logs_in_is_a_person_by_himself(world: World) -> None:
    await world.tell(opens("d1", "u1"))
    assert await persons(world) == ["$device:d1", "u1"]


async def test_a_login_takes_all_that_the_device_ever_did(world: World) -> None:
    """Before the login and after it, and whatever the time of the event that links."""
    await world.tell(opens("d1", "u1", "d1", "d2"), [link("d1", "u1", "2026-11-20 00:00")])
    assert await persons(world) == ["u1", "u1", "u1", "$device:d2"]
    assert await world.sql("SELECT actor FROM events ORDER BY event_id") == [("d1",), ("u1",), ("d1",), ("d2",)]


async def test_a_row_that_stands_twice_is_one(world: World) -> None:
    await world.tell(opens("d1", "d1"), [link("d1", "u1", offset=7), link("d1", "u1", offset=7)])
    assert await persons(world) == ["u1", "u1"]
    assert await world.sql("SELECT id, person FROM links") == [("d1", "u1")]


async def test_a_shared_device_never_makes_two_users_one(world: World) -> None:
    """u2 logs in where u1 did: u2's own events stay u2's, the device's stay u1's."""
    await world.tell(opens("d1", "u1", "u2", "d1"), [link("d1", "u1"), link("d1", "u2", outcome="refused")])
    assert await persons(world) == ["u1", "u1", "u2", "u1"]


async def test_a_device_of_the_same_name_as_a_user_is_not_that_user(world: World) -> None:
    """Whoever sends another's user id as the id of a device gets nothing of what that user did."""
    await world.tell([*opens("u1", "u2"), visit("u1", "open", f"{DAY} 12:00")], [link("u1", "u2")])
    assert await persons(world) == ["u1", "u2", "u2"]
    await world.tell([*opens("u1", "u2"), visit("u1", "open", f"{DAY} 12:00")], [])
    assert await persons(world) == ["u1", "u2", "$device:u1"]


async def test_a_refused_claim_alone_links_nothing(world: World) -> None:
    await world.tell(opens("d1", "u2"), [link("d1", "u2", outcome="refused")])
    assert await persons(world) == ["$device:d1", "u2"]


async def test_from_its_offset_on_a_shared_device_is_nobodys(world: World) -> None:
    """In the log of the device: at 5 it becomes shared, so 4 is still u1's, and 5 and 6 are the device's own."""
    rows = [visit("d1", "open", f"{DAY} 12:00", offset=offset) for offset in (4, 5, 6)]
    links = [link("d1", "u1", offset=1), link("d1", "u2", outcome="refused", offset=3),
             link("d1", "u3", outcome="shared", offset=5)]  # fmt: skip
    await world.tell(rows, links)
    assert await persons(world) == ["u1", "$device:d1", "$device:d1"]
    # Another log has other offsets: there it is shared from elsewhere on, or not at all.
    await world.tell([{**row, "stream": stream} for stream in ("test", "other") for row in rows], links)
    assert await persons(world) == ["u1", "$device:d1", "$device:d1", "u1", "u1", "u1"]
    await world.tell(
        [{**row, "stream": stream} for stream in ("test", "other") for row in rows],
        [*links, link("d1", "u9", outcome="shared", offset=6, stream="other")],
    )
    assert await persons(world) == ["u1", "$device:d1", "$device:d1", "u1", "u1", "$device:d1"]


async def test_an_alias_takes_the_old_user_along(world: World) -> None:
    """And the devices of the old one."""
    await world.tell(opens("d1", "u1", "u2"), [link("d1", "u1"), link("u1", "u2", kind="alias")])
    assert await persons(world) == ["u2", "u2", "u2"]


async def test_four_links_are_followed_and_no_more(world: World) -> None:
    chain = [link(f"u{k}", f"u{k + 1}", kind="alias") for k in range(1, 6)]
    await world.tell(opens("d1", "u1", "u2", "u3", "u4", "u5", "u6"), [link("d1", "u1"), *chain])
    assert await persons(world) == ["u4", "u5", "u6", "u6", "u6", "u6", "u6"]


async def test_a_circle_of_aliases_ends(world: World) -> None:
    """After four links: u1 → u2 → u1 → u2 → u1, and from the device d1 → u1 → u2 → u1 → u2."""
    circle = [link("u1", "u2", kind="alias"), link("u2", "u1", kind="alias"), link("d1", "u1")]
    await world.tell(opens("u1", "u2", "d1"), circle)
    assert await persons(world) == ["u1", "u2", "u2"]


async def test_each_of_many_shared_devices_is_nobodys_from_its_own_record_on(world: World) -> None:
    """They were stored one after the other, so that the table has many parts, which are read in any order."""
    offsets = [100 + number * 7 % 48 for number in range(48)]
    await world.tell(
        [
            visit(f"d{number}", "open", f"{DAY} 10:00", offset=at, partition=number)
            for number, offset in enumerate(offsets)
            for at in (offset - 1, offset)
        ]
    )
    for number, offset in enumerate(offsets):
        one = f"'test', 'login', '$device:d{number}'"
        await world.command(
            "INSERT INTO links_raw (stream, kind, id, person, outcome, offset) VALUES "
            f"({one}, 'u{number}', 'linked', 0), ({one}, 'v', 'shared', {offset})"
        )
    right = [(n, person) for n in range(48) for person in (f"u{n}", f"$device:d{n}")]
    assert await world.sql("SELECT partition, person FROM events ORDER BY partition, offset") == right
    # Which device has which offset is asked in one query: once in fifty the rows of two come in different orders.
    (create,) = (await world.sql("SHOW CREATE VIEW events"))[0]
    assert create.count("outcome = 'shared'") == 1


async def test_the_way_ends_at_an_id_that_is_shared(world: World) -> None:
    links = [
        link("d1", "u1"),
        link("u1", "u2", kind="alias"),
        link("u1", "u3", outcome="shared", kind="alias", offset=9),
    ]
    await world.tell([*opens("d1"), event("u1", "open", f"{DAY} 12:00", offset=8)], links)
    assert await persons(world) == ["u1", "u2"]


async def test_a_row_that_was_sent_on_counts_as_whom_it_was_sent_on_to(world: World) -> None:
    """Its offset is one of its owner's log: that the device is shared by then says nothing of it."""
    rows = [
        visit("d1", "open", f"{DAY} 12:00", counted_as="u1", offset=99),
        visit("d2", "open", f"{DAY} 12:00", counted_as="u2"),
    ]
    links = [link("d1", "u1", offset=1), link("d1", "u3", outcome="shared", offset=5), link("u2", "u4", kind="alias")]
    await world.tell(rows, links)
    assert await persons(world) == ["u1", "u4"]


async def test_of_two_logs_the_link_of_the_earlier_event_holds(world: World) -> None:
    links = [link("d1", "u2", "2026-11-03 00:00", stream="b"), link("d1", "u1", "2026-11-02 00:00", stream="c")]
    await world.tell([*opens("d1"), *opens("d1", stream="b")], links)
    assert await persons(world) == ["u1", "u1"]


async def test_ids_with_signs_of_their_own(world: World) -> None:
    odd = "d'\\ {x:String} 中 %"
    await world.tell(opens(odd, "d"), [link(odd, "u'1")])
    assert await persons(world) == ["u'1", "$device:d"]


async def test_persons_have_their_devices_and_ids(world: World) -> None:
    """u1, once u0, on two devices, one of them never seen without a user; a visitor; a device that u9 alone has."""
    await world.tell(
        [
            visit("d1", "open", "2026-11-01 10:00"), event("u0", "open", "2026-11-02 10:00", anonymous_id="d1"),
            event("u1", "open", "2026-11-03 10:00", anonymous_id="d2"), visit("d3", "open", "2026-11-04 10:00"),
            visit("d4", "open", "2026-11-05 10:00"),
        ],
        [
            link("d1", "u0", "2026-11-02 09:00"), link("d2", "u1", "2026-11-03 09:00"),
            link("u0", "u1", "2026-11-03 09:30", kind="alias"), link("d4", "u9", "2026-11-06 00:00", kind="import"),
            link("d5", "u8", "2026-11-06 00:00", kind="import"),
        ],
    )  # fmt: skip
    found = await world.sql("SELECT * FROM persons ORDER BY person")
    assert [tuple(map(plain, row)) for row in found] == [
        ("$device:d3", ["d3"], [], "2026-11-04 09:00:00", "2026-11-04 09:00:00", 1, None, None),
        ("u1", ["d1", "d2"], ["u0", "u1"], "2026-11-01 09:00:00", "2026-11-03 09:00:00", 3,
         "2026-11-02 09:00:00", "login"),
        ("u9", ["d4"], ["u9"], "2026-11-05 09:00:00", "2026-11-05 09:00:00", 1, "2026-11-06 00:00:00", "import"),
    ]  # fmt: skip


async def test_shared_devices_and_refused_claims_are_listed(world: World) -> None:
    links = [
        link("d1", "u1", "2026-11-01 00:00"), link("d1", "u2", "2026-11-02 00:00", outcome="refused"),
        link("d1", "u3", "2026-11-03 00:00", outcome="shared"),
        link("d2", "u4"), link("u4", "u5", kind="alias"), link("d2", "u1", "2026-11-05 00:00", outcome="refused"),
    ]  # fmt: skip
    await world.tell([], links)
    shared = await world.sql("SELECT * FROM shared_devices")
    assert [tuple(map(plain, row)) for row in shared] == [("d1", ["u1", "u2", "u3"], "2026-11-03 00:00:00")]
    refused = await world.sql("SELECT * FROM refused_links ORDER BY id")
    assert [tuple(map(plain, row)) for row in refused] == [
        ("d1", "u2", "u1", "login", "2026-11-02 00:00:00"),
        ("d2", "u1", "u5", "login", "2026-11-05 00:00:00"),
    ]


async def test_attributes_find_the_person(world: World) -> None:
    await world.tell(opens("d1", "u1"), [link("d1", "u1"), link("u0", "u1", kind="alias")])
    await world.command("TRUNCATE TABLE user_attributes_raw")
    await world.command(
        "INSERT INTO user_attributes_raw (actor, name, value) VALUES "
        "('$device:d1', 'plan', 'pro'), ('d1', 'plan', 'b'), ('u0', 'plan', 'c'), ('x', 'plan', 'a')"
    )
    assert await world.sql("SELECT * FROM user_attributes ORDER BY actor") == [
        ("$device:d1", "plan", "pro", "u1"), ("d1", "plan", "b", "d1"),
        ("u0", "plan", "c", "u1"), ("x", "plan", "a", "x"),
    ]  # fmt: skip


def looked_up(row: Event, links: list[Event]) -> str:
    """The rule, for one row at a time."""

    def claims(id_: str, outcome: str) -> list[Event]:
        found = [one for one in links if one["id"] == id_ and one["outcome"] == outcome]
        return sorted(found, key=lambda one: (one["ts"], one["stream"], one["offset"]))

    own: str = row.get("counted_as") or row["user_id"] or f"$device:{row['anonymous_id']}"
    if any(one["stream"] == row["stream"] and one["offset"] <= row["offset"] for one in claims(own, "shared")):
        return own
    person = own
    for hops in range(4):
        if not (linked := claims(person, "linked")) or (hops and claims(person, "shared")):
            break
        person = linked[0]["person"]
    return person


@pytest.mark.parametrize(("seed", "aliases"), [(0, True), (1, True), (2, True), (3, False)])
async def test_the_view_is_the_rule_for_any_rows(aliased: World, devices_only: World, seed: int, aliases: bool) -> None:
    """Over few ids, so that there are chains, circles, ids of two logs, shared ids in the middle of a chain."""
    rng, world = random.Random(seed), aliased if aliases else devices_only
    ids = [f"{kind}{n}" for kind in "du" for n in range(60)]
    links = []
    for id_ in rng.sample(ids, 80) if aliases else rng.sample(ids[:60], 40):
        for stream in rng.sample(["a", "b"], rng.choice([1, 1, 2])):
            offsets = sorted(rng.sample(range(100), rng.choice([1, 1, 2, 3])))
            for offset, outcome in zip(offsets, ("linked", "refused", "shared"), strict=False):
                person = rng.choice([one for one in ids[60:] if one != id_])
                at = f"2026-11-{rng.randint(1, 28):02} 00:00:00"
                kind = "alias" if id_ in ids[60:] else "login"
                links.append(link(id_, person, at, outcome, kind=kind, stream=stream, offset=offset))
    rows = []
    for number in range(600):
        sent_on = {"counted_as": rng.choice(ids[60:63])} if rng.random() < 0.5 else {}
        make = rng.choice([event, visit, visit])
        rows.append(
            make(rng.choice(ids), "open", f"{DAY} 10:00", stream=rng.choice("ab"), offset=rng.randrange(100),
                 partition=number, **sent_on)
        )  # fmt: skip
    await world.tell(rows, links)
    found = await world.sql("SELECT partition, person FROM events ORDER BY partition")
    assert found == [(number, looked_up(row, links)) for number, row in enumerate(rows)]
    assert len({person for _, person in found}) < len({(row["actor"], row["user_id"]) for row in rows})
