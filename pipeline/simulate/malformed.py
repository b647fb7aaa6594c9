"""Records that must be rejected, of every kind that producers were ever seen to send, made from a good event.

Each kind is a function from the fields of a valid event (a fresh dictionary, which it may change) to bytes,
with the reason that the validator must give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from schemas.duration import DAY

Fields = dict[str, Any]
_YEAR_MS: Final = 365 * DAY
#: Beyond the 1,000,000 bytes that an event may have, and still within Kafka's default limit for a message.
OVERSIZE_BYTES: Final = 1_000_100


class Malformation(NamedTuple):
    """How to spoil an event, and the reason it must be rejected for."""

    reason: str
    make: Callable[[Fields], bytes | None]


def dumps(fields: Fields) -> bytes:
    """The event as the simulator writes it."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _set(**changes: Any) -> Callable[[Fields], bytes]:
    """Set fields to other values."""
    return lambda fields: dumps({**fields, **changes})


def _without(*names: str) -> Callable[[Fields], bytes]:
    return lambda fields: dumps({k: v for k, v in fields.items() if k not in names})


def _properties(text: bytes) -> Callable[[Fields], bytes]:
    """Put these bytes where the properties are."""

    def make(fields: Fields) -> bytes:
        fields.pop("properties", None)
        return dumps({**fields, "event": "app_open"})[:-1] + b',"properties":' + text + b"}"

    return make


#: By name, so that each kind can be counted.
MALFORMED: Final[Mapping[str, Malformation]] = {
    "not_json": Malformation("invalid_json", lambda fields: b"user=" + str(fields.get("ts")).encode()),
    "truncated": Malformation("invalid_json", lambda fields: dumps(fields)[:-7]),
    "two_events": Malformation("invalid_json", lambda fields: dumps(fields) + b"\n" + dumps(fields)),
    "byte_order_mark": Malformation("invalid_json", lambda fields: b"\xef\xbb\xbf" + dumps(fields)),
    "not_utf8": Malformation("not_utf8", _properties(b'{"name":"M\xfcller"}')),
    "empty": Malformation("empty", lambda fields: b""),
    "tombstone": Malformation("empty", lambda fields: None),
    "list": Malformation("not_an_object", lambda fields: b"[" + dumps(fields) + b"]"),
    "null": Malformation("not_an_object", lambda fields: b"null"),
    "unknown_event": Malformation("unknown_event", _set(event="teleport")),
    "event_missing": Malformation("missing_field", _without("event")),
    "id_missing": Malformation("missing_field", _without("event_id")),
    "time_missing": Malformation("missing_field", _without("ts")),
    "actor_missing": Malformation("missing_actor", _without("user_id", "anonymous_id")),
    "actor_null": Malformation("missing_actor", _set(user_id=None, anonymous_id=None)),
    "actor_is_nobody": Malformation("nobody_id", _set(user_id="undefined", anonymous_id=None)),
    "bot": Malformation("bot", _set(bot="Googlebot")),
    "id_is_a_number": Malformation("wrong_type", _set(event_id=17)),
    "time_is_a_word": Malformation("wrong_type", _set(ts="yesterday")),
    "time_without_zone": Malformation("wrong_type", _set(ts="2026-10-01T12:00:00")),
    "properties_are_a_list": Malformation("wrong_type", _set(properties=[1, 2])),
    "field_unknown": Malformation("unknown_field", _set(userId="u1")),
    "nan": Malformation("not_finite", _properties(b'{"load":NaN}')),
    "infinity": Malformation("not_finite", _properties(b'{"load":[-Infinity]}')),
    "overflow": Malformation("not_finite", _properties(b'{"load":1e999}')),
    "time_in_seconds": Malformation("time_too_old", lambda fields: _set(ts=fields["ts"] // 1000)(fields)),
    "time_in_1970": Malformation("time_too_old", _set(ts="1970-01-01T00:00:00Z")),
    "time_next_year": Malformation("time_in_future", lambda fields: _set(ts=fields["ts"] + _YEAR_MS)(fields)),
    "time_in_microseconds": Malformation("time_in_future", lambda fields: _set(ts=fields["ts"] * 1000)(fields)),
    "control_characters": Malformation("bad_value", _set(platform="ios\x00\x1b[31m")),
    "raw_control_character": Malformation("invalid_json", _properties(b'{"name":"a\x01b"}')),
    "name_too_long": Malformation("bad_value", _set(session_id="s" * 300)),
    "nested_too_deep": Malformation("too_deep", _properties(b'{"a":' * 1000 + b"1" + b"}" * 1000)),
}


def oversize(fields: Fields) -> bytes:
    """A valid event that is larger than an event may be; its reason is `too_large`."""
    fields["properties"] = {**fields.get("properties", {}), "note": ""}
    fields["properties"]["note"] = "x" * (OVERSIZE_BYTES - len(dumps(fields)))
    return dumps(fields)
