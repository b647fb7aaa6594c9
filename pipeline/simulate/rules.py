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
    """What the recount needs to know of an event."""

    event_id: str
    actor: str
    ts: int


class _Wrong(Exception):
    pass


def event_of(value: bytes | None, plan: Plan) -> Seen | None:
    """The event in a record, None if it isn't one."""
    try:
        return _event(value, plan)
    except _Wrong:
        return None


def _must(condition: bool) -> None:
    if not condition:
        raise _Wrong


def _event(value: bytes | None, plan: Plan) -> Seen:
    if not value or len(value) > _MAX_BYTES:
        raise _Wrong
    fields = _json(value)
    _must(isinstance(fields, dict))
    allowed = {"event_id", "event", "ts", "properties", *_NAMES, *CONTEXT_FIELDS}
    _must(set(fields) <= allowed)
    _must(_is_text(fields.get("event_id"), at_least=1))
    _must(_is_text(fields.get("event"), at_least=1))
    for name in _NAMES:
        _must(fields.get(name) is None or _is_text(fields[name], at_least=0))
    for name in CONTEXT_FIELDS:
        _must(fields.get(name) is None or _is_text(fields[name], at_least=0))
    user, device = fields.get("user_id"), fields.get("anonymous_id")
    _must(bool(user or device))
    _must(plan.nobody_ids == "keep" or not _means_nobody(user or device))
    _must(not (user or "").startswith("$device:"))
    ts = _time(fields.get("ts"))
    _must(EARLIEST_TS <= ts <= LATEST_TS)
    properties = {} if fields.get("properties") is None else fields["properties"]
    _must(isinstance(properties, dict))
    spec = plan.events.get(fields["event"])
    if spec is None:
        _must(plan.unknown_events == "keep")
    else:
        _properties(properties, spec, plan)
    return Seen(fields["event_id"], user or f"$device:{device}", ts)


def _json(value: bytes) -> Any:
    def refuse(_: str) -> None:
        raise _Wrong

    try:
        data = json.loads(value.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise _Wrong from None
    level, items = 0, [data]
    while items:
        _must(level <= _MAX_LEVELS)
        inner: list[Any] = []
        for item in items:
            if isinstance(item, dict):
                inner += [*item, *item.values()]
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, float):
                _must(math.isfinite(item))
            elif isinstance(item, str):
                _must(not any("\ud800" <= c <= "\udfff" for c in item))  # half of a character
        level, items = level + 1, inner
    return data


def _means_nobody(actor: str) -> bool:
    return actor.strip().lower() in NOBODY or re.fullmatch(r"[0.:-]*", actor.strip()) is not None


def _is_text(value: Any, *, at_least: int) -> bool:
    if not isinstance(value, str) or not at_least <= len(value) <= 256:
        return False
    return not any(c < " " or c == "\x7f" for c in value)


def _time(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _moment(value)


def _moment(value: Any) -> int:
    _must(isinstance(value, str) and _RFC3339.fullmatch(value) is not None)
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", value.upper())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Wrong from None
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + moment.microsecond // 1000


def _properties(properties: dict[str, Any], spec: EventSpec, plan: Plan) -> None:
    for name, prop in spec.properties.items():
        if prop.required:
            _must(name in properties and properties[name] is not None)
        if properties.get(name) is not None:
            _property(properties[name], prop, is_value=name == spec.value)
    if (spec.unknown_properties or plan.unknown_properties) == "reject":
        _must(set(properties) <= set(spec.properties))


def _property(value: Any, prop: PropertySpec, *, is_value: bool) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match prop.type:
        case "string":
            _must(isinstance(value, str) and len(value) <= (prop.max_length or _MAX_TEXT))
            _must(prop.pattern is None or re.search(prop.pattern, value) is not None)
        case "integer":
            _must(isinstance(value, int) and number and -(2**63) <= value < 2**63)
        case "number":
            _must(number)
        case "boolean":
            _must(isinstance(value, bool))
        case "timestamp":
            _moment(value)
        case "array":
            _must(isinstance(value, list))
        case "object":
            _must(isinstance(value, dict))
    _must(prop.enum is None or value in prop.enum)
    _must(prop.min is None or value >= prop.min)
    _must(prop.max is None or value <= prop.max)
    _must(not is_value or abs(value) <= MAX_VALUE)
