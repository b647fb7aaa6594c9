"""Values of dimensions: a field of an event as text. `pipeline.queries.conditions` says the same in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

from schemas.event import Event
from schemas.where import Fields, field_value, scalar_text

#: Characters of a value, as many as a field of the envelope may have: of a longer text its beginning is the value.
#: A property may be as long as a record, and each value is a key, a label and a row.
MAX_TEXT: Final = 256


def text_value(fields: Fields, name: str) -> str:
    """The field as a dimension value: text as it is, JSON's word for booleans, "" if missing or not a scalar.

    Numbers are written as ClickHouse writes them: `20.0` is "20".
    """
    value = field_value(fields, name)
    if type(value) is str:  # nearly always
        return value[:MAX_TEXT]
    if value is None or isinstance(value, dict | list):
        return ""
    return scalar_text(value)[:MAX_TEXT]


def text_getter(name: str) -> Callable[[Event], str]:
    """`text_value` of a field: a quick way for those of the envelope."""
    if name.startswith("properties."):
        return lambda event: text_value(event, name)
    get = attrgetter("name" if name == "event" else name)
    return lambda event: get(event) or ""


def text_values(events: Sequence[Event], name: str) -> list[str]:
    """`text_value` of each event."""
    if name.startswith("properties."):
        return [text_value(event, name) for event in events]
    return [sent or "" for sent in map(attrgetter("name" if name == "event" else name), events)]
