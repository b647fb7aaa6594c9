"""PostHog's protocol: what its libraries send to capture, and the configuration that they ask for first.

https://posthog.com/docs/api/capture and what the SDKs send. Flags, surveys and recordings there are none here: the
answers say so, and the SDK is quiet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import IDENTIFY, Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import MAX_UNPACKED, Undecodable, data_in, first_of
from pipeline.collect.protocols.fields import (
    PIXEL,
    attributes,
    each,
    envelope,
    first,
    identifier,
    is_uuid,
    json_answer,
    label,
    mapping,
    milliseconds,
    nothing_stored,
    of_server,
    old_id,
    raw_of,
    referrer,
    refusals,
    sent_at,
    text,
    texts,
    unsupported,
    whose,
)
from pipeline.collect.protocols.posthog_configuration import OFF, configuration

_EVENTS: Final = re.compile(r"/(?:e|capture|batch|i/v0/e|i/v0/ai/batch|i/v1/analytics/events)/?")
_PER_EVENT: Final = re.compile(r"/i/v1/analytics/events/?")
_RECORDINGS: Final = re.compile(r"/s/?")
_FLAGS: Final = re.compile(r"/(?:flags|decide)/?")
_CONFIG: Final = re.compile(r"/array/([A-Za-z0-9_-]{1,200})/config(\.js)?/?")
_SURVEYS: Final = re.compile(r"/api/(?:surveys|early_access_features|web_experiments)/?")
#: Presets that are said in the envelope or told of the user, and the key, which nobody needs to read again.
_MOVED: Final = frozenset({"token", "api_key", "distinct_id", "$set", "$set_once", "$unset", "$ip"})


@dataclass(frozen=True, slots=True)
class PostHogProtocol:
    """PostHog. `limit`: bytes that a request may have once it is unpacked."""

    limit: int = MAX_UNPACKED
    name: str = "posthog"

    def matches(self, request: Request) -> bool:
        """Events by POST, or by GET in the query; configuration, flags and surveys."""
        path = request.path
        if path == "/batch" and not self._is_batch(request):
            return False  # Amplitude's, whose SDKs write no slash either
        if _EVENTS.fullmatch(path):
            return request.method == "POST" or (request.method == "GET" and path.startswith("/e"))
        if request.method == "GET" and (_CONFIG.fullmatch(path) or _SURVEYS.fullmatch(path)):
            return True
        return request.method == "POST" and bool(_FLAGS.fullmatch(path) or _RECORDINGS.fullmatch(path))

    def _is_batch(self, request: Request) -> bool:
        try:
            data = data_in(request, self.limit)
        except Undecodable:
            return True
        return not (isinstance(data, dict) and "events" in data and "batch" not in data)

    def key(self, request: Request) -> str:
        """The project's key: a bearer, in the query, in the path, or in the body."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return bearer.strip()
        query = first_of(request.query)
        if found := _CONFIG.fullmatch(request.path):
            return found[1]
        if found_here := query.get("token") or query.get("api_key"):
            return found_here
        try:
            data = data_in(request, self.limit)
        except Undecodable:
            return ""
        items = data if isinstance(data, list) else [data]
        batch = mapping(items[0]).get("batch") if items else None
        if isinstance(batch, list):
            items = [*items[:1], *batch[:1]]
        for item in map(mapping, items[:2]):
            properties = mapping(item.get("properties"))
            for given in (item.get("api_key"), item.get("token"), properties.get("token"), properties.get("api_key")):
                if text(given):
                    return text(given)
        return ""

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
        """The events of a request, or the configuration that it asks for."""
        if found := _CONFIG.fullmatch(request.path):
            return configuration(found[1], bool(found[2]))
        if _FLAGS.fullmatch(request.path):
            flags = {"flags": {}, "featureFlags": {}, "featureFlagPayloads": {}, "errorsWhileComputingFlags": False}
            return json_answer(200, flags | {"quotaLimited": [], "requestId": ""} | OFF)
        if _SURVEYS.fullmatch(request.path):
            return json_answer(200, {"surveys": [], "earlyAccessFeatures": [], "experiments": []})
        if _RECORDINGS.fullmatch(request.path):
            return [Refused("unsupported", "recordings of sessions are not kept", request.body)]
        try:
            data = data_in(request, self.limit)
        except Undecodable as exc:
            return [exc.refused(request.body)]
        outer = mapping(data)
        items = data if isinstance(data, list) else outer.get("batch", [outer])
        sent = first(
            outer.get("sent_at"),
            request.headers.get("posthog-request-timestamp"),
            first_of(request.query).get("_"),
        )
        if outer.get("historical_migration") is True:
            sent = None
        library = request.headers.get("posthog-sdk-info", "").partition("/")[0]
        return each(items, request.body, partial(_event, request, library, sent_at(sent)))

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """The status; in the newer form a result for each event."""
        if _PER_EVENT.fullmatch(request.path):
            outcomes = {}
            for item, result in zip(told, results, strict=True):
                uuid = item.fields.get("event_id") if isinstance(item, Incoming) else None
                if isinstance(uuid, str) and (result.reason or uuid not in outcomes):
                    outcomes[uuid] = (
                        {"result": "drop", "details": f"{result.reason}: {result.detail}"}
                        if result.reason
                        else {"result": "ok"}
                    )
            if outcomes or not results:
                return json_answer(200, {"results": outcomes})
        if request.method == "GET" and ("img", "1") in request.query:
            return PIXEL
        refused = refusals(told, results)
        if nothing_stored(results):
            detail = "; ".join(f"{one['reason']}: {one['detail']}" for one in refused[:5])
            return json_answer(
                400, {"type": "validation_error", "code": "invalid_payload", "detail": detail, "refused": refused}
            )
        return json_answer(200, {"status": "Ok"} | ({"refused": refused} if refused else {}))


