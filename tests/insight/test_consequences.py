"""What a fall costs: worked out by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pipeline.insight.consequences import lost
from pipeline.insight.contribution import SegmentChange
from pipeline.insight.model import Drop

TITLES = ("cart", "pay", "done")
WHOLE = {date(2026, 11, 1): (1000, 500, 250), date(2026, 11, 2): (1000, 300, 150)}


def drop(segment: SegmentChange | None = None, **changes: Any) -> Drop:
    fields: dict[str, Any] = {
        "funnel": "f", "step": "cart", "following": "pay", "since": date(2026, 11, 2), "before": 0.5, "after": 0.3,
        "n_before": 1000, "n_after": 1000, "z": -9.0, "segment": segment, "rest": None,
    }  # fmt: skip
    return Drop(**{**fields, **changes})


def test_of_all() -> None:
    found = lost(drop(), TITLES, WHOLE)
    assert found.to_step == pytest.approx(200)
    # 400 of 800 who got to `pay` came to the end.
    assert found.to_end == pytest.approx(100)


def test_of_the_segment_that_fell() -> None:
    part = SegmentChange("platform", "android", 0.6, 0.1, 0.9, 0.3, -8.0, 300, 400)
    assert lost(drop(part), TITLES, WHOLE).to_step == pytest.approx(200)


def test_the_last_step_is_the_end_itself() -> None:
    found = lost(drop(step="pay", following="done", before=0.5, after=0.4, n_after=300), TITLES, WHOLE)
    assert (found.to_step, found.to_end) == (pytest.approx(30), pytest.approx(30))


def test_nobody_is_missing_who_was_never_there() -> None:
    assert lost(drop(n_after=0), TITLES, {}).to_end == 0.0
    assert lost(drop(before=0.3, after=0.5), TITLES, WHOLE).to_step == 0.0
