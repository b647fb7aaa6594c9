"""Messages no larger than their receivers take, cut between characters, with a word that they were cut."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts import manager
from pipeline.alerts.message import CUT, Message, Notification, compose, cut
from pipeline.alerts.robots import DINGTALK_BYTES, FEISHU_BYTES, dingtalk, feishu
from pipeline.report.send import slack_text
from schemas.plan_io import parse_plan

LONG = Message(
    "支付失败" * 400,
    [f"第{n}行 " + "从结账到支付的转化率😀" * 300 for n in range(30)],
    "https://x.cn/" + "b" * 300,
    "查看",
)


def posted(body: dict[str, Any]) -> int:
    return len(json.dumps(body).encode())


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(40, 200))
def test_a_text_is_cut_between_characters_and_says_so(text: str, most: int) -> None:
    found = cut(text, most)
    assert len(found.encode()) <= most
    if found != text:
        assert len(text.encode()) > most
        assert found.endswith(CUT)
        assert text.startswith(found.removesuffix(CUT))


@pytest.mark.parametrize("secret", [None, "s" * 60])
def test_robots_get_no_more_than_they_take(secret: str | None) -> None:
    for body, most in (
        (feishu(LONG, "https://x", secret, 1_790_000_000, "zh").body, FEISHU_BYTES),
        (dingtalk(LONG, "https://x", secret, 1_790_000_000).body, DINGTALK_BYTES),
    ):
        assert most // 3 < posted(body) <= most
        assert CUT in json.dumps(body, ensure_ascii=False)
        assert "查看" in json.dumps(body, ensure_ascii=False)


def test_a_message_that_fits_is_not_touched() -> None:
    short = Message("t", ["a", "b"], "https://x", "more")
    assert CUT not in json.dumps(feishu(short, "https://x", None, 1.0, "en").body, ensure_ascii=False)


PLAN = """
product: Test
dimensions: [event]
events: {pay: }
alerting:
  labels: [event]
  language: LANGUAGE
  receivers:
    app: {wecom: {corp_id: c, agent_id: "1", secret_file: SECRET}}
    chat: {slack: {url_file: /run/secrets/slack, channel: "#shop"}}
  alerts: {pays: {metric: events, event: pay, below: 1}}
"""


def written(template: str, told: list[dict[str, Any]], common: dict[str, str], folder: Path) -> bytes:
    """What Alertmanager's own engine makes of a template."""
    data = {"receiver": "app", "status": "firing", "alerts": told, "groupLabels": {}, "commonLabels": {},
            "commonAnnotations": common, "externalURL": "http://x"}  # fmt: skip
    (folder / "data.json").write_text(json.dumps(data), "utf-8")
    (folder / "empty.tmpl").write_text("")
    amtool = shutil.which("amtool")
    assert amtool is not None
    done = subprocess.run(
        [amtool, "template", "render", f"--template.glob={folder}/empty.tmpl",
         f"--template.data={folder}/data.json", "--template.type=text", f"--template.text={template}"],
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def template_of(kind: str, folder: Path, language: str = "en") -> str:
    """The text that a receiver of this kind gets."""
    (folder / "secret").write_text("s")
    plan = parse_plan(PLAN.replace("LANGUAGE", language).replace("SECRET", str(folder / "secret")))
    (receiver,) = (r for r in manager.document(plan)["receivers"] if r["name"] == kind)
    if kind == "app":
        return str(receiver["wechat_configs"][0]["message"])
    return str(receiver["slack_configs"][0]["text"] if kind == "chat" else receiver["email_configs"][0]["text"])


def alerts_of(count: int, summary: str, common: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"status": "firing", "labels": {"alertname": "pays"}, "startsAt": "2026-11-25T09:00:00Z",
         "annotations": {**common, "summary": f"{n} {summary}"}}
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.usefixtures("needs_prometheus")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("letter", "alerts"), [("长", 40), ("x", 40), ("😀", 40), ("<", 40), ("长", 1), ("", 2)])
def test_wecom_gets_at_most_2048_bytes(language: str, letter: str, alerts: int, tmp_path: Path) -> None:
    """As Alertmanager's own engine writes it."""
    common = {"title": letter * 900, "todo": letter * 900, "link": "https://x.example/" + "p" * 200}
    told = alerts_of(alerts, letter * 900, common)
    found = written(template_of("app", tmp_path, language), told, common, tmp_path)
    assert len(found) <= 2048
    text = found.decode()
    assert ("…" in text) is bool(letter)
    assert (CUT in text) is (alerts > 3)
    assert "https://x.example/" in text
    assert "2026-11-25 09:00:00 UTC" in text


@pytest.mark.usefixtures("needs_prometheus")
@pytest.mark.parametrize(("letter", "alerts"), [("长", 400), ("&", 400), ("<", 40), ("长", 1), ("", 2)])
def test_slack_gets_at_most_40000_characters(letter: str, alerts: int, tmp_path: Path) -> None:
    common = {"title": letter * 900, "todo": letter * 9_000, "link": "https://x.example/" + "p" * 200}
    told = alerts_of(alerts, letter * 9_000, common)
    text = written(template_of("chat", tmp_path), told, common, tmp_path).decode()
    assert len(text) <= 40_000
    assert ("…" in text) is bool(letter)
    assert (f"{CUT} {alerts}" in text) is (alerts > 10)
    assert text.endswith("\nhttps://x.example/" + "p" * 200 + "\n")


@pytest.mark.usefixtures("needs_prometheus")
def test_a_strangers_value_calls_nobody_and_hides_no_link(tmp_path: Path) -> None:
    """`<!channel>` of Slack, a link of WeCom's HTML."""
    evil = '<!channel> & <https://evil.example|pay> <a href="https://evil.example">pay</a>'
    told = alerts_of(1, evil, {})
    assert written(template_of("chat", tmp_path), told, {}, tmp_path).decode().splitlines()[0] == (
        '0 &lt;!channel&gt; &amp; &lt;https://evil.example|pay&gt; &lt;a href="https://evil.example"&gt;pay&lt;/a&gt;'
    )
    assert written(template_of("app", tmp_path), told, {}, tmp_path).decode().splitlines()[1] == (
        '0 ‹!channel> & ‹https://evil.example|pay> ‹a href="https://evil.example">pay‹/a>'
    )
    assert slack_text("<!here> & more") == "&lt;!here&gt; &amp; more"


def test_a_line_break_in_a_segment_fakes_no_line() -> None:
    plan = parse_plan(PLAN.replace("LANGUAGE", "en").replace("SECRET", "/s"))
    told = {"labels": {"alertname": "pays", "segment": "ios\nAll is well"}, "startsAt": "2026-11-25T09:00:00Z",
            "endsAt": "2026-11-25T09:05:00Z", "annotations": {"summary": "ios\u2028All is well: 3"}}  # fmt: skip
    for status, line in (("firing", r"ios\u2028All is well: 3"), ("resolved", r"ios\nAll is well")):
        found = Notification.model_validate({"status": status, "alerts": [{**told, "status": status}]})
        assert compose(found, plan).lines[0] == line
