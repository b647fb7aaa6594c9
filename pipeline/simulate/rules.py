"""What an event of a plan is, said a second time, slowly and without Pydantic: for checking the validator.

Written from the contract (`schemas.event`, `schemas.plan`), not from `pipeline.ingest`. Two things that the
contract leaves open are left out: times written as strings of digits, and numbers beyond 64 bits.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.event import CONTEXT_FIELDS, EARLIEST_TS, LATEST_TS, MAX_VALUE
from schemas.nobody import NOBODY
from schemas.plan import EventSpec, Plan, PropertySpec

_MAX_BYTES: Final = 1_000_000
_MAX_LEVELS: Final = 200
_MAX_TEXT: Final = 10_000
_NAMES: Final = ("user_id", "anonymous_id", "session_id")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)


class Seen(NamedTuple):
    """What the recount needs to know of an event. `fields` is the event as it was sent."""

    event_id: str
    actor: str
    ts: int
    fields: dict[str, Any]


class Wrong(Exception):
    """A record is not what it should be."""


def event_of(value: bytes | None, plan: Plan) -> Seen | None:
    """The event in a record, None if it isn't one."""
    try:
        return _event(value, plan)
    except Wrong:
        return None


def must(condition: bool) -> None:
    """Raise Wrong where a condition doesn't hold."""
    if not condition:
        raise Wrong


def _event(value: bytes | None, plan: Plan) -> Seen:
    if not value or len(value) > _MAX_BYTES:
        raise Wrong
    fields = json_of(value)
    must(isinstance(fields, dict))
    allowed = {"event_id", "event", "ts", "properties", *_NAMES, *CONTEXT_FIELDS}
    must(set(fields) <= allowed)
    must(is_text(fields.get("event_id"), at_least=1))
    must(is_text(fields.get("event"), at_least=1))
    for name in _NAMES:
        must(fields.get(name) is None or is_text(fields[name], at_least=0))
    for name in CONTEXT_FIELDS:
        must(fields.get(name) is None or is_text(fields[name], at_least=0))
    user, device = fields.get("user_id"), fields.get("anonymous_id")
    must(bool(user or device))
    must(plan.nobody_ids == "keep" or not means_nobody(user or device))
    must(plan.bots == "keep" or not fields.get("bot"))
    must(not (user or "").startswith("$device:"))
    ts = _time(fields.get("ts"))
    must(EARLIEST_TS <= ts <= LATEST_TS)
    properties = {} if fields.get("properties") is None else fields["properties"]
    must(isinstance(properties, dict))
    spec = plan.events.get(fields["event"])
    if spec is None:
        must(plan.unknown_events == "keep")
    else:
        _properties(properties, spec, plan)
    return Seen(fields["event_id"], user or f"$device:{device}", ts, fields)


def json_of(value: bytes) -> Any:
    """The JSON in a value. Raises Wrong if it is none."""

    def refuse(_: str) -> None:
        raise Wrong

    try:
        data = json.loads(value.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Wrong from None
    level, items = 0, [data]
    while items:
        must(level <= _MAX_LEVELS)
        inner: list[Any] = []
        for item in items:
            if isinstance(item, dict):
                inner += [*item, *item.values()]
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, float):
                must(math.isfinite(item))
            elif isinstance(item, str):
                must(not any("\ud800" <= c <= "\udfff" for c in item))  # half of a character
        level, items = level + 1, inner
    return data


def means_nobody(actor: str) -> bool:
    """Whether an id is one that programs send where they have none."""
    return actor.strip().lower() in NOBODY or re.fullmatch(r"[0.:-]*", actor.strip()) is not None


def is_text(value: Any, *, at_least: int) -> bool:
    """Whether a value can be an id or a label."""
    if not isinstance(value, str) or not at_least <= len(value) <= 256:
        return False
    return not any(c < " " or c == "\x7f" for c in value)


def _time(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _moment(value)


def _moment(value: Any) -> int:
    must(isinstance(value, str) and _RFC3339.fullmatch(value) is not None)
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", value.upper())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Wrong from None
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000


def _properties(properties: dict[str, Any], spec: EventSpec, plan: Plan) -> None:
    for name, prop in spec.properties.items():
        if prop.required:
            must(name in properties and properties[name] is not None)
        if properties.get(name) is not None:
            _property(properties[name], prop, is_value=name == spec.value)
    if (spec.unknown_properties or plan.unknown_properties) == "reject":
        must(set(properties) <= set(spec.properties))


def _property(value: Any, prop: PropertySpec, *, is_value: bool) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match prop.type:
        case "string":
            must(isinstance(value, str) and len(value) <= (prop.max_length or _MAX_TEXT))
            must(prop.pattern is None or re.search(prop.pattern, value) is not None)
        case "integer":
            must(isinstance(value, int) and number and -(2**63) <= value < 2**63)
        case "number":
            must(number)
        case "boolean":
            must(isinstance(value, bool))
        case "timestamp":
            _moment(value)
        case "array":
            must(isinstance(value, list))
        case "object":
            must(isinstance(value, dict))
    must(prop.enum is None or value in prop.enum)
    must(prop.min is None or value >= prop.min)
    must(prop.max is None or value <= prop.max)
    must(not is_value or abs(value) <= MAX_VALUE)
