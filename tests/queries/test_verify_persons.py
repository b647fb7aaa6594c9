"""`verify` where people log in: a link that live could not know of explains a difference, and nothing else does."""

from __future__ import annotations

from typing import Any

from persons.test_answers import Log
from queries.counted import NOW, PLAN, START, System, again, event

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.render.language import Language
from pipeline.render.verification import summary

EN = Language("en")
DAY = 86_400_000


def logins(after: int) -> list[dict[str, Any]]:
    """Eight visitors look, eight users buy a minute later; so long after that, the visitors log in as those users.

    On four platforms, of which two have places: with the others four visitors and four users were counted.
    """
    looks = [{**event(n, "", "look", START, f"p{n % 4}"), "anonymous_id": f"d{n}"} for n in range(8)]
    buys = [event(10 + n, f"u{n}", "buy", START + 61_000, f"p{n % 4}") for n in range(8)]
    joins = [{**event(20 + n, f"u{n}", "join", START + after), "anonymous_id": f"d{n}"} for n in range(8)]
    return [*looks, *buys, *joins]


async def more_users(system: System, number: int) -> None:
    """Publish so many users more for the first hour."""
    first = f"grain = 'hour' AND dimension = '' AND start < toDateTime({START // 1000 + 3600})"
    await system.run(again("live_activity_raw", f"users + {number}. AS users", first))


async def first_steps(system: System, first: int, second: int) -> None:
    """Publish so many users at the steps of the cohort."""
    total = "funnel = 'buying' AND breakdown = ''"
    await system.run(again("live_funnel_raw", f"[toUInt64({first}), {second}] AS users", total))


async def test_a_link_that_came_after_a_window_had_closed_is_no_difference(server: EmbeddedClickHouse) -> None:
    """Live keeps what it said, 16 users and nobody who bought after looking; SQL knows better today."""
    async with System(server, logins(after=3 * DAY), partitions=1, now=START + 3 * DAY) as system:
        users = await system.connection.query(
            "SELECT users, (SELECT uniqExact(person) FROM events WHERE ts < toDateTime({end:Int64})) "
            "FROM live_activity WHERE grain = 'hour' AND dimension = '' ORDER BY start LIMIT 1",
            {"end": START // 1000 + 3600},
        )
        assert [(round(live), stored) for live, stored in users] == [(16, 8)]
        found = await system.verify()
        assert found.differences == []
        assert found.linked_later > 0
        assert f"; {found.linked_later} of them closed before somebody in them was linked" in summary(EN, found)
        await more_users(system, 12)  # eight links don't explain that
        await first_steps(system, 17, 0)
        found = await system.verify()
        assert [(d.measure, d.live, d.archived) for d in found.differences] == [
            ("users", 28, 8), ("users by step", [17, 0], [8, 8]),
        ]  # fmt: skip


async def test_a_link_that_came_in_time_explains_nothing(server: EmbeddedClickHouse) -> None:
    async with System(server, logins(after=120_000), partitions=1) as system:
        found = await system.verify()
        assert (found.differences, found.linked_later) == ([], 0)
        await more_users(system, 8)
        await first_steps(system, 9, 8)
        found = await system.verify()
        assert [(d.measure, d.live, d.archived) for d in found.differences] == [
            ("users", 16, 8), ("users by step", [9, 8], [8, 8]),
        ]  # fmt: skip
        assert found.linked_later == 0


async def test_what_was_over_where_the_user_lives_and_not_where_the_device_does_is_no_difference(
    server: EmbeddedClickHouse,
) -> None:
    """There the device is not counted any more, and here the user not yet: live says nobody, SQL eight."""
    log = Log(PLAN)
    devices = ("d0", "d2", "d3", "d5", "d7", "d8", "d12", "d14")  # of partition 0
    users = ("u5", "u11", "u15", "u16", "u17", "u20", "u21", "u30", "u34")  # of partition 1
    for device in devices:
        log.send("look", START, device=device)
    log.send("look", START + 3 * DAY, user=users[8])
    for device, user in zip(devices, users, strict=False):
        log.send("join", START + 61_000, device=device, user=user)
    assert log.outcomes()["late"] == 8
    assert log.users(START, "hour") == 0
    system = System(server, [], now=START + 3 * DAY)
    system.logs = [[record._replace(timestamp=NOW) for record in each] for each in log.cluster.logs]
    async with system:
        stored = "SELECT uniqExact(person) FROM events WHERE NOT late AND ts < toDateTime({end:Int64})"
        assert await system.connection.query(stored, {"end": START // 1000 + 3600}) == [(8,)]
        found = await system.verify()
    assert found.differences == []
    assert found.linked_later > 0


async def test_what_two_sketches_miss_is_no_difference(server: EmbeddedClickHouse) -> None:
    """Six hundred visitors turn out to be forty users in time: what is left of two estimates of 600 is 35."""
    looks = [{**event(n, "", "look", START), "anonymous_id": f"k{n}"} for n in range(600)]
    joins = [{**event(600 + n, f"u{n % 40}", "join", START + 61_000), "anonymous_id": f"k{n}"} for n in range(600)]
    async with System(server, [*looks, *joins], partitions=1) as system:
        minute = f"grain = 'minute' AND dimension = '' AND start < toDateTime({START // 1000 + 60})"
        ((users,),) = await system.connection.query(f"SELECT users FROM live_activity WHERE {minute}")
        assert round(users) == 35
        assert (await system.verify()).differences == []
