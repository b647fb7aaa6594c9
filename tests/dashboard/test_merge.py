"""The figures of several workers as one."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dashboard.live import Sample, rates
from pipeline.dashboard.merge import merge


def document(**changes: Any) -> dict[str, Any]:
    return {
        "product": "Shop", "time": 10_000, "watermark": 9_000, "freshness_ms": 1_000,
        "totals": {"accepted": 5}, "rejected_by_reason": {}, "active": {"now": 2, "last_5m": 3, "last_30m": 3},
        "today": {"events": 5, "users": 3, "sessions": 3, "registrations": 0, "value_micro": 1_500_000},
        "top": {"platform": {"ios": {"events": 4, "users": 2}, "web": {"events": 1, "users": 1}}},
        "funnels": {"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [3, 1]}},
        "partitions": {"0": 7}, "lag": 0, "unpublished": 0, "publish_error": "", **changes,
    }  # fmt: skip


def test_an_actor_lives_in_one_partition_so_figures_add_up() -> None:
    other = document(
        time=10_500, watermark=10_400, totals={"accepted": 7, "late": 1}, active={"now": 1, "last_5m": 1, "last_30m": 9},
        top={"platform": {"web": {"events": 6, "users": 5}}}, partitions={"1": 3}, lag=4,
        funnels={"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [4, 0]}}, publish_error="ClickHouse is away",
    )  # fmt: skip
    assert merge([document(), other]) == {
        **document(), "time": 10_500, "watermark": 10_400, "freshness_ms": 100, "totals": {"accepted": 12, "late": 1},
        "active": {"now": 3, "last_5m": 4, "last_30m": 12},
        "today": {"events": 10, "users": 6, "sessions": 6, "registrations": 0, "value_micro": 3_000_000},
        "top": {"platform": {"web": {"events": 7, "users": 6}, "ios": {"events": 4, "users": 2}}},
        "funnels": {"buy": {"bucket": "day", "steps": ["view", "pay"], "users": [7, 1]}},
        "partitions": {"0": 7, "1": 3}, "lag": 4, "publish_error": "ClickHouse is away",
    }  # fmt: skip


def test_before_the_first_event_nothing_is_fresh() -> None:
    empty = document(watermark=0, freshness_ms=None, totals={})
    assert merge([empty, empty])["freshness_ms"] is None


def test_without_an_answer_there_is_nothing_to_merge() -> None:
    with pytest.raises(ValueError, match="no worker"):
        merge([])


def test_the_curve_is_records_a_second_in_each_span_that_was_read() -> None:
    samples = [Sample(0, 0), Sample(1_000, 100), Sample(2_000, 300), Sample(7_000, 300)]
    assert rates(samples, 8_000, 2_000, 4) == [150.0, None, None, 0.0]
    assert rates(samples[:1], 8_000, 2_000, 4) == [None] * 4
