"""Bytes that strangers sent, to data: JSON, forms, base64, gzip, each within bounds. Pure."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from pydantic_core import from_json

from pipeline.collect.model import Refused, Request

#: Bytes that the body of a request may have once everything in it is unpacked, unless the door says otherwise.
MAX_UNPACKED: Final = 8_000_000
#: Packings within each other that are undone: gzip under a wrong content type, with a gzipped form field in it.
_MAX_LAYERS: Final = 3
_MAX_FORM_FIELDS: Final = 1_000
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
#: An escape in JSON: a pair of surrogates, half a pair (group 1), or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class Undecodable(Exception):
    """Why bytes can't be read as events: a reason of docs/events.md and a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail

    def refused(self, raw: bytes) -> Refused:
        """What is said of the bytes."""
        return Refused(self.reason, self.detail, raw)


def unpacked(data: bytes, limit: int) -> bytes:
    """What is in `data`, which may be gzipped, more than once; at most `limit` bytes. Raises Undecodable."""
    for _ in range(_MAX_LAYERS):
        if not data.startswith(_GZIP):
            break
        data = _gunzip(data, limit)
    if len(data) > limit:
        raise Undecodable("too_large", f"more than {limit} bytes once it is unpacked")
    return data


def _gunzip(data: bytes, limit: int) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        out = unpacking.decompress(data, limit + 1)
    except zlib.error as exc:
        raise Undecodable("unreadable", f"not gzip: {exc}") from None
    if len(out) > limit:
        raise Undecodable("too_large", f"more than {limit} bytes once it is unpacked")
    if not unpacking.eof:
        raise Undecodable("unreadable", "the gzip ends too early")
    return out


def json_in(data: bytes) -> Any:
    """The JSON in bytes. Raises Undecodable.

    Half a pair of surrogates, which JavaScript makes where it cuts an emoji, becomes U+FFFD: one event's text must not
    spoil a whole batch.
    """
    data = data.removeprefix(_BOM)
    try:
        return from_json(data)
    except ValueError as exc:
        if b"\\u" in data:
            try:
                return from_json(_ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], data))
            except ValueError:
                pass
        raise _unreadable_json(data, str(exc)) from None


def _unreadable_json(data: bytes, message: str) -> Undecodable:
    if not data.strip():
        return Undecodable("empty", "the request has no body")
    try:
        data.decode()
    except UnicodeDecodeError as bad:
        return Undecodable("not_utf8", f"byte {bad.start} is not UTF-8")
    if "recursion limit" in message:
        return Undecodable("too_deep", "more than 200 levels of nesting")
    return Undecodable("invalid_json", message)


def base64_in(text: str) -> bytes:
    """The bytes in base64, also in its form for URLs, without padding, or with the spaces that a form makes of +.

    Raises Undecodable.
    """
    text = text.translate(_BASE64).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Undecodable("unreadable", "not base64") from None


_BASE64: Final = str.maketrans(" -_", "++/", "\r\n\t")


def form_in(data: bytes) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises Undecodable."""
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS)
    except UnicodeDecodeError as bad:
        raise Undecodable("not_utf8", f"byte {bad.start} is not UTF-8") from None
    except ValueError:
        raise Undecodable("unreadable", f"a form of more than {_MAX_FORM_FIELDS} fields") from None
    return first_of(pairs)


def first_of(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Pairs as a dictionary, the first of each name."""
    return dict(reversed(pairs))


def data_in(request: Request, limit: int, names: Sequence[str] = ("data",)) -> Any:
    """The JSON that a request carries: as its body whatever type that claims, in a form's field, or in its query.

    A field may be base64, and gzipped inside. Raises Undecodable.
    """
    query = first_of(request.query)
    body = unpacked(request.body, limit)
    if not body.strip():
        return _field_in(query, names, limit)
    start = body.removeprefix(_BOM).lstrip()[:1]
    if start in (b"{", b"["):
        return json_in(body)
    return _field_in(form_in(body), names, limit)


def _field_in(fields: dict[str, str], names: Sequence[str], limit: int) -> Any:
    for name in names:
        text = fields.get(name)
        if text:
            if text.lstrip()[:1] in ("{", "["):
                return json_in(text.encode("utf-8", "surrogatepass"))
            return json_in(unpacked(base64_in(text), limit))
    raise Undecodable("empty" if not fields else "unreadable", f"no JSON, and no field {' or '.join(names)}")
