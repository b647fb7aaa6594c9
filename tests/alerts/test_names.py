"""Alerts on events and values whose names mean something to PromQL, to Go's templates or to regular expressions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from alerts.promtool import both, check, current, one

from schemas.plan import Plan
from schemas.plan_io import parse_plan

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_prometheus")]

NAMES = [
    "$pageview", "支付成功", "Sign Up (Google)", "it's", 'say "hi"', "back\\slash", "{x:String}", "{{ .Value }}",
    "{{", "}}", "%s 100%", "a/b", "a|b", "[x]*", "^a$", "`tick`", "$1", "${1}", "🛒",
]  # fmt: skip


def plan_of(alerts: dict[str, object]) -> Plan:
    properties = dict.fromkeys(NAMES, "string")
    return parse_plan(yaml.safe_dump({
        "product": "Names",
        "events": {name: {"properties": properties} for name in NAMES},
        "dimensions": ["event", *(["event", f"properties.{name}"] for name in NAMES)],
        "alerting": {
            "labels": ["event", *(["event", f"properties.{name}"] for name in NAMES)],
            "receivers": {"team": {"print": True}}, "tell": "team", "alerts": alerts,
        },
    }, allow_unicode=True))  # fmt: skip


def minute(dimension: str, value: str) -> str:
    """A series as promtool reads it."""
    quoted = [json.dumps(text, ensure_ascii=False) for text in (dimension, value)]
    return f"streamgauge_minute_events{{dimension={quoted[0]}, value={quoted[1]}}}"


FEW = {"metric": "events", "below": 10, "over": "5m", "for": "2m", "keep": "5m"}


def test_an_alert_on_each_name_fires_for_its_own_event_alone(tmp_path: Path) -> None:
    plan = plan_of({f"few{i}": {**FEW, "event": name} for i, name in enumerate(NAMES)})
    series = current("1x60")
    for i, name in enumerate(NAMES):
        series += both(minute("event", name), "20x9 4x50" if i % 2 else "20x60")
    told = [("17m", f"few{i}", one(f"events a minute of {name} 8.0 (limit 10)") if i % 2 else [])
            for i, name in enumerate(NAMES)]  # fmt: skip
    check(tmp_path, plan, series, *told)


def test_a_value_and_the_values_of_a_field(tmp_path: Path) -> None:
    alerts: dict[str, object] = {}
    for i, name in enumerate(NAMES):
        alerts[f"is{i}"] = {**FEW, "event": name, "where": {f"properties.{name}": name}}
        alerts[f"by{i}"] = {**FEW, "event": name, "by": f"properties.{name}"}
    series = current("1x60")
    for name in NAMES:
        series += both(minute(f"event,properties.{name}", f"{name} / {name}"), "20x9 4x50")
    told = []
    for i, name in enumerate(NAMES):
        said = f"events a minute of {name}, properties.{name} {name} 8.0 (limit 10)"
        told.append(("17m", f"is{i}", one(said)))
        said = f"properties.{name} {name}: events a minute of {name} 8.0 (limit 10)"
        told.append(("17m", f"by{i}", one(said, segment=name)))
    check(tmp_path, plan_of(alerts), series, *told)


def test_the_segment_that_explains_it_is_named(tmp_path: Path) -> None:
    alerts = {f"few{i}": {**FEW, "event": name} for i, name in enumerate(NAMES)}
    plan = plan_of(alerts)
    series = current("1x60")
    for name in NAMES:
        series += both(minute("event", name), "20x9 4x50")
        series += both(minute(f"event,properties.{name}", f"{name} / {name}"), "20x9 4x50")
    check(
        tmp_path, plan, series,
        *(("17m", f"few{i}", one(f"events a minute of {name} 8.0 (limit 10), mostly properties.{name} {name}"))
          for i, name in enumerate(NAMES)),
    )  # fmt: skip
