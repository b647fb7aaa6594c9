"""What the terminal view says."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from pipeline.alerts.state import of
from pipeline.demo.terminal import Rates, alerts_panel, funnel_panel


def test_the_step_that_loses_the_largest_share_is_pointed_out() -> None:
    funnel = {"bucket": "day", "steps": ["view", "cart", "pay", "done"], "users": [1000, 600, 60, 50]}
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(funnel_panel("checkout", funnel))
    lines = capture.get().splitlines()
    assert "most are lost here" in next(line for line in lines if "pay" in line)
    assert sum("most are lost here" in line for line in lines) == 1
    assert "10.0 % of the step before" in next(line for line in lines if "pay" in line)


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
