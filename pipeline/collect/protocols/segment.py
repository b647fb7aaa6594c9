"""Segment's protocol, which RudderStack's SDKs speak, too.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ and what the SDKs send.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import IDENTIFY, Answer, Incoming, Refused, Request, Result
from pipeline.collect.protocols.decode import MAX_UNPACKED, Undecodable, data_in, first_of
from pipeline.collect.protocols.fields import (
    PIXEL,
    attributes,
    basic_user,
    each,
    envelope,
    first,
    identifier,
    json_answer,
    label,
    mapping,
    milliseconds,
    nothing_stored,
    old_id,
    raw_of,
    referrer,
    refusals,
    sent_at,
    text,
    whose,
)

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
#: What RudderStack's library for browsers writes into `context.app`: its own name, and its own version.
_RUDDER_WEB: Final = "RudderLabs JavaScript SDK"
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

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
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

    def answer(self, request: Request, told: Sequence[Incoming | Refused], results: Sequence[Result]) -> Answer:
        """`success`, and what was refused; 400 if that is everything."""
        if "/pixel/" in request.path:
            return PIXEL
        refused = refusals(told, results)
        done = not nothing_stored(results)
        return json_answer(200 if done else 400, {"success": done} | ({"refused": refused} if refused else {}))


def _message(
    request: Request, kind: str, sent: int | None, common: dict[str, Any], message: dict[str, Any]
) -> list[Incoming | Refused]:
    kind = message.get("type") or kind
    if kind not in _TYPES:
        return [Refused("unknown_type", f"type {kind!r:.60}: Segment's are {', '.join(_TYPES)}", raw_of(message))]
    context = common | mapping(message.get("context"))
    app = mapping(context.get("app"))
    device, page = mapping(context.get("device")), mapping(context.get("page"))
    library = mapping(context.get("library")).get("name")
    given = message.get("properties")
    properties = dict(given) if isinstance(given, dict) else {}
    traits = attributes(first(message.get("traits"), context.get("traits")))
    own = sent_at(message.get("sentAt"))
    # A time beside the original one has been corrected already, by whoever sends it again.
    original, when = message.get("originalTimestamp"), message.get("timestamp")
    corrected = original is not None and when is not None
    fields = envelope(
        event_id=identifier(message.get("messageId")),
        event=message.get("event") if kind == "track" else kind if kind in ("page", "screen") else IDENTIFY,
        ts=milliseconds(when if when is not None else original),
        user_id=identifier(message.get("userId")),
        anonymous_id=identifier(message.get("anonymousId")),
        session_id=identifier(context.get("sessionId")),
        platform=label(first(device.get("type"), _platform(message, library))),
        app_version=label(None if app.get("name") == _RUDDER_WEB else app.get("version")),
        os=label(mapping(context.get("os")).get("name")),
        device=label(first(device.get("model"), device.get("type"))),
        language=label(context.get("locale")),
        country=label(mapping(context.get("location")).get("country")),
        campaign=label(mapping(context.get("campaign")).get("name")),
        referrer=referrer(
            first(page.get("referrer"), mapping(context.get("referrer")).get("url"), properties.get("referrer"))
        ),
    )
    incoming = Incoming(fields, sent=None if corrected else own if own is not None else sent)
    for name, value in whose(request, library, context.get("ip"), context.get("userAgent")).items():
        setattr(incoming, name, value)
    match kind:
        case "identify":
            incoming.attributes = dict(traits)
        case "group":
            group = message.get("groupId")
            incoming.attributes = ({"group": group} if group is not None else {}) | {
                f"group.{name}": value for name, value in traits.items()
            }
        case "alias":
            previous = identifier(message.get("previousId"))
            # It is an old user's id, or a device's: nobody says which. The one that it isn't has no events.
            incoming.alias = old_id(previous, fields.get("user_id"))
            if previous is not None:
                fields.setdefault("anonymous_id", previous)
        case _:
            # A page's name and category are among them.
            unknown = {name: value for name, value in message.items() if name not in _TRANSPORT and value is not None}
            properties = unknown | properties
            told = message.get("context")
            kept = (
                {name: value for name, value in context.items() if name != "ip"}
                if told is None or isinstance(told, dict)
                else told
            )
            if kept:
                properties.setdefault("context", kept)
            fields["properties"] = properties if given is None or isinstance(given, dict) else given
    return [incoming]


def _platform(message: dict[str, Any], library: Any) -> str | None:
    name = text(library).lower()
    if message.get("channel") == "web" or "analytics.js" in name or "javascript" in name:
        return "web"
    return next((platform for platform in ("ios", "android") if platform in name), None)
