"""What the dashboard says is wrong."""

from __future__ import annotations

from typing import Any

from pipeline.dashboard.steps import step_list, worst_step
from pipeline.dashboard.verdict import findings, status
from pipeline.show.language import Language

EN = Language("en")


def numbers(**changes: Any) -> dict[str, Any]:
    return {"totals": {"accepted": 1000}, "lag": 0, "freshness_ms": 2_000, "publish_error": "", "alerts": [], **changes}


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
    assert worst_step([1000, 600, 60, 50]) == 2
    assert worst_step([29, 1]) is None
    html = step_list(EN, ["view", "cart", "pay", "done"], [1000, 600, 60, 50], before=[1000, 600, 300, 200])
    assert html.count("most are lost here") == 1
    assert "10.0 % of the step before · 540 lost · −40.0 points against before" in html
    assert "Too few users" in step_list(EN, ["a", "b"], [20, 1])
    assert "Nobody has begun" in step_list(EN, ["a", "b"], [0, 0])
