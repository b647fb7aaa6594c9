"""Questions about people drawn at random, answered again in Python, event by event; and by the catalogue's metrics."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import mean, median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from metrics.world import PLAN, World, event

from explore.asking import events, people, rows, scope
from pipeline.explore.filters import make_filter
from pipeline.explore.funnel import built_rows, built_sql
from pipeline.explore.question import COUNTED, BuiltFunnel, Cell, Trend, TrendSeries
from pipeline.explore.trend import trend_sql
from schemas.duration import HOUR, MINUTE

ZONE = ZoneInfo("Europe/Berlin")
FIRST, LAST = date(2026, 10, 20), date(2026, 11, 12)  # a day of 25 hours is among them
NAMES = ("look", "cart", "buy", "ad")


@dataclass(frozen=True)
class Done:
    """An event of a person."""

    person: str
    name: str
    at: datetime
    platform: str
    price: float | None

    @property
    def ms(self) -> int:
        return int(self.at.timestamp() * 1000)

    @property
    def day(self) -> date:
        return self.at.date()


def drawn(seed: int, people: int = 60) -> list[Done]:
    rng = random.Random(seed)
    found = []
    for k in range(people):
        at = datetime.combine(date(2026, 10, 10) + timedelta(days=rng.randrange(30)), datetime.min.time(), ZONE)
        at = at + timedelta(minutes=rng.randrange(1440))
        for _ in range(rng.randrange(1, 25)):
            price = rng.choice([None, 5.0, 12.5, 40.0])
            found.append(Done(f"u{k}", rng.choice(NAMES), at.astimezone(ZONE), rng.choice(["ios", "web", ""]), price))
            at += timedelta(minutes=rng.choice([0, 1, 7, 31, 200, 1500, 9000]), milliseconds=rng.choice([0, 1, 999]))
    rng.shuffle(found)
    return found


@pytest.fixture
async def done(world: World) -> list[Done]:
    found = drawn(23)
    await world.tell(
        [
            event(
                e.person, e.name, e.at.isoformat(), {} if e.price is None else {"price": e.price}, platform=e.platform
            )
            for e in found
        ]
    )
    return found


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


BEGIN: dict[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": monday,
    "month": lambda day: day.replace(day=1),
}


@pytest.mark.parametrize("grain", BEGIN)
async def test_trend(world: World, done: list[Done], grain: Any) -> None:
    measures = ("count", "people", "per_person", "sum", "average", "median")
    trend = Trend(
        scope(FIRST, LAST, where=(make_filter("platform", "set", ""),)),
        tuple(TrendSeries(events("look", "buy"), m, "" if m in COUNTED else "properties.price") for m in measures),
        grain=grain, by=("platform",), formulas=("A / B - C",),
    )  # fmt: skip
    expected = {}
    for platform in ("ios", "web"):
        mine = [e for e in done if e.platform == platform and e.name in ("look", "buy") and FIRST <= e.day <= LAST]
        for period in {None, *(BEGIN[grain](e.day) for e in mine)}:
            own = [e for e in mine if period in (None, BEGIN[grain](e.day))]
            who, prices = {e.person for e in own}, [e.price for e in own if e.price is not None]
            expected[platform, period and str(period)] = (
                len(own), len(who), round(len(own) / len(who), 6), round(sum(prices), 6),
                round(mean(prices), 6) if prices else None, round(median(prices), 6) if prices else None, 0.0,
            )  # fmt: skip
            assert await people(world, trend, Cell(1, str(period or ""), (platform,))) == sorted(who)
            if grain == "day" and period and period > date(2026, 10, 24):
                break  # each cell costs a query: these are enough
    found = {(row[2], None if row[0] else row[1]): row[3:10] for row in await rows(world, trend_sql(trend, PLAN))}
    assert {key: found[key] for key in expected} == expected
    if grain != "day":
        assert set(found) == set(expected)


async def test_trend_is_the_catalogues_active_users(world: World, done: list[Done]) -> None:
    for grain, metric, column in (("day", "active_users_daily", "users"), ("day", "active_users_daily", "events")):
        measure: Any = "people" if column == "users" else "count"
        asked = Trend(scope(FIRST, LAST), (TrendSeries(events(), measure),), grain=grain)  # type: ignore[arg-type]
        found = [row[1:3] for row in await rows(world, trend_sql(asked, PLAN)) if not row[0]]
        assert found == [row for row in await world.ask(metric, f"day {column}", from_=FIRST, to=LAST) if row[1]]


def levels(mine: list[Done], steps: list[set[str]], window: int, order: str) -> int:
    """How far a person came: every choice of a first event is tried."""
    best, end = 0, LAST + timedelta(days=1)
    ordered = sorted(mine, key=lambda e: e.ms)
    for begun in ordered:
        if not FIRST <= begun.day < end or not any(begun.name in step for step in steps):
            continue
        if order == "any":
            later = [e for e in ordered if begun.ms <= e.ms <= begun.ms + window]
            best = max(best, sum(any(e.name in step for e in later) for step in steps))
            continue
        if begun.name not in steps[0]:
            continue
        # The earliest event of each next step that is not before the one before.
        at, level = begun.ms, 1
        while level < len(steps):
            following = [e.ms for e in ordered if e.name in steps[level] and at <= e.ms <= begun.ms + window]
            if not following:
                break
            at, level = min(following), level + 1
        best = max(best, level)
    return best


@pytest.mark.parametrize("order", ["ordered", "any"])
@pytest.mark.parametrize("window", [10 * MINUTE, 48 * HOUR])
async def test_funnel(world: World, done: list[Done], order: Any, window: int) -> None:
    steps = [{"look", "ad"}, {"cart"}, {"buy"}]
    funnel = BuiltFunnel(scope(FIRST, LAST), tuple(events(*sorted(step)) for step in steps), window, order)
    reached = {p: levels([e for e in done if e.person == p], steps, window, order) for p in {e.person for e in done}}
    (row,) = built_rows(await rows(world, built_sql(funnel, PLAN)))
    assert row.users == tuple(sum(level > k for level in reached.values()) for k in range(3))
    assert row.users[2] > 0
    for k in range(3):
        assert await people(world, funnel, Cell(k)) == sorted(p for p, level in reached.items() if level > k)
    for k in (1, 2):
        assert await people(world, funnel, Cell(k, lost=True)) == sorted(
            p for p, level in reached.items() if level == k
        )


async def test_funnel_is_the_catalogues(world: World, done: list[Done]) -> None:
    funnel = BuiltFunnel(scope(FIRST, LAST), (events("look"), events("cart"), events("buy")), 24 * HOUR)
    (row,) = built_rows(await rows(world, built_sql(funnel, PLAN)))
    found = await world.ask("funnel", "users", from_=FIRST, to=LAST, steps=["look", "cart", "buy"], within=86_400)
    assert [(n,) for n in row.users] == found
