"""The figures of several workers as one."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.serve.answers import LiveAnswer
from pipeline.serve.merge import merge


def document(**changes: Any) -> LiveAnswer:
    found: Any = {
        "product": "Shop", "time": 10_000, "watermark": 9_000, "freshness_ms": 1_000,
        "totals": {"accepted": 5}, "rejected_by_reason": {}, "active": {"now": 2, "last_5m": 3, "last_30m": 3},
        "today": {"events": 5, "users": 3, "sessions": 3, "registrations": 0, "value_micro": 1_500_000},
        "top": {"platform": {"ios": {"events": 4, "users": 2}, "web": {"events": 1, "users": 1}}},
        "funnels": {"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [3, 1]}},
        "partitions": {0: 7}, "lag": 0, "unpublished": 0, "publish_error": "", **changes,
    }  # fmt: skip
    return found  # type: ignore[no-any-return]


def test_an_actor_lives_in_one_partition_so_figures_add_up() -> None:
    other = document(
        time=10_500, watermark=10_400, totals={"accepted": 7, "late": 1},
        active={"now": 1, "last_5m": 1, "last_30m": 9},
        top={"platform": {"web": {"events": 6, "users": 5}}}, partitions={1: 3}, lag=4,
        funnels={"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [4, 0]}},
        publish_error="ClickHouse is away",
    )  # fmt: skip
    assert merge([document(), other]) == {
        **document(), "time": 10_500, "watermark": 10_400, "freshness_ms": 100, "totals": {"accepted": 12, "late": 1},
        "active": {"now": 3, "last_5m": 4, "last_30m": 12},
        "today": {"events": 10, "users": 6, "sessions": 6, "registrations": 0, "value_micro": 3_000_000},
        "top": {"platform": {"web": {"events": 7, "users": 6}, "ios": {"events": 4, "users": 2}}},
        "funnels": {"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [7, 1]}},
        "partitions": {0: 7, 1: 3}, "lag": 4, "publish_error": "ClickHouse is away",
    }  # fmt: skip


def test_before_the_first_event_nothing_is_fresh() -> None:
    empty = document(watermark=0, freshness_ms=None, totals={})
    assert merge([empty, empty])["freshness_ms"] is None


def test_without_an_answer_there_is_nothing_to_merge() -> None:
    with pytest.raises(ValueError, match="no worker"):
        merge([])


def test_of_a_lag_that_one_worker_does_not_know_nothing_is_said() -> None:
    assert merge([document(lag=3), document(lag=None)])["lag"] is None
    assert merge([document(lag=3), document(lag=4)])["lag"] == 7


def test_a_worker_that_still_has_the_plan_of_before_does_not_end_the_others() -> None:
    other = document(funnels={"sell": {"bucket": "day", "steps": ["ask", "sell"], "users": [9, 9]}}, top={})
    changed = document(funnels={"buy": {"bucket": "day", "steps": ["view", "cart", "pay"], "users": [9, 8, 7]}})
    funnels = merge([document(), other, changed])["funnels"]
    assert funnels == {"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [3, 1]}}
