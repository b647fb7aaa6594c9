"""Sensors' protocol (神策分析): forms with `data` or `data_list`, base64, sometimes gzip.

https://manual.sensorsdata.cn/sa/docs/data_schema and what the SDKs send.
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
    json_answer,
    label,
    mapping,
    raw_of,
    referrer,
    refusals,
    refused_whole,
    seconds_or_milliseconds,
    sent_at,
    text,
    unsupported,
    whose,
)

_PATH: Final = re.compile(r"/(?:sa|sa\.gif|debug)/?")
#: The identities by which Sensors knows a device, in the order of their use.
_DEVICES: Final = (
    "$identity_anonymous_id", "$identity_cookie_id", "$identity_android_id", "$identity_android_uuid", "$identity_idfv",
    "$identity_ios_uuid", "$identity_harmony_id", "$identity_harmony_uuid", "$identity_mp_id", "$identity_distinct_id",
)  # fmt: skip
#: Fields of a message that are said in the envelope, or that only its transport needs.
_TRANSPORT: Final = frozenset({
    "type", "event", "distinct_id", "original_id", "login_id", "anonymous_id", "identities", "time", "properties",
    "project", "token", "_flush_time", "time_free", "_nocache", "_hybrid_h5", "lib",
})  # fmt: skip
_TRACKS: Final = ("track", "track_signup", "track_id_bind")
#: What is done to attributes besides setting them.
_CHANGES: Final = {
    "profile_increment": "add", "profile_append": "append", "profile_unset": "unset", "profile_delete": "clear",
}  # fmt: skip
_PROFILES: Final = ("profile_set", "profile_set_once", *_CHANGES)
_UNDONE: Final = {
    "track_id_unbind": "a link is not taken back",
    "item_set": "things are not kept: import them as content",
    "item_delete": "things are not kept: import them as content",
}


@dataclass(frozen=True, slots=True)
class SensorsProtocol:
    """Sensors Analytics. `limit`: bytes that a request may have once it is unpacked."""

    limit: int = MAX_UNPACKED
    name: str = "sensors"

    def matches(self, request: Request) -> bool:
        """Events by POST, or by GET in the query."""
        return request.method in ("GET", "POST") and _PATH.fullmatch(request.path) is not None

    def key(self, request: Request) -> str:
        """The token, in the query or in the first message."""
        if found := first_of(request.query).get("token"):
            return found
        try:
            data = self._data(request)
        except Undecodable:
            return ""
        items = data if isinstance(data, list) else [data]
        return next((text(mapping(item).get("token")) for item in items[:1]), "")

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
        """The events of a request."""
        try:
            data = self._data(request)
        except Undecodable as exc:
            return [exc.refused(request.body or first_of(request.query).get("data", "").encode())]
        return each(data if isinstance(data, list) else [data], request.body, partial(_message, request))

    def _data(self, request: Request) -> Any:
        return data_in(request, self.limit, ("data_list", "data"))

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """200 whenever the request could be read: its SDKs send what was refused again, for ever, before all else."""
        if request.path.startswith("/sa.gif"):
            return PIXEL
        refused = refusals(told, results)
        if refused_whole(request, told):
            return json_answer(400, {"refused": refused})
        return json_answer(200, {"refused": refused} if refused else {})


def _message(request: Request, message: dict[str, Any]) -> list[Incoming | Refused]:
    kind = message.get("type")
    if isinstance(kind, str) and kind in _UNDONE:
        return [unsupported(message, f"{kind}: {_UNDONE[kind]}")]
    if kind not in (*_TRACKS, *_PROFILES):
        return [
            Refused(
                "unknown_type", f"type {kind!r:.60}: Sensors' are track, track_signup, profile_set, …", raw_of(message)
            )
        ]
    given = message.get("properties")
    found = dict(given) if isinstance(given, dict) else {}
    library = mapping(message.get("lib"))
    lib = first(found.get("$lib"), library.get("$lib"))
    login = found.pop("$is_login_id", None)
    user, device = _ids(message, kind, login)
    when = message.get("time")
    fields = envelope(
        event=message.get("event") if kind in _TRACKS else IDENTIFY,
        ts=seconds_or_milliseconds(when),
        user_id=user,
        anonymous_id=device,
        session_id=identifier(first(found.get("$event_session_id"), found.get("$session_id"))),
        platform=label(_PLATFORMS.get(text(lib).lower())),
        app_version=label(first(found.get("$app_version"), library.get("$app_version"))),
        os=label(found.get("$os")),
        device=label(first(found.get("$model"), found.get("$manufacturer"))),
        browser=label(found.get("$browser")),
        language=label(first(found.get("$browser_language"), found.get("$system_language"))),
        country=label(found.get("$country")),
        region=label(found.get("$province")),
        city=label(found.get("$city")),
        campaign=label(first(found.get("$utm_campaign"), found.get("$latest_utm_campaign"))),
        referrer=referrer(None if found.get("$referrer") in _NOWHERE else found.get("$referrer")),
    )
    incoming = Incoming(fields, sent=sent_at(message.get("_flush_time")))
    incoming.address, incoming.user_agent = whose(
        request, _WORD.get(text(lib).lower(), lib), found.pop("$ip", None), found.get("$user_agent")
    )
    if kind == "profile_set":
        incoming.attributes = attributes(found)
    elif kind == "profile_set_once":
        incoming.first_attributes = attributes(found)
    elif kind in _CHANGES:
        incoming.changes = [(_CHANGES[kind], {} if kind == "profile_delete" else found)]
        if (track_id := message.get("_track_id")) is not None:
            fields["properties"] = {"_track_id": track_id}  # two equal changes of one moment are two
    else:
        unknown = {key: value for key, value in message.items() if key not in _TRANSPORT}
        others = {
            key: value
            for key, value in mapping(message.get("identities")).items()
            if value not in (user, device, message.get("distinct_id"))
        }
        library = {key: value for key, value in library.items() if key not in found}
        fields["properties"] = unknown | library | others | found if given is None or isinstance(given, dict) else given
    told: list[Incoming | Refused] = [incoming]
    if kind == "track_signup" and message.get("login_id") is None and not message.get("identities"):
        # Libraries that can't say `$is_login_id` send the login id as `distinct_id` from now on.
        told.append(Incoming(envelope(event=IDENTIFY, ts=fields.get("ts"), user_id=user, anonymous_id=user)))
    return told


#: What SDKs write where nobody sent the person.
_NOWHERE: Final = ("直接打开", "url的domain解析失败")
#: What a library calls itself: the platform it runs on.
_PLATFORMS: Final = {
    "js": "web", "ios": "ios", "android": "android", "harmonyos": "harmony", "miniprogram": "miniprogram",
    "alipaymini": "miniprogram", "baidumini": "miniprogram", "bytemini": "miniprogram", "qqmini": "miniprogram",
}  # fmt: skip
#: Names that would be taken for a server's.
_WORD: Final = {"php": "php", "js": "browser"}


def _ids(message: dict[str, Any], kind: Any, login: Any) -> tuple[Any, Any]:
    """User and device. `distinct_id` is the one or the other: `$is_login_id`, `login_id` and `identities` say which."""
    identities = mapping(message.get("identities"))
    distinct = identifier(message.get("distinct_id"))
    user = identifier(first(message.get("login_id"), identities.get("$identity_login_id")))
    if user is None and (login is True or kind == "track_signup"):
        user = distinct
    device = first(
        message.get("original_id"), message.get("anonymous_id"), *(identities.get(name) for name in _DEVICES)
    )
    if device is None and user is None:
        device = distinct
    return user, identifier(device)
