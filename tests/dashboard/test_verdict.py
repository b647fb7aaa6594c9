"""What the dashboard says is wrong."""

from __future__ import annotations

from typing import Any

from pipeline.alerts.firing import Firing, firing, history
from pipeline.dashboard.steps import step_list
from pipeline.dashboard.verdict import findings, status
from pipeline.render.language import Language

EN = Language("en")


def numbers(**changes: Any) -> dict[str, Any]:
    return {
        "time": 1_000_000,
        "totals": {"accepted": 1000},
        "lag": 0,
        "freshness_ms": 2_000,
        "publish_error": "",
        **changes,
    }


def said(
    found: dict[str, Any] | None, *, away: bool = False, failing: dict[str, str] | None = None, store: str | None = None
) -> list[str]:
    return [f.what for f in findings(EN, found, away=away, failing=failing or {}, store=store)]


def test_all_is_well() -> None:
    assert said(numbers()) == []
    assert status(EN, numbers(), 0) == ("live, 2 seconds behind", True)


def test_a_system_without_events_is_not_ill() -> None:
    assert said(numbers(totals={}, freshness_ms=None)) == []
    assert status(EN, numbers(totals={}, freshness_ms=None), 0) == ("no events yet", True)


def test_what_is_wrong_is_named() -> None:
    assert said(None, failing={"http://w:1": "ClientConnectorError"}) == ["No worker answers (http://w:1)."]
    assert said(numbers(), away=True, failing={"http://w:1": "TimeoutError"}) == ["No worker answers (http://w:1)."]
    assert said(numbers(), failing={"http://w:2": "TimeoutError"}) == ["1 worker(s) do not answer."]
    assert said(numbers(freshness_ms=600_000)) == ["No new event for 10 min."]
    assert said(numbers(lag=50_000, freshness_ms=600_000)) == ["50,000 records wait to be counted."]
    assert said(numbers(totals={"accepted": 900, "rejected": 100})) == ["10.0 % of all records are rejected."]
    assert said(numbers(totals={"accepted": 9, "rejected": 1})) == []  # too few to say
    assert said(numbers(), store="away") == ["ClickHouse does not answer."]
    assert said(numbers(publish_error="ConnectionError")) == ["ClickHouse does not answer."]


def test_the_worst_step_is_pointed_out_once_there_are_enough_users() -> None:
    html = step_list(EN, ["view", "cart", "pay", "done"], [1000, 600, 60, 50], before=[1000, 600, 300, 200])
    assert html.count("most are lost here") == 1
    assert "10.0 % of the step before · 540 lost · −40.0 points against before" in html
    assert "Too few users" in step_list(EN, ["a", "b"], [20, 1])
    assert "Nobody has begun" in step_list(EN, ["a", "b"], [0, 0])


def test_an_alert_that_fires_is_told_with_what_to_do() -> None:
    alert = Firing(
        "checkout_breaks", "Checkout is failing", "31 % instead of 60 %.", "Look at the last release.", 880_000
    )
    (found,) = findings(EN, numbers(), away=False, failing={}, store=None, alerts=[alert])
    assert found.what == "Alert for 2 min: Checkout is failing."
    assert found.advice == "31 % instead of 60 %. Look at the last release."


def test_alerts_are_read_as_prometheus_writes_them() -> None:
    answer = {"status": "success", "data": {"alerts": [
        {"labels": {"alertname": "orders_drop", "severity": "critical"}, "annotations": {"title": "Fewer orders", "summary": "s", "todo": "d"},
         "state": "firing", "activeAt": "2026-11-22T10:00:00.123456789Z", "value": "1e+00"},
        {"labels": {"alertname": "lag"}, "annotations": {}, "state": "pending", "activeAt": "2026-11-22T10:00:00Z", "value": "1"},
    ]}}  # fmt: skip
    assert firing(answer) == [Firing("orders_drop", "Fewer orders", "s", "d", 1_795_341_600_123)]
    series = {"data": {"result": [{
        "metric": {"__name__": "ALERTS", "alertname": "payments", "alertstate": "firing", "platform": "android", "severity": "critical"},
        "values": [[1_795_341_600, "1"], [1_795_341_660, "1"]],
    }]}}  # fmt: skip
    assert history(series) == [
        Firing("payments", "payments", "platform android", "", 1_795_341_600_000, 1_795_341_660_000)
    ]
