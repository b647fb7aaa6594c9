"""When an event happened, by the server's clock, where the client said when it sent. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from schemas.event import Timestamp

#: A difference that a request's way may take: no clock is wrong by it. Milliseconds.
TOLERANCE: Final = 1_000
#: A clock that is wrong by more is worth a word.
WORTH_SAYING: Final = 3_600_000
_TIME: Final = TypeAdapter(Timestamp).validator.validate_python
#: Milliseconds that a float, or a database, holds exactly.
_LARGEST: Final = 2**53


class Corrected(NamedTuple):
    """The time to be stored, as it was sent or by our clock (epoch ms), and a sentence about the client's clock."""

    ts: Any
    note: str = ""


def corrected(ts: Any, sent: int | None, received: int) -> Corrected:
    """An event's time: received − sent is how far the client's clock is behind ours, and is added.

    What is no time stays what it is: the validator words that. An event without a time happened when it came.
    """
    if ts is None:
        return Corrected(received)
    off = -shift(sent, received)
    if not off:
        return Corrected(ts)
    try:
        at = ts if type(ts) is int else _TIME(ts, strict=True)
    except ValidationError:
        return Corrected(ts)
    note = ""
    if abs(off) > WORTH_SAYING:
        note = f"the client's clock is {_span(abs(off))} {'ahead' if off > 0 else 'behind'}: corrected"
    return Corrected(at - off, note)


def shift(sent: int | None, received: int) -> int:
    """What has to be added to a client's times, 0 where its clock is right, or nothing is known of it."""
    if sent is None or abs(received - sent) <= TOLERANCE or abs(sent) > _LARGEST:
        return 0
    return received - sent


def milliseconds(ts: Any) -> int:
    """A time as epoch ms, 0 for what is none."""
    try:
        return ts if type(ts) is int else int(_TIME(ts, strict=True))
    except ValidationError:
        return 0


def _span(ms: int) -> str:
    for name, length in (("years", 31_557_600_000), ("days", 86_400_000), ("hours", 3_600_000)):
        if ms >= 2 * length:
            return f"{ms // length} {name}"
    return f"{ms // 60_000} minutes"
