"""Segment's protocol, which RudderStack's SDKs speak, too.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ and what the SDKs send.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import IDENTIFY, Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import MAX_UNPACKED, Undecodable, data_in, first_of, json_in
from pipeline.collect.protocols.fields import (
    PIXEL,
    attributes,
    basic_user,
    each,
    first,
    identifier,
    json_answer,
    mapping,
    milliseconds,
    nothing_stored,
    old_id,
    raw_of,
    refusals,
    sent_at,
    text,
    whose,
)
from pipeline.collect.protocols.segment_context import surroundings
from pipeline.collect.protocols.segment_tracks import written

_TYPES: Final = ("track", "identify", "page", "screen", "group", "alias")
#: The last part of a path to the type that it means; "" for a batch, whose messages say theirs.
_PATHS: Final = {name: name for name in _TYPES} | {
    "t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias",
    "batch": "", "b": "", "import": "",
}  # fmt: skip
_EVENTS: Final = re.compile(r"/(?:beacon/)?v1/(?:pixel/)?([a-z]+)/?")
_SETTINGS: Final = re.compile(r"/v1/projects/([^/]+)/settings/?")
#: What browsers ask for or tell besides events: the source's configuration, and metrics of the SDK itself.
_SOURCE_CONFIG: Final = re.compile(r"/sourceConfig/?")
_METRICS: Final = re.compile(r"/(?:v1/m|rsaMetrics)/?")
#: Fields of a message that are said in the envelope, or that only its transport needs.
_TRANSPORT: Final = frozenset({
    "type", "event", "userId", "anonymousId", "messageId", "timestamp", "originalTimestamp", "sentAt", "receivedAt",
    "properties", "context", "integrations", "writeKey", "_metadata", "channel",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class SegmentProtocol:
    """Segment and RudderStack. `limit`: bytes that a request may have once it is unpacked."""

    limit: int = MAX_UNPACKED
    name: str = "segment"

    def matches(self, request: Request) -> bool:
        """Events by POST, or by GET as a pixel; the configuration by GET."""
        path = request.path
        if found := _EVENTS.fullmatch(path):
            pixel = "/pixel/" in path
            if found[1] in _PATHS:
                return request.method == ("GET" if pixel else "POST")
        if request.method == "GET":
            return bool(_SETTINGS.fullmatch(path) or _SOURCE_CONFIG.fullmatch(path))
        return bool(_METRICS.fullmatch(path))

    def key(self, request: Request) -> str:
        """The write key: Basic authentication's user, in the query, in the path, or in the body."""
        query = first_of(request.query)
        found = basic_user(request) or query.get("writeKey") or query.get("write_key", "")
        if settings := _SETTINGS.fullmatch(request.path):
            return settings[1]
        if found or not _EVENTS.fullmatch(request.path):
            return found
        try:
            data = data_in(request, self.limit)
        except Undecodable:
            return ""
        outer = mapping(data)
        batch = outer.get("batch")
        messages = [outer, *(batch[:1] if isinstance(batch, list) else ())]
        return next((key for message in messages if (key := text(mapping(message).get("writeKey")))), "")

    def read(self, request: Request) -> Sequence[Told] | Answer:
        """The events of a request, or the configuration that it asks for."""
        if _METRICS.fullmatch(request.path):
            return json_answer(200, {"success": True})
        if settings := _SETTINGS.fullmatch(request.path):
            # The library sends the key that it is told here; without an address, where it was told to send.
            integrations = {"Segment.io": {"apiKey": settings[1]}}
            return json_answer(200, {"integrations": integrations, "plan": {}, "edgeFunction": {}})
        if _SOURCE_CONFIG.fullmatch(request.path):
            source = {"id": self.key(request), "name": "streamgauge", "enabled": True, "workspaceId": "streamgauge",
                      "config": {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}},
                      "destinations": []}  # fmt: skip
            return json_answer(200, {"source": source})
        found = _EVENTS.fullmatch(request.path)
        kind = _PATHS.get(found[1], "") if found else ""
        if (tracks := written(request, kind, _read)) is not None:
            return tracks
        try:
            data = data_in(request, self.limit)
        except Undecodable as exc:
            return [exc.refused(request.body)]
        if isinstance(data, dict):
            whole = sent_at(data.get("sentAt"))
            common = mapping(data.get("context")) if "batch" in data else {}
            items = data.get("batch", [data] if kind else None)
        else:
            whole, items, common = None, data, {}
        return each(items, request.body, partial(_message, request, kind, whole, common))

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """`success`, and what was refused; 400 if that is everything."""
        if "/pixel/" in request.path:
            return PIXEL
        refused = refusals(told, results)
        done = not nothing_stored(results)
        return json_answer(200 if done else 400, {"success": done} | ({"refused": refused} if refused else {}))


