"""The event envelope: the fields that every event has, whatever the tracking plan says of its properties.

A producer may depend on this module alone. One event is one JSON object:

    {"event_id": "5b1c...", "event": "purchase", "user_id": "u42", "ts": 1790000000123,
     "platform": "ios", "channel": "search", "session_id": "s9", "properties": {"amount": 19.9}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NotRequired, Required

import msgspec
from msgspec import UNSET, UnsetType
from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

#: 2000-01-01T00:00:00Z. An earlier time is a producer's mistake (seconds for milliseconds, an unset clock).
EARLIEST_TS: Final = 946_684_800_000
#: 2200-01-01T00:00:00Z. A later time is one too (microseconds for milliseconds).
LATEST_TS: Final = 7_258_118_400_000
#: Largest absolute value of an event, in units of currency: below it, 10^-6 units are exact in a float64.
MAX_VALUE: Final = 1_000_000_000.0

#: Before the id of a device where ids of users stand as well, so that a device and a user of the same name are two. No
#: user_id begins so.
DEVICE: Final = "$device:"

#: No control characters: these strings become keys, labels and table cells.
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
#: An id that may be missing; SDKs send an empty one for that, too.
OptionalId = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)


def milliseconds_of(text: str) -> int:
    """Epoch ms of an RFC 3339 text with a zone; raises ValueError (PydanticCustomError) if it is none."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise PydanticCustomError("time_type", "input should be an RFC 3339 time with a zone")
    if found[1] is None:
        raise PydanticCustomError("time_zone", "input should be a time with a zone (Z, +08:00)")
    try:
        # In whole numbers: the float of a timestamp would round.
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise PydanticCustomError("time_type", "input should be a time that exists") from None


def _as_sent(text: str) -> str:
    milliseconds_of(text)
    return text


def is_time(text: str) -> bool:
    """Whether a text is an RFC 3339 time with a zone."""
    try:
        milliseconds_of(text)
    except ValueError:
        return False
    return True


_TIME_SCHEMA: Final = WithJsonSchema({"type": "string", "format": "date-time"})
#: An RFC 3339 text with a zone that stays as it was sent: what is stored and what is counted are the same text.
TimeText = Annotated[str, AfterValidator(_as_sent), _TIME_SCHEMA]
#: Epoch milliseconds, or an RFC 3339 text with a zone, which becomes them.
Timestamp = (
    Annotated[int, Field(description="epoch milliseconds, UTC")]
    | Annotated[str, AfterValidator(milliseconds_of), _TIME_SCHEMA]
)

#: Context fields: optional strings that describe where an event came from; each can be a dimension. `source` is who
#: sent it through the front door, and is set there; `bot` the name of a program that crawls, else empty.
CONTEXT_FIELDS: Final = (
    "platform",
    "app_version",
    "channel",
    "campaign",
    "country",
    "device",
    "os",
    "language",
    "referrer",
    "source",
    "browser",
    "region",
    "city",
    "bot",
)
#: Those of them that the front door sets. Before it was there, plans had properties of these names.
ADDED_FIELDS: Final = CONTEXT_FIELDS[-5:]


class EventDict(TypedDict, total=False):
    """An event as it is sent. `user_id` or `anonymous_id` must be there: the one that is, is the actor."""

    event_id: Required[Identifier]
    event: Required[Identifier]
    ts: Required[Timestamp]
    user_id: OptionalId | None
    anonymous_id: OptionalId | None
    session_id: OptionalId | None
    platform: Label | None
    app_version: Label | None
    channel: Label | None
    campaign: Label | None
    country: Label | None
    device: Label | None
    os: Label | None
    language: Label | None
    referrer: Label | None
    source: Label | None
    browser: Label | None
    region: Label | None
    city: Label | None
    bot: Label | None
    properties: NotRequired[dict[str, Any] | None]


Text = str | UnsetType | None


class Event(msgspec.Struct, gc=False):
    """A valid event: the fields that were sent (UNSET: not sent), and what follows from them.

    `ts` is epoch ms, `value` in 10^-6 units. `actor` is as whom it counts: the user_id, else `$device:` and the
    anonymous_id.
    """

    event_id: str
    name: str = msgspec.field(name="event")
    ts: int
    user_id: Text = UNSET
    anonymous_id: Text = UNSET
    session_id: Text = UNSET
    platform: Text = UNSET
    app_version: Text = UNSET
    channel: Text = UNSET
    campaign: Text = UNSET
    country: Text = UNSET
    device: Text = UNSET
    os: Text = UNSET
    language: Text = UNSET
    referrer: Text = UNSET
    source: Text = UNSET
    browser: Text = UNSET
    region: Text = UNSET
    city: Text = UNSET
    bot: Text = UNSET
    properties: dict[str, Any] | UnsetType | None = UNSET
    actor: str = ""
    value: int = 0

    @classmethod
    def of(cls, fields: Mapping[str, Any], actor: str = "", value: int = 0) -> Event:
        """The event of these fields, as they are sent."""
        rest = dict(fields)
        event_id, name, ts = rest.pop("event_id"), rest.pop("event"), rest.pop("ts")
        return cls(event_id, name, ts, actor=actor, value=value, **rest)

    def get(self, name: str, /) -> Any:
        """A field of the envelope; None if it wasn't sent."""
        sent = self.name if name == "event" else getattr(self, name)
        return None if sent is UNSET else sent

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that were sent, in the order of `EventDict`."""
        found = [(name, self.name if name == "event" else getattr(self, name)) for name in EventDict.__annotations__]
        return {name: sent for name, sent in found if sent is not UNSET}


def plain_id(actor: str) -> str:
    """The user_id or anonymous_id of an actor, which is also the key of its events in Kafka."""
    return actor.removeprefix(DEVICE)
