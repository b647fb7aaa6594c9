"""`live_today`: the day so far, and the day before up to the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from migrated import running

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.settings import Settings

SETTINGS = Settings(clickhouse_database="today")


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("today")) as clickhouse:
        yield clickhouse


async def _today(
    server: EmbeddedClickHouse,
    days: list[str],
    events: list[tuple[str, str, str, str]],
    links: Sequence[tuple[str, str]] = (),
) -> list[Any]:
    """The view's rows, times as text. `days` are rows of live_activity_raw, `events` (stream, actor, ts, late), `links`
    (id, person)."""
    settings = SETTINGS.model_copy(update=server.access)
    await migrate(settings)
    client = await connect(settings)
    try:
        for table in ("live_activity_raw", "live_partition_raw", "events_raw", "links_raw"):
            await client.command(f"TRUNCATE TABLE {table}")
        for day in days:
            await client.command(
                "INSERT INTO live_activity_raw (stream, grain, start, end, events, amount, users, version) "
                f"VALUES ({day}, 1)"
            )
        for stream, watermark in (("main", "2026-11-22 02:00:00.500"), ("other", "2026-11-22 23:00:00")):
            await client.command(
                "INSERT INTO live_partition_raw (stream, watermark, updated_at) "
                f"VALUES ('{stream}', '{watermark}', now())"
            )
        for offset, (stream, actor, ts, late) in enumerate(events):
            await client.command(
                "INSERT INTO events_raw (stream, offset, counted_as, ts, late, value, ingested_at) "
                f"VALUES ('{stream}', {offset}, '{actor}', '{ts}', {late}, 1.5, now())"
            )
        for id_, person in links:
            await client.command(
                f"INSERT INTO links_raw (id, person, kind, outcome) VALUES ('{id_}', '{person}', 'login', 'linked')"
            )
        return (await client.query("SELECT * FROM live_today ORDER BY stream")).result_rows  # type: ignore[no-any-return]
    finally:
        await client.close()


def at(text: str) -> datetime:
    """UTC, as the client gives it."""
    return datetime.fromisoformat(text)


async def test_yesterday_counts_up_to_the_same_time(server: EmbeddedClickHouse) -> None:
    # Days of Shanghai: they begin at 16:00 UTC.
    rows = await _today(
        server,
        [
            "'main', 'day', '2026-11-20 16:00:00', '2026-11-21 16:00:00', 9, 13.5, 5",
            "'main', 'day', '2026-11-21 16:00:00', '2026-11-22 16:00:00', 7, 10, 4",
        ],
        [
            ("main", "early", "2026-11-20 15:59:59.999", "false"),
            ("main", "ann", "2026-11-20 16:00:00", "false"),
            ("main", "ann", "2026-11-20 20:00:00", "false"),
            ("main", "ben", "2026-11-21 02:00:00.500", "false"),
            ("main", "cas", "2026-11-21 02:00:00.501", "false"),
            ("main", "dee", "2026-11-20 20:00:00", "true"),
            ("other", "eve", "2026-11-20 20:00:00", "false"),
        ],
    )
    assert rows == [
        ("main", at("2026-11-21 16:00:00"), at("2026-11-22 02:00:00.500"), 7, Decimal(10), 4,
         at("2026-11-21 02:00:00.500"), 3, Decimal("4.5"), 2),
    ]  # fmt: skip


async def test_yesterdays_users_are_persons(server: EmbeddedClickHouse) -> None:
    """Who logged in meanwhile was one user yesterday too, and not one of another log."""
    rows = await _today(
        server,
        [
            "'main', 'day', '2026-11-21 00:00:00', '2026-11-22 00:00:00', 3, 4.5, 3",
            "'main', 'day', '2026-11-22 00:00:00', '2026-11-23 00:00:00', 7, 10, 4",
        ],
        [
            ("main", "device", "2026-11-21 01:00:00", "false"),
            ("main", "ann", "2026-11-21 01:30:00", "false"),
            ("main", "ben", "2026-11-21 01:30:00", "false"),
            ("other", "cas", "2026-11-21 01:30:00", "false"),
        ],
        [("device", "ann")],
    )
    assert [row[7:] for row in rows] == [(3, Decimal("4.5"), 2)]


async def test_without_yesterday_there_is_nothing_to_compare_with(server: EmbeddedClickHouse) -> None:
    rows = await _today(server, ["'main', 'day', '2026-11-22 00:00:00', '2026-11-23 00:00:00', 7, 10, 4"], [])
    assert [row[3:] for row in rows] == [(7, Decimal(10), 4, None, None, None, None)]


async def test_a_day_of_23_hours_is_compared_with_as_much_of_the_one_before(server: EmbeddedClickHouse) -> None:
    """Yesterday was shorter: today's last hour is compared with all of it."""
    rows = await _today(
        server,
        [
            "'other', 'day', '2026-11-21 00:00:00', '2026-11-21 22:00:00', 1, 1.5, 1",
            "'other', 'day', '2026-11-21 22:00:00', '2026-11-23 00:00:00', 7, 10, 4",
        ],
        [("other", "ann", "2026-11-21 21:59:59.999", "false"), ("other", "ann", "2026-11-21 22:00:00", "false")],
    )
    assert [row[6:] for row in rows] == [(at("2026-11-21 21:59:59.999"), 1, Decimal("1.5"), 1)]
