"""The law of the live measures: they equal the SQL over the raw events, whatever happened on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay.live_and_sql import in_sql, live, logs_of

from pipeline.measure.funnel import MODES
from pipeline.replay.measures import Measures
from pipeline.replay.sql import Archive
from schemas.plan import Plan

# Clocks go forward in Berlin at 01:00 UTC on 2026-03-29 (back: 10-25), in Havana at midnight of 03-08.
SPRING, AUTUMN, HAVANA = 1_774_746_000_000, 1_792_890_000_000, 1_772_946_000_000
ZONES = {"UTC": SPRING, "Asia/Shanghai": 1_790_006_400_000, "Europe/Berlin": SPRING, "America/Havana": HAVANA,
         "Asia/Kathmandu": AUTUMN}  # fmt: skip
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.close()


wheres = st.one_of(
    st.just({}),
    st.sampled_from([
        {"properties.n": {"gte": 1}}, {"properties.n": 2}, {"platform": ["ios", "web"]}, {"platform": {"ne": "ios"}},
    ]),
)  # fmt: skip
steps = st.builds(lambda event, where: {"event": event, "where": where}, st.sampled_from(NAMES), wheres)
funnels = st.fixed_dictionaries({
    "steps": st.lists(steps, min_size=1, max_size=4),
    "window": st.sampled_from(["1ms", "2m", "1h", "2d"]),
    "bucket": st.sampled_from(["hour", "day"]),
    "breakdown": st.sampled_from([[], ["platform"], ["properties.n"], ["platform", "properties.n"]]),
    "attribution": st.sampled_from(["first", "last", "any"]),
    "modes": st.sets(st.sampled_from(sorted(MODES)), max_size=2).map(sorted),
    "exclude": st.lists(steps, max_size=1),
    "per": st.sampled_from(["user", "user", "session"]),
})  # fmt: skip
plans = st.fixed_dictionaries({
    "product": st.just("Test"),
    "timezone": st.sampled_from(sorted(ZONES)),
    "lateness": st.sampled_from(["0s", "1m", "1h", "3d"]),
    "dedupe": st.sampled_from(["1m", "1d"]),
    "max_values": st.sampled_from([1, 2, 1000]),
    "dimensions": st.sampled_from([["event"], ["platform", ["event", "platform"]], ["properties.n"]]),
    "registration": st.sampled_from([None, "a"]),
    "events": st.just({"a": {}, "b": {"value": "n", "properties": {"n": "number"}}, "c": None, "d": None}),
    "funnels": st.dictionaries(st.sampled_from(["f", "g"]), funnels, min_size=1),
}).map(Plan.model_validate)  # fmt: skip

# Steps of a few ms up to hours from one event to the next in the log, and back: ties, disorder, late ones.
gaps = st.sampled_from([0, 0, 0, 1, 60_000, -60_000, 119_999, 600_000, -600_000, 3_600_000, -3_600_000, 20_000_000])
rows = st.lists(
    st.tuples(
        gaps,
        st.integers(0, 60),  # event_id: some are duplicates
        st.sampled_from(["u1", "u2", "u3", "u4"]),
        st.sampled_from(NAMES),
        st.sampled_from(["ios", "web", "tv", "", None]),
        st.sampled_from([None, 0, 1, 2, 2.0, 1.25, -3.1]),
        st.sampled_from(["s1", "s2", None]),
    ),
    max_size=70,
)


def events_of(plan: Plan, rows: list[Any]) -> list[dict[str, Any]]:
    found, ts = [], ZONES[plan.timezone] - 7_200_000
    for gap, number, user, name, platform, n, session in rows:
        ts += gap
        found.append({"event_id": f"e{number}", "event": name, "user_id": user, "ts": ts, "platform": platform,
                      "session_id": session, "properties": {} if n is None else {"n": n}})  # fmt: skip
    return found


def users_apart(measures: Measures) -> dict[Any, Any]:
    """The activity without the figures that are estimates."""
    return {window: counts[:2] for window, counts in measures.activity.items()}


@settings(
    max_examples=settings.default.max_examples // 6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(plans, rows, st.integers(1, 4), st.lists(st.integers(1, 60), max_size=5), st.sets(st.integers(0, 8)))
def test_live_equals_sql(
    archive: Archive, plan: Plan, rows: list[Any], partitions: int, cuts: list[int], crashes: set[int]
) -> None:
    logs = logs_of(events_of(plan, rows), partitions)
    ours, theirs = live(plan, logs, cuts, sorted(crashes)), in_sql(plan, logs, archive)
    assert ours.totals.document() == theirs.totals.document()
    assert users_apart(ours) == users_apart(theirs)
    for window, counts in ours.activity.items():
        assert [round(n) for n in counts[2:]] == list(theirs.activity[window][2:]), window
    expected = {cohort: cell.users for cohort, cell in theirs.cohorts()}
    assert {cohort: cell.users for cohort, cell in ours.cohorts()} == expected
    timed = {c: cell.times for c, cell in theirs.cohorts() if c.funnel not in theirs.untimed}
    assert {c: cell.times for c, cell in ours.cohorts() if c.funnel not in theirs.untimed} == timed
