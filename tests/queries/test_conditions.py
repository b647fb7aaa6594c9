"""Conditions and dimension values mean the same in Python and in SQL, for everything that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import to_json

from pipeline.measure.conditions import text_value
from pipeline.queries.conditions import quoted, step_sql, value_sql
from pipeline.replay.sql import Archive
from schemas.where import Step, predicate


@pytest.fixture(scope="module")
def clickhouse(needs_embedded: None) -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.close()


def rows(events: list[dict[str, Any]]) -> str:
    """A sub-query of these events, stored as the archiver stores them."""
    stored = [
        f"({i}, 'e', {quoted(e.get('platform') or '')}, {quoted(to_json(e.get('properties') or {}).decode())})"
        for i, e in enumerate(events)
    ]
    return f"(SELECT * FROM values('n Int64, event String, platform String, properties String', {', '.join(stored)}))"


def in_sql(clickhouse: Archive, events: list[dict[str, Any]], expressions: list[str]) -> list[list[Any]]:
    query = f"SELECT {', '.join(f'{e} AS c{i}' for i, e in enumerate(expressions))} FROM {rows(events)} ORDER BY n"
    return clickhouse.query(query)


# Texts and numbers that differ little: what compares equal by accident would show.
TEXTS = ["", "a", "A", "1", "1.0", "true", "null", "it's \\ \n", "小", '"', "18446744073709551616"]
NUMBERS = [0, 1, -1, 1.0, 1.5, -0.0, 0.1, 1e-7, 1e21, 1e22, 1.5e-9, 123456789012345.67, 1e16, 3e20, 2**53, 2**53 + 1,
           2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30]  # fmt: skip
scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.booleans(), st.floats(allow_nan=False,
                    allow_infinity=False), st.integers(-5, 5), st.text(st.characters(exclude_categories=["Cs"]),
                    max_size=4))  # fmt: skip
values = st.one_of(scalars, st.none(), st.just([1]), st.just({"b": 1}))
events = st.builds(
    lambda platform, p, q: {"platform": platform, "properties": {"p": p, "q q": q}},
    st.sampled_from(["ios", "web", "", None, "it's"]),
    values,
    values,
)
orders = st.one_of(st.sampled_from(NUMBERS), st.floats(allow_nan=False, allow_infinity=False)).map(float)
conditions = st.one_of(
    scalars.map(lambda v: {"eq": v}),
    scalars.map(lambda v: {"ne": v}),
    st.lists(scalars, max_size=3).map(lambda v: {"in": v}),
    st.builds(lambda low, high: {"gte": low, "lt": high}, orders, orders),
    st.builds(lambda low, v: {"gt": low, "ne": v}, orders, scalars),
    orders.map(lambda v: {"lte": v}),
)
wheres = st.dictionaries(st.sampled_from(["platform", "properties.p", "properties.q q"]), conditions, max_size=2)
_step = TypeAdapter(Step)


@given(st.lists(events, min_size=1, max_size=25), st.lists(wheres, min_size=1, max_size=8))
@settings(max_examples=settings.default.max_examples // 2, deadline=None)
@example([{"platform": ""}], [{"platform": {"ne": "ios"}}, {"platform": {"eq": ""}}])
@example([{"properties": {"p": 2**53 + 1}}], [{"properties.p": {"eq": 2**53}}, {"properties.p": {"gt": 2.0**53}}])
@example([{"properties": {"p": 2**64}}], [{"properties.p": {"gt": 1.0}}, {"properties.p": {"eq": "1"}}])
def test_conditions_hold_alike(clickhouse: Archive, events: list[dict[str, Any]], wheres: list[dict[str, Any]]) -> None:
    steps = [_step.validate_python({"event": "e", "where": where}) for where in wheres]
    found = in_sql(clickhouse, events, [f"toUInt8({step_sql(step)})" for step in steps])
    tests = [predicate(step.where) or (lambda _: True) for step in steps]
    assert found == [[int(test(event)) for test in tests] for event in events]


@given(st.lists(events, min_size=1, max_size=40))
@settings(max_examples=settings.default.max_examples // 2, deadline=None)
@example([{"properties": {"p": number, "q q": -number}} for number in NUMBERS])
@example([{"properties": {"p": "é" * 300, "q q": "y" * 256 + "z"}}])
def test_dimension_values_are_alike(clickhouse: Archive, events: list[dict[str, Any]]) -> None:
    fields = ["event", "platform", "properties.p", "properties.q q", "properties.none"]
    events = [{"event": "e", **event} for event in events]
    found = in_sql(clickhouse, events, [value_sql(field) for field in fields])
    assert found == [[text_value(event, field) for field in fields] for event in events]


@pytest.mark.parametrize("text", ["'; DROP TABLE replayed; --", "\\", "\\'", "\n", "\x00", "\x85", "\u2028"])
def test_text_of_the_plan_stays_text(clickhouse: Archive, text: str) -> None:
    assert clickhouse.query(f"SELECT {quoted(text)}") == [[text]]
