"""Requests that real SDKs sent (tests/data/sdk), as the front door has them before a protocol reads them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pipeline.collect.model import Answer, Incoming, Protocol, Refused, Request, Told, Written
from pipeline.collect.protocols import protocols

FOLDER = Path(__file__).parents[2] / "data" / "sdk"
#: 2026-11-25T13:30:00Z, and an address of documentation (RFC 5737).
RECEIVED = 1795613400000
ADDRESS = "198.51.100.7"


def request(
    method: str,
    target: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    received: int = RECEIVED,
) -> Request:
    """A request as the server hands it over."""
    parts = urlsplit(target)
    query = parse_qsl(parts.query, keep_blank_values=True)
    return Request(method, parts.path, query, headers or {}, body, received, ADDRESS)


def post(target: str, data: Any, headers: dict[str, str] | None = None) -> Request:
    """A request with a JSON body."""
    return request("POST", target, json.dumps(data).encode(), headers)


def lines(name: str) -> Iterator[dict[str, Any]]:
    """The recordings of a file."""
    with (FOLDER / name).open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def recorded(line: dict[str, Any]) -> Request:
    """One of python, node, browser.jsonl. Where the encoding is said, the server has undone it."""
    headers = line["headers"]
    body = line["body"].encode()
    if line["gzip"] and "content-encoding" not in headers:
        body = gzip.compress(body, mtime=0)
    return request(line["method"], line["target"], body, headers)


def shared(line: dict[str, Any]) -> Request:
    """One of server-sdks.jsonl, where a form is written down unpacked."""
    body = line["body"]
    headers = {"user-agent": line["who"] or "", "content-type": line["ct"] or "", "authorization": line["auth"]}
    if body.startswith("FORM"):
        data = body.partition("data_list=")[2].encode()
        packed = base64.b64encode(gzip.compress(data, mtime=0)).decode()
        return request(line["m"], line["p"], urlencode({"data_list": packed, "gzip": "1"}).encode(), headers)
    raw = body.encode()
    return request(line["m"], line["p"], gzip.compress(raw, mtime=0) if "gzip" in line["enc"] else raw, headers)


def protocol_of(request: Request) -> Protocol:
    """Whose a request is: exactly one's, the first that says so."""
    return next(protocol for protocol in protocols() if protocol.matches(request))


def read(request: Request) -> list[Incoming | Refused]:
    """The events of a request that carries some."""
    told = protocol_of(request).read(request)
    assert not isinstance(told, Answer), told
    return carefully(told)


def carefully(told: Sequence[Told]) -> list[Incoming | Refused]:
    """Events as they are read with care, those as well that were written without."""
    return [item.carefully() if isinstance(item, Written) else item for item in told]


def plain(item: Incoming | Refused) -> dict[str, Any]:
    """What was told as JSON, without what isn't there."""
    if isinstance(item, Refused):
        return {"refused": item.reason, "detail": item.detail}
    said = {
        "sent": item.sent,
        "attributes": item.attributes,
        "first_attributes": item.first_attributes,
        "changes": [list(one) for one in item.changes],
        "alias": item.alias,
        "address": item.address,
        "user_agent": item.user_agent,
    }
    return item.fields | {f"@{name}": value for name, value in said.items() if value}
