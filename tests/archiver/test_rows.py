"""The rows of events, packed in columns: each is what its record says, value by value, and whoever judged it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from migrated import give_back, take
from pydantic_core import to_json

from pipeline.archiver.insert import Inserter
from pipeline.archiver.rows import EVENT_COLUMNS, EVENT_TYPES, LATEST_STORABLE, STORED_AT, ArchiveBatch
from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import ORIGIN_HEADER, Outcome, Record, origin_mark
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from schemas.event import CONTEXT_FIELDS
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

T0 = 1_790_812_800_000
HOUR = 3_600_000
PLAN = parse_plan(
    """
product: T
lateness: 1h
dedupe: 1h
unknown_events: keep
unknown_properties: keep
events:
  look:
  buy:
    value: amount
    properties:
      items: {type: integer}
      amount: {type: number, min: 0}
"""
)


class Store:
    """A database, and the archiver's way into it."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.connection = settings, Connection(settings)
        self.inserter = Inserter(settings, self.connection, "")

    async def rows(self, batch: ArchiveBatch) -> list[tuple[Any, ...]]:
        """What is there once the batch is inserted, by offset; times are epoch ms."""
        for table in ("events_raw", "links_raw", "rejected_raw", "duplicates_raw"):
            await self.connection.run(lambda client, table=table: client.command(f"TRUNCATE TABLE {table}"))
        await self.inserter.insert(batch)
        columns = [
            f"toUnixTimestamp64Milli({name})" if kind.startswith("DateTime") else name
            for name, kind in zip(EVENT_COLUMNS, EVENT_TYPES, strict=True)
        ]
        asked = f"SELECT {', '.join(columns)} FROM events_raw ORDER BY offset"
        return [tuple(row) for row in await self.connection.query(asked)]


@pytest.fixture
async def store(server: EmbeddedClickHouse) -> AsyncIterator[Store]:
    made = Store(await take(server))
    yield made
    await made.connection.close()
    await give_back(server, made.settings)


def batch_of(records: list[Record], cuts: list[int], validation: Any, packed: int, partitions: int = 2) -> ArchiveBatch:
    """The batch of a log that is fetched in these pieces."""
    classifier, batch = PartitionClassifier(PLAN, Validator(PLAN, validation), 0, partitions), ArchiveBatch("main")
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(records)], strict=True):
        if piece := records[start:end]:
            batch.add(0, classifier.classify(piece))
            batch.pack(packed)
    return batch


def plainly(records: list[Record]) -> list[tuple[Any, ...]]:
    """The rows of a log in the plainest way: one record after the other, judged by Pydantic."""
    classifier = PartitionClassifier(PLAN, Validator(PLAN, "pydantic"), 0, 2)
    rows = []
    for record in records:
        result = classifier.classify([record])
        event, outcome = result.events[0], result.outcomes[0]
        if event is None or outcome > Outcome.LATE:
            continue
        user, device = event.user_id or "", event.anonymous_id or ""
        rows.append(
            ("main", 0, record.offset, event.name, event.event_id, user or device, user, device,
             event.session_id or "", event.ts, *[event.get(field) or "" for field in CONTEXT_FIELDS],
             Decimal(event.value).scaleb(-6), to_json(event.properties or {}).decode(), outcome is Outcome.LATE,
             min(max(record.timestamp or 0, 0), LATEST_STORABLE), origin_mark(record),
             classifier.watermark, *classifier.clock, event.actor)
        )  # fmt: skip
    return rows


def record(offset: int, fields: dict[str, Any], timestamp: int | None = T0, headers: Any = (), kind: int = 0) -> Record:
    return Record(offset, timestamp, None, json.dumps(fields).encode(), headers, kind)


async def test_the_types_are_those_of_the_table(store: Store) -> None:
    asked = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'events_raw'"
    found = dict(await store.connection.query(asked))
    assert found.pop(STORED_AT) == "DateTime64(3, 'UTC')"
    assert found == dict(zip(EVENT_COLUMNS, EVENT_TYPES, strict=True))


