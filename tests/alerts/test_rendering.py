"""What the plan's alerts become, judged by Prometheus's and Alertmanager's own tools."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from whole_system import command

from pipeline.alerts import manager, rules
from pipeline.alerts.check import MANAGER_FILE, RULES_FILE, render
from pipeline.errors import UserError
from schemas.plan import Plan
from schemas.plan_io import load_plan, parse_plan, ready_plans

EVERY_RECEIVER = """
product: Test
events: {pay: }
alerting:
  language: zh
  dashboard: https://example.com/board
  receivers:
    hook: {webhook: {url: "http://127.0.0.1:9/x"}}
    chat: {slack: {url_file: /run/secrets/slack, channel: "#shop"}}
    mail:
      email: {to: a@example.com, from: b@example.com, server: "mail.example.com:587", username: u, password_file: /p}
    wecom: {wecom: {corp_id: ww1, agent_id: "1000002", secret_file: SECRET}}
    feishu: {feishu: {url_file: /run/secrets/feishu, secret_file: /run/secrets/feishu_key}}
    ding: {dingtalk: {url_file: /run/secrets/ding}}
    paper: {print: true}
  tell: [hook, chat, mail, wecom, feishu, ding, paper]
  alerts:
    few: {metric: events, below: 10, severity: critical}
    fewer: {metric: events, below: 20, under: few, tell: hook}
"""


@pytest.fixture
def every_receiver(tmp_path: Path) -> Plan:
    secret = tmp_path / "wecom-secret"
    secret.write_text("very secret\n")
    return parse_plan(EVERY_RECEIVER.replace("SECRET", str(secret)))


def judged(folder: Path) -> None:
    for tool in (["promtool", "check", "rules", RULES_FILE], ["amtool", "check-config", MANAGER_FILE]):
        done = subprocess.run(tool, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ready_plans())
@pytest.mark.usefixtures("needs_prometheus")
def test_the_tools_accept_what_ready_plans_become(name: str, tmp_path: Path) -> None:
    render(load_plan(name), tmp_path)
    judged(tmp_path)


@pytest.mark.usefixtures("needs_prometheus")
def test_the_tools_accept_every_kind_of_receiver(every_receiver: Plan, tmp_path: Path) -> None:
    render(every_receiver, tmp_path)
    judged(tmp_path)


def receivers(plan: Plan) -> dict[str, Any]:
    return {r.pop("name"): r for r in manager.document(plan, "http://bridge:9096/")["receivers"]}


def test_secrets_are_named_by_file_and_what_must_be_inside_is_for_its_owner_only(
    every_receiver: Plan, tmp_path: Path
) -> None:
    found = receivers(every_receiver)
    assert found["hook"] == {"webhook_configs": [{"url": "http://127.0.0.1:9/x", "send_resolved": True}]}
    assert found["chat"]["slack_configs"][0]["api_url_file"] == "/run/secrets/slack"
    assert found["mail"]["email_configs"][0]["auth_password_file"] == "/p"
    assert found["wecom"]["wechat_configs"][0]["api_secret"] == "very secret"
    for name in ("feishu", "ding", "paper"):
        assert found[name] == {"webhook_configs": [{"url": f"http://bridge:9096/{name}", "send_resolved": True}]}
    render(every_receiver, tmp_path)
    assert (tmp_path / MANAGER_FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / RULES_FILE).stat().st_mode & 0o777 == 0o644


def test_a_secret_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match=r"receivers.wecom: the secret file SECRET can't be read"):
        manager.document(parse_plan(EVERY_RECEIVER))


def test_everybody_is_told_who_should_be(every_receiver: Plan) -> None:
    routes = manager.document(every_receiver)["route"]["routes"]
    told: dict[str, list[str]] = {}
    for route in routes:
        told.setdefault(route["matchers"][0], []).append(route["receiver"])
    everybody = list(every_receiver.alerting.receivers)
    assert told == {
        f'alertname="{rules.NO_DATA}"': everybody,
        'alertname="few"': everybody,
        'alertname="fewer"': ["hook"],
    }
    # A route without `continue` ends the search: only the last of an alert may be one.
    assert [r["receiver"] for r in routes if "continue" not in r] == ["paper", "paper", "hook"]


def test_rules_are_the_same_every_time() -> None:
    plan = load_plan("shop")
    assert rules.text(plan) == rules.text(load_plan("shop"))
    assert [rule["alert"] for rule in yaml.safe_load(rules.text(plan))["groups"][0]["rules"] if "alert" in rule] == [
        rules.NO_DATA, *plan.alerting.alerts,
        # These tell nobody, and silence what their causes explain.
        "StreamgaugeNoData_lately", "counting_lags_lately", "events_are_old_lately",
        "payment_breaks_on_a_platform_lately", "checkout_breaks_lately", "no_orders_lately",
    ]  # fmt: skip


@pytest.mark.usefixtures("needs_prometheus")
def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    done = command("alerts", "render", "--plan", "shop", "-o", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(tmp_path / "out" / name) for name in (RULES_FILE, MANAGER_FILE)]
    judged(tmp_path / "out")
    checked = command("alerts", "check", "--plan", "shop")
    assert checked.returncode == 0
    assert "checkout_breaks: conversion below 40 % (critical, tells shop, data)" in checked.stdout
    assert checked.stdout.endswith(f"{RULES_FILE}: fine, says promtool\n{MANAGER_FILE}: fine, says amtool\n")
    as_json = json.loads(command("alerts", "check", "--plan", "content", "--json").stdout)
    assert [verdict["ok"] for verdict in as_json["verdicts"]] == [True, True]


def test_a_wrong_interval_is_said() -> None:
    done = command("alerts", "render", "-o", "x", "--interval", "1h")
    assert (done.returncode, done.stderr) == (2, "streamgauge: --interval: from 1s to 1m\n")


def test_a_language_that_there_are_no_words_in_is_said_where_it_stands(tmp_path: Path) -> None:
    plan = tmp_path / "p.yaml"
    plan.write_text("product: x\nevents: {view: }\nalerting:\n  language: xx\n")
    said = "alerting.language: there are no words in xx; there are some in en, zh"
    done = command("plan", "check", str(plan))
    assert (done.returncode, done.stdout) == (1, f"{plan}: line 4: {said}\n")
    done = command("alerts", "render", "--plan", str(plan), "-o", str(tmp_path / "files"))
    assert (done.returncode, done.stderr) == (2, f"streamgauge: {said}\n")
    assert not (tmp_path / "files").exists()