def _read(request: Request, kind: str, sent: int | None, raw: bytes) -> Incoming | Refused:
    """One message of a request."""
    try:
        (told,) = _message(request, kind, sent, {}, json_in(raw))
    except Undecodable as exc:
        return exc.refused(raw)
    return told


def _message(
    request: Request, kind: str, sent: int | None, common: dict[str, Any], message: dict[str, Any]
) -> list[Incoming | Refused]:
    kind = message.get("type") or kind
    if kind not in _TYPES:
        return [Refused("unknown_type", f"type {kind!r:.60}: Segment's are {', '.join(_TYPES)}", raw_of(message))]
    told = message.get("context")
    own_context = mapping(told)
    context = common | own_context if common else own_context
    given = message.get("properties")
    # A time beside the original one has been corrected already, by whoever sends it again.
    original, when = message.get("originalTimestamp"), message.get("timestamp")
    corrected = original is not None and when is not None
    own = sent_at(message["sentAt"]) if "sentAt" in message else None
    library = mapping(context.get("library")).get("name")
    fields: dict[str, Any] = {
        "event_id": identifier(message.get("messageId")),
        "event": message.get("event") if kind == "track" else kind if kind in ("page", "screen") else IDENTIFY,
        "ts": milliseconds(when if when is not None else original),
        "user_id": identifier(message.get("userId")),
    }
    if "anonymousId" in message:
        fields["anonymous_id"] = identifier(message["anonymousId"])
    fields |= surroundings(message, context, given, library)
    if None in fields.values():
        fields = {name: value for name, value in fields.items() if value is not None}
    address, agent = whose(request, library, context.get("ip"), context.get("userAgent"))
    sent = None if corrected else own if own is not None else sent
    incoming = Incoming(fields, sent, address=address, user_agent=agent)
    match kind:
        case "identify":
            incoming.attributes = _traits(message, context)
        case "group":
            group = message.get("groupId")
            incoming.attributes = ({"group": group} if group is not None else {}) | {
                f"group.{name}": value for name, value in _traits(message, context).items()
            }
        case "alias":
            previous = identifier(message.get("previousId"))
            # It is an old user's id, or a device's: nobody says which. The one that it isn't has no events.
            incoming.alias = old_id(previous, fields.get("user_id"))
            if previous is not None:
                fields.setdefault("anonymous_id", previous)
        case _:
            properties = dict(given) if isinstance(given, dict) else {}
            if not message.keys() <= _TRANSPORT:
                # A page's name and category are among them.
                unknown = {
                    name: value for name, value in message.items() if name not in _TRANSPORT and value is not None
                }
                properties = unknown | properties
            kept = told
            if told is None or isinstance(told, dict):
                kept = (
                    context if "ip" not in context else {name: value for name, value in context.items() if name != "ip"}
                )
            if kept:
                properties.setdefault("context", kept)
            fields["properties"] = properties if given is None or isinstance(given, dict) else given
    return [incoming]


def _traits(message: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    return attributes(first(message.get("traits"), context.get("traits")))