async def test_rows_of_literal_records(store: Store) -> None:
    records = [
        record(5, {"event_id": "a", "event": "look", "user_id": "u1", "ts": T0}, kind=1),
        record(6, {"event_id": "b", "event": "buy", "user_id": "u1", "anonymous_id": "d1", "ts": T0 + 1,
                   "platform": "ios", "referrer": "https://例.example/", "city": "東京", "session_id": None,
                   "properties": {"more": [1e16, {"x": 1e-7}], "amount": 19.9, "items": 2}}, kind=1),
        record(7, {"event_id": "c", "event": "look", "anonymous_id": "d1", "ts": T0 - 2 * HOUR}, None,
               [(ORIGIN_HEADER, b"1:17")], 1),
    ]  # fmt: skip
    none = ("",) * 5
    assert await store.rows(batch_of(records, [], "fast", 1, 1)) == [
        ("main", 0, 5, "look", "a", "u1", "u1", "", "", T0, *none, *none, *none[:4], Decimal(0), "{}", False, T0, 0,
         T0, T0, 0, 0, "u1"),
        ("main", 0, 6, "buy", "b", "u1", "u1", "d1", "", T0 + 1, "ios", "", "", "", "", "", "", "",
         "https://例.example/", "", "", "", "東京", "", Decimal("19.9"),
         '{"items":2,"amount":19.9,"more":[1e+16,{"x":1e-7}]}', False, T0, 0, T0 + 1, T0, 0, 0, "u1"),
        ("main", 0, 7, "look", "c", "d1", "", "d1", "", T0 - 2 * HOUR, *none, *none, *none[:4], Decimal(0), "{}", True,
         0, origin_mark(records[2]), T0 + 1, T0, 0, 0, "u1"),
    ]  # fmt: skip


_NUMBERS = st.one_of(
    st.integers(-5, 5), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e15, 1e16, -1e16, 1.5e17, 1e-7, 2.0**53, 9007199254740993]),
)  # fmt: skip
_WORDS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
    st.sampled_from(["", "e1", "4bf92e35", "two\nlines", "x" * 200, "\u2028", "\x7f"]),
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _WORDS),
    lambda within: st.one_of(st.lists(within, max_size=3), st.dictionaries(_WORDS, within, max_size=3)),
    max_leaves=5,
)
_PROPERTIES = st.one_of(
    st.none(),
    st.dictionaries(_WORDS, _VALUES, max_size=4),
    st.builds(
        lambda more, amount, items: {"more": more, "amount": amount, "items": items},
        _VALUES, st.sampled_from([0, 19.9, 1, 1e9, 0.000001]), st.integers(0, 3),
    ),
)  # fmt: skip
_LABELS = st.one_of(st.none(), st.sampled_from(["", "ios", "android", "é" * 256, "a\nb"]), _WORDS)
_FIELDS = st.fixed_dictionaries(
    {
        "event_id": st.one_of(st.sampled_from([f"e{i}" for i in range(40)]), _WORDS),
        "event": st.sampled_from(["look", "buy", "buy", "other", ""]),
        "ts": st.one_of(st.integers(T0, T0 + HOUR), st.sampled_from([T0 - 3 * HOUR, 0, 7_258_118_400_000])),
    },
    optional={
        "user_id": st.sampled_from(["u1", "u2", "u7", "", None, "é"]),
        "anonymous_id": st.sampled_from(["d1", "d2", "", None]),
        "session_id": _LABELS,
        **dict.fromkeys(("platform", "channel", "referrer", "city", "source"), _LABELS),
        "properties": _PROPERTIES,
    },
)
_RECORDS = st.one_of(
    st.builds(
        record,
        st.just(0),
        _FIELDS,
        st.one_of(st.none(), st.sampled_from([T0, T0 + HOUR, -1, 0, 2**63 - 1, -(2**63)])),
        st.sampled_from([(), (), [(ORIGIN_HEADER, b"1:3")], [(ORIGIN_HEADER, b"junk\n")], [("x", None)]]),
        st.sampled_from([0, 1, 1]),
    ),
    st.builds(lambda value: Record(0, T0, None, value), st.one_of(st.none(), st.binary(max_size=9))),
)


@given(log=st.lists(_RECORDS, max_size=30), cuts=st.lists(st.integers(0, 30), max_size=3), packed=st.integers(1, 20))
@example(log=[record(0, {"event_id": "1", "event": "other", "user_id": "u1", "ts": T0, "properties": {"n": 2**70}})],
         cuts=[], packed=1)  # fmt: skip
@settings(
    max_examples=settings.default.max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_what_is_stored_is_what_the_records_say(
    store: Store, log: list[Record], cuts: list[int], packed: int
) -> None:
    """However they are fetched and packed, with the recogniser and without."""
    log = [one._replace(offset=i) for i, one in enumerate(log)]
    expected = plainly(log)
    assert await store.rows(batch_of(log, cuts, "fast", packed)) == expected
    assert await store.rows(batch_of(log, cuts, "pydantic", packed)) == expected


async def test_a_batch_of_many_blocks_is_one_insert(store: Store) -> None:
    """As many rows as the archiver packs at once, three times and some."""
    log = [record(i, {"event_id": f"e{i}", "event": "look", "user_id": "u1", "ts": T0 + i}) for i in range(7_000)]
    batch = batch_of(log, list(range(1_000, 7_000, 1_000)), "fast", 2_048)
    assert [rows for rows, _ in batch.packed] == [3_000, 3_000]
    assert [row[2] for row in await store.rows(batch)] == list(range(7_000))
    assert (store.inserter.inserts, store.inserter.inserted) == (1, 7_000)
    parts = await store.connection.query(
        "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events_raw'"
    )
    assert parts == [(1,)]
