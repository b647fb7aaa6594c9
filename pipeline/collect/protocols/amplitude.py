"""Amplitude's protocol: HTTP API V2 and the batch upload.

https://amplitude.com/docs/apis/analytics/http-v2 and what the SDKs send.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import IDENTIFY, Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import MAX_UNPACKED, Undecodable, data_in
from pipeline.collect.protocols.fields import (
    attributes,
    each,
    envelope,
    first,
    identifier,
    json_answer,
    label,
    mapping,
    milliseconds,
    nothing_stored,
    own_id,
    refusals,
    sent_at,
    text,
    unsupported,
    whose,
)

_PATH: Final = re.compile(r"/(?:2/httpapi|batch)/?")
#: Fields of an event that are said in the envelope, or that only the transport needs.
_SAID: Final = frozenset({
    "event_type", "event_properties", "user_properties", "groups", "group_properties", "user_id", "device_id", "time",
    "insert_id", "session_id", "platform", "app_version", "language", "country", "region", "city", "ip", "api_key",
})  # fmt: skip
#: What is sold: under its own name beside the event's properties; all else gets a `$`.
_SALE: Final = frozenset({"price", "quantity", "revenue", "productId", "product_id", "revenueType", "currency"})
#: What is done to attributes besides setting them, in the order in which Amplitude does it.
_CHANGES: Final = {
    "$clearAll": "clear", "$unset": "unset", "$add": "add", "$append": "append", "$prepend": "prepend",
    "$preInsert": "union_first", "$postInsert": "union", "$remove": "remove",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AmplitudeProtocol:
    """Amplitude. `limit`: bytes that a request may have once it is unpacked."""

    limit: int = MAX_UNPACKED
    name: str = "amplitude"

    def matches(self, request: Request) -> bool:
        """Events by POST. `/batch` is PostHog's address, too: it is asked first."""
        return request.method == "POST" and _PATH.fullmatch(request.path) is not None

    def key(self, request: Request) -> str:
        """The key in the body."""
        try:
            return text(mapping(data_in(request, self.limit)).get("api_key"))
        except Undecodable:
            return ""

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
        """The events of a request."""
        try:
            data = data_in(request, self.limit)
        except Undecodable as exc:
            return [exc.refused(request.body)]
        sent = sent_at(mapping(data).get("client_upload_time"))
        return each(mapping(data).get("events"), request.body, partial(_event, request, sent))

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """How many were taken, and what was refused; 400 if that is everything: else the SDK would send all again."""
        refused = refusals(told, results)
        if nothing_stored(results):
            error = "; ".join(f"{one['reason']}: {one['detail']}" for one in refused[:5])
            invalid = {"event_type": [one["index"] for one in refused]}
            return json_answer(
                400, {"code": 400, "error": error, "events_with_invalid_fields": invalid, "refused": refused}
            )
        taken = {
            "code": 200,
            "events_ingested": len(results) - len(refused),
            "payload_size_bytes": len(request.body),
            "server_upload_time": request.received,
        }
        return json_answer(200, taken | ({"refused": refused} if refused else {}))


def _event(request: Request, sent: int | None, event: dict[str, Any]) -> list[Incoming | Refused]:
    name = event.get("event_type")
    if name == "$groupidentify":
        return [unsupported(event, "properties of a group alone are not kept: send them of a user of the group")]
    user, device = identifier(event.get("user_id")), identifier(event.get("device_id"))
    library = event.get("library")
    session = event.get("session_id")
    fields = envelope(
        event_id=own_id(event.get("insert_id"), first(device, user)),
        event=IDENTIFY if name == "$identify" else name,
        ts=milliseconds(event.get("time")),
        user_id=user,
        anonymous_id=device,
        session_id=None if session in (-1, "-1") else identifier(session),
        platform=label(event.get("platform")),
        app_version=label(first(event.get("app_version"), event.get("version_name"))),
        os=label(event.get("os_name")),
        device=label(first(event.get("device_model"), event.get("device_family"), event.get("device_type"))),
        language=label(event.get("language")),
        country=label(event.get("country")),
        region=label(event.get("region")),
        city=label(event.get("city")),
    )
    incoming = Incoming(fields, sent=sent)
    address = event.get("ip")
    incoming.address, incoming.user_agent = whose(
        request, library, None if address == "$remote" else address, event.get("user_agent")
    )
    if address == "$remote":
        incoming.address = request.address
    said = attributes(event.get("user_properties"))
    incoming.changes = [
        (change, {} if change == "clear" else mapping(said[key])) for key, change in _CHANGES.items() if said.get(key)
    ]
    incoming.first_attributes = attributes(said.get("$setOnce"))
    incoming.attributes = (
        {key: value for key, value in said.items() if key not in _CHANGES and key not in ("$set", "$setOnce")}
        | attributes(said.get("$set"))
        | {f"group.{kind}": key for kind, key in attributes(event.get("groups")).items()}
    )
    if name != "$identify":
        given = event.get("event_properties")
        kept = {key if key in _SALE else f"${key}": value for key, value in event.items() if key not in _SAID}
        fields["properties"] = kept | given if isinstance(given, dict) else kept if given is None else given
    return [incoming]
