"""The front door's own protocol: events in the plan's form, one, an array or one a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic_core import from_json, to_json

from pipeline.collect.model import IDENTIFY, STORED, Answer, Incoming, Refused, Request, Result
from pipeline.collect.protocols.fields import whose

PATH: Final = "/v1/events"
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

    def read(self, request: Request) -> list[Incoming | Refused]:
        """The events of the body. What is no JSON in one line of many is refused by itself."""
        address, agent = whose(request, None, None, None)
        sent = _asked(request, "sent")
        at = int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 16 else None
        body = request.body.removeprefix(b"\xef\xbb\xbf")
        found, why = _json(body)
        if why is None:
            items = found if isinstance(found, list) else [found]
            return [_event(item, at, address, agent) for item in items]
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) < 2:
            return [Refused(why[0], why[1], request.body)]
        told: list[Incoming | Refused] = []
        for line in lines:
            found, why = _json(line)
            told.append(_event(found, at, address, agent) if why is None else Refused(*why, line))
        return told

    def answer(self, request: Request, told: Sequence[Incoming | Refused], results: Sequence[Result]) -> Answer:
        """How many were taken, and of each that was not, where it stands in the request and why."""
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
