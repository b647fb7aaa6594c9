"""`rebuild` computes by SQL what the worker would have counted, and leaves alone what it still counts."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from queries.counted import EVENTS, PLAN, START, System, event

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.queries.rebuild import rebuild
from schemas.duration import DAY

pytestmark = pytest.mark.integration

WINDOWS = (
    "SELECT grain, start, end, dimension, value, events, amount, users, sessions, registrations "
    "FROM live_activity WHERE events > 0 ORDER BY ALL"
)
FUNNELS = (
    "SELECT funnel, definition, start, end, breakdown, value, step, users, {times} FROM live_funnel "
    "WHERE funnel = '{name}' AND users > 0 ORDER BY ALL"
)
MORE = "INSERT INTO {0} SELECT * REPLACE ({1}) FROM {0} FINAL"
BUYING = FUNNELS.format(name="buying", times="mean_ms, median_ms, p90_ms")
ONCE = FUNNELS.format(name="once", times="1")


def random_events(seed: int, count: int) -> list[dict[str, Any]]:
    """Of three days, in order; people come back, and some platforms are beyond `max_values`."""
    rng = random.Random(seed)
    times = sorted(START + rng.randrange(3 * DAY) // 1000 * 1000 for _ in range(count))
    return [
        event(
            i, f"u{rng.randrange(25)}", rng.choice(("look", "look", "buy", "join")), ts,
            rng.choice(("ios", "web", "tv", "car", "")), rng.choice(("", "s1", "s2")),
        )
        for i, ts in enumerate(times)
    ]  # fmt: skip


async def _all(system: System) -> list[Any]:
    return [await system.connection.query(sql) for sql in (WINDOWS, BUYING, ONCE)]


@pytest.mark.parametrize("partitions", [1, 3])
async def test_windows_that_are_gone_come_again(server: EmbeddedClickHouse, partitions: int) -> None:
    async with System(server, random_events(partitions, 900), partitions) as system:
        before = await _all(system)
        for table in ("live_activity_raw", "live_funnel_raw"):
            await system.run(f"DELETE FROM {table} WHERE partition < 9")
        assert not (await system.verify()).ok
        result = await rebuild(system.settings, PLAN, whole=True)
        assert await _all(system) == before
        found = await system.verify()
        assert found.differences == []
        assert found.moving == 0
        assert (result.windows, result.funnels) == (
            (await system.connection.query("SELECT count() FROM live_activity_raw FINAL"))[0][0],
            (await system.connection.query("SELECT count() FROM live_funnel_raw FINAL"))[0][0],
        )
        assert result.untimed == ["once"]


async def test_what_is_there_is_replaced_whatever_it_says(server: EmbeddedClickHouse) -> None:
    async with System(server, random_events(4, 600), 3) as system:
        before = await _all(system)
        await system.run(
            "INSERT INTO live_activity_raw SELECT * REPLACE (events + 7 AS events, ['nowhere'] AS value) "
            "FROM live_activity_raw FINAL WHERE dimension = 'platform' AND grain = 'hour'"
        )
        await system.run(MORE.format("live_funnel_raw", "arrayMap(n -> n + 1, users) AS users"))
        assert not (await system.verify()).ok
        for _ in range(2):
            await rebuild(system.settings, PLAN, whole=True)
            assert await _all(system) == before
            assert (await system.verify()).differences == []


async def test_what_the_worker_still_counts_is_left_alone(server: EmbeddedClickHouse) -> None:
    async with System(server, random_events(5, 300), 2, batch=7) as system:
        windows, buying, _ = await _all(system)
        ((watermark,),) = await system.connection.query("SELECT min(watermark) FROM live_partition_raw FINAL")
        await system.run(MORE.format("live_activity_raw", "events + 1 AS events"))
        await system.run(MORE.format("live_funnel_raw", "arrayMap(n -> n + 1, users) AS users"))
        await rebuild(system.settings, PLAN, whole=False)
        after, after_buying, _ = await _all(system)
        # The lateness is an hour. Minutes are open for links for longer, and a bucket for the funnel's window.
        for before, found, open_for in (
            ([row for row in windows if row[0] != "minute"], after, timedelta(hours=1)),
            (buying, after_buying, timedelta(hours=1, minutes=5)),
        ):
            # The last records that were folded together are of some hours: their windows are left alone, too.
            over = [row for row in before if _end(row) + open_for + timedelta(hours=12) <= watermark]
            open_still = [row for row in before if _end(row) + open_for > watermark]
            assert over
            assert open_still
            assert [row for row in over if row not in found] == []
            assert [row for row in open_still if row in found] == []


def _end(row: Any) -> datetime:
    return next(value for value in row[3:0:-1] if isinstance(value, datetime))


async def test_a_window_that_the_last_records_stand_in_is_left_alone_though_they_closed_it(
    server: EmbeddedClickHouse,
) -> None:
    async with System(server, random_events(6, 200), 1) as system:  # one batch: every row is of its version
        await system.run(MORE.format("live_activity_raw", "events + 1 AS events"))
        before = await _all(system)
        await rebuild(system.settings, PLAN, whole=False)
        assert await _all(system) == before
        await rebuild(system.settings, PLAN, whole=True)
        assert (await system.verify()).differences == []


async def test_nothing_is_computed_from_an_archive_that_lacks_events(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS, 1) as system:
        before = await _all(system)
        await system.run("DELETE FROM events_raw WHERE actor = 'u3'")
        with pytest.raises(UserError, match="is not what was counted live: see `streamgauge verify`"):
            await rebuild(system.settings, PLAN, whole=True)
        assert await _all(system) == before
