"""Mixpanel's protocol: /track, /engage, /groups and /import.

https://developer.mixpanel.com/reference/ingestion-api and what the SDKs send.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import IDENTIFY, Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import MAX_UNPACKED, Undecodable, data_in, first_of, form_in, json_in, unpacked
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
    old_id,
    own_id,
    referrer,
    refusals,
    refused_whole,
    seconds_or_milliseconds,
    sent_at,
    text,
    texts,
    unsupported,
    whose,
)

_PATH: Final = re.compile(r"/(track|engage|groups|import)/?")
_DEVICE: Final = "$device:"
#: Properties that are said in the envelope, and the key, which nobody needs to read again.
_MOVED: Final = frozenset({"token", "distinct_id", "time", "$insert_id", "$user_id", "$device_id", "ip", "$ip"})
#: What is done to attributes besides setting them.
_CHANGES: Final = {"$add": "add", "$append": "append", "$union": "union", "$remove": "remove"}


@dataclass(frozen=True, slots=True)
class MixpanelProtocol:
    """Mixpanel. `limit`: bytes that a request may have once it is unpacked."""

    limit: int = MAX_UNPACKED
    name: str = "mixpanel"

    def matches(self, request: Request) -> bool:
        """Events and profiles by POST; all but imports by GET, too."""
        found = _PATH.fullmatch(request.path)
        return found is not None and (request.method == "POST" or (request.method == "GET" and found[1] != "import"))

    def key(self, request: Request) -> str:
        """The project's token in the data; of an import without one, the user of Basic authentication."""
        try:
            data = self._data(request)
        except Undecodable:
            data = None
        items = data if isinstance(data, list) else [data]
        item = mapping(items[0]) if items else {}
        found = (
            text(mapping(item.get("properties")).get("token")) or text(item.get("$token")) or text(item.get("token"))
        )
        return found or basic_user(request) or first_of(request.query).get("token", "")

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
        """The events of a request."""
        try:
            data = self._data(request)
        except Undecodable as exc:
            return [exc.refused(request.body or first_of(request.query).get("data", "").encode())]
        sent = sent_at(first_of(request.query).get("_"))
        found = _PATH.fullmatch(request.path)
        read = {"engage": _profile, "groups": _group}.get(found[1] if found else "", _event)
        return each(data if isinstance(data, list) else [data], request.body, partial(read, request, sent))

    def _data(self, request: Request) -> Any:
        if "ndjson" in request.headers.get("content-type", ""):
            lines = unpacked(request.body, self.limit).splitlines()
            return [json_in(line) for line in lines if line.strip()]
        return data_in(request, self.limit)

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """1 or 0, or with `verbose` the reasons; of an import how many were taken and which failed."""
        refused = refusals(told, results)
        if request.path.startswith("/import") and not _is_form(request):
            return _import_answer(refused, len(results))
        asked = first_of(request.query) | _options(request)
        if asked.get("img") == "1":
            return PIXEL
        # Of a 0 its library for Python makes an exception, and keeps the same events in front of all others.
        status = 0 if refused_whole(request, told) else 1
        if asked.get("verbose") == "1" or refused:
            error = None if status else "; ".join(f"{one['reason']}: {one['detail']}" for one in refused)
            said = {"status": status, "error": error} | ({"refused": refused} if refused else {})
            return json_answer(200 if status else 400, said)
        return Answer(200, str(status).encode())


def _import_answer(refused: list[dict[str, Any]], total: int) -> Answer:
    if not refused:
        return json_answer(200, {"code": 200, "num_records_imported": total, "status": "OK"})
    failed = [
        {"index": one["index"], "insert_id": one.get("event_id"), "field": one["reason"], "message": one["detail"]}
        for one in refused
    ]
    words = "some data points in the request failed validation"
    taken = total - len(refused)
    return json_answer(
        400,
        {"code": 400, "error": words, "failed_records": failed, "num_records_imported": taken, "status": "Bad Request"},
    )


def _is_form(request: Request) -> bool:
    return request.body.lstrip()[:5] == b"data="


def _options(request: Request) -> dict[str, str]:
    if not _is_form(request):
        return {}
    try:
        return form_in(request.body)
    except Undecodable:
        return {}


