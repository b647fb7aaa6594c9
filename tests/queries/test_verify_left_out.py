"""`verify` leaves out what live and archived can no longer, or not yet, have in common."""

from __future__ import annotations

from queries.counted import EVENTS, System, again

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.render.language import Language
from pipeline.render.verification import summary

EN = Language("en")


async def test_windows_that_still_move_are_left_out(server: EmbeddedClickHouse) -> None:
    """A row that is newer than its partition's row: the worker is between the two."""
    later = "toUInt64(version + 1) AS version, toUInt64(events + 1) AS events"
    async with System(server, EVENTS, partitions=1) as system:
        await system.run(again("live_activity_raw", later, "grain = 'hour' AND dimension = '' AND events = 5"))
        found = await system.verify()
    assert found.differences == []
    assert found.moving == 1


async def _grow_old(system: System, hours: int = 31 * 24) -> None:
    old = f"now64(3) - INTERVAL {hours} HOUR"
    await system.run(f"ALTER TABLE events_raw UPDATE stored_at = {old} WHERE 1 SETTINGS mutations_sync = 1")


async def test_minutes_beyond_their_retention_are_left_out(server: EmbeddedClickHouse) -> None:
    """ClickHouse has removed the live rows; the raw events are kept for longer."""
    async with System(server, EVENTS, partitions=1) as system:
        await system.run("DELETE FROM live_activity_raw WHERE grain = 'minute'")
        assert not (await system.verify()).ok
        # Not a day before; but the archiver may have been hours behind when they were written.
        await _grow_old(system, 28 * 24)
        assert not (await system.verify()).ok
        await _grow_old(system, 30 * 24 - 5)
        assert (await system.verify()).differences == []


async def test_rejected_records_and_duplicates_beyond_their_retention(server: EmbeddedClickHouse) -> None:
    """They are kept for a shorter time than events: a system that is older than that has fewer of them."""
    async with System(server, EVENTS, partitions=1) as system:
        await system.run("DELETE FROM rejected_raw WHERE 1")
        await system.run("DELETE FROM duplicates_raw WHERE 1")
        assert [d.measure for d in (await system.verify()).differences] == ["rejected records", "duplicate records"]
        await _grow_old(system)
        assert (await system.verify()).differences == []


async def _gap(system: System, role: str, first: int, end: int) -> None:
    await system.run(
        "INSERT INTO gaps_raw (stream, role, partition, first_offset, end_offset, since, noticed_at) "
        f"VALUES ('main', '{role}', 0, {first}, {end}, now64(3), now64(3))"
    )


async def test_a_partition_is_left_out_where_one_role_has_missed_other_records(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS) as system:
        # What the archiver has not read is no fault of what it stored.
        await system.run("ALTER TABLE events_raw DELETE WHERE partition = 0 SETTINGS mutations_sync = 2")
        assert not (await system.verify()).ok
        await _gap(system, "archiver", 2, 9)
        found = await system.verify()
        assert (found.ok, found.left_out) == (
            True,
            {0: "records were gone from Kafka before they were read (worker none; archiver 2 to 8)"},
        )
        assert summary(EN, found).endswith("partition 0 not compared: " + found.left_out[0])
        assert summary(Language("zh"), found).endswith(
            "；分区 0 未核对：记录在读取之前已从 Kafka 清除（worker none；archiver 2 to 8）"
        )


async def test_a_partition_is_compared_where_both_roles_have_missed_the_same(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS) as system:
        for role in ("worker", "archiver", "worker"):
            await _gap(system, role, 100, 120)
        found = await system.verify()
        assert (found.ok, found.left_out, found.records) == (True, {}, len(EVENTS))
        await system.run("ALTER TABLE events_raw DELETE WHERE partition = 0 SETTINGS mutations_sync = 2")
        assert not (await system.verify()).ok
