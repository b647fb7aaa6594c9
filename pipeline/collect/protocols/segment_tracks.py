"""Segment's track messages, written in the project's form without being looked at closely.

Nearly all messages are of this kind. Their properties and their context stay the bytes that were sent; what is unusual
in any way is left to `segment.py`, which says what a message means. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pipeline.collect.clock import WORTH_SAYING, shift
from pipeline.collect.model import Incoming, Manner, Refused, Request, Told, Written
from pipeline.collect.protocols.decode import Undecodable, json_in
from pipeline.collect.protocols.fields import MAX_EVENTS, envelope, mapping, milliseconds, sent_at, whose
from pipeline.collect.protocols.segment_context import surroundings

_ENCODE: Final = msgspec.json.Encoder().encode
#: Contexts repeat: so many are remembered, of so many bytes at most.
_REMEMBERED: Final = 1_000
_MAX_CONTEXT: Final = 2_000

#: Properties of these names are looked at closely, and what may be a letter of theirs in disguise.
_LOOKED_AT: Final = (b"context", b"referrer", b"\\u00")

#: Reads a message with all care, given its request, the kind that its path means, and when it was sent.
Read = Callable[[Request, str, "int | None", bytes], Incoming | Refused]


class _Batch(msgspec.Struct, gc=False):
    batch: list[Raw]
    sentAt: str | None = None  # noqa: N815
    context: Raw | UnsetType = UNSET


class _Track(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    type: Literal["track"]
    event: str
    messageId: str  # noqa: N815
    timestamp: str
    properties: Raw
    context: Raw = Raw(b"{}")
    userId: str | None = None  # noqa: N815
    anonymousId: str | None = None  # noqa: N815
    #: What only its transport needs.
    integrations: Raw = Raw()
    writeKey: Raw = Raw()  # noqa: N815
    _metadata: Raw = Raw()


class _Event(msgspec.Struct, gc=False, omit_defaults=True):
    event_id: str
    event: str
    ts: int
    user_id: str | None = None
    anonymous_id: str | None = None


class _Context(NamedTuple):
    """A context: the fields of the envelope that it tells, and its library and user agent."""

    labels: bytes
    library: object
    user_agent: object


_batch: Final = msgspec.json.Decoder(_Batch).decode
_track: Final = msgspec.json.Decoder(_Track).decode


def written(request: Request, kind: str, read: Read) -> Sequence[Told] | None:
    """The messages of a request whose path means `kind` ("" for a batch); None where it has to be looked at closely.

    Each is read by `read` where it can't be written, or isn't surely good.
    """
    body = request.body
    if body[:1] != b"{" or kind not in ("", "track"):
        return None
    sent = None
    try:
        if not body.isascii():
            body.decode()
        items = [body]
        if not kind:
            batch = _batch(body)
            items, sent = [bytes(item) for item in batch.batch], sent_at(batch.sentAt)
            if batch.context is not UNSET:
                return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    off = shift(sent, request.received)
    if abs(off) > WORTH_SAYING or len(items) > MAX_EVENTS or not all(item[:1] == b"{" for item in items):
        return None

    def careful(raw: bytes) -> Incoming | Refused:
        return read(request, kind, sent, raw)

    manners: dict[bytes, Manner] = {}
    odd = tuple(word for word in _LOOKED_AT if word in body)
    told = [_written(item, request, off, odd, careful, manners) or careful(item) for item in items]
    # What is no track by itself could be a batch, wherever it was sent.
    return told if not kind or isinstance(told[0], Written) else None


def _written(
    raw: bytes,
    request: Request,
    off: int,
    odd: tuple[bytes, ...],
    careful: Callable[[bytes], Incoming | Refused],
    manners: dict[bytes, Manner],
) -> Written | None:
    try:
        track = _track(raw)
        properties, told = bytes(track.properties), bytes(track.context)
        ts = milliseconds(track.timestamp)
        context = _context(told) if len(told) <= _MAX_CONTEXT else None
        if type(ts) is not int or context is None or not track.messageId or not _plain(properties, odd):
            return None
        event = _Event(track.messageId, track.event, ts + off, track.userId or None, track.anonymousId or None)
        value = b'%s%s,"properties":%s}' % (_ENCODE(event)[:-1], context.labels, _with(properties, told))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    manner = manners.get(told)
    if manner is None:
        manner = manners[told] = Manner(careful, *whose(request, context.library, None, context.user_agent))
    return Written(value, raw, manner)


def _plain(properties: bytes, odd: tuple[bytes, ...]) -> bool:
    """Whether they are an object that has none of these words."""
    if properties[:1] != b"{":
        return False
    for word in odd:  # noqa: SIM110, for an expression takes twice as long
        if word in properties:
            return False
    return True


def _with(properties: bytes, context: bytes) -> bytes:
    """Properties with the context that they were sent in."""
    if context[1:-1].isspace() or context == b"{}":
        return properties
    if properties[1:-1].isspace() or properties == b"{}":
        return b'{"context":%s}' % context
    return b'%s,"context":%s}' % (properties[:-1], context)


@lru_cache(_REMEMBERED)
def _context(raw: bytes) -> _Context | None:
    try:
        context = json_in(raw)
    except Undecodable:
        return None
    if not isinstance(context, dict) or "ip" in context:
        return None
    library = mapping(context.get("library")).get("name")
    labels = envelope(**surroundings({}, context, {}, library))
    return _Context(b"," + _ENCODE(labels)[1:-1] if labels else b"", library, context.get("userAgent"))
