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
from pipeline.alerts.message import CUT, Message, cut
from pipeline.alerts.robots import DINGTALK_BYTES, FEISHU_BYTES, dingtalk, feishu
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
  receivers: {app: {wecom: {corp_id: c, agent_id: "1", secret_file: SECRET}}}
  alerts: {pays: {metric: events, event: pay, below: 1}}
"""


@pytest.mark.usefixtures("needs_prometheus")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("letter", "alerts"), [("长", 40), ("x", 40), ("😀", 40), ("长", 1), ("", 2)])
def test_wecom_gets_at_most_2048_bytes(language: str, letter: str, alerts: int, tmp_path: Path) -> None:
    """As Alertmanager's own engine writes it."""
    (tmp_path / "secret").write_text("s")
    plan = parse_plan(PLAN.replace("LANGUAGE", language).replace("SECRET", str(tmp_path / "secret")))
    (receiver,) = (r for r in manager.document(plan)["receivers"] if r["name"] == "app")
    common = {"title": letter * 900, "todo": letter * 900, "link": "https://x.example/" + "p" * 200}
    told = [
        {"status": "firing", "labels": {"alertname": "pays"}, "startsAt": "2026-11-25T09:00:00Z",
         "annotations": {**common, "summary": f"{n} " + letter * 900}}
        for n in range(alerts)
    ]  # fmt: skip
    data = {"receiver": "app", "status": "firing", "alerts": told, "groupLabels": {}, "commonLabels": {},
            "commonAnnotations": common, "externalURL": "http://x"}  # fmt: skip
    (tmp_path / "data.json").write_text(json.dumps(data), "utf-8")
    (tmp_path / "empty.tmpl").write_text("")
    template = receiver["wechat_configs"][0]["message"]
    amtool = shutil.which("amtool")
    assert amtool is not None
    done = subprocess.run(
        [amtool, "template", "render", f"--template.glob={tmp_path}/empty.tmpl",
         f"--template.data={tmp_path}/data.json", "--template.type=text", f"--template.text={template}"],
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout) <= 2048
    text = done.stdout.decode()
    assert ("…" in text) is bool(letter)
    assert (CUT in text) is (alerts > 3)
    assert "https://x.example/" in text
    assert "2026-11-25 09:00:00 UTC" in text