def _event(request: Request, library: str, sent: int | None, event: dict[str, Any]) -> list[Incoming | Refused]:
    given = event.get("properties")
    found = dict(given) if isinstance(given, dict) else {}
    options = mapping(event.get("options"))
    lib = first(found.get("$lib"), library, event.get("library"))
    server = found.get("$is_server") is True or of_server(lib)
    distinct = identifier(first(event.get("distinct_id"), found.get("distinct_id"), event.get("$distinct_id")))
    name = event.get("event")
    user, device = _ids(found, options, name, distinct, server)
    when, offset = event.get("timestamp"), event.get("offset")
    if found.get("$ignore_sent_at") is True or options.get("disable_skew_correction") is True:
        sent = None
    if when is None and sent is not None and isinstance(offset, int | float) and -1e15 < offset < 1e15:
        when = sent - round(offset)
    fields = envelope(
        event_id=identifier(first(event.get("uuid"), found.get("uuid"))),
        event=name,
        ts=milliseconds(when),
        user_id=user,
        anonymous_id=device,
        session_id=identifier(first(found.get("$session_id"), event.get("session_id"))),
        platform=None if server else label(_platform(text(lib))),
        app_version=label(found.get("$app_version")),
        os=None if server else label(found.get("$os")),
        device=None if server else label(first(found.get("$device_model"), found.get("$device_type"))),
        browser=label(found.get("$browser")),
        language=label(first(found.get("$browser_language"), found.get("$locale"))),
        country=label(found.get("$geoip_country_code")),
        campaign=label(first(found.get("utm_campaign"), found.get("$utm_campaign"))),
        referrer=referrer(found.get("$referrer")),
    )
    incoming = Incoming(fields, sent=sent)
    incoming.address, incoming.user_agent = whose(request, lib, found.get("$ip"), found.get("$raw_user_agent"))
    if server and not found.get("$ip"):
        incoming.address = incoming.user_agent = ""
    if found.get("$geoip_disable") is True:
        incoming.address = ""
    incoming.attributes = attributes(event.get("$set")) | attributes(found.get("$set")) | _groups(found)
    incoming.first_attributes = attributes(event.get("$set_once")) | attributes(found.get("$set_once"))
    if unset := [*texts(found.get("$unset")), *texts(event.get("$unset"))]:
        incoming.changes = [("unset", dict.fromkeys(unset))]
    match name:
        case "$identify" | "$set" | "$set_once":
            fields["event"] = IDENTIFY
            return [incoming]
        case "$create_alias" | "$merge_dangerously":
            return [_alias(incoming, text(lib), found.get("alias"), distinct)]
        case "$groupidentify":
            return [_group(incoming, event, found, distinct, server)]
    properties = {key: value for key, value in found.items() if key not in _MOVED}
    fields["properties"] = properties if given is None or isinstance(given, dict) else given
    if isinstance(fields["properties"], dict):
        unknown = {key: value for key, value in event.items() if key not in _SAID}
        fields["properties"] = unknown | properties
    return [incoming]


