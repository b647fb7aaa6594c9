"""The query counts what the fold counts: levels, buckets, breakdowns, exclusions and step times."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.funnel_reference import Reference, conditions, modes, table

from pipeline.explore.sql import SETTINGS
from pipeline.measure.funnel import Event, FunnelSpec
from pipeline.measure.funnel_counts import FunnelCell, FunnelCounters, StepTimes, bin_of
from pipeline.measure.funnel_fold import FunnelFold
from pipeline.measure.windows import bounds
from pipeline.queries.funnel import FunnelQuery, bucket_templates, cell_of, funnel_sql

A, B, C = 1, 2, 4


@pytest.fixture(scope="module")
def clickhouse(needs_embedded: None) -> Iterator[Reference]:
    with Reference() as reference:
        yield reference


def test_a_small_table(clickhouse: Reference) -> None:
    rows = [
        ("u1", 3_600_000, A, "ios"), ("u1", 3_660_000, B, ""), ("u1", 3_665_000, C, ""),
        ("u2", 3_700_000, A, "ios"), ("u2", 3_700_000, B, ""),
        ("u3", 3_800_000, A, "web"), ("u3", 9_000_000, A, "ios"),
        ("u4", 3_800_000, B, "web"),
    ]  # fmt: skip
    start, end = bucket_templates("hour")
    sql = funnel_sql(FunnelQuery(table(rows), conditions(3), 600_000, start, end, breakdown="v"))
    assert clickhouse.query(sql) == [
        [3_600_000, "ios", [2, 2, 1], [60_000, 5000], [[[-1, 551], [1, 1]], [[426], [1]]]],
        [3_600_000, "web", [1, 0, 0], [0, 0], [[[], []], [[], []]]],
        [7_200_000, "ios", [1, 0, 0], [0, 0], [[[], []], [[], []]]],
    ]
    where = funnel_sql(FunnelQuery(table(rows), conditions(3), 600_000, start, end, where="actor = 'u3'"))
    assert [row[:3] for row in clickhouse.query(where)] == [
        [3_600_000, "", [1, 0, 0]],
        [7_200_000, "", [1, 0, 0]],
    ]


def crowd(seed: int, steps: int, exclusions: bool) -> list[list[Event]]:
    """The events of 200 actors."""
    rng = random.Random(seed)
    actors = []
    for _ in range(200):
        span, several = rng.choice([5, 20, 60]), rng.choice([0, 0, 0.3])
        values = rng.choice([[""], ["a", "b", "小", "q'\\"]])
        events = []
        for _ in range(rng.randint(1, 12)):
            code = sum(1 << k for k in range(steps) if rng.random() < several)
            if not several:
                code = 1 << min(rng.randrange(steps), rng.randrange(steps))
            if rng.random() < 0.1:
                code = 0
            if exclusions and rng.random() < 0.1:
                code |= 1 << steps
            events.append((rng.randint(0, span), code, rng.choice(values)))
        actors.append(events)
    return actors


@settings(max_examples=settings.default.max_examples // 10, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    steps=st.sampled_from([2, 3, 3, 4, 8]),
    window=st.integers(1, 25),
    width=st.sampled_from([5, 10, 20, 100]),
    mode=modes,
    attribution=st.sampled_from(["first", "last", "any"]),
    exclusions=st.booleans(),
)
def test_the_query_counts_what_the_fold_counts(
    clickhouse: Reference,
    seed: int,
    steps: int,
    window: int,
    width: int,
    mode: frozenset[str],
    attribution: str,
    exclusions: bool,
) -> None:
    actors = crowd(seed, steps, exclusions)
    spec = FunnelSpec(
        steps, window, lambda ts: (ts // width * width, ts // width * width + width), mode, attribution  # type: ignore[arg-type]
    )  # fmt: skip
    fold, counters = FunnelFold(spec), FunnelCounters(spec)
    for events in actors:
        entry = None
        for event in events:
            entry, changes = fold.fold(entry, [event])
            counters.apply(changes)

    rows = [(actor, *event) for actor, events in enumerate(actors) for event in events]
    random.Random(seed).shuffle(rows)
    query = FunnelQuery(
        table(rows),
        conditions(steps),
        window,
        f"intDiv({{}}, {width}) * {width}",
        f"{{}} + {width}",
        breakdown="v",
        attribution=attribution,  # type: ignore[arg-type]
        modes=mode,
        exclude=f"bitTest(code, {steps})" if exclusions else "",
    )
    stored = {(bucket, value): cell_of(*cell) for bucket, value, *cell in clickhouse.query(funnel_sql(query))}
    live = {key: counters.summary([key]) for key in counters.keys()}  # noqa: SIM118 - not a dict
    live = {key: cell for key, cell in live.items() if cell is not None and any(cell.counts)}
    if not query.has_times:
        for cell in live.values():
            assert cell is not None
            cell.times = [StepTimes() for _ in cell.times]
    assert stored == live


@pytest.mark.parametrize(
    ("more", "users", "sums"),
    [
        ({}, [1, 1, 1], [1000, 2000]),
        ({"exclude": "bitTest(code, 3)"}, [1, 1, 1], [1000, 2000]),
        ({"modes": frozenset({"strict_order"})}, [1, 1, 0], [1000, 0]),
        ({"modes": frozenset({"strict_increase"}), "exclude": "bitTest(code, 3)"}, [1, 1, 1], [1000, 2000]),
        ({"any_order": True}, [1, 1, 1], []),
        ({"any_order": True, "exclude": "bitTest(code, 3)"}, [1, 1, 1], []),
    ],
)
def test_an_actor_of_very_many_events_takes_no_longer_than_a_question_may(
    clickhouse: Reference, more: dict[str, Any], users: list[int], sums: list[int]
) -> None:
    """A robot does a, b, an event without a step, c, and what is excluded, every second for three days and a half."""
    codes = [A, B, 0, C, 8]
    rows = f"(SELECT 'robot' AS actor, number * 1000 AS ts, {codes}[number % 5 + 1] AS code FROM numbers(300000))"
    sql = funnel_sql(FunnelQuery(rows, conditions(3), 600_000, "toUInt64(0)", f"toUInt64({{}} + {1 << 40})", **more))
    ((_, _, *found, _),) = clickhouse.query(f"{sql} {SETTINGS}")
    assert found == [users, sums]


def test_bins_are_those_of_the_counters(clickhouse: Reference) -> None:
    """At the bounds of all bins up to a year, where rounding would show first."""
    bound, waits = 1.0, {0, 1}
    while bound < 366 * 86_400_000:
        waits |= {int(bound), int(bound) + 1}
        bound *= 101 / 99
    rows = [(wait, ts, code, "") for wait in waits for ts, code in ((0, A), (wait, B))]
    sql = funnel_sql(FunnelQuery(table(rows), conditions(2), 1 << 40, "toUInt64(0)", "toUInt64({} + 1)"))
    ((_, _, *stored),) = clickhouse.query(sql)
    expected = FunnelCell(2)
    for wait in waits:
        expected.times[0].add(wait)
    expected.counts[2] = len(waits)
    assert cell_of(*stored) == expected
    assert expected.times[0].bins[bin_of(366 * 86_400_000 - 1)] > 0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/Havana", "Asia/Kathmandu"])
def test_days_are_those_of_the_windows(clickhouse: Reference, zone: str) -> None:
    """Havana's clocks change at midnight: some of its days begin at 1 o'clock."""
    rng = random.Random(1)
    times = [rng.randrange(1_577_836_800_000, 1_830_000_000_000) for _ in range(2000)]
    start, end = bucket_templates("day", zone)
    sql = f"SELECT {start.format('t')} AS s, {end.format('s')} FROM (SELECT arrayJoin({times}) AS t)"
    assert [tuple(row) for row in clickhouse.query(sql)] == [bounds("day", ts, ZoneInfo(zone)) for ts in times]


def test_an_unknown_bucket_or_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="no such bucket: week"):
        bucket_templates("week")
    with pytest.raises(ValueError, match="unknown funnel mode 'strict'"):
        funnel_sql(FunnelQuery("t", ("a", "b"), 10, "{}", "{}", modes=frozenset({"strict"})))
