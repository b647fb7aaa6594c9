"""Classified records as the columns of ClickHouse's raw tables. Pure: a batch in, columns out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
from pydantic_core import to_json

from pipeline.ingest.links import last
from pipeline.ingest.records import Classified, Outcome, origin_mark
from pipeline.ingest.refused import SOURCE_HEADER
from pipeline.measure.rows import GapRow
from schemas.event import CONTEXT_FIELDS, Event

_FIRST: Final = (
    "stream", "partition", "offset", "event", "event_id", "actor", "user_id", "anonymous_id", "session_id", "ts",
)  # fmt: skip
EVENT_COLUMNS: Final = (
    *_FIRST, *CONTEXT_FIELDS, "value", "properties", "late", "ingested_at", "origin",
    "watermark", "clock", "claim", "claimed", "counted_as",
)  # fmt: skip
REJECTED_COLUMNS: Final = ("stream", "partition", "offset", "at", "reason", "detail", "key", "value", "source")
DUPLICATE_COLUMNS: Final = ("stream", "partition", "offset", "at", "event", "event_id", "actor", "origin", "outcome")
LINK_COLUMNS: Final = ("stream", "partition", "offset", "id", "person", "kind", "outcome", "ts", "watermark")
HANDOVER_COLUMNS: Final = ("stream", "partition", "offset", "item", "part", "id", "person", "watermark")
#: Of the side table of users. The version is the time that the attributes were told for.
ATTRIBUTE_COLUMNS: Final = ("actor", "name", "value", "imported_at")
CHANGE_COLUMNS: Final = ("actor", "name", "change_id", "change", "value", "ts")
#: When the rows are stored: the last column of every table, which whoever inserts them adds.
STORED_AT: Final = "stored_at"

Columns = list[list[Any]]


#: The last millisecond that a DateTime of ClickHouse holds: 2106-02-07.
LATEST_STORABLE: Final = 4_294_967_295_000


def storable(timestamp: int | None) -> int:
    """A record's time as ClickHouse can keep it: producers send any 64 bits."""
    return min(max(timestamp or 0, 0), LATEST_STORABLE)


class ArchiveBatch:
    """Rows of several partitions, collected until they are worth an insert."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self.events: Columns = [[] for _ in EVENT_COLUMNS]
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
            ("events_raw", EVENT_COLUMNS, self.events),
            ("rejected_raw", REJECTED_COLUMNS, self.rejected),
            ("duplicates_raw", DUPLICATE_COLUMNS, self.duplicates),
        )

    def add(self, partition: int, result: Classified) -> None:
        """Take in the next records of a partition."""
        records, outcomes, stream = result.records, result.outcomes, self._stream
        stored = [i for i, outcome in enumerate(outcomes) if outcome <= Outcome.LATE]
        if stored:
            self._add_events(partition, result, stored)
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
        self._add_links(partition, result)
        for told in result.attributes.values():
            for name, text in told.values.items():
                if told.change:
                    _append(self.changes, (told.id, name, told.change_id, told.change, text, told.ts))
                else:
                    _append(self.attributes, (told.id, name, text, told.ts))
        self.records += len(records)
        self.bytes += sum([len(record.value or b"") for record in records])
        self.offsets[partition] = records[-1].offset + 1

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

    def _add_events(self, partition: int, result: Classified, stored: list[int]) -> None:
        records, outcomes = result.records, result.outcomes
        events: list[Any] = [result.events[i] for i in stored]
        n = len(stored)
        n_first, n_context = len(_FIRST), len(CONTEXT_FIELDS)
        stream, part, offset, name, event_id, actor, user, anonymous, session, ts = self.events[:n_first]
        context = self.events[n_first : n_first + n_context]
        value, properties, late, at, origin, *standing, counted_as = self.events[n_first + n_context :]
        stream += [self._stream] * n
        part += [partition] * n
        offset += [records[i].offset for i in stored]
        name += [event.name for event in events]
        event_id += [event.event_id for event in events]
        actor += [event.user_id or event.anonymous_id for event in events]
        counted_as += [event.actor for event in events]
        user += [event.user_id or "" for event in events]
        anonymous += [event.anonymous_id or "" for event in events]
        session += [event.session_id or "" for event in events]
        ts += [event.ts for event in events]
        for column, field in zip(context, CONTEXT_FIELDS, strict=True):
            column += [sent or "" for sent in map(attrgetter(field), events)]
        value += [event.value for event in events]
        properties += [to_json(event.properties).decode() if event.properties else "{}" for event in events]
        late += [outcomes[i] is Outcome.LATE for i in stored]
        at += [storable(records[i].timestamp) for i in stored]
        origin += [origin_mark(records[i]) if records[i].headers else 0 for i in stored]
        for column, cells in zip(standing, _standings(result)[:, stored].tolist(), strict=True):
            column += cells


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
        n = len(at)
        found[:, at] = (watermarks, believed.now[:n], believed.claim[:n], believed.claimed[:n])
    return found


def with_time(columns: Sequence[Any], now: int) -> Columns:
    """The columns of a table and when its rows are stored (epoch ms), as they are inserted."""
    return [*columns, [now] * len(columns[0])]
