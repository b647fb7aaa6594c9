"""What a question counts, in both languages."""

from __future__ import annotations

from datetime import date

import pytest

from pipeline.assistants.definitions import PERSON, definition_of
from pipeline.explore.address import read
from pipeline.explore.given import AddressReader
from pipeline.render.language import Language
from schemas.plan_io import load_plan

PLAN = load_plan("shop")


@pytest.mark.parametrize(
    ("asked", "en", "zh"),
    [
        ({"kind": "trend", "m1": "sum", "e1": "purchase", "e1f1": "platform", "e1v1": "ios", "m2": "count", "x1": "A / B"},
         "A = purchase (platform is ios): sum of value; B = any event: times; F1 = A / B.",
         "A = purchase (platform 等于 ios): 总和 value；B = 任意事件: 次数；F1 = A / B。"),
        ({"kind": "funnel", "e1": "search", "e2": "purchase", "window": "2h", "order": "any", "per": "session", "n1": "refund"},
         "Within 2h, in any order, within one session. Left out: whoever did between: refund.",
         "转化窗口 2h，不限顺序，同一会话内。中间出现以下事件的不计：refund。"),
        ({"kind": "retention", "e2": "purchase"},
         "First (the first time ever): sign_up. Then: purchase.", "起始（仅首次）：sign_up；回访：purchase。"),
        ({"kind": "distribution", "e1": "search", "e1a": "share"}, "Of: search or share.", "事件：search 或 share。"),
        ({"kind": "lifecycle"}, "Of: any event.", "事件：任意事件。"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_it_says_exactly_what_was_counted(asked: dict[str, str], en: str, zh: str) -> None:
    question = read(AddressReader(asked, PLAN, date(2026, 11, 22), True), asked["kind"])
    found = definition_of(question, asked["kind"])
    assert found["en"].endswith(f"{PERSON} {en}")
    assert found["zh"].endswith(f"{Language('zh')(PERSON)}{zh}")
