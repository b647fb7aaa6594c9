"""What the dashboard says is wrong."""

from __future__ import annotations

from typing import Any

from pipeline.alerts.prometheus import ActiveAlert, AlertWatch, active, history
from pipeline.dashboard.steps import step_list
from pipeline.dashboard.verdict import problems, status
from pipeline.render.language import Language
from pipeline.serve.answers import LiveAnswer

EN = Language("en")
NOW = 1_000_000


def numbers(**changes: Any) -> LiveAnswer:
    found: Any = {"time": 1_000_000, "totals": {"accepted": 1000}, "lag": 0, "freshness_ms": 2_000, "publish_error": ""}
    return {**found, **changes}  # type: ignore[no-any-return, typeddict-item]


def watch(firing: list[ActiveAlert] | None = None, problem: str = "") -> AlertWatch:
    found = AlertWatch("http://127.0.0.1:9")
    found.firing, found.problem = firing, problem
    return found


def said(
    found: LiveAnswer | None, *, away: bool = False, failing: dict[str, str] | None = None, store: str | None = None,
    alerts: AlertWatch | None = None,
) -> list[str]:  # fmt: skip
    alerts = alerts or AlertWatch(None)
    return [p.what for p in problems(EN, found, away=away, failing=failing or {}, store=store, alerts=alerts, now=NOW)]


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
    assert said(numbers(freshness_ms=300_000)) == []  # as a small product has at night
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


FIRES = ActiveAlert(
    "checkout_breaks", "firing", "critical", "Checkout is failing", "31 % instead of 60 %.", "Look at the last release.",
    "", 880_000,
)  # fmt: skip


def test_an_alert_that_fires_is_told_with_what_to_do() -> None:
    (found,) = problems(EN, numbers(), away=False, failing={}, store=None, alerts=watch([FIRES]), now=NOW)
    assert found.what == "Alert for 2 min: Checkout is failing."
    assert found.advice == "31 % instead of 60 %. Look at the last release."


def test_an_alert_is_told_though_no_worker_has_ever_answered() -> None:
    assert said(None, failing={"http://w:1": "TimeoutError"}, alerts=watch([FIRES])) == [
        "No worker answers (http://w:1).", "Alert for 2 min: Checkout is failing.",
    ]  # fmt: skip
    assert status(EN, None, 2) == ("2 problems", False)


def test_without_an_answer_of_prometheus_nobody_says_that_all_is_well() -> None:
    away = watch(None, "Prometheus at http://p does not answer (TimeoutError)")
    assert said(numbers(), alerts=away) == ["Prometheus does not answer: whether an alert fires is not known."]


def test_alerts_are_read_as_prometheus_writes_them() -> None:
    data = {"alerts": [
        {"labels": {"alertname": "orders_drop", "severity": "critical"}, "annotations": {"title": "Fewer orders", "summary": "s", "todo": "d"},
         "state": "firing", "activeAt": "2026-11-22T10:00:00.123456789Z", "value": "1e+00"},
        {"labels": {"alertname": "lag"}, "annotations": {}, "state": "pending", "activeAt": "2026-11-22T10:00:00Z", "value": "1"},
        {"labels": {"alertname": "quiet", "kind": "cause"}, "annotations": {}, "state": "firing", "activeAt": "2026-11-22T10:00:00Z", "value": "1"},
    ]}  # fmt: skip
    assert active(data) == [
        ActiveAlert("orders_drop", "firing", "critical", "Fewer orders", "s", "d", "", 1_795_341_600_123),
        ActiveAlert("lag", "pending", "", "lag", "", "", "", 1_795_341_600_000),
    ]
    series = {"result": [{
        "metric": {"__name__": "ALERTS", "alertname": "payments", "alertstate": "firing", "platform": "android", "severity": "critical"},
        "values": [[1_795_341_600, "1"], [1_795_341_660, "1"]],
    }]}  # fmt: skip
    assert history(series) == [
        ActiveAlert(
            "payments",
            "firing",
            "critical",
            "payments",
            "platform android",
            "",
            "",
            1_795_341_600_000,
            1_795_341_660_000,
        )
    ]
