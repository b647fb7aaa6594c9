"""Rules put to the test by promtool: time series in, alerts out, with Prometheus's own engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from pipeline.alerts import rules
from schemas.plan import Plan
from schemas.plan_io import parse_plan

#: What every plan here has.
HEAD = """
product: Test
dimensions: [event, platform, [event, platform]]
events: {look: , pay: {value: amount, properties: {amount: number!}}}
funnels:
  buying: {steps: [look, pay], window: 10m, bucket: day, breakdown: [platform]}
alerting:
  labels: [event, platform, [event, platform]]
  receivers: {team: {print: true}}
  tell: team
  alerts:
"""
PARTITIONS = 2


def plan_with(alerts: str) -> Plan:
    """A plan with these alerts, in YAML."""
    return parse_plan(HEAD + "\n".join("    " + line for line in alerts.strip().splitlines()))


def both(series: str, values: str) -> list[dict[str, str]]:
    """The series of both partitions, each with these values."""
    name, _, labels = series.partition("{")
    rest = f", {labels}" if labels else "}"
    return [{"series": f'{name}{{partition="{p}"{rest}', "values": values} for p in range(PARTITIONS)]


def current(values: str) -> list[dict[str, str]]:
    """Whether both partitions are current, and how many there are."""
    return [*both("streamgauge_partition_current", values), {"series": "streamgauge_partitions", "values": "2x20000"}]


Check = tuple[str, str, list[dict[str, Any]]]


def check(folder: Path, plan: Plan, series: list[dict[str, str]], *checks: Check, interval: int = 1) -> None:
    """Assert with promtool what fires: (minute, name of the alert, the alerts of this name).

    Values of series are `interval` minutes apart, and so are evaluations.
    """
    folder.mkdir(exist_ok=True)
    (folder / "rules.yml").write_text(rules.text(plan, interval * 60_000), "utf-8")
    made = {rule["alert"]: rule for rule in rules.alerts(plan)}
    tests = []
    for at, name, expected in checks:
        rule = made[name]
        own = {} if name == rules.NO_DATA else {"rule": name}
        wanted = [
            {"exp_labels": {**_filled_in(rule["labels"]), **own, **found["labels"]},
             "exp_annotations": {**rule["annotations"], **found["annotations"]}}
            for found in expected
        ]  # fmt: skip
        tests.append({"eval_time": at, "alertname": name, "exp_alerts": wanted})
    step = f"{interval}m"
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": step,
        "tests": [{"interval": step, "input_series": series, "alert_rule_test": tests}],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test), "utf-8")
    # GOGC: it has some 100 MB for a second, and should not look through them so often.
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "GOGC": "400"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _filled_in(labels: dict[str, str]) -> dict[str, str]:
    """Labels as Prometheus fills them in: braces of the plan's own names are written as a template."""
    return {name: text.replace('{{"{{"}}', "{{") for name, text in labels.items()}


def one(summary: str, **labels: str) -> list[dict[str, Any]]:
    """One alert that fires with this summary and these labels."""
    return [{"labels": labels, "annotations": {"summary": summary}}]


NONE: list[dict[str, Any]] = []
