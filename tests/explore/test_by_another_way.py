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
from pipeline.explore.distribution import distribution_sql
from pipeline.explore.filters import make_filter
from pipeline.explore.funnel import built_rows, built_sql
from pipeline.explore.lifecycle import STATES, lifecycle_sql
from pipeline.explore.paths import paths_sql
from pipeline.explore.question import (
    COUNTED,
    BuiltFunnel,
    Cell,
    Distribution,
    Lifecycle,
    Paths,
    Retention,
    Trend,
    TrendSeries,
)
from pipeline.explore.retention import cohorts, retention_sql
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


NUMBER: dict[str, Callable[[date], int]] = {
    "day": lambda day: (day - date(1970, 1, 1)).days,
    "week": lambda day: (monday(day) - date(1969, 12, 29)).days // 7,
    "month": lambda day: day.year * 12 + day.month - 1,
}


@pytest.mark.parametrize("grain", BEGIN)
@pytest.mark.parametrize("first_time", [True, False])
async def test_retention(world: World, done: list[Done], grain: Any, first_time: bool) -> None:
    asked = Retention(scope(FIRST, LAST), events("look", "ad"), events("buy"), grain, first_time)
    number = NUMBER[grain]
    cohorts_: dict[int, dict[str, set[int]]] = {}
    for person in {e.person for e in done}:
        mine = sorted((e for e in done if e.person == person and e.day <= LAST), key=lambda e: e.ms)
        begun = [e for e in mine if e.name in ("look", "ad")]
        begun = [e for e in (begun[:1] if first_time else begun) if e.day >= FIRST]
        for cohort in {number(e.day) for e in begun}:
            at = min(e.ms for e in begun if number(e.day) == cohort)
            came = {number(e.day) - cohort for e in mine if e.name == "buy" and e.ms >= at and e.day >= FIRST}
            cohorts_.setdefault(cohort, {})[person] = came
    found = cohorts(await rows(world, retention_sql(asked, PLAN)), asked, PLAN, date(2027, 1, 1))
    assert [(c.number, c.users) for c in found] == [(n, len(who)) for n, who in sorted(cohorts_.items())]
    for cohort in found:
        who = cohorts_[cohort.number]
        for n, came in enumerate(cohort.returned):
            begin = cohort.number + n + 1
            is_over = number(LAST + timedelta(days=1)) >= begin
            assert came == (sum(n in periods for periods in who.values()) if is_over else None)
    middle = found[len(found) // 2]
    who = cohorts_[middle.number]
    at = str(middle.number)
    assert await people(world, asked, Cell(-1, at)) == sorted(who)
    assert await people(world, asked, Cell(0, at)) == sorted(p for p, periods in who.items() if 0 in periods)
    assert await people(world, asked, Cell(0, at, lost=True)) == sorted(p for p in who if 0 not in who[p])


async def test_retention_is_the_catalogues(world: World, done: list[Done]) -> None:
    # Of everybody from the first event on: in a plan without registrations that is when they joined.
    asked = Retention(scope(FIRST, LAST), events(), events(), "day")
    found = cohorts(await rows(world, retention_sql(asked, PLAN)), asked, PLAN, LAST)
    first = {p: min(e.day for e in done if e.person == p) for p in {e.person for e in done}}
    assert sum(c.users for c in found) == sum(FIRST <= day <= LAST for day in first.values())
    join = [event(p, "join", min(e.at for e in done if e.person == p).isoformat()) for p in first]
    more = [event(e.person, e.name, e.at.isoformat()) for e in done]
    await world.tell([*join, *more])
    classic = await world.ask("retention", "cohort n users classic", from_=FIRST, to=LAST, period="day")
    asked = Retention(scope(FIRST, LAST), events("join"), events(), "day")
    found = cohorts(await rows(world, retention_sql(asked, PLAN)), asked, PLAN, LAST)
    mine = [
        (str(date(1970, 1, 1) + timedelta(days=c.number)), n, c.users, came)
        for c in found
        for n, came in enumerate(c.returned)
    ]
    assert mine == classic


@pytest.mark.parametrize("of", ["times", "days", "sum"])
async def test_distribution(world: World, done: list[Done], of: Any) -> None:
    asked = Distribution(scope(FIRST, LAST), events("look", "buy"), of, "properties.price" if of == "sum" else "")
    amounts: dict[str, float] = {}
    for person in {e.person for e in done}:
        mine = [e for e in done if e.person == person and e.name in ("look", "buy") and FIRST <= e.day <= LAST]
        prices = [e.price for e in mine if e.price is not None]
        if mine and (of != "sum" or prices):
            amounts[person] = {"times": len(mine), "days": len({e.day for e in mine}), "sum": sum(prices)}[of]
    width = next(w for w in (1, 2, 5, 10, 20, 50) if w * 20 >= max(amounts.values())) if of == "sum" else 1

    def begin(amount: float) -> float:
        if of == "times" and amount > 10:
            return max(low for low in (11, 21, 51, 101) if low <= amount)
        return amount // width * width

    expected: dict[float, list[str]] = {}
    for person, amount in amounts.items():
        expected.setdefault(begin(amount), []).append(person)
    found = await rows(world, distribution_sql(asked, PLAN))
    assert {row[0]: row[2] for row in found} == {first: len(who) for first, who in expected.items()}
    for first in list(expected)[:3]:
        assert await people(world, asked, Cell(0, str(int(first)))) == sorted(expected[first])


@pytest.mark.parametrize("grain", BEGIN)
@pytest.mark.parametrize("away", [1, 3])
async def test_lifecycle(world: World, done: list[Done], grain: Any, away: int) -> None:
    asked = Lifecycle(scope(FIRST, LAST), events(), grain, away)
    number = NUMBER[grain]
    expected: dict[int, dict[str, set[str]]] = {}
    for at in range(number(FIRST), number(LAST) + 1):
        states: dict[str, set[str]] = {state: set() for state in STATES}
        for person in {e.person for e in done}:
            active = {number(e.day) for e in done if e.person == person and e.day <= LAST}
            before = [n for n in active if n < at]
            if at in active:
                gone = at - max(before) if before else 0
                states["new" if not before else "returning" if gone <= away else "resurrected"].add(person)
            elif at - away in active and not any(at - away < n <= at for n in active):
                states["dormant"].add(person)
            # Who comes back in the very period in which they would be dormant is not.
        if any(states.values()):
            expected[at] = states
    found = await rows(world, lifecycle_sql(asked, PLAN))
    assert found == [(at, *(len(states[state]) for state in STATES)) for at, states in sorted(expected.items())]
    at = max(expected, key=lambda n: len(expected[n]["dormant"]))
    for i, state in enumerate(STATES):
        assert await people(world, asked, Cell(i, str(at))) == sorted(expected[at][state])


async def test_lifecycle_is_the_catalogues(world: World, done: list[Done]) -> None:
    asked = Lifecycle(scope(FIRST, LAST), events(), "day", 30)
    known = await world.ask("user_lifecycle", "new returning resurrected", from_=FIRST, to=LAST)
    found = {row[0]: row[1:4] for row in await rows(world, lifecycle_sql(asked, PLAN))}
    assert [found.get(NUMBER["day"](FIRST) + k, (0, 0, 0)) for k in range(len(known))] == known


@pytest.mark.parametrize(("way", "event_name"), [("from", ""), ("from", "look"), ("to", "buy")])
async def test_the_people_of_every_path(world: World, done: list[Done], way: Any, event_name: str) -> None:
    asked = Paths(scope(FIRST, LAST), way, event_name, 2)
    found = await rows(world, paths_sql(asked, PLAN))
    assert len(found) > 3
    for path, _, users, _ in found[:6]:
        assert len(await people(world, asked, Cell(0, path))) == users


async def test_paths_under_a_filter(world: World, done: list[Done]) -> None:
    asked = Paths(scope(FIRST, LAST, where=(make_filter("platform", "is", "ios"),)), "from", "", 2)
    found = await rows(world, paths_sql(asked, PLAN))
    everybody = await rows(world, paths_sql(Paths(scope(FIRST, LAST), "from", "", 2), PLAN))
    on_ios = {e.person for e in done if e.platform == "ios" and FIRST <= e.day <= LAST}
    assert 0 < sum(row[1] for row in found) < sum(row[1] for row in everybody)
    for path, _, users, _ in found[:4]:
        who = await people(world, asked, Cell(0, path))
        assert len(who) == users
        assert set(who) <= on_ios
