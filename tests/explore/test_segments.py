"""Segments: who is in them, from the plan and from a page; one that asks for too much is refused."""

from __future__ import annotations

from typing import Any

import pytest
from metrics.world import PLAN, TEXT, World, event, visit
from pydantic import ValidationError

from explore.asking import people, scope, series
from pipeline.errors import UserError
from pipeline.explore.address import read_segment
from pipeline.explore.given import AddressReader
from pipeline.explore.question import Cell, Trend
from pipeline.explore.segments import ChosenSegment, Rules, check_rule, rule_of_plan
from schemas.plan_io import PlanError, parse_plan
from schemas.segments import SegmentRule

EVENTS = [
    event("ann", "buy", "2026-10-01 10:00", {"amount": 5}, platform="ios"),
    event("ann", "buy", "2026-11-02 10:00", {"amount": 50}, platform="ios"),
    event("ann", "look", "2026-11-03 10:00", platform="ios"),
    event("bob", "buy", "2026-11-01 10:00", {"amount": 50}, platform="web"),
    event("bob", "refund", "2026-11-02 10:00", {"amount": -50}, platform="web"),
    event("eve", "look", "2026-11-04 10:00", platform="web"),
    visit("phone", "look", "2026-11-05 23:30", platform="ios"),
    # After the days that are looked at.
    event("eve", "buy", "2026-11-06 10:00", {"amount": 50}, platform="web"),
]


async def who(world: World, rule: Any, *, outside: bool = False) -> list[str]:
    segment = ChosenSegment("", rule, outside)
    return await people(world, Trend(scope(segment=segment), (series(""),)), Cell())


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"did": "buy"}, ["ann", "bob"]),
        ({"did": "buy", "at_least": 2}, ["ann"]),
        ({"did": "buy", "at_most": 1}, ["$device:phone", "bob", "eve"]),
        ({"did": "buy", "at_least": 1, "at_most": 1}, ["bob"]),
        # The last 5 days: the first to the fifth of November.
        ({"did": "buy", "at_least": 2, "within": "5d"}, []),
        ({"did": "buy", "within": "4d"}, ["ann"]),
        ({"did": "buy", "where": {"properties.amount": {"gte": 10}}, "at_least": 1}, ["ann", "bob"]),
        ({"did": "buy", "where": {"properties.amount": 5}}, ["ann"]),
        ({"did_not": "buy"}, ["$device:phone", "eve"]),
        ({"did_not": "refund"}, ["$device:phone", "ann", "eve"]),
        ({"did_not": "look", "within": "1d"}, ["ann", "bob", "eve"]),
        ({"seen": {"platform": "ios"}}, ["$device:phone", "ann"]),
        ({"attribute": {"tier": "gold"}}, ["ann"]),
        ({"attribute": {"tier": ["gold", "iron"], "age": {"gt": 30}}}, ["ann"]),
        ({"all": [{"did": "buy"}, {"did_not": "refund"}]}, ["ann"]),
        ({"any": [{"did": "refund"}, {"attribute": {"tier": "gold"}}]}, ["ann", "bob"]),
        ({"any": [{"did": "refund"}, {"all": [{"did_not": "buy"}, {"seen": {"platform": "web"}}]}]}, ["bob", "eve"]),
    ],
)
async def test_who_is_in_a_segment_of_a_plan(world: World, rule: dict[str, Any], expected: list[str]) -> None:
    await world.tell(EVENTS)
    await world.command("TRUNCATE TABLE user_attributes_raw")
    await world.command(
        "INSERT INTO user_attributes_raw (actor, name, value) VALUES ('ann', 'tier', 'gold'), ('bob', 'tier', 'iron'), "
        "('ann', 'age', '31'), ('bob', 'age', 'unknown')"
    )
    found = rule_of_plan(SegmentRule.model_validate(rule))
    assert await who(world, found) == expected
    everybody = ["$device:phone", "ann", "bob", "eve"]
    assert await who(world, found, outside=True) == [person for person in everybody if person not in expected]


