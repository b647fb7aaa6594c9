"""What SDKs say in their ways, as the envelope has it (`schemas.event`): ids, labels, times. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from pydantic_core import to_json

from pipeline.collect.model import Answer, Incoming, Refused, Request, Result, Told
from pipeline.collect.protocols.decode import Undecodable, base64_in

#: A picture of one pixel, for an address that a page puts into an image.
PIXEL: Final = Answer(
    200,
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    "image/gif",
    {"Cache-Control": "no-store"},
)
#: Events of one request: no SDK sends as many.
MAX_EVENTS: Final = 10_000
_MAX_LABEL: Final = 256
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: Libraries of servers, by the word in their names.
_SERVER: Final = re.compile(
    r"(?:^|[^a-z])(?:python|node|nodejs|go|golang|php|ruby|java|net|dotnet|csharp|rust|elixir|scala|server|srv)(?![a-z])",
    re.IGNORECASE,
)
#: How user agents of browsers and of apps begin, or what they have.
_PERSONAL: Final = re.compile(r"(?:Mozilla|Opera|Dalvik)/|.*\bCFNetwork/", re.DOTALL)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DIGITS: Final = re.compile(r"-?[0-9]{1,18}")
#: By what stands behind the seconds of a time.
_THOUSANDTHS: Final = {f".{n:03}Z": n for n in range(1000)}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")

Data = Mapping[str, Any]


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; {} for what is none."""
    return value if isinstance(value, dict) else {}


def attributes(value: Any) -> dict[str, Any]:
    """What is told of a user: null is nothing."""
    return {name: told for name, told in mapping(value).items() if told is not None}


def texts(value: Any) -> list[str]:
    """A list of names; what is no text in it names nothing."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def identifier(value: Any) -> Any:
    """An id as it was sent, an integer as its text; None for none. What it means is for the validator to judge."""
    if type(value) is int:
        return str(value)
    return None if value is None or value == "" else value


def label(value: Any) -> str | None:
    """A text for a context field: within its bounds, so that a long referrer doesn't cost the event."""
    if type(value) is int or type(value) is float:
        value = str(value)
    if not isinstance(value, str) or not value:
        return None
    return _CONTROL.sub("", value)[:_MAX_LABEL] or None


def referrer(value: Any) -> str | None:
    """Where a person came from, as a label; SDKs write $direct for nowhere."""
    return None if value == "$direct" else label(value)


def first(*values: Any) -> Any:
    """The first of values that says something."""
    for value in values:
        if value is not None and value != "":
            return value
    return None


