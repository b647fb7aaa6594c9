# ruff: noqa: E501 - tables are read by their columns
"""Each rule that a plan can set for a property: what it lets pass, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.ingest.validate import Rejection, Validator
from pipeline.simulate.rules import event_of
from schemas.plan_io import parse_plan

T0 = 1_790_812_800_000


def outcome(rule: str, value: Any) -> str:
    """ "" if the property `p` may have the value under the rule, else the reason why not."""
    plan = parse_plan(f"product: x\nevents:\n  a:\n    properties:\n      p: {rule}\n  b:\n")
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    record = b'{"event_id":"e","event":"a","user_id":"u","ts":%d,"properties":{"p":%s}}' % (T0, text)
    reason = ""
    try:
        Validator(plan).parse(record)
    except Rejection as why:
        reason = why.reason
    assert (event_of(record, plan) is None) == bool(reason)  # the independent rules agree
    return reason


RULES: list[tuple[str, list[Any], list[tuple[Any, str]]]] = [
    ("string", ["", "ü\n", "x" * 10_000, None], [(1, "wrong_type"), ([], "wrong_type"), ("x" * 10_001, "bad_value")]),
    ("string!", [""], [(None, "wrong_type")]),
    ("{type: string, max_length: 3}", ["abc", "äöü"], [("abcd", "bad_value")]),
    ("{type: string, pattern: '^o[0-9]+$'}", ["o1"], [("p1", "bad_value"), ("o1x", "bad_value")]),
    ("{enum: [a, b]}", ["a", None], [("c", "bad_value"), (1, "bad_value"), (["a"], "bad_value"), ({}, "bad_value")]),
    ("integer", [0, -(2**63), 2**63 - 1], [(1.0, "wrong_type"), ("1", "wrong_type"), (True, "wrong_type"), (2**63, "bad_value"), (-(2**63) - 1, "bad_value")]),
    ("{type: integer, min: 1, max: 3}", [1, 3], [(0, "bad_value"), (4, "bad_value")]),
    ("{type: integer, enum: [1, 2]}", [1, 2], [(3, "bad_value"), (True, "wrong_type"), (1.0, "wrong_type"), ("1", "wrong_type")]),
    ("number", [0, 1.5, -1e300, 2**70], [("1.5", "wrong_type"), (False, "wrong_type"), (b"1e999", "not_finite"), (b"NaN", "not_finite")]),
    ("{type: number, min: 0, max: 1}", [0, 0.5, 1], [(-0.001, "bad_value"), (1.001, "bad_value")]),
    ("{type: number, enum: [0.5, 1]}", [0.5, 1, 1.0], [(0.6, "bad_value"), (True, "wrong_type")]),
    ("boolean", [True, False, None], [(1, "wrong_type"), ("true", "wrong_type")]),
    ("{type: boolean, enum: [true]}", [True], [(False, "bad_value")]),
    ("timestamp", ["2026-10-01T00:00:00Z", "2026-10-01T00:00:00.5+02:00"], [("2026-10-01T00:00:00", "bad_value"), (T0, "wrong_type"), ("x", "wrong_type")]),
    ("array", [[], [1, "a", {"b": []}]], [({}, "wrong_type"), ("[]", "wrong_type"), (b"[NaN]", "not_finite")]),
    ("object", [{}, {"a": {"b": [1]}}], [([], "wrong_type"), (b'{"a":1e999}', "not_finite")]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "passing", "refused"), RULES, ids=[rule[0] for rule in RULES])
def test_a_rule(rule: str, passing: list[Any], refused: list[tuple[Any, str]]) -> None:
    assert [(value, outcome(rule, value)) for value in passing] == [(value, "") for value in passing]
    assert [(value, outcome(rule, value)) for value, _ in refused] == refused


def test_a_pattern_is_named_to_the_producer() -> None:
    plan = parse_plan("product: x\nevents:\n  a:\n    properties:\n      p: {pattern: '^o[0-9]+$'}\n  b:\n")
    with pytest.raises(Rejection) as caught:
        Validator(plan).parse(b'{"event_id":"e","event":"a","user_id":"u","ts":%d,"properties":{"p":"x"}}' % T0)
    assert caught.value.detail == "properties.p: does not match the plan's pattern ^o[0-9]+$"


@pytest.mark.parametrize("bounds", ["", ", min: -1.0e+12, max: 1.0e+12"])
def test_a_value_stays_within_what_is_exact_whatever_the_plan_says(bounds: str) -> None:
    text = f"product: x\nevents:\n  a:\n    value: p\n    properties:\n      p: {{type: number{bounds}}}\n  b:\n"
    validator = Validator(parse_plan(text))
    record = b'{"event_id":"e","event":"a","user_id":"u","ts":%d,"properties":{"p":%d}}'
    assert validator.parse(record % (T0, -1_000_000_000)).value == -(10**15)
    with pytest.raises(Rejection, match="less than or equal to 1000000000"):
        validator.parse(record % (T0, 1_000_000_001))
