"""What the terminal view says."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from pipeline.alerts.state import of
from pipeline.demo.terminal import Rates, alerts_panel, funnel_panel, view, worst_step


def test_the_step_that_loses_the_largest_share_is_pointed_out() -> None:
    assert worst_step([1000, 600, 60, 50]) == 2
    funnel = {"bucket": "day", "steps": ["view", "cart", "pay", "done"], "users": [1000, 600, 60, 50]}
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(funnel_panel("checkout", funnel))
    lines = capture.get().splitlines()
    assert "most are lost here" in next(line for line in lines if "pay" in line)
    assert sum("most are lost here" in line for line in lines) == 1
    assert "10.0 % of the step before" in next(line for line in lines if "pay" in line)


def test_few_users_are_no_reason_to_point_anywhere() -> None:
    assert worst_step([29, 1, 0]) is None
    assert worst_step([0, 0]) is None


def test_on_a_small_screen_the_address_and_what_is_wrong_come_first() -> None:
    """A terminal of 80 by 24 shows no more than the first 24 lines."""
    funnel = {"bucket": "day", "steps": ["a", "b", "c", "d", "e"], "users": [9, 8, 7, 6, 5]}
    live: dict[str, Any] = {
        "product": "Shop", "totals": {}, "lag": 0, "freshness_ms": 5, "active": {"now": 1, "last_5m": 2},
        "today": {"users": 1, "sessions": 1, "registrations": 0, "value_micro": 0, "amount": 0},
        "funnels": {"one": funnel, "two": funnel}, "top": {"event": {"view": {"events": 3}}},
    }  # fmt: skip
    console = Console(width=80, height=24, file=None)
    with console.capture() as capture:
        console.print(view(live, None, 5.0, ["Dashboard   http://127.0.0.1:9110", "Kafka x"], away=["ClickHouse"]))
    first = capture.get().splitlines()[:23]
    assert first[0] == "Dashboard   http://127.0.0.1:9110"
    assert "! ClickHouse is away: it is being started again" in [line.rstrip() for line in first]


def test_a_rate_needs_two_readings() -> None:
    rates = Rates()
    assert rates.update(100, now=1.0) is None
    assert rates.update(300, now=2.0) == 200.0
    assert rates.update(300, now=3.0) == 120.0  # smoothed


def test_alerts_that_fire_come_first_and_those_that_only_silence_others_not_at_all() -> None:
    def alert(name: str, state: str, severity: str, kind: str = "product") -> dict[str, Any]:
        labels = {"alertname": name, "severity": severity, "kind": kind}
        texts = {"title": f"{name}!", "summary": "12 % (limit 40 %)"}
        return {"labels": labels, "annotations": texts, "state": state, "activeAt": "2026-11-22T06:00:00Z"}

    found = of(
        [
            alert("soon", "pending", "critical"),
            alert("minor", "firing", "info"),
            alert("cause", "firing", "none", kind="cause"),
            alert("major", "firing", "critical"),
        ]
    )
    console = Console(width=80, record=True, file=None)
    with console.capture() as capture:
        console.print(alerts_panel(found))
    lines = [line.strip(" │") for line in capture.get().splitlines()[1:-1]]
    assert lines == [
        "firing  major! 12 % (limit 40 %)", "firing  minor! 12 % (limit 40 %)", "pending soon!  12 % (limit 40 %)"
    ]  # fmt: skip
