"""Published cases of other tools through `replay`: a plan for each query, both ways to its measures.

Only queries of ordered funnels are taken: `open` and `hybrid` (Retentioneering) are other questions, which a plan
can't ask.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from replay.live_and_sql import in_sql, live, logs_of

from pipeline.measure.funnel_counts import FunnelCell
from pipeline.replay.measures import Measures
from pipeline.replay.sql import Archive
from schemas.plan import Plan

CASES = sorted((Path(__file__).parents[1] / "measure" / "cases").glob("*.json"))
#: A second of a case lasts this long here, so that every case fits into one day.
SECOND = 10
DAY = 1_790_035_200_000


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.close()


def queries(kind: str) -> list[Any]:
    found = []
    for path in CASES:
        case = json.loads(path.read_text())
        for number, query in enumerate(case["queries"]):
            if case["kind"] == kind and query.get("order", "ordered") == "ordered":
                found.append(pytest.param(case["events"], query, id=f"{case['id']}-{number}"))
    return found


def plan_of(events: list[dict[str, Any]], query: dict[str, Any]) -> Plan:
    window = min(query["window_s"] * SECOND, 86_400_000)
    funnel = {"steps": query["steps"], "window": window, "bucket": "day", "modes": query.get("modes", []),
              "breakdown": ["properties.user"]}  # fmt: skip
    names = {event["event"] for event in events} | set(query["steps"])
    return Plan.model_validate({
        "product": "Case", "lateness": "1d", "dedupe": "1d", "events": dict.fromkeys(sorted(names)),
        "funnels": {"case": funnel},
    })  # fmt: skip


def seconds(ts: int | str) -> int:
    return ts if isinstance(ts, int) else int(datetime.fromisoformat(ts).replace(tzinfo=UTC).timestamp())


def both(events: list[dict[str, Any]], query: dict[str, Any], archive: Archive) -> list[Measures]:
    """Live (three partitions, small batches, a crash) and in SQL."""
    plan = plan_of(events, query)
    first = min(seconds(event["ts"]) for event in events)
    sent = [
        {"event_id": f"e{number}", "event": event["event"], "user_id": event["user"],
         "ts": DAY + (seconds(event["ts"]) - first) * SECOND, "properties": {"user": event["user"]}}
        for number, event in enumerate(events)
    ]  # fmt: skip
    logs = logs_of(sent, 3)
    found = [live(plan, logs, cuts=(2, 5, 9), crashes=(1, 4)), in_sql(plan, logs, archive)]
    for measures in found:
        assert measures.totals.document()["accepted"] == len(events)
    return found


def level_by_user(measures: Measures) -> dict[str, int]:
    """The breakdown by user tells how far each one got."""
    return {
        cohort.value: sum(1 for users in cell.users if users) for cohort, cell in measures.cohorts() if cohort.breakdown
    }


@pytest.mark.parametrize(("events", "query"), queries("funnel_level"))
def test_levels(archive: Archive, events: list[dict[str, Any]], query: dict[str, Any]) -> None:
    for measures in both(events, query, archive):
        levels = level_by_user(measures)
        assert {user: levels.get(user, 0) for user in query["expected_level"]} == query["expected_level"]


@pytest.mark.parametrize(("events", "query"), queries("funnel_counts"))
def test_counts(archive: Archive, events: list[dict[str, Any]], query: dict[str, Any]) -> None:
    for measures in both(events, query, archive):
        ((_, total),) = [item for item in measures.cohorts() if not item[0].breakdown]
        check(total, query)
        levels = level_by_user(measures)
        for step, names in query.get("expected_users", {}).items():
            assert sorted(user for user, level in levels.items() if level >= int(step)) == names


def check(cell: FunnelCell, query: dict[str, Any]) -> None:
    if "expected_counts" in query:
        assert cell.users == query["expected_counts"]
    for times, mean in zip(cell.times, query.get("expected_average_s", [None])[1:], strict=False):
        assert times.mean == mean * SECOND
    for times, median in zip(cell.times, query.get("expected_median_s", [None])[1:], strict=False):
        assert times.median == pytest.approx(median * SECOND, rel=0.01)


def test_enough_cases_are_here() -> None:
    assert len(queries("funnel_level")) >= 16
    assert len(queries("funnel_counts")) >= 4
