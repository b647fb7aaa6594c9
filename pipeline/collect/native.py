"""The front door's own protocol: events in the plan's form, one, an array or one a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from pydantic_core import from_json, to_json

from pipeline.collect.clock import TOLERANCE
from pipeline.collect.model import IDENTIFY, STORED, Answer, Incoming, Manner, Refused, Request, Result, Told, Written
from pipeline.collect.protocols.fields import whose

PATH: Final = "/v1/events"
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
#: Fields beside the envelope's that tell of the user, of an event whose name is `$identify` or of any other.
_ATTRIBUTES: Final = "$attributes"
_ALIAS: Final = "$alias"
#: What of an event is told again in an answer, at most.
_SHOWN: Final = 1_000


class Native:
    """`POST /v1/events`."""

    name = "native"

    def matches(self, request: Request) -> bool:
        """Whether it is the native path."""
        return request.path in (PATH, PATH + "/") and request.method == "POST"

    def key(self, request: Request) -> str:
        """The write key: a bearer, the header `X-Write-Key`, or `key` in the query, where no header can be set."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return bearer.strip()
        return request.headers.get("x-write-key", "") or _asked(request, "key")

    def read(self, request: Request) -> Sequence[Told]:
        """The events of the body. What is no JSON in one line of many is refused by itself."""
        address, agent = whose(request, None, None, None)
        sent = _asked(request, "sent")
        at = int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 16 else None
        body = request.body.removeprefix(b"\xef\xbb\xbf")
        in_time = at is None or abs(request.received - at) <= TOLERANCE
        if in_time and (items := _items(body)) is not None:
            # The plan's form is what Kafka gets: bytes that are surely an event stay as they were sent.
            manner = Manner(lambda place: _careful(items[place], at, address, agent), address, agent)
            return [Written(item.strip(), place, manner) for place, item in enumerate(items)]
        found, why = _json(body)
        if why is None:
            each = found if isinstance(found, list) else [found]
            return [_event(item, at, address, agent) for item in each]
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) < 2:
            return [Refused(why[0], why[1], request.body)]
        return [_careful(line, at, address, agent) for line in lines]

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """How many were taken, and of each that was not, where it stands in the request and why."""
        if results.count(STORED) == len(results):
            return Answer(200, b'{"accepted":%d,"rejected":0,"errors":[],"notes":[]}' % len(results))
        said = []
        for at, (item, result) in enumerate(zip(told, results, strict=True)):
            if result is STORED or not (result.reason or result.detail):
                continue
            one: dict[str, Any] = {"index": at}
            event_id = item.fields.get("event_id") if isinstance(item, Incoming) else None
            if isinstance(event_id, str):
                one["event_id"] = event_id[:256]
            if result.reason:
                one["reason"] = result.reason
            said.append({**one, "detail": result.detail})
        refused = sum([1 for result in results if result.reason])
        body = {
            "accepted": len(results) - refused,
            "rejected": refused,
            "errors": [one for one in said if "reason" in one][:_SHOWN],
            "notes": [one for one in said if "reason" not in one][:_SHOWN],
        }
        return Answer(400 if refused and refused == len(results) else 200, to_json(body))


def _asked(request: Request, name: str) -> str:
    return next((value for asked, value in request.query if asked == name), "")


def _json(data: bytes) -> tuple[Any, tuple[str, str] | None]:
    """JSON, or reason and detail why it is none."""
    try:
        return from_json(data), None
    except ValueError as exc:
        if not data.strip():
            return None, ("empty", "the request has no body")
        try:
            data.decode()
        except UnicodeDecodeError as bad:
            return None, ("not_utf8", f"byte {bad.start} is not UTF-8")
        if "recursion limit" in str(exc):
            return None, ("too_deep", "more than 200 levels of nesting")
        return None, ("invalid_json", str(exc))


def _items(body: bytes) -> list[bytes] | None:
    """The bytes of each object of a body, one, an array or one a line; None where it has to be looked at closely."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            return None
    if body[:1] == b"[":
        try:
            items = [bytes(item) for item in _ARRAY(body)]
        except (msgspec.MsgspecError, RecursionError):
            return None
    else:
        items = [line for line in body.strip().split(b"\n") if line.strip()]
    # Where each line is an object, they are no parts of one.
    return items if items and all(_is_object(item) for item in items) else None


def _is_object(item: bytes) -> bool:
    item = item.strip()
    return item[:1] == b"{" and item[-1:] == b"}"


def _careful(raw: bytes, sent: int | None, address: str, agent: str) -> Incoming | Refused:
    found, why = _json(raw)
    return _event(found, sent, address, agent) if why is None else Refused(*why, raw)


def _event(item: Any, sent: int | None, address: str, agent: str) -> Incoming | Refused:
    if not isinstance(item, dict):
        return Refused("not_an_object", "an event is a JSON object", to_json(item, inf_nan_mode="constants"))
    if _ATTRIBUTES not in item and _ALIAS not in item:
        return Incoming(item, sent, address=address, user_agent=agent)
    fields = dict(item)
    attributes, alias = fields.pop(_ATTRIBUTES, None) or {}, fields.pop(_ALIAS, None) or ""
    if not isinstance(attributes, dict) or not isinstance(alias, str):
        said = f"{_ATTRIBUTES} is an object, {_ALIAS} a text"
        return Refused("wrong_type", said, to_json(item, inf_nan_mode="constants"))
    if "event" not in fields:
        fields["event"] = IDENTIFY
    return Incoming(fields, sent, attributes, alias, address=address, user_agent=agent)
