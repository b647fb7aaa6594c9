"""Conditions of the plan (`where:`) as predicates over an event's fields.

A missing or null field fulfils no condition, and an empty field of the envelope counts as missing. Values compare by
JSON type: a boolean is not a number, `1` equals `1.0`, and the order operators hold for numbers only. An integer that
64 bits can't hold counts as text. `pipeline.queries.conditions` says the same in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from schemas.plan import Condition, Scalar, Where

Fields = Mapping[str, Any]
Predicate = Callable[[Fields], bool]


def field_value(fields: Fields, name: str) -> Any:
    """The value of an envelope field or of `properties.NAME`; None if it is missing."""
    if name.startswith("properties."):
        properties = fields.get("properties")
        value = properties.get(name[11:]) if properties else None
        if type(value) is int and not -(2**63) <= value < 2**64:
            return str(value)  # what ClickHouse reads in JSON
        return value
    return fields.get(name) or None  # an empty text is stored as one that was not sent


def text_value(fields: Fields, name: str) -> str:
    """The field as a dimension value: text as it is, JSON's word for booleans, "" if missing or not a scalar.

    Numbers are written as ClickHouse writes them: `20.0` is "20".
    """
    value = fields.get(name)
    if type(value) is str:  # nearly always: a field of the envelope
        return value
    value = field_value(fields, name)
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number_text(value)
    return str(value)


def _number_text(value: float) -> str:
    """The shortest digits that mean `value`, in full from 10^-6 up to 10^21, with an exponent beyond."""
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        digits = format(Decimal(repr(value)), "f")
        return digits.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}"


def _same(value: Any, wanted: Scalar) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return value == wanted
    return isinstance(value, str) and value == wanted


def holds(condition: Condition, value: Any) -> bool:
    """Whether one field's value fulfils its condition."""
    if value is None:
        return False
    if condition.eq is not None and not _same(value, condition.eq):
        return False
    if condition.ne is not None and _same(value, condition.ne):
        return False
    if condition.one_of is not None and not any(_same(value, wanted) for wanted in condition.one_of):
        return False
    bounds = (condition.gt, condition.gte, condition.lt, condition.lte)
    if any(bound is not None for bound in bounds):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        gt, gte, lt, lte = bounds
        return (
            (gt is None or value > gt)
            and (gte is None or value >= gte)
            and (lt is None or value < lt)
            and (lte is None or value <= lte)
        )
    return True


def predicate(where: Where) -> Predicate | None:
    """One predicate for all conditions of `where`; None if there are none."""
    if not where:
        return None
    items = tuple(where.items())
    return lambda fields: all(holds(condition, field_value(fields, name)) for name, condition in items)