#: Fields of an event besides its properties that are said in the envelope, or that only its transport needs.
_SAID: Final = frozenset({
    "event", "properties", "distinct_id", "$distinct_id", "timestamp", "offset", "uuid", "session_id", "options",
    "$set", "$set_once", "$unset", "api_key", "token", "type", "library", "library_version", "messageId", "sent_at",
    "send_feature_flags", "historical_migration", "ip",
})  # fmt: skip


def _ids(found: dict[str, Any], options: dict[str, Any], name: Any, distinct: Any, server: bool) -> tuple[Any, Any]:
    """User and device: PostHog has one id for both, and says in several ways which it is."""
    device = identifier(found.get("$device_id"))
    if name == "$identify":
        return distinct, identifier(first(found.get("$anon_distinct_id"), None if device == distinct else device))
    if isinstance(found.get("$is_identified"), bool):
        identified = found["$is_identified"]
    elif first(found.get("$user_id")) is not None:
        identified = True
    elif device is not None:
        identified = device != distinct and not is_uuid(distinct)
    elif server:
        # A server's event that should make no person has an id made up for it.
        personless = found.get("$process_person_profile") is False or options.get("process_person_profile") is False
        identified = not (personless and is_uuid(distinct))
    else:
        identified = not is_uuid(distinct)
    if not identified:
        return None, distinct
    return distinct, None if device == distinct else device


def _alias(incoming: Incoming, lib: str, alias: Any, distinct: Any) -> Incoming:
    """An alias: which of the two ids is the old one depends on the library.

    For Python's and the browser's, `alias` is the new one and `distinct_id` the old; for others the other way round, as
    PostHog merges `alias` into `distinct_id`.
    """
    alias = identifier(alias)
    new, old = (alias, distinct) if lib in ("posthog-python", "web") else (distinct, alias)
    told = {name: value for name, value in incoming.fields.items() if name not in ("user_id", "anonymous_id")}
    incoming.fields = told | envelope(event=IDENTIFY, user_id=new, anonymous_id=old)
    incoming.alias = old_id(old, new)
    return incoming


def _group(
    incoming: Incoming, event: dict[str, Any], found: dict[str, Any], distinct: Any, server: bool
) -> Incoming | Refused:
    """A group becomes attributes of the user that the event names; a server's often names nobody."""
    kind, key = found.get("$group_type"), found.get("$group_key")
    if not isinstance(kind, str) or key is None:
        return Refused("missing_field", "a group without $group_type and $group_key", raw_of(event))
    if distinct == f"${kind}_{key}" or (server and is_uuid(distinct)):
        return unsupported(event, "properties of a group alone are not kept: send them of a user of the group")
    incoming.fields["event"] = IDENTIFY
    incoming.attributes |= {f"group.{kind}": key} | {
        f"group.{kind}.{name}": value for name, value in attributes(found.get("$group_set")).items()
    }
    return incoming


def _groups(found: dict[str, Any]) -> dict[str, Any]:
    return {f"group.{kind}": key for kind, key in attributes(found.get("$groups")).items()}


def _platform(lib: str) -> str | None:
    if lib in ("web", "js"):
        return "web"
    return next((platform for platform in ("ios", "android") if platform in lib), None)
