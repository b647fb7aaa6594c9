"""Of stored events only the days that are asked for are read: whole months would take seconds."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from metrics.world import PLAN, World
from pipeline.measure.periods import day_start
from pipeline.queries.conditions import moments_sql
from pipeline.queries.funnel_period import funnel_period_sql

#: Ten days of one month, each of more rows than a granule has.
FIRST, DAYS, A_DAY = date(2026, 11, 11), 10, 20_000
LAST = FIRST + timedelta(days=DAYS - 1)


@pytest.fixture
async def month(world: World) -> World:
    await world.tell([])
    await world.command(
        "INSERT INTO events_raw (stream, offset, event, event_id, actor, user_id, ts, ingested_at, properties) "
        "SELECT 's', number, 'look', toString(number), concat('u', toString(number % 500)) AS who, who, "
        f"toDateTime64('{FIRST} 00:00:00', 3, 'UTC') + toIntervalMillisecond(number * {86_400_000 // A_DAY}) AS at, "
        f"at, '{{}}' FROM numbers({DAYS * A_DAY})"
    )
    return world


async def read(world: World, sql: str) -> tuple[list[Any], int]:
    """The rows of the answer, and how many rows were read for it."""

    async def work(client: Any) -> Any:
        answer = await client.query(sql, settings={"use_query_cache": 0})
        return answer.result_rows, int(answer.summary["read_rows"])

    found: tuple[list[Any], int] = await world.connection.run(work)
    return found


async def test_between_two_moments_only_their_days_are_read(month: World) -> None:
    begin = int(datetime(2026, 11, 15, 6, tzinfo=UTC).timestamp() * 1000)
    only = moments_sql(str(begin), str(begin + 3_600_000))
    rows, count = await read(month, f"SELECT count(), toString(min(ts)), toString(max(ts)) FROM events WHERE {only}")
    assert rows == [(834, "2026-11-15 06:00:00.000", "2026-11-15 06:59:58.560")]
    assert count < 2 * A_DAY
    rows, count = await read(month, f"SELECT count() FROM events WHERE {moments_sql(str(begin + 5 * 86_400_000))}")
    assert rows == [(15_000,)]
    assert count < 3 * A_DAY


async def test_a_funnel_of_a_day_reads_that_day_and_the_time_to_go_on(month: World) -> None:
    last = LAST - timedelta(days=2)
    sql = funnel_period_sql(
        PLAN, PLAN.funnels["buying"], day_start(last, PLAN.zone), day_start(last + timedelta(days=1), PLAN.zone)
    )
    rows, count = await read(month, sql)
    assert rows[0][2] == [500, 0, 0]
    assert count < 5 * A_DAY


def test_no_question_asks_for_events_by_their_time_alone() -> None:
    """Of the times of links there is no order, so those may."""
    found = [
        path.name
        for path in Path(__file__).parents[2].joinpath("pipeline").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\bts >= fromUnixTimestamp", line)
    ]
    assert found == ["quality.py"]
