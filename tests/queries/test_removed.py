"""Events whose retention is over are gone, and that is no difference; what is lost otherwise is one."""

from __future__ import annotations

import pytest
from queries.counted import PLAN, START, System, event
from queries.test_rebuild import WINDOWS, random_events

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.queries.rebuild import rebuild
from pipeline.render.language import Language
from pipeline.render.verification import summary
from schemas.duration import DAY, HOUR

pytestmark = pytest.mark.integration

SYNC = "SETTINGS mutations_sync = 2"
TTL = "ALTER TABLE events_raw MODIFY TTL toDateTime(stored_at) + INTERVAL {} SETTINGS mutations_sync = 2"


async def grow_old(system: System, before: int, days: int) -> None:
    """What happened before then (epoch ms) was stored so many days ago, and ClickHouse has looked at it since."""
    old = f"now64(3) - INTERVAL {days} DAY"
    await system.run(
        f"ALTER TABLE events_raw UPDATE stored_at = {old} WHERE toUnixTimestamp64Milli(ts) < {before} {SYNC}"
    )
    await system.run(
        f"ALTER TABLE live_activity_raw UPDATE updated_at = {old} WHERE toUnixTimestamp64Milli(end) <= {before} {SYNC}"
    )
    await system.run("OPTIMIZE TABLE events_raw FINAL")
    await system.run("OPTIMIZE TABLE live_activity_raw FINAL")


async def _stored(system: System) -> int:
    return int((await system.connection.query("SELECT count() FROM events_raw FINAL"))[0][0])


@pytest.mark.parametrize("partitions", [1, 3])
async def test_days_whose_events_are_gone_are_not_compared(server: EmbeddedClickHouse, partitions: int) -> None:
    half = START + 36 * HOUR
    async with System(server, random_events(11, 900), partitions) as system:
        whole = await system.verify()
        await grow_old(system, half, 401)
        assert 300 < await _stored(system) < 600
        found = await system.verify()
        assert found.differences == []
        assert whole.windows / 4 < found.windows < whole.windows * 3 / 4
        assert whole.funnels / 4 < found.funnels < whole.funnels * 3 / 4
        assert found.removed is not None
        assert str(found.removed).startswith("what began up to 2026-09-2")
        assert summary(Language("en"), found).endswith(f"; not compared: {found.removed}")
        assert str(found.removed).endswith("Z, for events are kept for 400 days")

        # Nothing else that is missing is taken for that.
        await system.run(f"ALTER TABLE events_raw DELETE WHERE ts >= fromUnixTimestamp64Milli({half + DAY}) {SYNC}")
        differences = (await system.verify()).differences
        assert {"events", "users by step"} <= {one.measure for one in differences}


async def test_rows_that_are_still_there_may_go_at_any_time(server: EmbeddedClickHouse) -> None:
    """ClickHouse removes what is over when it merges; between two queries of `verify`, say."""
    async with System(server, random_events(12, 300), 2) as system:
        await system.run("SYSTEM STOP TTL MERGES events_raw")
        try:
            await system.run(
                "INSERT INTO events_raw SELECT * REPLACE (now64(3) - INTERVAL 401 DAY AS stored_at) "
                f"FROM events_raw FINAL WHERE toUnixTimestamp64Milli(ts) < {START + DAY}"
            )
            assert await _stored(system) == 300
            found = await system.verify()
        finally:
            await system.run("SYSTEM START TTL MERGES events_raw")
    assert found.differences == []
    assert found.removed is not None


async def test_a_partition_of_which_all_is_lost_is_found(server: EmbeddedClickHouse) -> None:
    async with System(server, random_events(17, 200), 1) as system:
        await grow_old(system, START + DAY, 401)
        await system.run(f"ALTER TABLE events_raw DELETE WHERE 1 {SYNC}")
        found = await system.verify()
    assert found.removed is None
    assert str(found.differences[0]) == "accepted records of partition 0: live 200, archived 0"


@pytest.mark.parametrize(("interval", "days"), [("10 DAY", 10), ("1 WEEK", 7), ("2 MONTH", 56)])
async def test_the_retention_is_that_of_the_table(server: EmbeddedClickHouse, interval: str, days: int) -> None:
    """Who changes it changes the table, as docs/operate.md says; the setting stays what it was."""
    async with System(server, random_events(13, 300), 1) as system:
        await grow_old(system, START + DAY, 70)
        assert (await system.verify()).removed is None
        await system.run(TTL.format(interval))
        try:
            await system.run("OPTIMIZE TABLE events_raw FINAL")
            assert await _stored(system) < 300
            found = await system.verify()
        finally:
            await system.run(TTL.format(f"{system.settings.retention_days} DAY"))
    assert found.differences == []
    assert str(found.removed).endswith(f"for events are kept for {days} days")


async def test_without_a_retention_nothing_goes(server: EmbeddedClickHouse) -> None:
    async with System(server, random_events(16, 300), 1) as system:
        await system.run("ALTER TABLE events_raw REMOVE TTL")
        try:
            await grow_old(system, START + DAY, 3_000)
            found = await system.verify()
            assert (found.differences, found.removed) == ([], None)
            await system.run(f"ALTER TABLE events_raw DELETE WHERE offset < 9 {SYNC}")
            differences = (await system.verify()).differences
            assert str(differences[0]) == "accepted records of partition 0: live 300, archived 291"
        finally:
            await system.run(TTL.format(f"{system.settings.retention_days} DAY"))


async def test_a_partition_that_has_lost_nothing_does_not_hide_the_others(server: EmbeddedClickHouse) -> None:
    """Its first event came yesterday: that is not where the archive begins."""
    late = [event(9_000 + i, f"n{i}", "look", START + 60 * HOUR) for i in range(40)]
    events = sorted([*random_events(14, 400), *late], key=lambda one: one["ts"])
    async with System(server, events, 8) as system:
        await grow_old(system, START + 12 * HOUR, 401)
        found = await system.verify()
        assert found.differences == []
        changed = "INSERT INTO live_activity_raw SELECT * REPLACE (events + 1 AS events) FROM live_activity_raw FINAL "
        await system.run(f"{changed} WHERE grain = 'hour' AND dimension = '' AND start >= '2026-09-22 12:00:00'")
        assert {one.measure for one in (await system.verify()).differences} == {"events"}


async def test_what_was_counted_of_events_that_are_gone_stays(server: EmbeddedClickHouse) -> None:
    async with System(server, random_events(15, 600), 2) as system:
        before = await system.connection.query(WINDOWS)
        await grow_old(system, START + 36 * HOUR, 401)
        for whole in (True, False):
            result = await rebuild(system.settings, PLAN, whole=whole)
            assert result.removed is not None
        after = await system.connection.query(WINDOWS)
        # Windows of a minute have a retention of their own.
        kept = [row for row in before if row[0] != "minute"]
        assert [row for row in after if row[0] != "minute"] == kept
        assert (await system.verify()).differences == []
