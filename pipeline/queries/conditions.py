"""The plan's fields and conditions (`where:`) in ClickHouse's SQL, with the meaning of `schemas.where`.

Own properties are JSON text in the column `properties`. Names and values come from the plan; every literal is quoted
here.
"""

from __future__ import annotations

import re
from typing import Final

from pipeline.measure.conditions import MAX_TEXT
from schemas.where import Condition, Scalar, Step, Where

# Each by its own function: as a float, an integer beyond 2^53 would be another.
_NUMBERS: Final = (("Int64", "JSONExtractInt"), ("UInt64", "JSONExtractUInt"), ("Double", "JSONExtractFloat"))


_SPECIAL: Final = re.compile(r"[\\'{}%\x00-\x1f\x7f]")


def quoted(text: str) -> str:
    """A string literal.

    Control characters, and what templates and parameters are made of (`{x:String}`, `{database}`, `%s`), are written by
    their codes: whatever the text goes through on its way to the server, it means itself.
    """
    return "'" + _SPECIAL.sub(lambda found: _escaped(found[0]), text) + "'"


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\'" else f"\\x{ord(character):02X}"


def text_sql(field: str) -> str:
    """The field as text, whole: "" if it is missing, null, or not a scalar."""
    if not field.startswith("properties."):
        return f"toString({field})"
    key = quoted(field.removeprefix("properties."))
    kind = f"toString(JSONType(properties, {key}))"
    return (
        f"multiIf({kind} = 'String', JSONExtractString(properties, {key}), "
        f"{kind} IN ('Null', 'Array', 'Object'), '', JSONExtractRaw(properties, {key}))"
    )


def value_sql(field: str) -> str:
    """The field as a dimension value, as `measure.conditions.text_value` gives it."""
    text = text_sql(field)
    return f"substringUTF8({text}, 1, {MAX_TEXT})" if field.startswith("properties.") else text


def moments_sql(since: str, until: str = "", ts: str = "ts") -> str:
    """The condition that an event happened from `since` on and before `until` (expressions of epoch ms).

    It names the days as well: events are in order by them, and of a time alone ClickHouse doesn't conclude them, but
    reads the whole month.
    """
    low, high = (f"fromUnixTimestamp64Milli(toInt64({moment}), 'UTC')" for moment in (since, until))
    parts = [f"{ts} >= {low}", f"toDate({ts}) >= toDate({low})"]
    if until:
        parts += [f"{ts} < {high}", f"toDate({ts}) <= toDate({high})"]
    return f"({' AND '.join(parts)})"


def step_sql(step: Step) -> str:
    """The condition of a funnel step."""
    return " AND ".join([f"event = {quoted(step.event)}", *_conditions(step.where)])


def _conditions(where: Where) -> list[str]:
    return [f"({_condition(field, condition)})" for field, condition in where.items()]


def _condition(field: str, condition: Condition) -> str:
    parts: list[str] = []
    if condition.eq is not None:
        parts.append(f"({_same(field, condition.eq)})")
    if condition.ne is not None:
        parts += [_present(field), f"NOT ({_same(field, condition.ne)})"]
    if condition.one_of is not None:
        parts.append("(" + (" OR ".join(f"({_same(field, value)})" for value in condition.one_of) or "0") + ")")
    for operator, bound in ((">", condition.gt), (">=", condition.gte), ("<", condition.lt), ("<=", condition.lte)):
        if bound is not None:
            parts.append(f"({_ordered(field, operator, bound)})")
    return " AND ".join(parts)


def _present(field: str) -> str:
    if not field.startswith("properties."):
        return f"{field} != ''"
    return f"toString(JSONType(properties, {quoted(field.removeprefix('properties.'))})) != 'Null'"


def _same(field: str, value: Scalar) -> str:
    if not field.startswith("properties."):
        # An envelope field is text, and an empty one counts as missing: it is stored as it was not sent.
        return f"{field} = {quoted(value)}" if isinstance(value, str) and value else "0"
    key = quoted(field.removeprefix("properties."))
    kind = f"toString(JSONType(properties, {key}))"
    if isinstance(value, bool):
        return f"{kind} = 'Bool' AND JSONExtractBool(properties, {key}) = {int(value)}"
    if isinstance(value, int | float):
        return _number(key, "=", value)
    return f"{kind} = 'String' AND JSONExtractString(properties, {key}) = {quoted(value)}"


def _ordered(field: str, operator: str, bound: float) -> str:
    if not field.startswith("properties."):
        return "0"
    return _number(quoted(field.removeprefix("properties.")), operator, bound)


def _number(key: str, operator: str, number: float) -> str:
    """The property is a number that stands so to `number`."""
    kind = f"toString(JSONType(properties, {key}))"
    return " OR ".join(
        f"({kind} = '{name}' AND {extract}(properties, {key}) {operator} {number!r})" for name, extract in _NUMBERS
    )
