"""Answers of the front door that no protocol words: refusals, and what browsers ask before they send."""

from __future__ import annotations

import math
import re
from typing import Final

from pydantic_core import to_json

from pipeline.collect.model import Answer, Request
from pipeline.collect.sources import Sources

#: When a request that was refused for want of room, or of Kafka, may come again. Seconds.
RETRY_SECONDS: Final = 2
#: Headers of every answer.
ALWAYS: Final = {"X-Content-Type-Options": "nosniff"}
#: Names of headers that a browser asks whether it may send, and how long it may remember the answer.
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9_-]{1,100}(?:, ?[A-Za-z0-9_-]{1,100}){0,50}")
_CORS_SECONDS: Final = "600"


class Failure(Exception):
    """An answer that ends a request before its events are looked at."""

    def __init__(self, status: int, reason: str, detail: str, retry_after: float = 0) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail, self.retry_after = status, reason, detail, retry_after


def refusal(status: int, reason: str, detail: str, retry_after: float = 0) -> Answer:
    """A refusal, in the form of all of them."""
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if status == 401:
        # With a parameter, as RFC 6750 (3) asks: without one Swift's Foundation on Linux crashes.
        headers["WWW-Authenticate"] = 'Bearer realm="events"'
    return Answer(status, to_json({"error": reason, "detail": detail}), headers=headers)


def cors(origin: str) -> dict[str, str]:
    """The headers by which a page of this origin may read an answer."""
    # Browsers send beacons with credentials. There are no cookies here, and the origin is named.
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }


def preflight(request: Request, sources: Sources) -> Answer:
    """What a browser asks before it sends: it can't say yet for whom, so any source's origin may go on."""
    origin = request.headers.get("origin", "")
    if not origin or not sources.allows(origin):
        return refusal(403, "origin_not_allowed", "no source lets pages of this origin send")
    asked = request.headers.get("access-control-request-headers", "")
    headers = cors(origin) | {
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        # No header of a request is trusted: SDKs may send what they like.
        "Access-Control-Allow-Headers": asked if _HEADER_NAMES.fullmatch(asked) else "Authorization, Content-Type",
        "Access-Control-Max-Age": _CORS_SECONDS,
    }
    if request.headers.get("access-control-request-private-network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return Answer(204, headers=headers)
