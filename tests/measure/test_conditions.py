"""Which events a condition of the plan lets through, and what a dimension's value is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.measure.conditions import text_value
from schemas.where import Step, predicate

EVENT = {
    "event": "buy",
    "platform": "ios",
    "country": "",
    "channel": None,
    "properties": {"n": 20.0, "i": 3, "yes": True, "text": "20", "null": None, "list": [1], "big": 2**70},
}


def holds(where: dict[str, Any]) -> bool:
    test = predicate(TypeAdapter(Step).validate_python({"event": "buy", "where": where}).where)
    return test is None or test(EVENT)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, True),
        ({"platform": "ios"}, True),
        ({"platform": ["web", "ios"]}, True),
        ({"platform": {"in": []}}, False),
        ({"platform": {"ne": "web"}}, True),
        ({"platform": "ios", "properties.i": 4}, False),
        ({"properties.n": 20}, True),  # 1 equals 1.0
        ({"properties.n": "20"}, False),  # a number is not a text
        ({"properties.text": "20"}, True),
        ({"properties.text": 20}, False),
        ({"properties.yes": True}, True),
        ({"properties.yes": 1}, False),  # a boolean is not a number
        ({"properties.i": {"gte": 3, "lt": 4}}, True),
        ({"properties.i": {"gt": 3}}, False),
        ({"properties.yes": {"gt": 0}}, False),
        ({"properties.text": {"gt": 0}}, False),
        ({"properties.list": {"ne": 1}}, True),
        ({"properties.big": {"gt": 1}}, False),  # no number of 64 bits: it counts as text
        # Missing, null and (for fields of the envelope) empty: no condition holds, `ne` neither.
        ({"properties.none": {"ne": 1}}, False),
        ({"properties.null": {"ne": 1}}, False),
        ({"channel": {"ne": "ads"}}, False),
        ({"country": {"ne": "DE"}}, False),
        ({"country": ""}, False),
    ],
)
def test_conditions(where: dict[str, Any], expected: bool) -> None:
    assert holds(where) is expected


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("platform", "ios"), ("country", ""), ("channel", ""), ("os", ""), ("properties.n", "20"),
        ("properties.i", "3"),
        ("properties.yes", "true"), ("properties.text", "20"), ("properties.null", ""), ("properties.list", ""),
        ("properties.none", ""), ("properties.big", "1180591620717411303424"),
    ],
)  # fmt: skip
def test_dimension_values(field: str, text: str) -> None:
    assert text_value(EVENT, field) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.0, "1"), (1.5, "1.5"), (1e20, "100000000000000000000"), (1.5e22, "1.5e22"),
     (1e-6, "0.000001"), (1.25e-7, "1.25e-7"),
     (-0.0, "-0"), (0.1, "0.1"), (5e-324, "5e-324"), (123456789012345.67, "123456789012345.67")],
)  # fmt: skip
def test_numbers_are_written_as_clickhouse_writes_them(number: float, text: str) -> None:
    assert text_value({"properties": {"x": number}}, "properties.x") == text


@pytest.mark.parametrize("where", [{"platform": None}, {"platform": {}}, {"platform": {"eq": None}}])
def test_a_condition_that_asks_nothing_is_refused(where: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="an empty condition"):
        holds(where)


def test_of_a_long_text_the_first_256_characters_are_the_value() -> None:
    assert text_value({"properties": {"x": "支" * 257}}, "properties.x") == "支" * 256
