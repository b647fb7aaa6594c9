"""What the terminal view says."""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console

from pipeline.alerts.prometheus import PrometheusError, active
from pipeline.demo.terminal import Rates, alerts_panel, funnel_panel, view
from pipeline.render.language import Language

EN, ZH = Language("en"), Language("zh")


def test_the_step_that_loses_the_largest_share_is_pointed_out() -> None:
    funnel = {"bucket": "day", "steps": ["view", "cart", "pay", "done"], "users": [1000, 600, 60, 50]}
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(funnel_panel(EN, "checkout", funnel))
    lines = capture.get().splitlines()
    assert "most are lost here" in next(line for line in lines if "pay" in line)
    assert sum("most are lost here" in line for line in lines) == 1
    assert "10.0 % of the step before" in next(line for line in lines if "pay" in line)


def test_on_a_small_screen_the_address_and_what_is_wrong_come_first() -> None:
    """A terminal of 80 by 24 shows no more than the first 24 lines."""
    funnel = {"bucket": "day", "steps": ["a", "b", "c", "d", "e"], "users": [9, 8, 7, 6, 5]}
    live: dict[str, Any] = {
        "product": "Shop", "totals": {}, "lag": 0, "freshness_ms": 5, "publish_error": "",
        "active": {"now": 1, "last_5m": 2},
        "today": {"users": 1, "sessions": 1, "registrations": 0, "value_micro": 0, "amount": 0},
        "funnels": {"one": funnel, "two": funnel}, "top": {"event": {"view": {"events": 3}}},
    }  # fmt: skip
    console = Console(width=80, height=24, file=None)
    with console.capture() as capture:
        console.print(
            view(EN, live, None, 5.0, ["Dashboard   http://127.0.0.1:9110", "Kafka x"], alerts=[], away=["ClickHouse"])
        )
    first = capture.get().splitlines()[:23]
    assert first[0] == "Dashboard   http://127.0.0.1:9110"
    assert "! ClickHouse is away: it is being started again" in [line.rstrip() for line in first]


def test_in_chinese_the_screen_is_chinese() -> None:
    live: dict[str, Any] = {
        "product": "商店", "totals": {"accepted": 12, "rejected": 1}, "lag": 0, "freshness_ms": 400,
        "publish_error": "",
        "active": {"now": 1, "last_5m": 2},
        "today": {"users": 1, "sessions": 1, "registrations": 0, "value_micro": 0, "amount": 0},
        "funnels": {"购买": {"bucket": "day", "steps": ["浏览", "下单"], "users": [1000, 500]}}, "top": {},
    }  # fmt: skip
    console = Console(width=100, file=None)
    with console.capture() as capture:
        console.print(view(ZH, live, None, 5.0, [], alerts=[]))
    shown = capture.get()
    for text in (
        "今日会话",
        "被拒绝",
        "一切正常：延迟 0 秒，0 条记录等待处理。",
        "漏斗：购买（今天）",
        "上一步的  50.0 %",
        "按 Ctrl-C 结束",
    ):
        assert text in shown
    assert set(re.findall("[A-Za-z]{2,}", shown)) == {"Streamgauge", "Ctrl"}


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

    found = active(
        {
            "alerts": [
                alert("soon", "pending", "critical"),
                alert("minor", "firing", "info"),
                alert("cause", "firing", "none", kind="cause"),
                alert("major", "firing", "critical"),
            ]
        }
    )
    console = Console(width=80, record=True, file=None)
    with console.capture() as capture:
        console.print(alerts_panel(EN, found))
    lines = [line.strip(" │") for line in capture.get().splitlines()[1:-1]]
    assert lines == [
        "firing  major! 12 % (limit 40 %)", "firing  minor! 12 % (limit 40 %)", "pending soon!  12 % (limit 40 %)"
    ]  # fmt: skip


LIVE: Any = {
    "product": "Shop", "totals": {"accepted": 1}, "lag": 29, "freshness_ms": 300, "publish_error": "", "funnels": {},
    "active": {"now": 1, "last_5m": 1}, "top": {},
    "today": {"events": 1, "users": 1, "sessions": 1, "registrations": 0, "value_micro": 0},
}  # fmt: skip


def shown(alerts: Any) -> str:
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(view(EN, LIVE, None, 1.0, [], alerts=alerts))
    return capture.get()


def test_all_is_well_only_while_no_alert_fires_and_that_is_known() -> None:
    one = {
        "labels": {"alertname": "broken"},
        "annotations": {"title": "Checkout is failing"},
        "activeAt": "2026-11-22T06:00:00Z",
    }
    assert "All is well" in shown([])
    assert "All is well" in shown(active({"alerts": [{**one, "state": "pending"}]}))
    firing = shown(active({"alerts": [{**one, "state": "firing"}]}))
    assert "Checkout is failing" in firing
    assert "All is well" not in firing
    unknown = shown(PrometheusError("Prometheus at http://p does not answer (TimeoutError)"))
    assert "! Prometheus at http://p does not answer (TimeoutError): whether an alert fires is not known" in unknown
    assert "All is well" not in unknown
