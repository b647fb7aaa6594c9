"""Activity, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta

from metrics.world import World, event


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


async def test_rolling_active_users(world: World) -> None:
    """a: 1, 3, 20 November; b: 3 November only; c: 4 October, whose 30 days end on 2 November."""
    await world.tell(
        [
            event("a", "open", "2026-11-01 10:00"),
            event("a", "open", "2026-11-03 10:00"),
            event("a", "look", "2026-11-03 23:59"),
            event("a", "open", "2026-11-20 10:00"),
            event("b", "open", "2026-11-03 00:00"),
            event("c", "open", "2026-10-04 12:00"),
        ]
    )
    rows = await world.ask("active_users", "day dau wau mau stickiness", from_="2026-11-02", to="2026-11-20")
    found = {row[0]: row[1:] for row in rows}
    assert list(found) == [str(date(2026, 11, 2) + timedelta(days=i)) for i in range(19)]
    assert found["2026-11-02"] == (0, 1, 2, 0.0)  # a within 7 and 30 days, c on its 30th
    assert found["2026-11-03"] == (2, 2, 2, 1.0)  # c is out
    assert found["2026-11-09"] == (0, 2, 2, 0.0)  # the 7th day of both
    assert found["2026-11-10"] == (0, 0, 2, 0.0)
    assert found["2026-11-20"] == (1, 1, 2, 0.5)
    assert await world.ask("active_users", from_="2025-01-01", to="2025-01-01") == [("2025-01-01", 0, 0, 0, None)]


async def test_rolling_users_by_another_way(world: World) -> None:
    """The same from sets of users, day by day."""
    days = {f"u{i}": [date(2026, 10, 1) + timedelta(days=(i * i * k) % 60) for k in range(1, 9)] for i in range(1, 20)}
    await world.tell([event(actor, "open", f"{day} 12:00") for actor, active in days.items() for day in active])
    rows = await world.ask("active_users", "day dau wau mau", from_="2026-10-20", to="2026-11-28")
    assert len(rows) == 40
    for text, *counts in rows:
        day = date.fromisoformat(text)
        assert counts == [
            sum(any(day - timedelta(days=width) < d <= day for d in active) for active in days.values())
            for width in (1, 7, 30)
        ]


async def test_calendar_periods(world: World) -> None:
    """30 November 2026 is a Monday."""
    await world.tell(
        [
            event("a", "open", "2026-11-22 10:00"),  # Sunday
            event("a", "open", "2026-11-23 10:00"),  # Monday
            event("a", "open", "2026-11-29 23:59"),  # Sunday
            event("b", "open", "2026-11-30 00:00"),
        ]
    )
    weeks = {"from_": "2026-11-20", "to": "2026-11-30"}
    assert await world.ask("active_users_calendar", "period users events whole", **weeks) == [
        ("2026-11-16", 1, 1, 0), ("2026-11-23", 1, 2, 1), ("2026-11-30", 1, 1, 0),
    ]  # fmt: skip
    months = {"from_": "2026-11-01", "to": "2026-11-30", "period": "month"}
    assert await world.ask("active_users_calendar", "period users events whole", **months) == [("2026-11-01", 2, 4, 1)]


async def test_by_dimension(world: World) -> None:
    await world.tell(
        [
            event("a", "look", "2026-11-01 10:00", {"category": "shoes"}, platform="ios"),
            event("a", "look", "2026-11-01 11:00", {"category": "hats"}, platform="web"),  # of two platforms
            event("b", "look", "2026-11-01 10:00", {"category": "hats"}, platform="ios"),
            event("b", "open", "2026-11-01 10:00"),
        ]
    )
    day = {"from_": "2026-11-01", "to": "2026-11-01"}
    assert await world.ask("active_users_by", "value users share events", **day, dimension="platform") == [
        ("ios", 2, 1.0, 2), ("", 1, 0.5, 1), ("web", 1, 0.5, 1),
    ]  # fmt: skip
    assert await world.ask("active_users_by", "value users", **day, dimension="properties.category") == [
        ("hats", 2), ("", 1), ("shoes", 1),
    ]  # fmt: skip


async def test_lifecycle(world: World) -> None:
    """Dormant after 30 days. a: 1 and 31 October (30 days later: returning), then 1 December (31 days: resurrected)."""
    await world.tell(
        [
            event("a", "open", "2026-10-01 10:00"),
            event("a", "open", "2026-10-31 10:00"),
            event("a", "open", "2026-12-01 10:00"),
            event("b", "open", "2026-10-31 10:00"),
            event("b", "open", "2026-10-31 11:00"),
            event("z", "open", "2025-01-01 10:00"),  # long dormant, and back
            event("z", "open", "2026-10-31 12:00"),
        ]
    )
    columns = "day users new returning resurrected dormant quick_ratio"
    assert await world.ask("user_lifecycle", columns, from_="2026-10-31", to="2026-11-01") == [
        ("2026-10-31", 3, 1, 1, 1, 0, None),  # b, a, z
        ("2026-11-01", 0, 0, 0, 0, 0, None),
    ]
    assert await world.ask("user_lifecycle", columns, from_="2026-11-30", to="2026-12-02") == [
        ("2026-11-30", 0, 0, 0, 0, 0, None),  # 30 days after: not yet
        ("2026-12-01", 1, 0, 0, 1, 3, 0.333333),
        ("2026-12-02", 0, 0, 0, 0, 0, None),
    ]


async def test_lifecycle_adds_up_to_daily_active_users(world: World) -> None:
    days = {f"u{i}": [date(2026, 8, 1) + timedelta(days=(i * i * k) % 110) for k in range(1, 5)] for i in range(1, 30)}
    await world.tell([event(actor, "open", f"{day} 12:00") for actor, active in days.items() for day in active])
    period = {"from_": "2026-10-01", "to": "2026-11-15"}
    lifecycle = await world.ask("user_lifecycle", "day users new returning resurrected", **period)
    assert [(d, u) for d, u, *_ in lifecycle] == await world.ask("active_users_daily", "day users", **period)
    assert all(u == n + b + r for _, u, n, b, r in lifecycle)
    assert any(r for *_, r in lifecycle)


async def test_sessions(world: World) -> None:
    """By id; without ids by a pause of more than 30 minutes; over midnight on the day of its beginning."""
    await world.tell(
        [
            event("a", "open", "2026-11-01 10:00", session_id="s1"),
            event("a", "look", "2026-11-01 12:00", session_id="s1"),  # an id holds however long the pause
            event("b", "open", "2026-11-01 10:00"),
            event("b", "look", "2026-11-01 10:30"),  # 30 minutes are within the gap
            event("b", "look", "2026-11-01 11:01"),  # 31 are not
            event("c", "open", "2026-11-01 23:50"),
            event("c", "look", "2026-11-02 00:10"),
            event("d", "open", "2026-10-31 23:50", session_id="s1"),  # began before the period; another's id
            event("d", "look", "2026-11-01 00:10", session_id="s1"),
        ]
    )
    columns = "day sessions users median_seconds mean_seconds time_in_app_seconds events_per_session bounce_rate"
    assert await world.ask("sessions_daily", columns, from_="2026-11-01", to="2026-11-02") == [
        # 7200, 1800, 0, 1200 seconds; 2, 2, 1, 2 events
        ("2026-11-01", 4, 3, 1500.0, 2550.0, 3400.0, 1.75, 0.25),
        ("2026-11-02", 0, 0, None, None, None, None, None),
    ]


async def test_feature_penetration(world: World) -> None:
    await world.tell(
        [
            event("a", "open", "2026-11-01 10:00"),
            event("a", "look", "2026-11-01 10:00"),
            event("a", "look", "2026-11-02 10:00"),
            event("b", "open", "2026-11-01 10:00"),
            event("c", "look", "2026-11-03 10:00"),  # after the period
        ]
    )
    assert await world.ask("feature_penetration", from_="2026-11-01", to="2026-11-02") == [
        ("open", 2, 1.0, 2, 1.0, 1.0),
        ("look", 1, 0.5, 2, 2.0, 2.0),
    ]
    assert await world.ask("feature_penetration", from_="2025-11-01", to="2025-11-02") == []


async def test_active_days_and_hours(world: World) -> None:
    """2 November 2026 is a Monday."""
    await world.tell(
        [
            event("a", "open", "2026-11-02 00:00"),
            event("a", "open", "2026-11-03 23:59"),
            event("b", "open", "2026-11-02 00:30"),
            event("b", "look", "2026-11-02 00:31"),
        ]
    )
    period = {"from_": "2026-11-02", "to": "2026-11-03"}
    assert await world.ask("active_days_distribution", **period) == [(1, 1, 0.5), (2, 1, 0.5)]
    assert await world.ask("active_hours", **period) == [(1, 0, 2, 3), (2, 23, 1, 1)]


async def test_a_session_is_the_same_whatever_days_are_asked_for(world: World) -> None:
    """One by its id from the 1st to the 9th, with pauses of days; one without a pause, from the 5th to the 9th."""
    await world.tell(
        [
            *(event("a", "open", f"2026-11-0{day} 12:00", session_id="s") for day in (1, 5, 9)),
            *(event("b", "open", f"2026-11-0{day} {hour:02}:{minute:02}")
              for day in range(5, 10) for hour in range(24) for minute in (0, 20, 40)),
        ]
    )  # fmt: skip
    columns = "day sessions median_seconds"
    whole = await world.ask("sessions_daily", columns, from_="2026-10-28", to="2026-11-12")
    eight_days, five_days = 8 * 86_400.0, 5 * 86_400.0 - 1_200
    assert [row for row in whole if row[1]] == [("2026-11-01", 1, eight_days), ("2026-11-05", 1, five_days)]
    for day in (f"2026-11-{day:02}" for day in range(1, 13)):
        assert await world.ask("sessions_daily", columns, from_=day, to=day) == [row for row in whole if row[0] == day]
    # Paths are of the same sessions: the 9th is the beginning of none.
    for day, sessions in (("2026-11-01", [(1,)]), ("2026-11-05", [(1,)]), ("2026-11-09", [])):
        assert await world.ask("paths_from", "sessions", from_=day, to=day, depth=1) == sessions
