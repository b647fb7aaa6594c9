"""The SQL of activity windows, on literal events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.queries.activity import activity_sql, window_start
from pipeline.replay.sql import Archive
from schemas.plan import Plan

START = 1_790_006_400_000  # 2026-09-21 16:00 UTC: midnight in Shanghai
PLAN = Plan.model_validate({
    "product": "Test", "timezone": "Asia/Shanghai", "registration": "join", "max_values": 2,
    "dimensions": ["platform"],
    "events": {"look": None, "join": None, "buy": {"value": "amount", "properties": {"amount": "number"}}},
})  # fmt: skip


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[Archive]:
    archive = Archive()
    events = [
        ("u1", "look", -1, "ios", "s1"), ("u1", "look", 0, "ios", "s1"), ("u2", "join", 1, "web", "s2"),
        ("u3", "buy", 2, "tv", "s1"), ("u2", "buy", 3, "car", None), ("u1", "look", 4, "tv", None),
    ]  # fmt: skip
    records = [
        Record(number, START * 2, None, json.dumps({
            "event_id": f"e{number}", "user_id": user, "event": name, "ts": START + after, "platform": platform,
            "session_id": session, "properties": {"amount": 0.1} if name == "buy" else {},
        }).encode())
        for number, (user, name, after, platform, session) in enumerate(events)
    ]  # fmt: skip
    archive.add(0, PartitionClassifier(PLAN, Validator(PLAN), 0, 1).classify(records))
    yield archive
    archive.close()


SOURCE = "(SELECT *, actor AS person FROM replayed WHERE NOT late)"


def answer(archive: Archive, grain: str, dimension: tuple[str, ...]) -> dict[Any, list[int]]:
    rows = archive.query(activity_sql(PLAN, grain, dimension, SOURCE))
    return {(int(start) - START, *value): list(map(int, counts)) for start, value, *counts in rows}


def test_the_total(archive: Archive) -> None:
    # events, amount, users, sessions, registrations
    assert answer(archive, "day", ()) == {(-86_400_000,): [1, 0, 1, 1, 0], (0,): [5, 200_000, 3, 2, 1]}
    assert answer(archive, "day_utc", ()) == {(-57_600_000,): [6, 200_000, 3, 2, 1]}


def test_a_dimension_and_what_is_other(archive: Archive) -> None:
    """The first two values of the window in the order of the log stand by themselves; u3 and u1 share the rest."""
    assert answer(archive, "hour", ("platform",)) == {
        (-3_600_000, "ios"): [1, 0, 1, 1, 0],
        (0, "ios"): [1, 0, 1, 1, 0],
        (0, "web"): [1, 0, 1, 1, 1],
        (0, "(other)"): [3, 200_000, 3, 1, 0],
    }


def test_an_unknown_window_is_refused() -> None:
    with pytest.raises(ValueError, match="no such window: week"):
        window_start("week", "UTC")
