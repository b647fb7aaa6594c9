"""Snowplow's tracker protocol: payloads by POST (tp2), or one in the query of a pixel.

https://docs.snowplow.io/docs/events/going-deeper/event-parameters/ and what the trackers send.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pipeline.collect.model import Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import (
    MAX_UNPACKED,
    Undecodable,
    base64_in,
    first_of,
    json_in,
    unpacked,
)
from pipeline.collect.protocols.fields import (
    PIXEL,
    each,
    envelope,
    first,
    identifier,
    json_answer,
    label,
    mapping,
    milliseconds,
    nothing_stored,
    raw_of,
    referrer,
    refusals,
    sent_at,
    text,
    whose,
)

_TP2: Final = "/com.snowplowanalytics.snowplow/tp2"
_PIXEL: Final = "/i"
_SCHEMA: Final = re.compile(r"iglu:([^/]+)/([^/]+)/jsonschema/([0-9-]+)")
_NAMES: Final = {"pv": "page_view", "pp": "page_ping", "tr": "transaction", "ti": "transaction_item"}
#: Parameters that are said in the envelope, or that only the transport needs.
_SAID: Final = frozenset({
    "e", "eid", "p", "aid", "uid", "duid", "sid", "dtm", "stm", "ttm", "lang", "ip", "ua", "ue_px", "ue_pr", "cx", "co",
})  # fmt: skip
#: Parameter to the name that Snowplow's own table of events has for it.
_PROPERTIES: Final = {
    "url": "page_url", "page": "page_title", "refr": "page_referrer",
    "se_ca": "category", "se_ac": "action", "se_la": "label", "se_pr": "property", "se_va": "value",
    "pp_mix": "pp_xoffset_min", "pp_max": "pp_xoffset_max", "pp_miy": "pp_yoffset_min", "pp_may": "pp_yoffset_max",
    "tr_id": "tr_orderid", "tr_af": "tr_affiliation", "tr_tt": "tr_total", "tr_tx": "tr_tax", "tr_sh": "tr_shipping",
    "tr_ci": "tr_city", "tr_st": "tr_state", "tr_co": "tr_country", "tr_cu": "tr_currency",
    "ti_id": "ti_orderid", "ti_sk": "ti_sku", "ti_na": "ti_name", "ti_nm": "ti_name", "ti_ca": "ti_category",
    "ti_pr": "ti_price", "ti_qu": "ti_quantity", "ti_cu": "ti_currency",
    "tv": "$v_tracker", "tna": "$name_tracker", "tnuid": "$network_userid", "nuid": "$network_userid",
    "vid": "$domain_sessionidx", "fp": "$user_fingerprint", "res": "$dvce_screenresolution", "vp": "$br_viewport",
    "ds": "$doc_size", "cd": "$br_colordepth", "cs": "$doc_charset", "tz": "$os_timezone", "cookie": "$br_cookies",
}  # fmt: skip
#: Numbers that a tracker writes as text because its protocol has nothing else.
_NUMBERS: Final = frozenset({
    "se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr", "ti_qu", "pp_mix", "pp_max", "pp_miy", "pp_may", "vid",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class SnowplowProtocol:
    """Snowplow. `limit`: bytes that a request may have once it is unpacked. The key is the app's id (`aid`)."""

    limit: int = MAX_UNPACKED
    name: str = "snowplow"

    def matches(self, request: Request) -> bool:
        """Payloads by POST, or one by GET."""
        path = request.path.rstrip("/")
        return (request.method == "POST" and path == _TP2) or (request.method == "GET" and path == _PIXEL)

    def key(self, request: Request) -> str:
        """The app's id of the first payload."""
        try:
            payloads = self._payloads(request)
        except Undecodable:
            return ""
        return next((text(mapping(payload).get("aid")) for payload in payloads[:1]), "")

    def read(self, request: Request) -> list[Incoming | Refused] | Answer:
        """The events of a request."""
        try:
            payloads = self._payloads(request)
        except Undecodable as exc:
            return [exc.refused(request.body)]
        return each(payloads, request.body, partial(_payload, request))

    def _payloads(self, request: Request) -> list[Any]:
        if request.method == "GET":
            return [first_of(request.query)]
        data = json_in(unpacked(request.body, self.limit))
        payloads = mapping(data).get("data")
        if not isinstance(payloads, list):
            raise Undecodable("not_an_object", "no payload_data: an object with a list `data`")
        return payloads

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """A pixel for a GET, `ok` for a POST, and what was refused; 400 if that is everything."""
        if request.method == "GET":
            return PIXEL
        refused = refusals(told, results)
        if not refused:
            return Answer(200, b"ok", "text/plain; charset=utf-8")
        return json_answer(400 if nothing_stored(results) else 200, {"refused": refused})


