"""`verify` finds what differs between the live windows and the raw events, and nothing else."""

from __future__ import annotations

import pytest
from queries.counted import EVENTS, PLAN, START, System, again, event

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.metrics import install
from pipeline.queries.comparison import Difference


async def test_an_untouched_system_is_the_same(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS) as system:
        found = await system.verify()
    assert found.differences == []
    assert found.ok
    assert found.records == len(EVENTS)
    assert (found.windows, found.funnels, found.moving) == (40, 12, 0)


async def test_values_beyond_the_bound_of_one_partition_only(server: EmbeddedClickHouse) -> None:
    """`(other)` is a matter of each partition: a value may stand by itself in one and not in another."""
    platforms = ["ios", "web", "tv", "car", "ios", "tv", "web", "car", "car"]
    events = [event(i, f"u{i % 7}", "look", START + i, platform) for i, platform in enumerate(platforms * 5)]
    async with System(server, events, partitions=3) as system:
        assert (await system.verify()).differences == []


async def test_a_session_that_goes_on_under_another_actor(server: EmbeddedClickHouse) -> None:
    """Log-ins in the middle of sessions: the actor changes, and with it the partition."""
    events = [event(2 * i, f"anonymous{i}", "look", START + i, session=f"s{i}") for i in range(200)]
    events += [event(2 * i + 1, f"user{i}", "look", START + i, session=f"s{i}") for i in range(200)]
    async with System(server, events, partitions=4) as system:
        assert (await system.verify()).differences == []


async def test_large_amounts(server: EmbeddedClickHouse) -> None:
    events = [event(i, "u", "buy", START + i, amount=999_999_999.99) for i in range(20)]
    async with System(server, events, partitions=1) as system:
        assert (await system.verify()).differences == []


async def _changed(server: EmbeddedClickHouse, sql: str) -> list[Difference]:
    async with System(server, EVENTS, partitions=1) as system:
        await system.run(sql)
        found = await system.verify()
    assert found.ok == (not found.differences)
    return found.differences


async def test_a_wrong_count_is_found(server: EmbeddedClickHouse) -> None:
    where = "grain = 'hour' AND dimension = '' AND events = 5"
    (difference,) = await _changed(server, again("live_activity_raw", "toUInt64(events + 1) AS events", where))
    assert str(difference) == "events of hour total 2026-09-21T14:00:00Z: live 6, archived 5"


async def test_a_wrong_amount_is_found(server: EmbeddedClickHouse) -> None:
    change = "toDecimal128(20, 6) AS amount"
    (difference,) = await _changed(
        server, again("live_activity_raw", change, "grain = 'day_utc' AND dimension = '' AND amount > 0")
    )
    assert (difference.measure, difference.live, difference.archived) == ("amount", 20_000_000, 19_990_000)


async def test_wrong_users_are_found_beyond_the_error_of_the_sketch(server: EmbeddedClickHouse) -> None:
    where = "grain = 'day' AND dimension = '' AND events = 5"
    assert await _changed(server, again("live_activity_raw", "users + 1. AS users", where)) == []
    (difference,) = await _changed(server, again("live_activity_raw", "users + 5. AS users", where))
    assert (difference.measure, difference.live, difference.archived) == ("users", 8, 3)


async def test_a_wrong_funnel_is_found(server: EmbeddedClickHouse) -> None:
    where = "funnel = 'buying' AND breakdown = 'platform' AND value = 'ios'"
    (difference,) = await _changed(server, again("live_funnel_raw", "[toUInt64(2), 1] AS users", where))
    assert (
        str(difference)
        == "users by step of funnel buying 2026-09-21T14:00:00Z platform ios: live [2, 1], archived [1, 1]"
    )


async def test_a_wrong_time_between_steps_is_found(server: EmbeddedClickHouse) -> None:
    where = "funnel = 'buying' AND breakdown = 'platform' AND value = 'ios'"
    (difference,) = await _changed(server, again("live_funnel_raw", "[toUInt64(59000)] AS step_sum_ms", where))
    assert (difference.measure, difference.live[0][:2], difference.archived[0][:2]) == (
        "step times", (1, 59_000), (1, 60_000),
    )  # fmt: skip
    bins = "[map(toInt32(10), toUInt64(1))] AS bins"
    (difference,) = await _changed(server, again("live_funnel_raw", bins, where))
    assert difference.measure == "step times"


async def test_raw_events_that_are_gone_are_found(server: EmbeddedClickHouse) -> None:
    differences = await _changed(server, "DELETE FROM events_raw WHERE actor = 'u3'")
    assert str(differences[0]) == "accepted records of partition 0: live 6, archived 5"
    assert "events of minute total 2026-09-21T14:00:00Z: live 4, archived 3" in map(str, differences)
    assert "users by step of funnel buying 2026-09-21T14:00:00Z: live [3, 1], archived [2, 1]" in map(str, differences)


async def test_a_window_that_should_be_there_is_missed(server: EmbeddedClickHouse) -> None:
    differences = await _changed(server, "DELETE FROM live_activity_raw WHERE grain = 'hour' AND dimension = ''")
    assert [(d.measure, d.live, d.archived) for d in differences if d.measure == "events"] == [
        ("events", 0, 5), ("events", 0, 1),
    ]  # fmt: skip


async def test_another_products_database_is_one_clear_line(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS, partitions=1) as system:
        await install(system.settings, PLAN)
        assert (await system.verify()).ok
        with pytest.raises(UserError, match=r"has the events of 'Test', not of 'Other': give its plan with --plan"):
            await system.verify(PLAN.model_copy(update={"product": "Other"}))


async def test_wrong_users_of_the_last_minutes_are_found(server: EmbeddedClickHouse) -> None:
    wrong = "active_5m + 5. AS active_5m, updated_at AS watermark"
    (difference,) = await _changed(server, again("live_partition_raw", wrong, "partition = 0"))
    assert (difference.measure, difference.live, difference.archived) == ("users of active_5m", 8, 3)


async def test_the_last_minutes_are_not_compared_after_a_clock_that_was_ahead(server: EmbeddedClickHouse) -> None:
    """A machine's clock was days ahead for a moment: by the events' times these minutes are over and forgotten."""
    forgotten = "active_5m + 5. AS active_5m, watermark + toIntervalDay(3) AS watermark"
    assert await _changed(server, again("live_partition_raw", forgotten, "partition = 0")) == []
