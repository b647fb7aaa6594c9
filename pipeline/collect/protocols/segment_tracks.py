"""Segment's track messages, written in the project's form without being looked at closely.

Nearly all messages are of this kind. Their properties and their context stay the bytes that were sent; what is unusual
in any way is left to `segment.py`, which says what a message means. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, Union

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

#: An id that isn't there, and how one is sent that is none.
_NONE: Final = Raw()
_QUOTE: Final = 0x22
_EMPTY: Final = Raw(b"{}")
_BLANK: Final = (b"null", b'""')
#: Properties of these names are looked at closely, and what may be a letter of theirs in disguise.
_LOOKED_AT: Final = (b"referrer", b"\\u00")
_CONTEXT: Final = b"context"

#: Reads a message with all care, given its request, the kind that its path means, and when it was sent.
Read = Callable[[Request, str, "int | None", bytes], Incoming | Refused]


class _Batch(msgspec.Struct, gc=False):
    batch: list[Raw]
    sentAt: str | None = None  # noqa: N815
    context: Raw | UnsetType = UNSET


class _Track(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type", tag="track"):
    event: Raw
    messageId: Raw  # noqa: N815
    timestamp: str
    properties: Raw
    context: Raw = _EMPTY
    userId: Raw = _NONE  # noqa: N815
    anonymousId: Raw = _NONE  # noqa: N815
    #: What only its transport needs.
    integrations: Raw = Raw()
    writeKey: Raw = Raw()  # noqa: N815
    _metadata: Raw = Raw()


#: The others, which stand among tracks.
_OTHERS: Final = tuple(
    msgspec.defstruct(name, [], tag_field="type", tag=name) for name in ("identify", "page", "screen", "group", "alias")
)


class _Messages(NamedTuple):
    """The messages of a request, those that are no plain track as something else; and the bytes of each."""

    found: Sequence[object]
    sent: int | None
    raw: Callable[[int], bytes]


class _Context(NamedTuple):
    """A context: the fields of the envelope that it tells, its library and user agent, and how it ends an event."""

    labels: bytes
    library: object
    user_agent: object
    end: bytes


def _tracks_decoder() -> Callable[[bytes], Any]:
    one: Any = Union[(_Track, *_OTHERS)]
    fields: list[Any] = [
        ("batch", list.__class_getitem__(one)),
        ("sentAt", str | None, None),
        ("context", Raw | UnsetType, UNSET),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("_Tracks", fields, gc=False)).decode


_batch: Final = msgspec.json.Decoder(_Batch).decode
_track: Final = msgspec.json.Decoder(_Track).decode
_tracks: Final = _tracks_decoder()
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


def written(request: Request, kind: str, read: Read) -> Sequence[Told] | None:
    """The messages of a request whose path means `kind` ("" for a batch); None where it has to be looked at closely.

    Each is read by `read` where it can't be written, or isn't surely good.
    """
    body = request.body
    if body[:1] != b"{" or kind not in ("", "track"):
        return None
    try:
        if not body.isascii():
            body.decode()
        messages = _Messages([_track_or_none(body)], None, lambda _: body) if kind else _messages(body)
    except _UNREADABLE:
        return None
    if messages is None or len(messages.found) > MAX_EVENTS:
        return None
    off = shift(messages.sent, request.received)
    if abs(off) > WORTH_SAYING:
        return None

    def careful(at: int) -> Incoming | Refused:
        return read(request, kind, messages.sent, messages.raw(at))

    manners = _Manners(request, careful)
    odd = tuple(word for word in _LOOKED_AT if word in body)
    own = sum([1 for track in messages.found if isinstance(track, _Track) and track.context is not _EMPTY])
    if odd or body.count(_CONTEXT) > own:
        odd = (*odd, _CONTEXT)
    blank = any(word in body for word in _BLANK)
    told: list[Told] = []
    for at, track in enumerate(messages.found):
        if isinstance(track, _Track) and (known := manners[bytes(track.context)]) is not None:
            context, manner = known
            value = _written(track, off, odd, context, blank)
            if value is not None:
                told.append(Written(value, at, manner))
                continue
        told.append(careful(at))
    # What is no track by itself could be a batch, wherever it was sent.
    return told if not kind or isinstance(told[0], Written) else None


def _messages(body: bytes) -> _Messages | None:
    """The messages of a batch; None where it is an unusual one. Raises what is in _UNREADABLE."""
    try:
        batch = _tracks(body)
        found = batch.batch
        items = cache(lambda: _batch(body).batch)
        raw: Callable[[int], bytes] = lambda at: bytes(items()[at])  # noqa: E731
    except _UNREADABLE:
        batch = _batch(body)
        each = [bytes(item) for item in batch.batch]
        if not all(item[:1] == b"{" for item in each):
            return None
        found, raw = [_track_or_none(item) for item in each], each.__getitem__
    return _Messages(found, sent_at(batch.sentAt), raw) if batch.context is UNSET else None


def _track_or_none(raw: bytes) -> _Track | None:
    try:
        return _track(raw)
    except _UNREADABLE:
        return None


class _Manners(dict[bytes, "tuple[_Context, Manner] | None"]):
    """By context: what it tells, and what messages in it have in common; None where it is unusual."""

    def __init__(self, request: Request, careful: Callable[[int], Incoming | Refused]) -> None:
        self._request, self._careful = request, careful

    def __missing__(self, told: bytes) -> tuple[_Context, Manner] | None:
        context = _context(told) if len(told) <= _MAX_CONTEXT else None
        found = None
        if context is not None:
            found = context, Manner(self._careful, *whose(self._request, context.library, None, context.user_agent))
        self[told] = found
        return found


def _written(track: _Track, off: int, odd: tuple[bytes, ...], context: _Context, blank: bool) -> bytes | None:
    """A message in the project's form; None if it is an unusual one. `blank`: one of its ids may be none.

    What is no text where one has to be is left to the validator.
    """
    ts, properties = milliseconds(track.timestamp), bytes(track.properties)
    if type(ts) is not int or properties[:1] != b"{":
        return None
    for word in odd:
        if word in properties:
            return None
    user, device = track.userId, track.anonymousId
    if blank:
        if bytes(track.messageId) in _BLANK:
            return None
        user, device = [_NONE if bytes(one) in _BLANK else one for one in (user, device)]
    ids = b',"user_id":%s' % user if user is not _NONE else b""
    if device is not _NONE:
        ids += b',"anonymous_id":%s' % device
    end = context.end
    if properties[1] != _QUOTE and b'"' not in properties:  # there is none
        properties, end = b"{}", end.removeprefix(b",")
    return b'{"event_id":%s,"event":%s,"ts":%d%s%s,"properties":%s%s' % (
        track.messageId, track.event, ts + off, ids, context.labels, properties[:-1], end,
    )  # fmt: skip


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
    end = b',"context":%s}}' % raw if context else b"}}"
    return _Context(b"," + _ENCODE(labels)[1:-1] if labels else b"", library, context.get("userAgent"), end)
