"""The population: the same bytes from the same seed, a steady rate, people who behave, faults that show."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cost import cpu_seconds

from pipeline.ingest.validate import Validator
from pipeline.simulate import Behaviour, Change, Habits, Population, Rhythm, Sent
from pipeline.simulate.behaviour import Segment
from pipeline.simulate.population import HOURLY
from pipeline.simulate.visit import Step, Visit
from schemas.event import plain_id
from schemas.plan_io import load_plan

T0 = 1_790_812_800_000  # 2026-10-01T00:00:00Z
HOUR = 3_600_000
SHOP = load_plan("shop")


def population(seed: int = 1, **more: Any) -> Population:
    return Population(seed, **{"start_ms": T0, "rate": 200.0, "users": 5_000, **more})


def some(count: int, **more: Any) -> list[Sent]:
    return list(islice(population(**more).events(), count))


def fields(sent: Sent) -> dict[str, Any]:
    assert sent.value is not None
    found: dict[str, Any] = json.loads(sent.value)
    return found


@pytest.fixture(scope="module")
def day() -> list[dict[str, Any]]:
    """A quarter of an hour of the shop, 60,000 events."""
    return [fields(s) for s in some(60_000)]


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert some(3_000) == some(3_000)
    assert some(3_000)[:50] != some(3_000, seed=2)[:50]


def test_bytes_are_the_same_in_every_version() -> None:
    # A changed simulation changes what every recorded figure was measured with: change this knowingly.
    first = fields(some(1, under_way=False)[0])
    assert first["event"] == "app_open"
    assert len(first["event_id"]) == 32
    assert int(first["event_id"], 16) > 0


def test_events_come_in_time_order_from_the_start_on() -> None:
    times = [s.at for s in some(5_000)]
    assert times[0] >= T0
    assert times == sorted(times)


def test_every_event_is_one_of_the_plan_and_keyed_by_its_actor() -> None:
    validator = Validator(SHOP)
    for sent in some(5_000):
        event = validator.parse(sent.value)
        assert event.ts == sent.at
        assert plain_id(event.actor).encode() == sent.key
        assert (sent.truth, sent.why, sent.partition) == ("accepted", "", None)


def test_ids_are_unique(day: list[dict[str, Any]]) -> None:
    assert len({e["event_id"] for e in day}) == len(day)
    orders = [e["properties"]["order_id"] for e in day if e["event"] == "purchase"]
    assert len(set(orders)) == len(orders)


@pytest.mark.parametrize("rate", [50, 1_000])
def test_the_rate_is_steady_from_the_first_second(rate: int) -> None:
    times = [s.at - T0 for s in some(rate * 60, rate=rate, users=20_000)]
    assert times[-1] / 1000 == pytest.approx(60, rel=0.12)
    tenths = Counter(t // 10_000 for t in times)
    assert all(tenths[n] == pytest.approx(rate * 10, rel=0.25) for n in range(5))


def test_without_visits_under_way_it_begins_with_visits_that_begin() -> None:
    first = {e["session_id"]: e["event"] for e in reversed([fields(s) for s in some(500, under_way=False)])}
    assert set(first.values()) == {"app_open"}


def test_a_session_is_of_one_person_on_one_device(day: list[dict[str, Any]]) -> None:
    sessions = defaultdict(list)
    for event in day:
        if "session_id" in event:
            sessions[event["session_id"]].append(event)
    for events in sessions.values():
        for name in ("platform", "app_version", "channel", "campaign", "country"):
            assert len({e.get(name) for e in events}) == 1
        assert len({e.get("user_id") for e in events} - {None}) <= 1
        assert len({e.get("anonymous_id") for e in events} - {None}) <= 1


def test_anonymous_visitors_sign_up_and_are_users_from_then_on(day: list[dict[str, Any]]) -> None:
    sign_ups = [e for e in day if e["event"] == "sign_up"]
    assert len(sign_ups) > 200
    assert all(e["user_id"] and e["anonymous_id"] for e in sign_ups)
    signed_up = {e["anonymous_id"]: (e["ts"], e["user_id"]) for e in sign_ups}
    before = after = 0
    for event in day:
        when, user = signed_up.get(event.get("anonymous_id", ""), (0, ""))
        if user and event["ts"] < when:
            before += 1
            assert "user_id" not in event
        elif user and event["ts"] > when:
            after += 1
            assert event["user_id"] == user
    assert min(before, after) > 100


def test_the_funnel_leaks_at_every_step_and_differently_by_platform(day: list[dict[str, Any]]) -> None:
    steps = ["view_item", "add_to_cart", "checkout", "pay", "purchase"]
    counts = Counter((e["platform"], e["event"]) for e in day)
    shares = {}
    for platform in ("ios", "android", "web"):
        reached = [counts[platform, step] for step in steps]
        assert all(a > b > 0 for a, b in pairwise(reached))
        shares[platform] = counts[platform, "purchase"] / counts[platform, "checkout"]
    assert shares["ios"] > shares["android"] > shares["web"]


def test_the_world_is_wide(day: list[dict[str, Any]]) -> None:
    assert {e["event"] for e in day} == set(SHOP.events)
    assert Counter(e["platform"] for e in day).keys() == {"ios", "android", "web"}
    assert len({e["country"] for e in day}) >= 8
    assert len({e["channel"] for e in day}) == 5
    assert len({e.get("campaign") for e in day}) > 5
    assert len({e["app_version"] for e in day}) == 5
    by_actor = Counter(e.get("user_id") or e["anonymous_id"] for e in day)
    # Some come much more often than others.
    assert by_actor.most_common(10)[9][1] > 3 * len(day) / len(by_actor)


def test_orders_add_up_and_refunds_are_of_orders(day: list[dict[str, Any]]) -> None:
    orders = {e["properties"]["order_id"]: e for e in day if e["event"] == "purchase"}
    refunds = [e for e in day if e["event"] == "refund"]
    assert refunds
    for refund in refunds:
        order = orders[refund["properties"]["order_id"]]
        assert refund["properties"]["amount"] == -order["properties"]["amount"]
        assert refund["user_id"] == order["user_id"]
        assert refund["ts"] > order["ts"] + 60_000
        assert "session_id" not in refund


# -- rhythm --------------------------------------------------------------------------------


def test_the_curve_has_a_mean_of_1_and_stated_bounds() -> None:
    assert sum(HOURLY) / 24 == pytest.approx(1.0, abs=1e-9)
    assert min(HOURLY) >= 0.2
    assert max(HOURLY) <= 1.8
    assert Rhythm().factor(T0) == 1.0
    assert Rhythm(1.0).factor(T0 + 4 * HOUR) == pytest.approx(0.20)
    assert Rhythm(1.0, timezone(timedelta(hours=8))).factor(T0 + 13 * HOUR) == pytest.approx(1.80)
    assert Rhythm(0.5).factor(T0 + 4 * HOUR) == pytest.approx(0.60)
    assert Rhythm(1.0).factor(T0 + 4 * HOUR + HOUR // 2) == pytest.approx((HOURLY[4] + HOURLY[5]) / 2)


def test_weekends_are_busier_and_the_average_of_a_week_stays() -> None:
    rhythm = Rhythm(0.0, timezone(timedelta(hours=8)), 1.0)
    days = [rhythm.factor(T0 + day * 24 * HOUR) for day in range(7)]  # from a Thursday on, at eight in the morning
    assert days == pytest.approx([0.9, 0.9, 1.25, 1.25, 0.9, 0.9, 0.9])
    assert sum(days) / 7 == pytest.approx(1.0)
    # Saturday begins when it does there: at four in the afternoon of UTC's Friday.
    assert rhythm.factor(T0 + 40 * HOUR - 1) == pytest.approx(0.9)
    assert rhythm.factor(T0 + 40 * HOUR) == pytest.approx(1.25)


def test_the_hour_is_the_one_on_the_clocks_of_the_zone() -> None:
    berlin = Rhythm(1.0, ZoneInfo("Europe/Berlin"))
    noon = [datetime(2026, 10, day, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000 for day in (24, 25, 26)]
    assert [berlin.factor(at) for at in noon] == pytest.approx([HOURLY[12]] * 3)


def test_the_day_is_felt() -> None:
    events = population(rate=2.0, rhythm=Rhythm(1.0)).events()
    hours = Counter((s.at - T0) // HOUR for s in takewhile(lambda s: s.at < T0 + 24 * HOUR, events))
    for hour in (3, 9, 20):
        expected = 7200 * (HOURLY[hour] + HOURLY[(hour + 1) % 24]) / 2
        assert hours[hour] == pytest.approx(expected, rel=0.2)


# -- behaviour that changes -----------------------------------------------------------------


def test_a_fault_on_one_platform_shows_there_and_then() -> None:
    start, end = T0 + 100_000, T0 + 200_000
    habits = Habits(changes=[Change(start, {"pay": 0.0}, {"platform": "android"}, end)])
    paid = Counter(
        (e["platform"], (e["ts"] - T0) // 100_000)
        for e in map(fields, takewhile(lambda s: s.at < T0 + 300_000, population(habits=habits).events()))
        if e["event"] == "pay" and not start < e["ts"] < start + 60_000  # what was begun before may still come
    )
    assert paid["android", 1] == 0
    assert min(paid["android", 0], paid["android", 2], paid["ios", 1], paid["web", 1]) > 30


def test_changes_apply_by_segment_and_time() -> None:
    habits = Habits(
        {"ios": Behaviour(pay=0.5)},
        [Change(100, {"pay": 0.1}, {"country": "DE"}), Change(200, {"pay": 0.9, "share": 1.0}, end=300)],
    )
    german, french = Segment("ios", "1", "DE", "ads"), Segment("ios", "1", "FR", "ads")
    seen = []
    for now in (0, 100, 200, 300):
        habits.move_to(now)
        seen.append((habits.of(german).pay, habits.of(french).pay, habits.of(french).share))
    assert seen == [(0.5, 0.5, 0.03), (0.1, 0.5, 0.03), (0.9, 0.9, 1.0), (0.1, 0.5, 0.03)]
    assert habits.epoch == 3


def test_a_change_of_nothing_that_exists_is_refused() -> None:
    with pytest.raises(ValueError, match="'pray' is not a behaviour: use one of ad_impression, add_to_cart"):
        Change(0, {"pray": 1.0})
    with pytest.raises(ValueError, match="'city' is not part of a segment"):
        Change(0, {"pay": 1.0}, {"city": "Ulm"})


def test_other_behaviour_is_a_generator_function() -> None:
    def reader(visit: Visit) -> Iterator[Step]:
        yield 0, "article_view", ',"properties":{"article_id":"a1"}'
        yield 1_000, "like", ',"properties":{"article_id":"a1"}'
        visit.later(visit.apart(), 5_000, iter([(0, "comment", "")]))

    events = [fields(s) for s in some(3_000, journeys=[reader])]
    assert set(Counter(e["event"] for e in events)) == {"article_view", "like", "comment"}
    liked = {e["session_id"]: e["ts"] for e in events if e["event"] == "like"}
    viewed = {e["session_id"]: e["ts"] for e in events if e["event"] == "article_view"}
    assert all(liked[s] == viewed[s] + 1_000 for s in liked.keys() & viewed.keys())


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"users": 0}])
def test_a_population_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be greater than 0"):
        population(**wrong)


def test_it_costs_next_to_nothing() -> None:
    events = population(rate=2_000, users=20_000, under_way=False).events()
    list(islice(events, 5_000))
    # 80,000 to 130,000 on an idle machine.
    assert 30_000 / cpu_seconds(lambda: list(islice(events, 30_000))) > 25_000
