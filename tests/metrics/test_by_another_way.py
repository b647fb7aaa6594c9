"""Metrics over users drawn at random, counted again in Python, day by day and user by user."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from metrics.world import World, event

ZONE = ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2026, 9, 1), date(2026, 11, 20)
BEGIN, END = date(2026, 10, 5), date(2026, 11, 15)  # of the period asked for

#: User to the local times of its events, in order. The first event is the registration.
Lives = dict[str, list[datetime]]


def lives(seed: int) -> Lives:
    rng = random.Random(seed)
    found: Lives = {}
    for i in range(80):
        start = datetime.combine(FIRST + timedelta(days=rng.randrange(75)), datetime.min.time(), ZONE)
        times = {start + timedelta(minutes=rng.randrange(1440))}
        habit = rng.choice([2, 5, 12, 33])
        while max(times).date() <= LAST and rng.random() < 0.93:
            times.add(max(times) + timedelta(minutes=rng.choice([1, 29, 30, 31, 45, rng.randrange(habit * 1440)])))
        found[f"u{i}"] = sorted(time.astimezone(ZONE) for time in times)
    return found


@pytest.fixture
async def people(world: World) -> Lives:
    found = lives(11)
    await world.tell(
        [
            event(actor, "open" if i else "join", time.isoformat())
            for actor, times in found.items()
            for i, time in enumerate(times)
        ]
    )
    return found


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def month(day: date) -> date:
    return day.replace(day=1)


#: Period to: its first day, and its number, which grows by one from each to the next.
PERIODS: dict[str, tuple[Callable[[date], date], Callable[[date], int]]] = {
    "day": (lambda day: day, date.toordinal),
    "week": (monday, lambda day: monday(day).toordinal() // 7),
    "month": (month, lambda day: day.year * 12 + day.month),
}


def days(start: date, end: date) -> list[date]:
    return [start + timedelta(days=i) for i in range((end - start).days + 1)]


@pytest.mark.parametrize("period", PERIODS)
async def test_retention(world: World, people: Lives, period: str) -> None:
    begin, number = PERIODS[period]
    joined = {actor: times[0].date() for actor, times in people.items() if BEGIN <= times[0].date() <= END}
    expected = []
    for cohort in sorted({begin(day) for day in joined.values()}):
        users = [actor for actor, day in joined.items() if begin(day) == cohort]
        active = {actor: {number(t.date()) for t in people[actor] if t.date() <= END} for actor in users}
        for n in range(number(END) - number(cohort) + 1):
            at = number(cohort) + n
            classic = sum(at in active[actor] for actor in users)
            rolling = sum(max(active[actor]) >= at for actor in users)
            expected.append((str(cohort), n, len(users), classic, rolling))
    found = await world.ask("retention", "cohort n users classic rolling", from_=BEGIN, to=END, period=period)
    assert found == expected


@pytest.mark.parametrize("period", PERIODS)
async def test_churn(world: World, people: Lives, period: str) -> None:
    _, number = PERIODS[period]
    active: dict[int, set[str]] = {}
    for actor, times in people.items():
        for time in times:
            if time.date() <= END:
                active.setdefault(number(time.date()), set()).add(actor)
    # Of the period in which END lies nothing is said, unless END is its last day.
    running = number(END) if number(END + timedelta(days=1)) == number(END) else None
    expected = [
        (len(active[at - 1]), None if at == running else len(active[at - 1] - active.get(at, set())))
        for at in range(number(BEGIN), number(END) + 1)
        if at - 1 in active
    ]
    assert await world.ask("churn", "users_before churned", from_=BEGIN, to=END, period=period) == expected


async def test_lifecycle(world: World, people: Lives) -> None:
    expected = []
    for day in days(BEGIN, END):
        counts = dict.fromkeys(("new", "returning", "resurrected", "dormant"), 0)
        for times in people.values():
            before = [t.date() for t in times if t.date() < day]
            away = (day - max(before)).days if before else 0
            counts["dormant"] += away == 31
            if any(t.date() == day for t in times):
                counts["new" if not before else "returning" if away <= 30 else "resurrected"] += 1
        expected.append((str(day), *counts.values()))
    assert await world.ask("user_lifecycle", "day new returning resurrected dormant", from_=BEGIN, to=END) == expected
    assert all(sum(row[i] for row in expected) for i in (1, 2, 3, 4))


async def test_sessions(world: World, people: Lives) -> None:
    sessions: dict[date, list[tuple[str, int]]] = {}
    for actor, times in people.items():
        starts = [i for i, t in enumerate(times) if i == 0 or t - times[i - 1] > timedelta(minutes=30)]
        for start, end in zip(starts, [*starts[1:], len(times)], strict=True):
            seconds = int((times[end - 1] - times[start]).total_seconds())
            sessions.setdefault(times[start].date(), []).append((actor, seconds))
    expected = [
        (str(day), len(found), len({actor for actor, _ in found}), float(median(s for _, s in found)))
        for day in days(BEGIN, END)
        if (found := sessions.get(day))
    ]
    rows = await world.ask("sessions_daily", "day sessions users median_seconds", from_=BEGIN, to=END)
    assert [row for row in rows if row[1]] == expected


async def test_segments(world: World, people: Lives) -> None:
    counts = dict.fromkeys(("new", "active", "high_value", "at_risk", "churned"), 0)
    for times in people.values():
        seen = [t.date() for t in times if t.date() <= END]
        if seen:
            away, age = (END - max(seen)).days, (END - min(seen)).days
            counts["churned" if away > 30 else "at_risk" if away > 14 else "new" if age < 7 else "active"] += 1
    assert await world.ask("segments", "segment users", on=END) == list(counts.items())
