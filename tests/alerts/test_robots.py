"""Messages for robots: their JSON and their signatures, as a robot would check them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.alerts.message import Message, Notification, compose
from pipeline.alerts.robots import dingtalk, feishu, refused
from pipeline.insight.contribution import SegmentChange
from schemas.plan_io import parse_plan

MESSAGE = Message(
    "告警:支付失败", ["从 checkout 到 pay 的转化率 12% (阈值 40 %)", "#1 *bold*"], "https://x.cn/b", "查看详情"
)
PLAN = """
product: Shop
timezone: Asia/Shanghai
events: {checkout: , pay: }
funnels: {buy: {steps: [checkout, pay]}}
alerting:
  language: LANGUAGE
  dashboard: https://example.com/board
  receivers: {team: {print: true}}
  alerts:
    pays: {title: Checkout is failing, metric: conversion, funnel: buy, step: pay, below: 40%, todo: Roll back.}
"""
FIRING = {
    "status": "firing",
    "receiver": "team",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "pays", "severity": "critical"},
            "annotations": {
                "title": "Checkout is failing", "summary": "from checkout to pay 12% (limit 40 %)", "todo": "Roll back."
            },
            "startsAt": "2026-11-22T06:00:30Z",
            "endsAt": "0001-01-01T00:00:00Z",
        }
    ],
}  # fmt: skip


def test_feishu_gets_a_post_that_its_key_signs() -> None:
    request = feishu(MESSAGE, "https://open.feishu.cn/hook/1", "a key", 1_790_000_000.9, "zh")
    # The robot computes: HMAC-SHA256 with the key "timestamp\nsecret" over nothing.
    sign = hmac.new(b"1790000000\na key", b"", hashlib.sha256).digest()
    assert request.url == "https://open.feishu.cn/hook/1"
    assert request.body == {
        "timestamp": "1790000000",
        "sign": base64.b64encode(sign).decode(),
        "msg_type": "post",
        "content": {"post": {"zh_cn": {"title": "告警:支付失败", "content": [
            [{"tag": "text", "text": "从 checkout 到 pay 的转化率 12% (阈值 40 %)"}],
            [{"tag": "text", "text": "#1 *bold*"}],
            [{"tag": "a", "text": "查看详情", "href": "https://x.cn/b"}],
        ]}}},
    }  # fmt: skip
    assert "sign" not in feishu(MESSAGE, "https://x", None, 1.0, "en").body


def test_dingtalk_gets_markdown_and_its_signature_in_the_address() -> None:
    request = dingtalk(MESSAGE, "https://oapi.dingtalk.com/robot/send?access_token=t", "SECkey", 1_790_000_000.123)
    query = parse_qs(urlsplit(request.url).query)
    # The robot computes: HMAC-SHA256 with the secret as key over "timestamp\nsecret", timestamp in ms.
    sign = hmac.new(b"SECkey", b"1790000000123\nSECkey", hashlib.sha256).digest()
    assert query == {
        "access_token": ["t"], "timestamp": ["1790000000123"], "sign": [base64.b64encode(sign).decode()]
    }  # fmt: skip
    assert request.body == {
        "msgtype": "markdown",
        "markdown": {
            "title": "告警:支付失败",
            "text": "#### 告警:支付失败\n\n从 checkout 到 pay 的转化率 12% (阈值 40 %)\n\n\\#1 \\*bold\\*\n\n[查看详情](https://x.cn/b)",
        },
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"code": 0, "msg": "success"}, None),
        ({"StatusCode": 0, "StatusMessage": "success"}, None),
        ({"errcode": 0, "errmsg": "ok"}, None),
        ({"code": 19021, "msg": "sign match fail"}, "19021: sign match fail"),
        ({"errcode": 310000, "errmsg": "sign not match"}, "310000: sign not match"),
        ([], "the answer is not what a robot says"),
        ({}, "the answer is not what a robot says"),
    ],
)
def test_a_robot_says_in_its_answer_whether_it_took_the_message(answer: Any, said: str | None) -> None:
    assert refused(answer) == said


def message(language: str, status: str = "firing") -> Message:
    plan = parse_plan(PLAN.replace("LANGUAGE", language))
    data: dict[str, Any] = {**FIRING, "status": status}
    if status == "resolved":
        data["alerts"] = [{**FIRING["alerts"][0], "status": "resolved", "endsAt": "2026-11-22T06:20:00Z"}]  # type: ignore[index]
    found = SegmentChange("platform", "android", 0.75, 1 / 60, 0.93, 0.42, -8.2, 60, 60)
    return compose(Notification.model_validate(data), plan, {"pays": found})


def test_a_message_says_what_how_much_since_when_who_and_what_to_do() -> None:
    assert message("en") == Message(
        "Alert (critical): Checkout is failing",
        [
            "from checkout to pay 12% (limit 40 %)",
            "since 2026-11-22 14:00:30 CST",
            "93 % of it is platform android: 1.67 % (before: 75 %)",
            "To do: Roll back.",
        ],
        "https://example.com/board",
        "Details",
    )
    assert message("zh").title == "告警（严重）：Checkout is failing"
    assert message("zh").lines[1:] == [
        "开始于 2026-11-22 14:00:30 CST",
        "其中 93 % 来自 platform android：1.67 %（之前 75 %）",
        "处理办法：Roll back.",
    ]


def test_the_end_is_told_with_how_long_it_lasted() -> None:
    assert message("en", "resolved")[:2] == (
        "Over: Checkout is failing",
        ["from 2026-11-22 14:00:30 to 14:20:00 CST"],
    )
