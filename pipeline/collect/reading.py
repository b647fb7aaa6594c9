"""From a request as it came to one that protocols read: decoded, and unpacked within bounds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote

from pipeline import codings
from pipeline.collect.answers import Failure
from pipeline.collect.connection import Received
from pipeline.collect.limits import Network, client_address
from pipeline.collect.model import Request
from pipeline.settings import Settings

#: Pairs of a query string.
_MAX_PAIRS: Final = 1_000
_CODINGS: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "zstd": "zstd"}


class Damaged(Failure):
    """A request whose body can't be unpacked. `request` has it as it came."""

    def __init__(self, request: Request, why: str) -> None:
        super().__init__(400, "unreadable", why)
        self.request = request


def max_unpacked(settings: Settings) -> int:
    """Bytes that a request may have once everything in it is unpacked."""
    return max(8_000_000, settings.collect_max_body)


def request_of(came: Received, received: int, proxies: Sequence[Network] = ()) -> Request:
    """The request, its body as it came. `proxies` are believed where they say whom they speak for. Raises Failure."""
    target = came.target.decode("utf-8", "surrogateescape")
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]  # as it is sent to a proxy
    path, _, asked = target.partition("#")[0].partition("?")
    query: list[tuple[str, str]] = []
    if asked:
        try:
            query = parse_qsl(asked, keep_blank_values=True, errors="replace", max_num_fields=_MAX_PAIRS)
        except ValueError:
            raise Failure(400, "unreadable", f"a query of more than {_MAX_PAIRS} parameters") from None
    headers: dict[str, str] = {}
    for name, value in came.headers:
        headers.setdefault(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
    where = came.peer
    if proxies:
        where = client_address(where, all_of(came, b"x-forwarded-for"), proxies)
    path = unquote(path, errors="replace") if "%" in path else path
    return Request(came.method, path, query, headers, came.body, received, where)


def all_of(came: Received, name: bytes) -> list[str]:
    """All headers of a name."""
    return [value.decode("utf-8", "surrogateescape") for found, value in came.headers if found == name]


def unpacked(request: Request, most: int) -> Request:
    """The request with its body unpacked, at most `most` bytes.

    Raises Failure where it is packed in a way that isn't known or too large, Damaged where it can't be unpacked.
    """
    named = [part.strip().lower() for part in request.headers.get("content-encoding", "").split(",")]
    packed = [one for one in named if one not in ("", "identity")]
    if not packed or not request.body:
        return request
    if len(packed) > 1 or packed[0] not in _CODINGS:
        raise Failure(415, "unsupported", f"Content-Encoding: use gzip, zstd or deflate, not {packed[0]!r:.40}")
    try:
        body = codings.decode(request.body, _CODINGS[packed[0]], most)
    except codings.TooLargeError:
        raise Failure(413, "too_large", f"a request may have {most} bytes once it is unpacked") from None
    except codings.CodingError as exc:
        raise Damaged(request, str(exc)) from None
    headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
    return Request(request.method, request.path, request.query, headers, body, request.received, request.address)
