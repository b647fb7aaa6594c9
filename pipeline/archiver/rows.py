"""Classified records as the columns of ClickHouse's raw tables. Pure: a batch in, columns out."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import UNSET
from msgspec.structs import astuple
from pydantic_core import to_json

from pipeline.clickhouse import native
from pipeline.ingest.links import last
from pipeline.ingest.records import Classified, Outcome, origin_mark
from pipeline.ingest.refused import SOURCE_HEADER
from pipeline.measure.rows import GapRow
from schemas.event import CONTEXT_FIELDS, Event

_FIRST: Final = (
    "stream", "partition", "offset", "event", "event_id", "actor", "user_id", "anonymous_id", "session_id", "ts",
)  # fmt: skip
EVENTS_TABLE: Final = "events_raw"
EVENT_COLUMNS: Final = (
    *_FIRST, *CONTEXT_FIELDS, "value", "properties", "late", "ingested_at", "origin",
    "watermark", "clock", "claim", "claimed", "counted_as",
)  # fmt: skip
#: Columns of whole numbers: `value` in 10^-6 units, `ts` and `ingested_at` in epoch ms.
_NUMBERS: Final = {
    **dict.fromkeys(("ts", "value", "ingested_at", "watermark", "clock", "claim", "claimed"), "q"),
    **dict.fromkeys(("offset", "origin"), "Q"),
}
REJECTED_COLUMNS: Final = ("stream", "partition", "offset", "at", "reason", "detail", "key", "value", "source")
DUPLICATE_COLUMNS: Final = ("stream", "partition", "offset", "at", "event", "event_id", "actor", "origin", "outcome")
LINK_COLUMNS: Final = ("stream", "partition", "offset", "id", "person", "kind", "outcome", "ts", "watermark")
HANDOVER_COLUMNS: Final = ("stream", "partition", "offset", "item", "part", "id", "person", "watermark")
#: Of the side table of users. The version is the time that the attributes were told for.
ATTRIBUTE_COLUMNS: Final = ("actor", "name", "value", "imported_at")
CHANGE_COLUMNS: Final = ("actor", "name", "change_id", "change", "value", "ts")
#: When the rows are stored: the last column of every table, which whoever inserts them adds.
STORED_AT: Final = "stored_at"
_TIME: Final = "DateTime64(3, 'UTC')"
#: The types of `events_raw`; the columns that are not here are LowCardinality(String).
_TYPES: Final = {
    **dict.fromkeys(("event_id", "actor", "user_id", "anonymous_id", "session_id", "referrer"), "String"),
    **dict.fromkeys(("properties", "counted_as"), "String"),
    **dict.fromkeys(("watermark", "clock", "claim", "claimed"), "Int64"),
    **dict.fromkeys(("ts", "ingested_at", STORED_AT), _TIME),
    "partition": "UInt16", "offset": "UInt64", "origin": "UInt64", "value": "Decimal(18, 6)", "late": "Bool",
}  # fmt: skip
EVENT_TYPES: Final = tuple([_TYPES.get(name, "LowCardinality(String)") for name in EVENT_COLUMNS])
#: So many rows are packed together: what they are made of is still in the processor's cache.
_PACKED_ROWS: Final = 2_048

Columns = list[Any]

_VALUE: Final = attrgetter("value")
#: JSON of one value a line.
_WRITE: Final = msgspec.json.Encoder().encode_lines

#: The last millisecond that a DateTime of ClickHouse holds: 2106-02-07.
LATEST_STORABLE: Final = 4_294_967_295_000


def storable(timestamp: int | None) -> int:
    """A record's time as ClickHouse can keep it: producers send any 64 bits."""
    return min(max(timestamp or 0, 0), LATEST_STORABLE)


