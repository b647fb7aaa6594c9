"""What the front door and its protocols say to each other: a request, the events in it, what became of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from typing import Protocol as Interface

import msgspec

from schemas.event import EARLIEST_TS, LATEST_TS

#: The `event` of what is said of an id, and is no event.
IDENTIFY: Final = "$identify"


class Request(msgspec.Struct, frozen=True, gc=False):
    """An HTTP request, its body unpacked. `received` is epoch ms; `address` the client's, "" if not known."""

    method: str
    path: str
    #: Pairs in their order, decoded.
    query: Sequence[tuple[str, str]]
    #: Names in small letters.
    headers: Mapping[str, str]
    body: bytes
    received: int
    address: str = ""


class Incoming(msgspec.Struct, gc=False):
    """One event as a protocol told it, in the project's form (`schemas.event`), whatever may be wrong with it.

    One whose `event` is IDENTIFY is none that anybody did: it only tells whose an id is, and attributes.
    """

    #: The envelope. Without an `event_id` the door derives one; without a `ts` the event happened when it was received.
    fields: dict[str, Any]
    #: The client's clock when it sent the request, epoch ms, if the protocol says it.
    sent: int | None = None
    #: What is said of the user rather than of the event: name to value.
    attributes: dict[str, Any] = {}
    #: An old user id that belongs to the event's `user_id` from now on.
    alias: str = ""
    #: Attributes that hold only where no other value is known: the earliest stays (`first_told`).
    first_attributes: dict[str, Any] = {}
    #: What is done to attributes besides setting them: how (`ingest.attributes.Change`), and name to operand.
    changes: Sequence[tuple[str, dict[str, Any]]] = ()
    #: The person's own address and user agent, as far as known: not those of a server that sends for them.
    address: str = ""
    user_agent: str = ""


class Manner(msgspec.Struct, gc=False):
    """What events of a request have in common that their protocol has written already."""

    #: Reads one with all care, by its place in the request.
    read: Callable[[int], Incoming | Refused]
    #: As in Incoming.
    address: str = ""
    user_agent: str = ""


class Written(msgspec.Struct, gc=False):
    """An event that its protocol could write in the project's form without looking closely, its time corrected.

    `value` is a JSON object without a `source`. If it is surely good it is what Kafka gets; if not, the event at this
    place in the request is read with care. Both are the same event.
    """

    value: bytes
    at: int
    manner: Manner

    def carefully(self) -> Incoming | Refused:
        """The event, read with care."""
        return self.manner.read(self.at)


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A part of a request that can't be read as an event: `raw` is kept, whole, where rejected records go."""

    reason: str
    detail: str
    raw: bytes


#: What a protocol tells of one event.
Told = Incoming | Refused | Written


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of one event of a request. `reason` is "" for one that is stored."""

    reason: str = ""
    detail: str = ""


#: Nothing to say of an event: it is stored.
STORED: Final = Result()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An HTTP answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Protocol(Interface):
    """A way in. One module of pure functions each."""

    @property
    def name(self) -> str:
        """As it stands in the documents and in metrics."""
        ...

    def matches(self, request: Request) -> bool:
        """Whether the request's method and path are this protocol's."""
        ...

    def key(self, request: Request) -> str:
        """The write key that the request carries, "" if none."""
        ...

    def read(self, request: Request) -> Sequence[Told] | Answer:
        """The events of the request in their order; or an answer at once, where it asks for a configuration."""
        ...

    def answer(self, request: Request, told: Sequence[Told], results: Sequence[Result]) -> Answer:
        """The protocol's own words for what became of what `read` gave, results in its order.

        Of what is not simply stored, `told` has an Incoming or Refused.
        """
        ...


def first_told(ts: int) -> int:
    """The version of an attribute that only the first telling sets, where of two versions the later one holds.

    It lies in the first months of 2000, before every version of an attribute that is set, and the earlier it was told
    (`ts`, epoch ms) the later it is.
    """
    return EARLIEST_TS + (LATEST_TS - min(max(ts, EARLIEST_TS), LATEST_TS)) // 1000
