"""What one partition hands over to another when an id that was counted there turns out to be a user who lives
elsewhere.

A handover is one record, or several where the id has a long history; each part stands for itself. It holds in which
minutes, with which values of the plan's dimensions, the id was active (`Presence`), and its steps within the funnels'
windows (`Steps`). Sent twice after a crash it counts once: the header says which link it follows from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import xxhash
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import to_json

from pipeline.ingest.links import MAX_HOPS, last, may_link, words
from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS, Identifier

#: Header of a handover: `PARTITION:OFFSET:PART` of the link that it follows from.
HANDOVER_HEADER: Final = "streamgauge-handover"
_ORIGIN: Final = re.compile(rb"(?:0|[1-9][0-9]{0,9}):(?:0|[1-9][0-9]{0,18}):(?:0|[1-9][0-9]{0,5})")
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
    """

    id: str
    person: str
    hops: int
    watermark: int
    share: Portion


_Ms = Annotated[int, Field(ge=EARLIEST_TS, le=LATEST_TS)]
_Text = Annotated[str, StringConstraints(max_length=600)]


class _HandoverRecord(BaseModel):
    """The value of a handover record."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(max_length=256 + len(DEVICE))]
    person: Identifier
    hops: Annotated[int, Field(ge=1, le=MAX_HOPS)]
    watermark: Annotated[int, Field(ge=0, le=LATEST_TS)]
    fields: tuple[_Text, ...]
    visits: list[
        tuple[Annotated[int, Field(ge=EARLIEST_TS // 60_000, le=LATEST_TS // 60_000)], tuple[_Text, ...], bool]
    ]
    steps: list[tuple[_Text, _Text, _Text, _Text, list[tuple[_Ms, Annotated[int, Field(ge=0, lt=1 << 17)], _Text]]]]


def parts(handover: Handover) -> Iterator[bytes]:
    """The values of the records of a handover."""
    share = handover.share
    for visits, steps in _pieces(share):
        whole = {**handover._asdict(), "fields": share.fields, "visits": visits, "steps": steps}
        del whole["share"]
        yield to_json(whole)


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


def read_handover(value: bytes | None) -> Handover:
    """The handover in a record's value. Raises ValueError with words for a person if it is none."""
    try:
        found = _HandoverRecord.model_validate_json(value or b"")
    except ValidationError as exc:
        raise ValueError(words(exc)) from None
    if not may_link(found.id, found.person):
        raise ValueError("an id that means nobody, or itself, hands nothing over")
    if any(len(values) != len(found.fields) for _, values, _ in found.visits):
        raise ValueError("visits: as many values as fields")
    share = Portion(
        found.fields, [Presence(*visit) for visit in found.visits], [Steps(*steps) for steps in found.steps]
    )
    return Handover(found.id, found.person, found.hops, found.watermark, share)


def handover_mark(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """The hash by which a handover is known again; 0 if its header is not ours."""
    found = last(headers, HANDOVER_HEADER)
    if found is None or not _ORIGIN.fullmatch(found):
        return 0
    return xxhash.xxh3_64_intdigest(b"\x00handover:" + found) or 1


def handover_header(partition: int, offset: int, part: int) -> tuple[str, bytes]:
    """The header of a part of the handover that follows from the record at `offset`."""
    return HANDOVER_HEADER, f"{partition}:{offset}:{part}".encode()