class ArchiveBatch:
    """Rows of several partitions, collected until they are worth an insert."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self.events: Columns = [array(_NUMBERS[name]) if name in _NUMBERS else [] for name in EVENT_COLUMNS]
        #: The events that are no longer among those: how many rows, and all their columns but the last one, as they are
        #: inserted.
        self.packed: list[tuple[int, bytes]] = []
        #: The latest of their times, epoch ms.
        self.newest: int | None = None
        self.rejected: Columns = [[] for _ in REJECTED_COLUMNS]
        self.duplicates: Columns = [[] for _ in DUPLICATE_COLUMNS]
        #: What was said of who an id belongs to, and which counts went to whom.
        self.links: Columns = [[] for _ in LINK_COLUMNS]
        self.handovers: Columns = [[] for _ in HANDOVER_COLUMNS]
        #: What was told of users and devices.
        self.attributes: Columns = [[] for _ in ATTRIBUTE_COLUMNS]
        self.changes: Columns = [[] for _ in CHANGE_COLUMNS]
        #: What was gone from the log before it was read.
        self.gaps: list[GapRow] = []
        #: Records taken in, whatever became of them.
        self.records = 0
        #: What their values amount to.
        self.bytes = 0
        #: Next offset by partition: what may be committed once the rows are acknowledged.
        self.offsets: dict[int, int] = {}

    def tables(self) -> Sequence[tuple[str, Sequence[str], Columns]]:
        """Each table with its columns' names and columns, in the order in which they are stored.

        Links come first: whose an event is, is known when the event is there.
        """
        return (
            ("links_raw", LINK_COLUMNS, self.links),
            ("handovers_raw", HANDOVER_COLUMNS, self.handovers),
            ("user_attributes_raw", ATTRIBUTE_COLUMNS, self.attributes),
            ("attribute_changes_raw", CHANGE_COLUMNS, self.changes),
            (EVENTS_TABLE, EVENT_COLUMNS, self.events),
            ("rejected_raw", REJECTED_COLUMNS, self.rejected),
            ("duplicates_raw", DUPLICATE_COLUMNS, self.duplicates),
        )

    def add(self, partition: int, result: Classified) -> None:
        """Take in the next records of a partition."""
        records, outcomes, stream = result.records, result.outcomes, self._stream
        self.records += len(records)
        self.bytes += sum(map(len, filter(None, map(_VALUE, records))))
        self.offsets[partition] = records[-1].offset + 1
        stored: Sequence[int] = range(len(records))
        plain = outcomes.count(Outcome.ACCEPTED) == len(records)  # as nearly always
        if not plain:
            stored = [i for i in stored if outcomes[i] <= Outcome.LATE]
        if stored:
            self._add_events(partition, result, stored)
        self._add_links(partition, result)
        if plain:
            return
        for i, why in result.rejections.items():
            record = records[i]
            row = (stream, partition, record.offset, storable(record.timestamp), why.reason, why.detail,
                   record.key or b"", record.value or b"", _source(record.headers))  # fmt: skip
            _append(self.rejected, row)
        for i, outcome in enumerate(outcomes):
            if outcome is Outcome.DUPLICATE or outcome is Outcome.FORWARDED_AGAIN:
                record, event = records[i], result.events[i]
                assert event is not None
                found = (
                    stream,
                    partition,
                    record.offset,
                    storable(record.timestamp),
                    event.name,
                    event.event_id,
                    actor_of(event),
                    origin_mark(record),
                    outcome.name.lower(),
                )
                _append(self.duplicates, found)
        for told in result.attributes.values():
            for name, text in told.values.items():
                if told.change:
                    _append(self.changes, (told.id, name, told.change_id, told.change, text, told.ts))
                else:
                    _append(self.attributes, (told.id, name, text, told.ts))

    def pack(self, least: int = _PACKED_ROWS) -> None:
        """Put the events into the form in which they are inserted, if they are `least` at least.

        `events` is empty then. The form takes a fraction of the memory, and what it is made of is still at hand.
        """
        rows = len(self.events[0])
        if rows < least:
            return
        self.packed.append((rows, native.columns_of(EVENT_COLUMNS, EVENT_TYPES, self.events)))
        self.newest = max(max(self.events[EVENT_COLUMNS.index("ts")]), self.newest or 0)
        for column in self.events:
            del column[:]

    def native(self, stored_at: int) -> tuple[int, bytes]:
        """How many events these are, and the data of their insert (ClickHouse's Native format), stored at this time."""
        self.pack(1)
        found = []
        for rows, columns in self.packed:
            last_one = native.columns_of([STORED_AT], [_TIME], [[stored_at] * rows])
            found += [native.header(len(EVENT_COLUMNS) + 1, rows), columns, last_one]
        return sum([rows for rows, _ in self.packed]), b"".join(found)

    def _add_links(self, partition: int, result: Classified) -> None:
        records, stream = result.records, self._stream
        watermarks = result.watermarks_at([link.at for link in result.links])
        for (at, claim, ruling, *_), watermark in zip(result.links, watermarks, strict=True):
            named = (stream, partition, records[at].offset, claim.id, claim.person, claim.kind)
            _append(self.links, (*named, ruling, claim.ts, watermark))
        watermarks = result.watermarks_at([i for i, _ in result.handovers])
        items: Counter[int] = Counter()
        for (i, handover), after in zip(result.handovers, watermarks, strict=True):
            item, items[i] = items[i], items[i] + 1
            part = int(handover.mark.rpartition(":")[2])
            watermark = max(after, handover.watermark)
            named_part = (stream, partition, records[i].offset, item, part)
            _append(self.handovers, (*named_part, handover.id, handover.person, watermark))

    def _add_events(self, partition: int, result: Classified, stored: Sequence[int]) -> None:
        records, events, standings = result.records, result.events, _standings(result)
        late = [result.outcomes[i] is Outcome.LATE for i in stored]
        if len(stored) < len(records):
            records, events = [records[i] for i in stored], [events[i] for i in stored]
            standings = standings[:, stored]
        sent = dict(zip(Event.__struct_fields__, zip(*map(astuple, events), strict=True), strict=True))  # type: ignore[arg-type]
        users, devices = _texts(sent["user_id"]), _texts(sent["anonymous_id"])
        n = len(stored)
        at = np.clip(np.fromiter([record.timestamp or 0 for record in records], np.int64, n), 0, LATEST_STORABLE)
        watermark, clock, claim, claimed = standings
        found: dict[str, Any] = {
            "stream": [self._stream] * n,
            "partition": [partition] * n,
            "offset": [record.offset for record in records],
            "event": sent["name"],
            "event_id": sent["event_id"],
            "actor": users if all(users) else [user or device for user, device in zip(users, devices, strict=True)],
            "user_id": users,
            "anonymous_id": devices,
            "session_id": _texts(sent["session_id"]),
            "ts": sent["ts"],
            **{field: _texts(sent[field]) for field in CONTEXT_FIELDS},
            "value": sent["value"],
            "properties": _as_json(sent["properties"]),
            "late": late,
            "ingested_at": at,
            "origin": [origin_mark(record) if record.headers else 0 for record in records],
            "watermark": watermark,
            "clock": clock,
            "claim": claim,
            "claimed": claimed,
            "counted_as": sent["actor"],
        }
        for name, column in zip(EVENT_COLUMNS, self.events, strict=True):
            if isinstance(column, array):
                column.frombytes(np.asarray(found[name], column.typecode).tobytes())
            else:
                column += found[name]


def _texts(sent: Sequence[Any]) -> Sequence[str]:
    """What was sent, empty where nothing was."""
    if sent[0] is UNSET and sent.count(UNSET) == len(sent):
        return [""] * len(sent)
    return sent if all(sent) else [one or "" for one in sent]


def _as_json(properties: Sequence[Any]) -> list[bytes]:
    """Properties as Pydantic writes them."""
    found = [one or {} for one in properties]
    try:
        written = _WRITE(found)
    except (OverflowError, RecursionError, msgspec.MsgspecError):
        return [to_json(one) for one in found]  # an integer of more than 64 bits
    lines = written.split(b"\n")[:-1]
    if b"e1" in written or b"e2" in written or b"e3" in written:
        # A float from 10^16 on is 1e16 there, and Pydantic writes 1e+16.
        for i, line in enumerate(lines):
            if b"e1" in line or b"e2" in line or b"e3" in line:
                lines[i] = to_json(found[i])
    return lines


def _append(columns: Columns, row: Sequence[Any]) -> None:
    for column, cell in zip(columns, row, strict=True):
        column.append(cell)


def _source(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """Who sent a record through the front door, where its value can't say it; headers are a stranger's."""
    return (last(headers, SOURCE_HEADER) or b"").decode("utf-8", "replace")[:256]


def actor_of(event: Event) -> str:
    """Who sent an event: the user, else the device, whoever it counts as."""
    return event.user_id or event.anonymous_id or ""


def _standings(result: Classified) -> Any:
    """Watermark, clock, claim and claimed after each record that is stored as an event."""
    found = np.zeros((4, len(result.records)), np.int64)
    for at, watermarks, believed in result.standings:
        n, first, last = len(at), int(at[0]), int(at[-1])
        where = slice(first, last + 1) if last - first == n - 1 else at
        columns = (watermarks, believed.now[:n], believed.claim[:n], believed.claimed[:n])
        for each, column in zip(found, columns, strict=True):
            each[where] = column
    return found


def with_time(columns: Sequence[Any], now: int) -> Columns:
    """The columns of a table and when its rows are stored (epoch ms), as they are inserted."""
    return [*columns, [now] * len(columns[0])]
