"""What a report counts of people, though producers may send any number of different values."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from metrics.world import PLAN, World
from pipeline.report.people import DIMENSIONS, people_sql

DAY: Final = date(2026, 11, 12)
#: People, each with a platform, a channel, a version and a country of their own: the fourth power is beyond 64 bits.
MANY: Final = 70_000


async def test_as_many_values_as_people_are_all_counted(world: World) -> None:
    await world.tell([])
    await world.command(
        f"INSERT INTO events_raw (stream, offset, event, event_id, actor, user_id, {', '.join(DIMENSIONS)}, ts, "
        "ingested_at, properties) "
        "SELECT 's', number, 'look', toString(number), concat('u', toString(number)) AS who, who, "
        + "".join(f"concat('{name} ', toString(number)), " for name in DIMENSIONS)
        + f"toDateTime64('{DAY} 12:00:00', 3, '{PLAN.timezone}') AS at, at, '{{}}' FROM numbers({MANY})"
    )
    begin = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=ZoneInfo(PLAN.timezone)).timestamp() * 1000)
    sql = people_sql([(DAY, DAY, begin, begin + 86_400_000)], DAY, DAY)
    found = await world.sql(
        "SELECT kind, at, dimension, count(), uniqExact(value), min(value) != '', sum(n) "
        f"FROM ({sql}) GROUP BY kind, at, dimension ORDER BY kind, dimension"
    )
    by_value = [(1, name, MANY, MANY, True, MANY) for name in sorted(DIMENSIONS)]
    everybody = (1, "", 1, 1, False, MANY)
    assert [(kind, *row) for kind, *row in found] == [
        ("daily", *everybody),
        *[(kind, *row) for kind in ("new", "there") for row in (everybody, *by_value)],
    ]