async def test_a_segment_made_in_a_page(world: World) -> None:
    await world.tell(EVENTS)
    query = {
        "seg": "in", "g": "every", "g1": "did", "g1e": "buy", "g1c": "gte", "g1n": "1", "g1d": "30",
        "g1f1": "properties.amount", "g1o1": "gte", "g1v1": "10", "g2": "not", "g2e": "refund",
    }  # fmt: skip
    segment = read_segment(AddressReader(query, PLAN, scope().last, True), "seg")
    assert segment is not None
    assert await who(world, segment.rule) == ["ann"]
    assert isinstance(segment.rule, Rules)


SEGMENTS = """
segments:
  loyal:
    title: Loyal buyers
    all:
      - {did: buy, at_least: 2, within: 60d}
      - {did_not: refund}
"""


def test_a_plan_names_its_segments() -> None:
    plan = parse_plan(TEXT + SEGMENTS)
    given = AddressReader({"seg": "out:loyal"}, plan, scope().last, True)
    segment = read_segment(given, "seg")
    assert segment is not None
    assert (segment.name, segment.outside) == ("loyal", True)
    assert plan.digest == parse_plan(TEXT).digest  # they change nothing of what is counted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("segments: {a: {did: bye}}", "segments.a: the event 'bye' is not among this plan's events"),
        (
            "segments: {a: {did: buy, did_not: buy}}",
            "one of did, did_not, seen, attribute, all, any, not did and",
        ),
        ("segments: {a: {}}", "not none"),
        ("segments: {a: {did: buy, at_least: 3, at_most: 2}}", "at_least 3 is more than at_most 2"),
        ("segments: {a: {did: buy, within: 90m}}", "within is whole days, such as 7d"),
        ("segments: {a: {did_not: buy, at_least: 1}}", "at_least and at_most go with did, not with did_not"),
        ("segments: {a: {seen: {colour: red}}}", "'colour' is neither a field of the envelope"),
        ("segments: {a: {any: [{did: bye}]}}", "'bye' is not among"),
        ("segments: {a: {any: [" + "{did: buy}, " * 21 + "]}}", "at most 20 rules, 5 deep"),
        ("segments: {a: {all: [{all: [{all: [{all: [{all: [{all: [{did: buy}]}]}]}]}]}]}}", "at most 20 rules, 5 deep"),
    ],
)
def test_a_segment_of_a_plan_that_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises((PlanError, ValidationError, UserError)) as raised:
        parse_plan(TEXT + text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"seg": "in:nobody"}, "the plan has no segment 'nobody'"),
        ({"seg": "all"}, "seg is in:NAME or out:NAME"),
        ({"seg": "in"}, "the segment has no rule"),
        ({"seg": "in", "g1": "did", "g1e": "bye"}, "the plan has no event 'bye': did you mean buy?"),
        ({"seg": "in", "g1": "did", "g1n": "-1"}, "g1n is a whole number from 0 to 1000000"),
        ({"seg": "in", "g1": "has", "g1f1": "tier"}, "user.tier is what? Give a value"),
        ({"seg": "in", "g1": "was"}, "g1 is one of did, not, has, not 'was'"),
    ],
)
def test_a_wrong_segment_of_an_address_is_one_line(query: dict[str, str], said: str) -> None:
    with pytest.raises(UserError) as raised:
        read_segment(AddressReader(query, PLAN, scope().last, True), "seg")
    assert said in str(raised.value)


def test_a_segment_is_bounded() -> None:
    deep: Any = {"did": "buy"}
    for _ in range(6):
        deep = {"all": [deep]}
    for spec in (deep, {"any": [{"did": "buy"}] * 21}):
        with pytest.raises(UserError, match="at most 20 rules, 5 deep"):
            check_rule(rule_of_plan(SegmentRule.model_validate(spec)))
