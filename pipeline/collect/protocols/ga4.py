"""Google Analytics 4's Measurement Protocol.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import MAX_UNPACKED, Undecodable, data_in, first_of
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
    referrer,
    refusals,
    whose,
)

_EVENTS: Final = "/mp/collect"
_DEBUG: Final = "/debug/mp/collect"


@dataclass(frozen=True, slots=True)
class GA4Protocol:
    """Google Analytics 4. `limit`: bytes that a request may have once it is unpacked. The key is the `api_secret`."""

    limit: int = MAX_UNPACKED
    name: str = "ga4"

    def matches(self, request: Request) -> bool:
        """Events by POST, and the address that only validates them."""
        return request.method == "POST" and request.path.rstrip("/") in (_EVENTS, _DEBUG)

    def key(self, request: Request) -> str:
        """The `api_secret`."""
        return first_of(request.query).get("api_secret", "")

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
        """The events of a request; from the address that validates nothing is stored."""
        try:
            data = data_in(request, self.limit)
        except Undecodable as exc:
            told: list[Incoming | Refused] = [exc.refused(request.body)]
        else:
            outer = mapping(data)
            told = each(outer.get("events"), request.body, partial(_event, request, outer))
        if request.path.rstrip("/") == _DEBUG:
            said = [
                {"fieldPath": "events", "description": item.detail, "validationCode": "VALUE_INVALID"}
                for item in told
                if isinstance(item, Refused)
            ]
            return json_answer(200, {"validationMessages": said})
        return told

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """204; what was refused is said, which Google's doesn't do; 400 if that is everything."""
        refused = refusals(told, results)
        if not refused:
            return Answer(204)
        return json_answer(400 if nothing_stored(results) else 200, {"refused": refused})


def _event(request: Request, outer: dict[str, Any], event: dict[str, Any]) -> list[Incoming | Refused]:
    given = event.get("params")
    found = dict(given) if isinstance(given, dict) else {}
    where, device = mapping(outer.get("user_location")), mapping(outer.get("device"))
    session = found.get("session_id")
    fields = envelope(
        event=event.get("name"),
        ts=_micros(first(event.get("timestamp_micros"), outer.get("timestamp_micros"))),
        user_id=identifier(outer.get("user_id")),
        anonymous_id=identifier(first(outer.get("client_id"), outer.get("app_instance_id"))),
        session_id=identifier(session),
        platform=label(
            "web" if outer.get("client_id") is not None else "app" if outer.get("app_instance_id") else None
        ),
        app_version=label(found.get("app_version")),
        os=label(device.get("operating_system")),
        device=label(first(device.get("model"), device.get("category"))),
        browser=label(device.get("browser")),
        language=label(first(device.get("language"), found.get("language"))),
        country=label(where.get("country_id")),
        region=label(where.get("region_id")),
        city=label(where.get("city")),
        campaign=label(found.get("campaign")),
        referrer=referrer(found.get("page_referrer")),
        properties=found if given is None or isinstance(given, dict) else given,
    )
    incoming = Incoming(fields)
    # Its requests come from servers: the person is whom they name.
    incoming.address, incoming.user_agent = whose(request, "server", outer.get("ip_override"), outer.get("user_agent"))
    incoming.attributes = attributes(
        {
            name: value.get("value") if isinstance(value, dict) else value
            for name, value in mapping(outer.get("user_properties")).items()
        }
    )
    return [incoming]


def _micros(value: Any) -> Any:
    """Epoch microseconds, a number or its digits, as milliseconds."""
    found = milliseconds(value)
    return found // 1000 if type(found) is int else found
