"""What a report counts of people, by the second way of counting them, and though producers may send any values."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from metrics.world import PLAN, World, event
from pipeline.report.people import DIMENSIONS, parted_people_sql, people_sql

DAY: Final = date(2026, 11, 12)
#: People, each with a platform, a channel, a version and a country of their own: of the values the most frequent
#: ones are told, people are counted all.
MANY, TOLD = 70_000, 32_767


def bounds(day: date) -> tuple[int, int]:
    begin = int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(PLAN.timezone)).timestamp() * 1000)
    return begin, begin + 86_400_000


async def test_of_any_number_of_values_the_most_frequent_are_told(world: World) -> None:
    await world.tell([event("often", "look", "2026-11-12 13:00", **dict.fromkeys(DIMENSIONS, "z"))] * 2)
    await world.command(
        f"INSERT INTO events_raw (stream, offset, event, event_id, actor, user_id, {', '.join(DIMENSIONS)}, ts, "
        "ingested_at, properties) "
        "SELECT 's', 10 + number, 'look', toString(number), concat('u', toString(number)) AS who, who, "
        + "".join(f"concat('{name} ', toString(number)), " for name in DIMENSIONS)
        + f"toDateTime64('{DAY} 12:00:00', 3, '{PLAN.timezone}') AS at, at, '{{}}' FROM numbers({MANY})"
    )
    found = await world.sql(
        "SELECT kind, at, dimension, count(), uniqExact(value), countIf(value = ''), sum(people), countIf(value = 'z') "
        f"FROM ({parted_people_sql([bounds(DAY)])}) GROUP BY kind, at, dimension ORDER BY kind, dimension"
    )
    by_value = [(1, name, TOLD + 1, TOLD + 1, 1, MANY + 1, 1) for name in sorted(DIMENSIONS)]
    everybody = (1, "", 1, 1, 1, MANY + 1, 0)
    assert found == [(kind, *row) for kind in ("new", "there") for row in (everybody, *by_value)]
    totals = await world.sql(f"SELECT * FROM ({people_sql([bounds(DAY)], DAY, DAY)}) ORDER BY kind")
    assert totals == [("daily", 1, MANY + 1), ("new", 1, MANY + 1), ("there", 1, MANY + 1)]


async def test_people_are_those_of_simpler_questions(world: World) -> None:
    """Each figure by a question of its own, one person after the other, in Python."""
    days = [date(2026, 11, d) for d in (2, 3, 9, 10)]
    told = [
        event(f"u{n % 23}", "look", f"{days[n // 10]} {8 + n % 12:02}:{n % 60:02}",
              platform=("ios", "", "web")[n % 3], channel=("", "ads")[n % 2], app_version=str(n % 4), country="CN")
        for n in range(40)
    ]  # fmt: skip
    await world.tell(told)
    spans = [(bounds(days[2])[0], bounds(days[3])[1]), (bounds(days[0])[0], bounds(days[1])[1])]
    rows = await world.sql(
        "SELECT person, toUnixTimestamp64Milli(ts), toString(day), "
        + ", ".join(f"toString({name})" for name in DIMENSIONS)
        + " FROM activity ORDER BY ts"
    )
    expected: dict[tuple[str, int, str, str], set[str]] = {}
    for number, (begin, end) in enumerate(spans, 1):
        for person, ts, _, *values in rows:
            if begin <= ts < end:
                expected.setdefault(("there", number, "", ""), set()).add(person)
                for name, value in zip(DIMENSIONS, values, strict=True):
                    expected.setdefault(("there", number, name, value), set()).add(person)
        for person in {row[0] for row in rows}:
            own = [row for row in rows if row[0] == person]
            if begin <= own[0][1] < end:
                expected.setdefault(("new", number, "", ""), set()).add(person)
                for k, name in enumerate(DIMENSIONS):
                    first = next((row[3 + k] for row in own if row[3 + k]), "")
                    expected.setdefault(("new", number, name, first), set()).add(person)
    found = await world.sql(f"SELECT kind, at, dimension, value, people FROM ({parted_people_sql(spans)})")
    assert {row[:4]: row[4] for row in found} == {key: len(people) for key, people in expected.items()}
    daily = {("daily", 1 + (day - days[0]).days): {row[0] for row in rows if row[2] == str(day)} for day in days}
    totals = {(kind, at): people for kind, at, people in await world.sql(people_sql(spans, days[0], days[3]))}
    assert totals == {key: len(people) for key, people in daily.items()} | {
        (kind, number): len(people) for (kind, number, dimension, _), people in expected.items() if not dimension
    }
