"""What makes a system's figures equal to the fold's, and what it is given to show it."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import pytest

from pipeline.errors import UserError
from pipeline.ingest.validate import Rejection, Validator
from schemas.plan_io import load_plan

from .equal import Activity, Figures, differences, figures_in
from .plan import document
from .traffic import odd, timed

_MINUTE = ("minute", 1_790_000_040_000, "platform", "ios")
_BUCKET = ("purchase", 1_789_999_200_000, "", "")
_RIGHT = Figures(
    {"accepted": 7, "late": 1, "duplicate": 2, "rejected": 3},
    {_MINUTE: Activity(7, 39_800_000, 5.0, 4.0, 0.0)},
    {_BUCKET: ([3, 2, 1], [90_000, 1_000], [{-1: 1, 560: 1}, {345: 1}])},
)


def _rows(partition: int, events: int, users: float, funnel: tuple[list[int], list[int], list[Any]]) -> list[Any]:
    return [
        {"kind": "activity", "partition": partition, "grain": "minute", "start": 1_790_000_040_000, "end": 0,
         "dimension": "platform", "value": "ios", "events": events, "amount": events, "users": users, "sessions": users,
         "registrations": 0.0},
        {"kind": "funnel", "partition": partition, "funnel": "purchase", "start": 1_789_999_200_000, "end": 0,
         "breakdown": "", "value": "", "users": funnel[0], "sums": funnel[1], "bins": funnel[2]},
        {"kind": "partition", "partition": partition, "watermark": 5, "accepted": events, "late": 1, "duplicate": 0,
         "rejected": 0},
    ]  # fmt: skip


def test_rows_of_partitions_add_up() -> None:
    found = figures_in([
        *_rows(0, 4, 2.0, ([2, 1, 0], [60_000, 0], [[560, 1], []])),
        *_rows(1, 3, 3.0, ([1, 1, 1], [30_000, 1_000], [[-1, 1, 560, 2], [345, 1]])),
    ])  # fmt: skip
    assert found == Figures(
        {"accepted": 7, "late": 2, "duplicate": 0, "rejected": 0},
        {_MINUTE: Activity(7, 7, 5.0, 5.0, 0.0)},
        {_BUCKET: ([3, 2, 1], [90_000, 1_000], [{-1: 1, 560: 3}, {345: 1}])},
    )


def test_a_bucket_that_nobody_is_in_any_more_is_none() -> None:
    assert figures_in(_rows(0, 4, 2.0, ([0, 0, 0], [0, 0], [[], []]))).funnels == {}


def test_estimates_may_differ_by_the_error_of_sketches() -> None:
    wide = dataclasses.replace(_RIGHT, activity={_MINUTE: Activity(9_000, 0, 1_000.0, 0.0, 0.0)})
    near = dataclasses.replace(_RIGHT, activity={_MINUTE: Activity(9_000, 0, 1_080.0, 0.0, 0.0)})
    far = dataclasses.replace(_RIGHT, activity={_MINUTE: Activity(9_000, 0, 1_110.0, 0.0, 0.0)})
    assert differences(wide, near) == []
    assert len(differences(wide, far)) == 1


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"totals": {**_RIGHT.totals, "duplicate": 1}}, "duplicate: 1, not 2"),
        ({"activity": {}}, "is missing"),
        ({"activity": {**_RIGHT.activity, ("hour", 0, "", ""): Activity(1, 0, 1, 0, 0)}}, "should not be there"),
        ({"activity": {_MINUTE: Activity(8, 39_800_000, 5.0, 4.0, 0.0)}}, "events=8"),
        ({"activity": {_MINUTE: Activity(7, 39_800_001, 5.0, 4.0, 0.0)}}, "amount=39800001"),
        ({"activity": {_MINUTE: Activity(7, 39_800_000, 6.0, 4.0, 0.0)}}, "users=6.0"),
        ({"funnels": {_BUCKET: ([3, 2, 2], [90_000, 1_000], [{-1: 1, 560: 1}, {345: 1}])}}, "[3, 2, 2]"),
        ({"funnels": {_BUCKET: ([3, 2, 1], [90_000, 1_000], [{-1: 1, 560: 1}, {344: 1}])}}, "{344: 1}"),
    ],
)
def test_everything_else_must_be_equal(wrong: dict[str, Any], word: str) -> None:
    assert differences(_RIGHT, _RIGHT) == []
    (said,) = differences(_RIGHT, dataclasses.replace(_RIGHT, **wrong))
    assert word in said


def test_the_odd_log_has_all_that_a_system_must_know() -> None:
    validator, reasons = Validator(load_plan("shop")), Counter[str]()
    for value in odd(20_000, 1_790_000_000_000).values:
        try:
            validator.parse(value)
        except Rejection as why:
            reasons[why.reason] += 1
    assert set(reasons) == {
        "bad_value", "bot", "empty", "invalid_json", "missing_actor", "missing_field", "nobody_id", "not_an_object",
        "not_finite", "not_utf8", "time_in_future", "time_too_old", "unknown_event", "unknown_field", "wrong_type",
    }  # fmt: skip


def test_the_timed_log_is_the_same_each_time() -> None:
    first, second = (timed(5_000, 1_790_000_000_000, large=False) for _ in range(2))
    assert first == second
    assert len(first.values) == 5_000
    assert len(set(first.values)) < 5_000  # some were sent twice


def test_the_plan_for_java() -> None:
    plan = load_plan("shop")
    found = json.loads(json.dumps(document(plan)))
    assert (found["zone"], found["lateness"], found["dedupe"], found["maxValues"]) == (
        "Asia/Shanghai", 3_600_000, 3_600_000, 1_000,
    )  # fmt: skip
    assert found["dimensions"] == ["event", "platform", "channel", "source"]
    assert found["events"]["purchase"]["value"] == "amount"
    assert found["events"]["purchase"]["properties"]["amount"] == {
        "type": "number", "required": True, "low": 0, "high": 1e9, "allowed": None,
    }  # fmt: skip
    assert found["funnels"][1] == {
        "name": "purchase",
        "steps": ["add_to_cart", "checkout", "purchase"],
        "window": 1_800_000,
        "bucket": "hour",
        "breakdowns": ["channel"],
    }


def test_a_plan_that_the_jobs_in_java_do_not_know_is_refused() -> None:
    plan = load_plan("shop")
    funnel = plan.funnels["purchase"].model_copy(update={"modes": ["strict_order"]})
    with pytest.raises(UserError, match="know no funnel like purchase"):
        document(plan.model_copy(update={"funnels": {"purchase": funnel}}))
