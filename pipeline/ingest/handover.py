"""What one partition hands over to another when an id that was counted there turns out to be a user who lives
elsewhere.

A handover is one record, or several where the id has a long history; each part stands for itself, and those that go to
one partition go together. It holds in which minutes, with which values of the plan's dimensions, the id was active
(`Presence`), and its steps within the funnels' windows (`Steps`). Sent twice after a crash it counts once, whichever
others it comes with: its mark says which link it follows from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import xxhash
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from pipeline.ingest.links import MAX_HOPS, is_list, last, may_link, words
from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS, Identifier

#: Header of a handover, the mark of the first in the record: `PARTITION:OFFSET:PART` of the link that it follows from.
HANDOVER_HEADER: Final = "streamgauge-handover"
_ORIGIN: Final = "(?:0|[1-9][0-9]{0,9}):(?:0|[1-9][0-9]{0,18}):(?:0|[1-9][0-9]{0,5})"
_MARK: Final = re.compile(_ORIGIN.encode())
#: Bytes of a part, about: far below what a topic takes.
PART_BYTES: Final = 400_000
#: Events of one item.
_EVENTS: Final = 100


class Presence(NamedTuple):
    """A minute (epoch minutes) in which an id was active with these values; whether it registered then."""

    minute: int
    values: tuple[str, ...]
    registered: bool


class Steps(NamedTuple):
    """An id's events within one view of a funnel: (ts, code, value), as `measure.funnel` has them."""

    funnel: str
    definition: str
    breakdown: str
    session: str  # of a funnel per session, else ""
    events: Sequence[tuple[int, int, str]]


class Portion(NamedTuple):
    """What is counted of an id, and can be counted for somebody else instead. `fields` name the values of the
    visits."""

    fields: tuple[str, ...]
    visits: Sequence[Presence]
    steps: Sequence[Steps]

    def __bool__(self) -> bool:
        return bool(self.visits or self.steps)


class Handover(NamedTuple):
    """A share of `id` that counts as `person` from now on, after `hops` links.

    `watermark` (epoch ms) is that of the partition that gives it: what was closed there by then stays counted there.
    `mark` is by which it is known again: `PARTITION:OFFSET:PART` of the link that it follows from.
    """

    id: str
    person: str
    hops: int
    watermark: int
    share: Portion
    mark: str = ""


_Ms = Annotated[int, Field(ge=EARLIEST_TS, le=LATEST_TS)]
_Text = Annotated[str, StringConstraints(max_length=600)]


class _HandoverRecord(TypedDict):
    """A handover in the value of a record. One alone has its mark in the header."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    id: Annotated[str, StringConstraints(max_length=256 + len(DEVICE))]
    person: Identifier
    hops: Annotated[int, Field(ge=1, le=MAX_HOPS)]
    watermark: Annotated[int, Field(ge=0, le=LATEST_TS)]
    fields: tuple[_Text, ...]
    visits: list[
        tuple[Annotated[int, Field(ge=EARLIEST_TS // 60_000, le=LATEST_TS // 60_000)], tuple[_Text, ...], bool]
    ]
    steps: list[tuple[_Text, _Text, _Text, _Text, list[tuple[_Ms, Annotated[int, Field(ge=0, lt=1 << 17)], _Text]]]]


class _OneOfMany(_HandoverRecord):
    mark: Annotated[str, StringConstraints(pattern=f"^{_ORIGIN}$")]


_ONE: Final = TypeAdapter(_HandoverRecord)
_MANY: Final = TypeAdapter(Annotated[list[_OneOfMany], Field(min_length=1)])


def parts(handover: Handover) -> Iterator[bytes]:
    """A handover as JSON, in several parts if it is long; without its mark."""
    share = handover.share
    value = _json(handover, share.visits, share.steps)
    if len(value) <= PART_BYTES:
        yield value
        return
    for visits, steps in _pieces(share):
        yield _json(handover, visits, steps)


def _json(handover: Handover, visits: Sequence[Presence], steps: Sequence[Steps]) -> bytes:
    return to_json(
        {
            "id": handover.id,
            "person": handover.person,
            "hops": handover.hops,
            "watermark": handover.watermark,
            "fields": handover.share.fields,
            "visits": visits,
            "steps": steps,
        }
    )


def packed(marked: Iterable[tuple[str, bytes]]) -> Iterator[tuple[tuple[str, bytes], bytes]]:
    """Header and value of the records for these parts, each with its mark: as many in one as it may have bytes."""
    together: list[tuple[str, bytes]] = []
    size = 0
    for mark, value in marked:
        if together and size + len(value) > PART_BYTES:
            yield _record(together)
            together, size = [], 0
        together.append((mark, value))
        size += len(value)
    if together:
        yield _record(together)


def _record(together: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], bytes]:
    mark, value = together[0]
    if len(together) > 1:
        value = b"[" + b",".join([b'%b,"mark":"%b"}' % (one[:-1], its.encode()) for its, one in together]) + b"]"
    return (HANDOVER_HEADER, mark.encode()), value


def _pieces(share: Portion) -> Iterator[tuple[list[Presence], list[Steps]]]:
    visits: list[Presence] = []
    steps: list[Steps] = []
    size = 0
    for item, weight in _weighed(share):
        if size + weight > PART_BYTES and size:
            yield visits, steps
            visits, steps, size = [], [], 0
        size += weight
        if isinstance(item, Presence):
            visits.append(item)
        else:
            steps.append(item)
    if size:
        yield visits, steps


def _weighed(share: Portion) -> Iterator[tuple[Presence | Steps, int]]:
    """The items of a share, and about how many bytes each takes as JSON; a character may take six."""
    for visit in share.visits:
        yield visit, 40 + _text(visit.values)
    for steps in share.steps:
        # An id may have thousands of events in a view, and each its value.
        for start in range(0, len(steps.events), _EVENTS):
            events = steps.events[start : start + _EVENTS]
            weight = 40 + _text(steps[:4]) + sum(30 + 6 * len(value) for _, _, value in events)
            yield steps._replace(events=events), weight


def _text(texts: Iterable[str]) -> int:
    return sum(6 * len(text) + 3 for text in texts)


def read_handovers(value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> list[Handover]:
    """The handovers in a record. Raises ValueError with words for a person if it is none, or if one of them is none."""
    header = last(headers, HANDOVER_HEADER)
    if header is None or not _MARK.fullmatch(header):
        raise ValueError(f"{HANDOVER_HEADER}: PARTITION:OFFSET:PART")
    try:
        if value and is_list(value):
            return [_handover(found, found["mark"]) for found in _MANY.validate_json(value)]
        return [_handover(_ONE.validate_json(value or b""), header.decode())]
    except ValidationError as exc:
        raise ValueError(words(exc)) from None


def _handover(found: _HandoverRecord, mark: str) -> Handover:
    one, person, fields, visits = found["id"], found["person"], found["fields"], found["visits"]
    if not may_link(one, person):
        raise ValueError("an id that means nobody, or itself, hands nothing over")
    if any(len(values) != len(fields) for _, values, _ in visits):
        raise ValueError("visits: as many values as fields")
    share = Portion(fields, [Presence(*visit) for visit in visits], [Steps(*steps) for steps in found["steps"]])
    return Handover(one, person, found["hops"], found["watermark"], share, mark)


def handover_mark(mark: str) -> int:
    """The hash by which a handover is known again."""
    return xxhash.xxh3_64_intdigest(b"\x00handover:" + mark.encode()) or 1
