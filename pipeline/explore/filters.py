"""Conditions on an event: a field, an operator and values, as people choose them in a page, and their SQL.

Fields are those of the envelope, `properties.NAME`, and `user.NAME` for an attribute of the person. As in the plan a
missing field fulfils no condition but `unset`. Values are compared as the text that a breakdown shows, by order as
numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.errors import UserError
from pipeline.explore.sql import Values
from pipeline.queries.conditions import quoted, text_sql, value_sql
from schemas.event import CONTEXT_FIELDS
from schemas.names import MAX_NAME, check_text, shown
from schemas.translatable import Term
from schemas.where import Condition, Where, scalar_text

#: Operator to its name.
OPERATORS: Final = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "excludes": "does not contain",
    "gt": ">",
    "gte": "≥",
    "lt": "<",
    "lte": "≤",
    "set": "is there",
    "unset": "is missing",
}
_ORDERED: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
#: Values of one condition, and characters of one.
MAX_VALUES, MAX_VALUE = 50, 256
PROPERTY, ATTRIBUTE = "properties.", "user."


@dataclass(frozen=True)
class Filter:
    """One condition. `values` are alternatives; the order operators have one, `set` and `unset` none."""

    field: str
    operator: str
    values: tuple[str, ...] = ()


def check_field(field: str) -> str:
    """The field; raises UserError unless it is one of the envelope, `properties.NAME` or `user.NAME`."""
    if field in ("event", *CONTEXT_FIELDS):
        return field
    own = field.partition(".")[2]
    if field.startswith((PROPERTY, ATTRIBUTE)) and own and len(own) <= MAX_NAME:
        try:
            return check_text(field)
        except ValueError as exc:
            raise UserError.of(exc) from None
    raise UserError(
        "{field} is no field: use one of the envelope ({fields}), properties.NAME, or user.NAME for an attribute",
        field=shown(field), fields=", ".join(("event", *CONTEXT_FIELDS)),
    )  # fmt: skip


def make_filter(field: str, operator: str, values: str) -> Filter:
    """A condition from what was written: several values are parted by commas, or a JSON list. Raises UserError."""
    check_field(field)
    if operator not in OPERATORS:
        known = ", ".join(OPERATORS)
        raise UserError("{operator} is no comparison: use one of {known}", operator=shown(operator), known=known)
    if operator in ("set", "unset"):
        return Filter(field, operator)
    found = tuple(dict.fromkeys(value[:MAX_VALUE] for value in split(values)))
    if not found:
        raise UserError(
            "{field} {operator} what? Give a value", field=field, operator=Term("operator", OPERATORS[operator])
        )
    if len(found) > MAX_VALUES:
        raise UserError(
            "{field}: {found} values are too many: give at most {most}", field=field, found=len(found), most=MAX_VALUES
        )
    if operator in _ORDERED:
        if len(found) > 1:
            raise UserError(
                "{field} {operator}: give one number", field=field, operator=Term("operator", OPERATORS[operator])
            )
        found = (_number(field, found[0]),)
    return Filter(field, operator, found)


def split(written: str) -> list[str]:
    """`a, b`, or in JSON `["a, b", ""]`, where a value may hold anything."""
    if written.lstrip().startswith("["):
        try:
            found = json.loads(written)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
    return [item.strip() for item in written.split(",") if item.strip()]


def joined(values: Iterable[str]) -> str:
    """Values as a text that `split` reads as the same."""
    found = list(values)
    plain = ", ".join(found)
    return plain if split(plain) == found else json.dumps(found, ensure_ascii=False)


def _number(field: str, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError("{field}: {value} is no number", field=field, value=shown(value))
    return value


def of_plan(where: Where) -> tuple[Filter, ...]:
    """The conditions of a plan (`where:`) as filters."""
    return tuple(one for field, condition in where.items() for one in _of_condition(field, condition))


def _of_condition(field: str, condition: Condition) -> Iterable[Filter]:
    if condition.eq is not None:
        yield Filter(field, "is", (scalar_text(condition.eq),))
    if condition.ne is not None:
        yield Filter(field, "is_not", (scalar_text(condition.ne),))
    if condition.one_of is not None:
        yield Filter(field, "is", tuple(map(scalar_text, condition.one_of)))
    for operator in _ORDERED:
        if (bound := getattr(condition, operator)) is not None:
            yield Filter(field, operator, (repr(bound),))


def filter_sql(one: Filter, values: Values) -> str:
    """The condition over the columns of `activity`. It is never NULL."""
    if one.field.startswith(ATTRIBUTE):
        name = values.text(one.field.removeprefix(ATTRIBUTE))
        if one.operator == "unset":
            return f"person NOT IN (SELECT person FROM user_attributes WHERE name = {name} AND value != '')"
        condition = _compared("value", "toFloat64OrNull(value)", one, values)
        return f"person IN (SELECT person FROM user_attributes WHERE name = {name} AND {condition})"
    return _compared(value_sql(one.field), number_sql(one.field), one, values)


def filters_sql(filters: Iterable[Filter], values: Values) -> str:
    """All of them; "1" if there are none."""
    return " AND ".join(f"({filter_sql(one, values)})" for one in filters) or "1"


def number_sql(field: str) -> str:
    """The field as a number, NULL where it is none."""
    return f"toFloat64OrNull(if({_is_number(field)}, {text_sql(field)}, ''))"


def _is_number(field: str) -> str:
    if not field.startswith(PROPERTY):
        return "1"
    return f"toString(JSONType(properties, {quoted(field.removeprefix(PROPERTY))})) IN ('Int64', 'UInt64', 'Double')"


def _compared(text: str, number: str, one: Filter, values: Values) -> str:
    match one.operator:
        case "is":
            return f"{text} IN {values.texts(one.values)}"
        case "is_not":
            return f"{text} != '' AND {text} NOT IN {values.texts(one.values)}"
        case "contains":
            return " OR ".join(f"positionUTF8({text}, {values.text(value)}) > 0" for value in one.values)
        case "excludes":
            return " AND ".join(
                [f"{text} != ''", *(f"positionUTF8({text}, {values.text(value)}) = 0" for value in one.values)]
            )
        case "set":
            return f"{text} != ''"
        case "unset":
            return f"{text} = ''"
    return f"ifNull({number} {_ORDERED[one.operator]} {values.number(float(one.values[0]))}, 0)"
