"""A record of a partition, what can become of it, and a batch of them of which that is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import xxhash

from pipeline.errors import StreamgaugeError
from pipeline.ingest.attributes import Attributes
from pipeline.ingest.clock import Believed, Times
from pipeline.ingest.handover import Handover
from pipeline.ingest.links import Claim, Link, Telling, last
from pipeline.ingest.seen import U64
from pipeline.ingest.validate import Rejection
from schemas.event import Event

#: Header of a record that was sent on from another partition: the original's `PARTITION:OFFSET`. One that was rejected
#: and is sent again has `:again` behind it.
ORIGIN_HEADER: Final = "streamgauge-origin"
_ORIGIN: Final = re.compile(rb"(?:0|[1-9][0-9]{0,9}):(?:0|[1-9][0-9]{0,18})(?::again)?")
#: The reason of a record that could not be judged for a reason that nobody foresaw: a mistake of ours.
UNFORESEEN = "unforeseen"
#: What says nothing of the record: another process, or a later moment, may not meet it.
NOT_OF_THE_RECORD = (MemoryError, RecursionError, OSError, StreamgaugeError)


class Record(NamedTuple):
    """A Kafka record without its topic and partition. All of it but the offset is what a stranger sent.

    `timestamp` is the record's, epoch ms: the broker's if `timestamp_type` is 1 (LogAppendTime), else the producer's,
    who may have written anything. Old formats have none.
    """

    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_type: int | None = 1


class Unreadable(NamedTuple):
    """A `Record` that is not one: a batch at `offset` whose bytes, its value, can't be decoded, and why."""

    offset: int
    timestamp: int | None
    value: bytes
    why: str
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_type: int | None = 0


class Outcome(IntEnum):
    """What became of a record."""

    ACCEPTED = 0  # counted live and stored
    LATE = 1  # outside of what is counted live (too old, or far ahead of all others): stored
    DUPLICATE = 2  # its event_id was seen within the horizon
    REJECTED = 3  # not an event of the plan
    FORWARDED = 4  # its actor lives in another partition: sent on there, counted there
    FORWARDED_AGAIN = 5  # a duplicate that says it was sent on from where another came from: a crash's copy, or forged
    LINK = 6  # no event: it says who an id belongs to, hands over what was counted of it, or tells attributes


@dataclass(slots=True)
class Classified:
    """One batch, record by record. `events[i]` is None where `outcomes[i]` is REJECTED."""

    records: Sequence[Record | Unreadable]
    outcomes: list[Outcome]
    events: list[Event | None]
    rejections: dict[int, Rejection] = field(default_factory=dict)  # index to reason
    forwarded: dict[int, int] = field(default_factory=dict)  # index to the partition it belongs to
    #: Indexes of records that have headers: of what came by itself hardly any.
    headed: list[int] = field(default_factory=list)
    #: Claims of records of this batch that changed something, in the order of the log.
    links: list[Link] = field(default_factory=list)
    #: Claims that other partitions decide on, and aliases that this one has decided.
    tellings: list[Telling] = field(default_factory=list)
    #: The claims of records that tell of links, each with its record's index.
    claims: list[tuple[int, Claim]] = field(default_factory=list)
    #: Indexes of records that tell of aliases that hold.
    decided: set[int] = field(default_factory=set)
    #: What other partitions hand over, each with its record's index.
    handovers: list[tuple[int, Handover]] = field(default_factory=list)
    #: Index to what a record tells of a user or device, and counts as nothing.
    attributes: dict[int, Attributes] = field(default_factory=dict)
    #: As whom each handover counts when its turn comes, and after how many links.
    handed: list[tuple[str, int]] = field(default_factory=list)
    #: Index of a record that is sent on to the number of links that it has passed by then; its person is the actor.
    hops: dict[int, int] = field(default_factory=dict)
    #: Indexes of valid events without a user.
    alone: list[int] = field(default_factory=list)
    #: Indexes of events of a device that is nobody's, after so many users claimed it.
    shared: list[int] = field(default_factory=list)
    #: The partition's watermark before the batch, and pieces of (indexes, watermarks after them).
    watermark: int = 0
    watermarks: list[tuple[Times, Times]] = field(default_factory=list)
    #: (generation, hashes) that are new in the memory of ids.
    remembered: list[tuple[int, U64]] = field(default_factory=list)
    #: Pieces of (indexes, watermarks, the clock): how the partition stood after each of these records.
    standings: list[tuple[Times, Times, Believed]] = field(default_factory=list)

    def watermarks_at(self, indexes: Sequence[int]) -> list[int]:
        """The partition's watermark after each of these records."""
        if not self.watermarks or not indexes:
            return [self.watermark] * len(indexes)
        at, after = (np.concatenate(columns) for columns in zip(*self.watermarks, strict=True))
        before = np.searchsorted(at, np.array(indexes, np.int64), "right")
        return np.where(before > 0, after[before - 1], self.watermark).tolist()  # type: ignore[no-any-return]


def unforeseen(exc: Exception) -> Rejection:
    """The rejection of a record that raised what nobody foresaw."""
    return Rejection(UNFORESEEN, f"{type(exc).__name__}: {exc}")


def origin_mark(record: Record | Unreadable) -> int:
    """The hash by which a record that was sent on is known again; 0 for one that came by itself.

    Headers are a stranger's: what is not exactly what we write is no origin. Of several the last one counts, which is
    the one that a worker puts behind all that it found.
    """
    found = last(record.headers, ORIGIN_HEADER)
    if found is None or not _ORIGIN.fullmatch(found):
        return 0
    # No event_id has a control character, so none is ever taken for an origin.
    return xxhash.xxh3_64_intdigest(b"\x00origin:" + found) or 1
