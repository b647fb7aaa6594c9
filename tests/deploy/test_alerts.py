"""The files of Prometheus, Alertmanager and Grafana: what the ready plan becomes, and nothing that isn't there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.alerts import manager, rules
from pipeline.serve.names import METRICS
from schemas.plan_io import load_plan

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BRIDGE = "http://bridge:9600"
_NAME = re.compile(r"(?<![\w\"=])streamgauge[_:][a-z0-9_:]+")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    return found


def test_rules_and_routes_are_those_of_the_plan_in_the_compose_file() -> None:
    plan = load_plan(compose()["worker"]["environment"]["PIPELINE_PLAN"])
    again = f"streamgauge alerts render --plan shop --bridge {BRIDGE} -o DIR"
    assert (DEPLOY / "prometheus/streamgauge.rules.yml").read_text("utf-8") == rules.text(plan), again
    assert (DEPLOY / "alertmanager/alertmanager.yml").read_text("utf-8") == manager.text(plan, BRIDGE), again


def test_each_part_is_told_where_the_next_one_listens() -> None:
    services = compose()
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
    mounted = {v.split(":")[1] for v in services["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in prometheus["rule_files"]} <= mounted
    (told,) = prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert told.split(":") == ["alertmanager", services["alertmanager"]["ports"][0].rsplit(":", 1)[1]]
    assert f"http://bridge:{services['bridge']['command'][-1]}" == BRIDGE
    source = yaml.safe_load((DEPLOY / "grafana/datasource.yml").read_text("utf-8"))["datasources"][0]
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0].rsplit(':', 1)[1]}"
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in {
        v.split(":")[1] for v in services["grafana"]["volumes"]
    }


def expressions(board: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    found += [variable["definition"] for variable in board["templating"]["list"]]
    return found + [annotation["expr"] for annotation in board["annotations"]["list"]]


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    board = json.loads((DEPLOY / "grafana/streamgauge.json").read_text("utf-8"))
    recorded = {rule["record"] for rule in rules.document(load_plan("shop"))["groups"][0]["rules"] if "record" in rule}
    exported = {
        metric.name + ending
        for metric in METRICS
        for ending in {"counter": ("_total",), "gauge": ("",), "histogram": ("_sum", "_count", "_bucket")}[metric.kind]
    }
    used = {name for expression in expressions(board) for name in _NAME.findall(expression)}
    assert used <= recorded | exported
    assert len(used) > 15
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
    assert {target["datasource"]["uid"] for panel in board["panels"] for target in panel.get("targets", [])} == {
        yaml.safe_load((DEPLOY / "grafana/datasource.yml").read_text("utf-8"))["datasources"][0]["uid"]
    }


@pytest.mark.usefixtures("needs_prometheus")
def test_prometheus_and_alertmanager_accept_their_files(tmp_path: Path) -> None:
    board = json.loads((DEPLOY / "grafana/streamgauge.json").read_text("utf-8"))
    queries = [e for e in expressions(board) if not e.startswith("label_values(")]
    asked = {"groups": [{"name": "grafana", "rules": [
        {"record": f"q{n}", "expr": e.replace("$rule", "x").replace("$dimension", "x").replace("$funnel", "x")}
        for n, e in enumerate(queries)
    ]}]}  # fmt: skip
    (tmp_path / "grafana.yml").write_text(yaml.safe_dump(asked), "utf-8")
    for command in (
        ["promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml")],
        ["promtool", "check", "rules", str(tmp_path / "grafana.yml")],
        ["amtool", "check-config", str(DEPLOY / "alertmanager/alertmanager.yml")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
