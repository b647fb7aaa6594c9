"""Faults: what a person writes, and what becomes rarer or more frequent by it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.simulate import Fault, Population, parse_fault

T0 = 1_790_812_800_000  # 2026-10-01T00:00:00Z
HOUR = 3_600_000


def events(*faults: Fault, until: int = T0 + 300_000) -> list[dict[str, Any]]:
    population = Population(1, start_ms=T0, rate=200.0, users=5_000, faults=faults)
    return [json.loads(s.value or b"") for s in takewhile(lambda s: s.at < until, population.events())]


def test_a_fault_as_people_write_it() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    found = parse_fault("step=purchase platform=android from=14:00 factor=0.2", now_ms=T0, zone=shanghai)
    assert found == Fault("purchase", 0.2, T0 + 6 * HOUR, None, {"platform": "android"})  # 14:00 there is 06:00 UTC
    assert parse_fault("step=pay, from=-2h, until=+30s", now_ms=T0) == Fault("pay", 0.0, T0 - 2 * HOUR, T0 + 30_000)
    assert parse_fault("step=refund factor=3 from=2026-10-01T01:00", now_ms=0) == Fault("refund", 3.0, T0 + HOUR)
    assert parse_fault("step=app_open country=DE", now_ms=T0) == Fault("app_open", 0.0, 0, None, {"country": "DE"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("platform=ios", "it names no step"),
        ("step=pay factor=much", "factor 'much' is not a number"),
        ("step=pay factor=-1", "factor -1: use 0"),
        ("step=pay step=pay", "step is given twice"),
        ("step=pay from=noon", "'noon' is not a time"),
        ("step=pay city=Ulm", "'city' is not part of a segment"),
        ("step=pay soon", "'soon' is not understood"),
        ("step=view_item factor=2", "view_item can't be made more frequent"),
        ("step=pay from=+2h until=+1h", "it ends before it begins"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fault(text, now_ms=T0)


def test_the_step_becomes_rare_where_and_when_it_was_said() -> None:
    start = T0 + 150_000
    counts = Counter(
        (e["platform"], e["ts"] >= start)
        for e in events(Fault("purchase", 0.2, start, None, {"platform": "android"}))
        if e["event"] == "purchase"
    )
    assert 0.1 < counts["android", True] / counts["android", False] < 0.3
    assert 0.8 < counts["ios", True] / counts["ios", False] < 1.25


def test_nothing_differs_before_a_fault_begins() -> None:
    fault = Fault("checkout", 0.0, T0 + 60_000)
    assert events(fault, until=T0 + 60_000) == events(until=T0 + 60_000)
    assert all(e["event"] != "checkout" for e in events(fault, until=T0 + 120_000)[15_000:])


def test_what_follows_a_lost_step_does_not_happen() -> None:
    found = events(Fault("pay", 0.0, T0 - HOUR), until=T0 + 120_000)
    assert {e["event"] for e in found} & {"pay", "purchase", "refund"} == set()


def test_a_sign_up_that_failed_leaves_no_account() -> None:
    found = events(Fault("sign_up", 0.0, T0 - HOUR), until=T0 + 120_000)
    assert not any("user_id" in e and "anonymous_id" in e for e in found)
    assert any("anonymous_id" in e for e in found)


def test_a_factor_above_one_makes_more_of_it() -> None:
    usual = Counter(e["event"] for e in events(until=T0 + 150_000))
    more = Counter(e["event"] for e in events(Fault("share", 5.0, T0 - HOUR), until=T0 + 150_000))
    assert 3.5 < more["share"] / usual["share"] < 6.5


def test_faults_are_the_same_for_the_same_seed() -> None:
    first, second = (
        list(islice(Population(1, start_ms=T0, rate=200.0, users=5_000, faults=[fault]).events(), 5_000))
        for fault in (Fault("add_to_cart", 0.5, T0), Fault("add_to_cart", 0.5, T0))
    )
    assert first == second
