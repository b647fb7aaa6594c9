"""Published cases of other tools, through our fold and through our query.

From ClickHouse's tests (Apache-2.0), PostHog's tests (MIT) and a figure of Retentioneering's guide (facts
only); each file in `cases/` says from where.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from measure.funnel_reference import Reference, conditions, table

from pipeline.measure.funnel import FunnelSpec, window_funnel
from pipeline.measure.funnel_counts import FunnelCell, FunnelCounters
from pipeline.measure.funnel_fold import FunnelFold
from pipeline.queries.funnel import FunnelQuery, cell_of, funnel_sql

FOREVER = 2_000_000_000_000
CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.fixture(scope="module")
def clickhouse(needs_embedded: None) -> Iterator[Reference]:
    with Reference() as reference:
        yield reference


def queries(kind: str) -> list[Any]:
    """One parameter a query: those of ordered funnels, the only ones there are here."""
    found = []
    for path in CASES:
        case = json.loads(path.read_text())
        for number, query in enumerate(case["queries"]):
            if case["kind"] == kind and query.get("order", "ordered") == "ordered":
                found.append(pytest.param(case["events"], query, id=f"{case['id']}-{number}"))
    return found


def milliseconds(ts: int | str) -> int:
    if isinstance(ts, int):
        return ts * 1000
    return int(datetime.fromisoformat(ts).replace(tzinfo=UTC).timestamp()) * 1000


def timelines(events: list[dict[str, Any]], steps: list[str]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        mask = sum(1 << k for k, step in enumerate(steps) if step == event["event"])
        found.setdefault(event["user"], []).append((milliseconds(event["ts"]), mask))
    return found


def test_all_cases_are_here() -> None:
    assert [path.stem[:4] for path in CASES] == ["ch01", "ch04", "ch07", "ph05", "ph06", "rt01"]


@pytest.mark.parametrize(("events", "query"), queries("funnel_level"))
def test_level(clickhouse: Reference, events: list[dict[str, Any]], query: dict[str, Any]) -> None:
    steps, window, modes = query["steps"], query["window_s"] * 1000, query["modes"]
    users = timelines(events, steps)
    found = {user: window_funnel(timeline, len(steps), window, modes) for user, timeline in users.items()}
    assert found == query["expected_level"]
    parameters = ", ".join([str(window), *(f"'{mode}'" for mode in modes)])
    level = f"windowFunnel({parameters})(ts, {', '.join(conditions(len(steps)))})"
    rows = table((user, ts, mask, "") for user, timeline in users.items() for ts, mask in timeline)
    assert dict(clickhouse.query(f"SELECT actor, {level} FROM {rows} GROUP BY actor")) == found


@pytest.mark.parametrize(("events", "query"), queries("funnel_counts"))
def test_counts(clickhouse: Reference, events: list[dict[str, Any]], query: dict[str, Any]) -> None:
    steps, window = query["steps"], query["window_s"] * 1000
    users = timelines(events, steps)
    spec = FunnelSpec(len(steps), window, lambda ts: (0, FOREVER))
    fold, counters = FunnelFold(spec), FunnelCounters(spec)
    levels = {}
    for user, timeline in users.items():
        _, changes = fold.fold(None, [(ts, mask, "") for ts, mask in timeline])
        counters.apply(changes)
        levels[user] = max((len(chain) for _, _, chain in changes), default=0)
    live = counters.summary([(0, "")])
    assert live is not None
    check(live, query)
    for step, names in query.get("expected_users", {}).items():
        assert sorted(user for user, level in levels.items() if level >= int(step)) == names

    rows = table((user, ts, mask, "") for user, timeline in users.items() for ts, mask in timeline)
    sql = funnel_sql(FunnelQuery(rows, conditions(len(steps)), window, "toUInt64(0)", f"toUInt64({{}} + {FOREVER})"))
    ((_, _, *stored),) = clickhouse.query(sql)
    assert cell_of(*stored) == live


def check(accumulator: FunnelCell, query: dict[str, Any]) -> None:
    if "expected_counts" in query:
        assert accumulator.users == query["expected_counts"]
    for times, mean in zip(accumulator.times, query.get("expected_average_s", [None])[1:], strict=False):
        assert times.mean == mean * 1000
    for times, median in zip(accumulator.times, query.get("expected_median_s", [None])[1:], strict=False):
        assert times.median == pytest.approx(median * 1000, rel=0.01)