def milliseconds(value: Any) -> Any:
    """A time as epoch ms: a number of them, or an ISO 8601 text with a zone. Else as it was sent, for the validator."""
    if type(value) is int:
        return value
    if type(value) is float:
        return round(value) if isfinite(value) else value
    if not isinstance(value, str):
        return value
    if (thousandths := _THOUSANDTHS.get(value[19:])) is not None and value.isascii():
        # As JavaScript writes it, and most: events of one second are many.
        whole = _second(value[:19])
        return value if whole is None else whole + thousandths
    if value[4:5] != "-" and _DIGITS.fullmatch(value):
        return int(value)
    try:
        moment = datetime.fromisoformat(value.upper())
        # In whole numbers: the float of a timestamp would round.
        return value if moment.tzinfo is None else (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return value


@lru_cache(maxsize=10_000)
def _second(text: str) -> int | None:
    """Epoch ms of a time in UTC, without a zone; None if it is none."""
    try:
        return (datetime.fromisoformat(f"{text.upper()}+00:00") - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def seconds_or_milliseconds(value: Any) -> Any:
    """A time in a protocol that takes either: a number before the year 5138 in seconds is one of seconds."""
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) in (int, float) and -1e11 < value < 1e11:
        return round(value * 1000)
    return milliseconds(value)


def sent_at(value: Any) -> int | None:
    """The client's clock when it sent, epoch ms; None if it doesn't say so."""
    found = milliseconds(value)
    return found if type(found) is int else None


def is_uuid(value: Any) -> bool:
    """Whether an id is a UUID: of one that nobody chose."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def own_id(given: Any, actor: Any) -> Any:
    """An event's id where the protocol makes it unique within an actor only: two actors' events are two."""
    given = identifier(given)
    if not isinstance(given, str) or is_uuid(given) or not isinstance(actor, str):
        return given
    return f"{actor}/{given}"


def old_id(old: Any, new: Any) -> str:
    """An old user id, "" where it is none or the new one: libraries also send an alias of an id to itself."""
    return old if isinstance(old, str) and old != new else ""


def envelope(**fields: Any) -> dict[str, Any]:
    """The fields that there are."""
    return {name: value for name, value in fields.items() if value is not None}


def of_server(library: Any) -> bool:
    """Whether a library is one for servers, by its name."""
    return isinstance(library, str) and _of_server(library[:_MAX_LABEL])


@lru_cache(maxsize=1_000)
def _of_server(library: str) -> bool:
    return _SERVER.search(library) is not None


def speaks_for_itself(request: Request, library: Any) -> bool:
    """Whether a request comes from the person's own browser or app, so that its address and user agent are theirs."""
    if isinstance(library, str) and library:
        return not of_server(library)
    return _PERSONAL.match(request.headers.get("user-agent", "")) is not None


def whose(request: Request, library: Any, address: Any, agent: Any) -> tuple[str, str]:
    """The person's address and user agent: what the event says, else the request's if it comes from the person."""
    own = speaks_for_itself(request, library)
    here = request.address if own else ""
    told = request.headers.get("user-agent", "") if own else ""
    return (
        address if isinstance(address, str) and address else here,
        agent if isinstance(agent, str) and agent else told,
    )


def basic_user(request: Request) -> str:
    """The user name of HTTP's Basic authentication, "" if there is none."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64_in(rest.strip()).decode().partition(":")[0]
    except (Undecodable, UnicodeDecodeError):
        return ""


def text(value: Any) -> str:
    """A text, "" for what is none: of write keys."""
    return value if isinstance(value, str) else ""


def each(
    items: Any, raw: bytes, read: Callable[[dict[str, Any]], Sequence[Incoming | Refused]]
) -> list[Incoming | Refused]:
    """What `read` makes of each of a request's items; what is no object is refused by itself."""
    if not isinstance(items, list):
        return [Refused("not_an_object", "not a list of events", raw)]
    if len(items) > MAX_EVENTS:
        return [Refused("too_large", f"{len(items)} events; a request may have {MAX_EVENTS}", raw)]
    told: list[Incoming | Refused] = []
    for item in items:
        if isinstance(item, dict):
            told += read(item)
        else:
            told.append(Refused("not_an_object", "an event is a JSON object", raw_of(item)))
    return told


def raw_of(item: Any) -> bytes:
    """A part of a request as bytes, to be kept whole."""
    return to_json(item, inf_nan_mode="constants")


def unsupported(item: Any, what: str) -> Refused:
    """That something is understood and not done."""
    return Refused("unsupported", what, raw_of(item))


def refusals(told: Sequence[Told], results: Sequence[Result]) -> list[dict[str, Any]]:
    """What was refused of a request: position, id, reason, detail."""
    return [
        envelope(
            index=at,
            event_id=item.fields.get("event_id") if isinstance(item, Incoming) else None,
            reason=result.reason,
            detail=result.detail,
        )
        for at, (item, result) in enumerate(zip(told, results, strict=True))
        if result.reason
    ]


def refused_whole(request: Request, told: Sequence[Told]) -> bool:
    """Whether nothing of a request could be read."""
    return len(told) == 1 and isinstance(told[0], Refused) and bool(request.body) and told[0].raw == request.body


def nothing_stored(results: Sequence[Result]) -> bool:
    """Whether all that a request told was refused."""
    return bool(results) and all(result.reason for result in results)


def json_answer(status: int, data: Any) -> Answer:
    """An answer in JSON."""
    return Answer(status, to_json(data))
