"""A plan full of names as SDKs send them, and of hostile ones: live equals SQL, and each name keeps its own figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from replay.live_and_sql import in_sql, live, logs_of

from pipeline.replay.sql import Archive
from schemas.plan import Plan

START = 1_790_035_200_000
NAMES = [
    "$pageview", "支付成功", "Sign Up (Google)", "it's", 'say "hi"', "back\\slash", "\\'", "{x:String}", "{database}",
    "{{ .Value }}", "%s %(a)s 100%", "?", "a/b?c=d&e#f", "<b>", "'; DROP TABLE replayed; --", "`tick`", "/* */", "null",
    "re\u0301sume\u0301", "r\u00e9sum\u00e9", "🛒", "a.b", "a,b", "properties", "ts", "event", "$1", "1", "a" * 195,
]  # fmt: skip


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.close()


def plan_of(names: list[str]) -> Plan:
    """Each name is an event, a property that is its value, a funnel, a dimension and a breakdown."""
    return Plan.model_validate({
        "product": "Names",
        "timezone": "Asia/Shanghai",
        "registration": names[0],
        "dimensions": ["event", *(f"properties.{name}" for name in names)],
        "events": {name: {"value": name, "properties": {name: "number", f"{name} text": "string"}} for name in names},
        "funnels": {
            name: {
                "steps": [
                    {"event": name, "where": {f"properties.{name} text": name}},
                    {"event": name, "where": {f"properties.{name}": {"gte": 2}}},
                ],
                "breakdown": [f"properties.{name}", f"properties.{name} text"],
                "modes": ["strict_once"],
            }
            for name in names
        },
    })  # fmt: skip


def events_of(names: list[str]) -> list[dict[str, Any]]:
    """Of each name: one user who takes both steps, one who sends another text, one who stops."""
    found = []
    for n, name in enumerate(names):
        sent = [("a", 1, name), ("a", 2.5, name), ("b", 3, name + "x"), ("b", 3, ""), ("c", 1, name)]
        for user, number, text in sent:
            properties = {name: number, f"{name} text": text}
            found.append({"event_id": f"e{len(found)}", "event": name, "user_id": f"{user}{n}",
                          "ts": START + 1000 * len(found), "properties": properties})  # fmt: skip
    return found


def test_live_equals_sql(archive: Archive) -> None:
    plan = plan_of(NAMES)
    logs = logs_of(events_of(NAMES), 3)
    ours, theirs = live(plan, logs, cuts=(7, 20, 40), crashes=(1, 4)), in_sql(plan, logs, archive)
    assert ours.totals.document() == theirs.totals.document()
    assert ours.totals.document()["accepted"] == 5 * len(NAMES)
    assert {window: counts[:2] for window, counts in ours.activity.items()} == {
        window: counts[:2] for window, counts in theirs.activity.items()
    }
    assert {c: cell.users for c, cell in ours.cohorts()} == {c: cell.users for c, cell in theirs.cohorts()}
    by_event = {w.value[0]: c for w, c in theirs.activity.items() if (w.grain, w.dimension) == ("day", "event")}
    assert {name: (by_event[name].events, by_event[name].amount) for name in NAMES} == dict.fromkeys(
        NAMES, (5, 10_500_000)
    )
    totals = {cohort.funnel: cell.users for cohort, cell in theirs.cohorts() if not cohort.breakdown}
    assert totals == {name: [2, 1] for name in NAMES}
    for name in NAMES:
        broken = {c.value for c, _ in theirs.cohorts() if (c.funnel, c.breakdown) == (name, f"properties.{name} text")}
        assert broken == {name}
