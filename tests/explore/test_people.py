"""The list of the people behind a number: who is in it if not all of them can be, and what it says of each."""

from __future__ import annotations

from metrics.world import PLAN, World, event

from pipeline.explore.people import people_sql
from pipeline.explore.question import Cell, Trend

from .asking import rows, scope, series


async def test_of_too_many_those_are_listed_who_were_seen_last(world: World) -> None:
    await world.tell(
        [
            event("ann", "look", "2026-11-01 09:00", platform="web", channel="ads"),
            event("ann", "buy", "2026-11-14 10:00", {"amount": 60}, platform="ios"),
            event("bob", "look", "2026-11-01 10:00"),
            event("cat", "look", "2026-11-01 11:00"),
            event("cat", "look", "2026-11-13 11:00"),
            event("dan", "look", "2026-11-01 12:00"),
        ]
    )
    question = Trend(scope("2026-11-01", "2026-11-14"), (series("look"),), "day")

    async def listed(most: int) -> list[tuple[str, int]]:
        found = await rows(world, people_sql(question, Cell(n=0, at="2026-11-01"), PLAN, most))
        return [(row[8], row[9]) for row in found]

    assert await listed(200) == [("ann", 4), ("cat", 4), ("dan", 4), ("bob", 4)]
    assert await listed(2) == [("ann", 4), ("cat", 4)]
    # Nobody else was seen in the last week: the next are those who come first by name.
    assert sorted(await listed(3)) == [("ann", 4), ("bob", 4), ("cat", 4)]
    ((user, _, first, last, platform, channel, events, revenue, *_),) = await rows(
        world, people_sql(question, Cell(n=0, at="2026-11-01"), PLAN, 1)
    )
    assert (user, str(first)[:16], str(last)[:16]) == ("ann", "2026-11-01 08:00", "2026-11-14 09:00")
    assert (platform, channel, events, float(revenue)) == ("ios", "ads", 2, 60.0)
