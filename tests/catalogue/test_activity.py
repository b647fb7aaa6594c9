"""Activity, worked out by hand."""

from __future__ import annotations

from catalogue.world import World, event


async def test_daily_active_users(world: World) -> None:
    """Berlin's 25 October 2026 lasts from 22:00 UTC of the 24th to 23:00 UTC of the 25th: 25 hours."""
    await world.tell(
        [
            event("a", "open", "2026-10-24 23:59"),  # the day before the period
            event("a", "open", "2026-10-25 00:00"),
            event("a", "look", "2026-10-25T02:30+02:00"),
            event("a", "look", "2026-10-25T02:30+01:00"),  # the same clock time an hour later
            event("b", "open", "2026-10-25 23:59", late=True),  # late, but it happened
            event("a", "open", "2026-10-27 23:59"),  # the last minute of the period
            event("c", "open", "2026-10-28 00:00"),
        ]
    )
    assert await world.ask("active_users_daily", from_="2026-10-25", to="2026-10-27") == [
        ("2026-10-25", 2, 4, 2.0),
        ("2026-10-26", 0, 0, None),
        ("2026-10-27", 1, 1, 1.0),
    ]