def _event(request: Request, sent: int | None, event: dict[str, Any]) -> list[Incoming | Refused]:
    given = event.get("properties")
    found = mapping(given)
    name = event.get("event")
    library = found.get("mp_lib")
    user, device = _ids(found)
    fields = envelope(
        event_id=own_id(found.get("$insert_id"), first(identifier(found.get("distinct_id")), user, device)),
        event=name,
        ts=seconds_or_milliseconds(found.get("time")),
        user_id=user,
        anonymous_id=device,
        session_id=identifier(found.get("$session_id")),
        platform=label(_PLATFORMS.get(text(library))),
        app_version=label(first(found.get("$app_version_string"), found.get("$app_version"))),
        os=label(found.get("$os")),
        device=label(first(found.get("$model"), found.get("$device"))),
        browser=label(found.get("$browser")),
        language=label(found.get("$locale")),
        country=label(found.get("mp_country_code")),
        region=label(found.get("$region")),
        city=label(found.get("$city")),
        campaign=label(found.get("utm_campaign")),
        referrer=referrer(found.get("$referrer")),
    )
    incoming = Incoming(fields, sent=sent)
    incoming.address, incoming.user_agent = whose(request, library, first(found.get("$ip"), found.get("ip")), None)
    if ("ip", "0") in request.query:
        incoming.address = ""
    if name == "$create_alias":
        # The alias is the new id.
        return [_linked(incoming, found.get("alias"), found.get("distinct_id"))]
    if name == "$identify":
        return [_linked(incoming, first(found.get("$identified_id"), found.get("distinct_id")), _before(found))]
    if name == "$merge":
        pair = found.get("$distinct_ids")
        if not isinstance(pair, list) or len(pair) != 2:
            return [Refused("bad_value", "$merge: $distinct_ids are two ids", request.body)]
        return [_linked(incoming, *pair)]
    properties = {key: value for key, value in found.items() if key not in _MOVED}
    unknown = {key: value for key, value in event.items() if key not in ("event", "properties")}
    fields["properties"] = unknown | properties if given is None or isinstance(given, dict) else given
    return [incoming]


#: What a library calls itself: the platform it runs on.
_PLATFORMS: Final = {
    "web": "web",
    "android": "android",
    "iphone": "ios",
    "swift": "ios",
    "react-native": "app",
    "flutter": "app",
}


def _ids(found: dict[str, Any]) -> tuple[Any, Any]:
    """User and device: `distinct_id` is a device where it says so or is the `$device_id`, else a user."""
    device, user = identifier(found.get("$device_id")), identifier(found.get("$user_id"))
    distinct = identifier(found.get("distinct_id"))
    if isinstance(distinct, str) and distinct.startswith(_DEVICE):
        return user, first(device, distinct.removeprefix(_DEVICE))
    if user is None and distinct != device:
        user = distinct
    return user, device


def _before(found: dict[str, Any]) -> Any:
    return first(found.get("$anon_id"), found.get("$anon_distinct_id"), found.get("$device_id"))


def _linked(incoming: Incoming, new: Any, old: Any) -> Incoming:
    """The old id is an old user's or a device's: nobody says which. The one that it isn't has no events."""
    new, old = identifier(new), identifier(old)
    if isinstance(old, str) and old.startswith(_DEVICE):
        old = old.removeprefix(_DEVICE)
    else:
        incoming.alias = old_id(old, new)
    incoming.fields.pop("user_id", None)
    incoming.fields.pop("anonymous_id", None)
    incoming.fields |= {"event": IDENTIFY} | envelope(user_id=new, anonymous_id=old)
    return incoming


def _profile(request: Request, sent: int | None, update: dict[str, Any]) -> list[Incoming | Refused]:
    distinct = identifier(first(update.get("$distinct_id"), update.get("$user_id"), update.get("$device_id")))
    user, device = _ids(
        {"distinct_id": distinct, "$device_id": update.get("$device_id"), "$user_id": update.get("$user_id")}
    )
    fields = envelope(
        event=IDENTIFY, ts=seconds_or_milliseconds(update.get("$time")), user_id=user, anonymous_id=device
    )
    incoming = Incoming(
        fields, sent, attributes(update.get("$set")), first_attributes=attributes(update.get("$set_once"))
    )
    changes = [(change, mapping(update.get(key))) for key, change in _CHANGES.items()]
    changes.append(("unset", dict.fromkeys(texts(update.get("$unset")))))
    incoming.changes = [one for one in changes if one[1]] + ([("clear", {})] if "$delete" in update else [])
    if not (incoming.attributes or incoming.first_attributes or incoming.changes):
        kept = {key: value for key, value in update.items() if key != "$token"}
        return [unsupported(kept, "nothing that is done to an attribute: $set, $set_once, $add, $append, …")]
    return [incoming]


def _group(request: Request, sent: int | None, update: dict[str, Any]) -> list[Incoming | Refused]:
    kept = {key: value for key, value in update.items() if key != "$token"}
    return [unsupported(kept, "properties of a group alone are not kept: send them of a user of the group")]