def _payload(request: Request, payload: dict[str, Any]) -> list[Incoming | Refused]:
    try:
        unstructured = mapping(_json_field(payload, "ue_px", "ue_pr")).get("data")
        contexts = _contexts(mapping(_json_field(payload, "cx", "co")).get("data"))
    except Undecodable as exc:
        return [exc.refused(raw_of(payload))]
    kind = payload.get("e")
    name: Any
    properties: dict[str, Any] = {}
    for parameter, value in payload.items():
        if parameter not in _SAID:
            key = parameter if parameter.startswith(("tr_", "ti_", "se_")) else f"${parameter}"
            properties[_PROPERTIES.get(parameter, key)] = _number(value) if parameter in _NUMBERS else value
    if kind == "ue":
        schema = mapping(unstructured).get("schema")
        found = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
        if found is None:
            return [Refused("missing_field", "a self-describing event without its schema", raw_of(payload))]
        name = found[2]
        properties |= {"$schema": schema} | mapping(mapping(unstructured).get("data"))
    elif kind == "se":
        name = payload.get("se_ac")
    elif isinstance(kind, str) and kind in _NAMES:
        name = _NAMES[kind]
    else:
        return [Refused("unknown_type", f"e={kind!r:.60}: Snowplow's are pv, pp, se, ue, tr, ti", raw_of(payload))]
    if contexts:
        properties["$contexts"] = contexts
    session, mobile = contexts.get("client_session", {}), contexts.get("mobile_context", {})
    application = contexts.get("application", {})
    session, mobile, application = mapping(session), mapping(mobile), mapping(application)
    exact = payload.get("ttm")
    fields = envelope(
        event_id=identifier(payload.get("eid")),
        event=name,
        ts=milliseconds(first(exact, payload.get("dtm"))),
        user_id=identifier(payload.get("uid")),
        anonymous_id=identifier(
            first(payload.get("duid"), session.get("userId"), payload.get("tnuid"), payload.get("nuid"))
        ),
        session_id=identifier(first(payload.get("sid"), session.get("sessionId"))),
        platform=label(payload.get("p")),
        app_version=label(application.get("version")),
        os=label(mobile.get("osType")),
        device=label(mobile.get("deviceModel")),
        language=label(payload.get("lang")),
        referrer=referrer(payload.get("refr")),
        properties=properties,
    )
    # A true timestamp is said to be right; a device's is corrected. Python's tracker cuts `stm` to seconds, so that it
    # can lie before the event.
    sent, created = sent_at(payload.get("stm")), sent_at(payload.get("dtm"))
    incoming = Incoming(fields, sent=None if exact or sent is None else max(sent, created or sent))
    tracker = text(payload.get("tv"))
    library = "server" if _SERVERS.match(tracker) else tracker
    incoming.address, incoming.user_agent = whose(request, library, payload.get("ip"), payload.get("ua"))
    return [incoming]


#: Versions of trackers (`tv`) that run on servers.
_SERVERS: Final = re.compile(r"(?:node|golang|java|php|rb|net|rust|scala|lua)-|py-", re.IGNORECASE)


def _json_field(payload: dict[str, Any], encoded: str, plain: str) -> Any:
    """A field that holds JSON, in base64 or as it is."""
    if isinstance(value := payload.get(encoded), str) and value:
        return json_in(base64_in(value))
    if isinstance(value := payload.get(plain), str) and value:
        return json_in(value.encode("utf-8", "surrogatepass"))
    return payload.get(plain)


def _contexts(entities: Any) -> dict[str, Any]:
    """Entities by the name of their schema; several of one name as a list."""
    found: dict[str, Any] = {}
    for entity in entities if isinstance(entities, list) else []:
        schema = mapping(entity).get("schema")
        match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
        name, data = (match[2] if match else "unknown"), mapping(entity).get("data")
        if name in found:
            data = [*found[name], data] if isinstance(found[name], list) else [found[name], data]
        found[name] = data
    return found


def _number(value: Any) -> Any:
    """The number in a text; what is none as it was sent."""
    if not isinstance(value, str) or len(value) > 30:
        return value
    try:
        return int(value)
    except ValueError:
        try:
            return float(value)
        except ValueError:
            return value
