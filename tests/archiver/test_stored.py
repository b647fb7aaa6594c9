"""What is stored stays for its retention, whatever the producer's clock said, and tells an archiver where it stood."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from migrated import give_back, take

from pipeline.archiver.insert import Inserter
from pipeline.archiver.restore import Restoring, restore
from pipeline.archiver.rows import (
    DUPLICATE_COLUMNS,
    EVENT_COLUMNS,
    LINK_COLUMNS,
    REJECTED_COLUMNS,
    STORED_AT,
    ArchiveBatch,
    with_time,
)
from pipeline.clickhouse import migrate as migrations
from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import ORIGIN_HEADER, Record
from pipeline.ingest.validate import Validator
from pipeline.settings import Settings
from schemas.plan import Plan
from schemas.plan_io import parse_plan

pytestmark = pytest.mark.usefixtures("needs_embedded")

PLAN = parse_plan("product: T\nlateness: 1h\ndedupe: 1h\nevents:\n  look:\n")
NOW = int(time.time() * 1000)
DAY, HOUR = 86_400_000, 3_600_000


class Store:
    """A database, and what the archiver does with it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.connection = Connection(settings)

    async def insert(self, records: list[Record], stored_at: int = NOW, plan: Plan = PLAN) -> PartitionClassifier:
        classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
        batch = ArchiveBatch(self.settings.stream)
        batch.add(0, classifier.classify(records))
        at = EVENT_COLUMNS.index("value")
        batch.events[at] = [0 for _ in batch.events[at]]
        for table, names, columns in (
            ("events_raw", EVENT_COLUMNS, batch.events),
            ("rejected_raw", REJECTED_COLUMNS, batch.rejected),
            ("duplicates_raw", DUPLICATE_COLUMNS, batch.duplicates),
            ("links_raw", LINK_COLUMNS, batch.links),
        ):
            if columns[0]:
                settings = {"max_partitions_per_insert_block": 0}
                await self.connection.insert(table, [*names, STORED_AT], with_time(columns, stored_at), settings)
        return classifier

    async def ask(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Any]:
        async def work(client: Any) -> Any:
            return (await client.query(sql, parameters=parameters)).result_rows

        return list(await self.connection.run(work))

    async def run(self, sql: str) -> None:
        await self.connection.run(lambda client: client.command(sql))

    async def merged(self) -> list[int]:
        """Rows of the three tables once everything is merged and what is expired is gone."""
        found = []
        for table in ("events_raw", "rejected_raw", "duplicates_raw"):
            await self.run(f"OPTIMIZE TABLE {table} FINAL")
            found += [row[0] for row in await self.ask(f"SELECT count() FROM {table}")]
        return found


@pytest.fixture
async def store(server: EmbeddedClickHouse) -> AsyncIterator[Store]:
    made = Store(await take(server))
    yield made
    await made.connection.close()
    await give_back(server, made.settings)


def look(offset: int, event_id: str, ts: int, timestamp: int | None, name: str = "look", origin: bytes = b"") -> Record:
    value = json.dumps({"event_id": event_id, "event": name, "user_id": "u", "ts": ts}).encode()
    return Record(offset, timestamp, None, value, [(ORIGIN_HEADER, origin)] if origin else [], 0)


ODD = [None, -1, 0, 1, 1_000_000_000, NOW - 3_650 * DAY, NOW - 366 * DAY, NOW - 31 * DAY, NOW, 4_070_908_800_000,
       9_999_999_999_999, 2**63 - 1, -(2**63)]  # fmt: skip


@pytest.mark.parametrize("timestamp", ODD, ids=range(len(ODD)))
async def test_a_row_stays_whatever_time_its_record_has(store: Store, timestamp: int | None) -> None:
    """A topic that was copied or restored, a producer whose clock was never set, one in the next century."""
    ts = NOW - 400 * DAY
    records = [
        look(0, "a", ts, timestamp),
        look(1, "a", ts, timestamp),
        look(2, "b", ts, timestamp, "nothing"),
        look(3, "a", ts, timestamp, origin=b"0:1"),
        look(4, "a", ts, timestamp, origin=b"0:1"),
    ]
    await store.insert(records)
    rejected = timestamp is not None and 946_684_800_000 <= timestamp < ts - 300_000  # before it happened
    assert await store.merged() == ([0, 5, 0] if rejected else [1, 1, 3])
    await store.insert(records)  # again, after a crash
    assert await store.merged() == ([0, 5, 0] if rejected else [1, 1, 3])
    assert len(await store.ask("SELECT * FROM events UNION ALL SELECT * FROM events")) == (0 if rejected else 2)
    assert len(await store.ask("SELECT * FROM rejected")) == (5 if rejected else 1)


async def test_rows_go_when_they_were_stored_long_enough_ago(store: Store) -> None:
    # By the clock of ClickHouse, which removes them: on other days than today (tests/days.py) ours is another.
    now = (await store.ask("SELECT toUnixTimestamp64Milli(now64(3))"))[0][0]
    for number, (days, left) in enumerate([(29, [1, 1, 1]), (31, [1, 0, 0]), (399, [1, 0, 0]), (401, [0, 0, 0])]):
        at = 10 * number
        records = [look(at, "a", NOW, NOW), look(at + 1, "a", NOW, NOW), look(at + 2, "b", NOW, NOW, "nothing")]
        await store.insert(records, now - days * DAY)
        assert await store.merged() == left, days
        for table in ("events_raw", "rejected_raw", "duplicates_raw"):
            await store.run(f"TRUNCATE TABLE {table}")


async def test_inserts_leave_nothing_in_memory(store: Store) -> None:
    """Whatever the driver leaves, an archiver has so little to collect that it would stay for hundreds of inserts."""
    inserter = Inserter(store.settings, store.connection, "")

    async def insert(first: int) -> None:
        batch = ArchiveBatch(store.settings.stream)
        records = [look(first, "a", NOW, NOW), look(first + 1, "b", NOW, NOW, "nothing")]
        batch.add(0, PartitionClassifier(PLAN, Validator(PLAN), 0, 1).classify(records))
        batch.pack()
        await inserter.insert(batch)

    await insert(0)
    gc.disable()
    try:
        gc.collect()
        for number in range(1, 9):
            await insert(2 * number)
        assert gc.collect() < 100
    finally:
        gc.enable()
    assert inserter.inserted == 18


async def test_records_of_many_months_make_few_parts(store: Store) -> None:
    """The record's time is anybody's choice: it must not cut a table into pieces."""
    month = 30 * DAY
    await store.insert([look(i, "x", NOW, 946_684_800_000 + i * month, "nothing") for i in range(2_400)])
    await store.insert([look(0, "a", NOW, NOW), *[look(1 + i, "a", NOW, NOW + i * month) for i in range(1_200)]])
    assert [row[0] for row in await store.ask("SELECT count() FROM rejected UNION ALL SELECT count() FROM duplicates")]
    parts = await store.ask(
        "SELECT table, count() FROM system.parts WHERE active AND database = currentDatabase() "
        "AND table IN ('rejected_raw', 'duplicates_raw') GROUP BY table ORDER BY table"
    )
    # One for each insert, or two where ClickHouse took it in two blocks; not one for each month.
    assert [(table, count <= 2) for table, count in parts] == [("duplicates_raw", True), ("rejected_raw", True)]


async def test_what_was_sent_on_from_where_another_came_from_is_stored_with_its_outcome(store: Store) -> None:
    """Forged or a crash's copy: no record is nowhere."""
    await store.insert([look(i, "a", NOW, NOW, origin=b"3:17") for i in range(3)] + [look(3, "a", NOW, NOW)])
    rows = await store.ask("SELECT offset, outcome, event_id FROM duplicates ORDER BY offset")
    assert rows == [(1, "forwarded_again", "a"), (2, "forwarded_again", "a"), (3, "duplicate", "a")]


# -- the schema of before ----------------------------------------------------------------------------------------

_BEFORE = """
INSERT INTO events_raw (stream, partition, offset, event, event_id, actor, ts, ingested_at)
    SELECT 'main', 0, number, 'look', toString(number), 'u', now64(3), now64(3) - INTERVAL 10 DAY FROM numbers(3);
INSERT INTO rejected_raw (stream, partition, offset, at, reason, value)
    SELECT 'main', 0, 10 + number, now64(3) - INTERVAL number DAY, 'empty', 'x' FROM numbers(4);
INSERT INTO duplicates_raw (stream, partition, offset, at, event_id, origin)
    SELECT 'main', 0, 20 + number, now64(3), toString(number), 7 FROM numbers(5)
"""


async def test_what_was_stored_before_is_kept_and_the_change_can_be_made_twice(
    server: EmbeddedClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(Settings(**server.access, clickhouse_database="before"))
    everything = migrations.migrations()
    before = [migration for migration in everything if migration.name < "0007"]
    monkeypatch.setattr(migrations, "migrations", lambda: before)
    await migrate(store.settings)
    for statement in migrations.statements(_BEFORE):
        await store.run(statement)
    monkeypatch.setattr(migrations, "migrations", lambda: everything)
    stored = (
        "SELECT (SELECT count() FROM events), (SELECT count() FROM rejected), (SELECT count() FROM duplicates), "
        "(SELECT uniqExact(stored_at) FROM rejected), (SELECT countIf(stored_at = ingested_at) FROM events), "
        "(SELECT count() FROM duplicates WHERE outcome = 'duplicate')"
    )
    for _ in range(2):
        await migrate(store.settings)
        assert await store.ask(stored) == [(3, 4, 5, 4, 3, 5)]
        assert await store.merged() == [3, 4, 5]
        assert await store.ask("SHOW TABLES LIKE '%by_month'") + await store.ask("SHOW TABLES LIKE '%_new'") == []
        await store.run("ALTER TABLE schema_migrations DELETE WHERE name >= '0007' SETTINGS mutations_sync = 1")
    # Cut off after the rename: the old table still waits to be copied.
    await store.run("RENAME TABLE rejected_raw TO rejected_by_month")
    await store.run("CREATE TABLE rejected_raw AS rejected_by_month")
    await migrate(store.settings)
    assert await store.ask(stored) == [(3, 4, 5, 4, 3, 5)]
    await store.run(f"DROP DATABASE {store.settings.clickhouse_database}")
    await store.connection.close()


# -- an archiver that takes over ---------------------------------------------------------------------------------


async def _restored(store: Store, offset: int, plan: Plan = PLAN) -> PartitionClassifier:
    classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
    await _restore(store, classifier, offset)
    return classifier


async def _restore(store: Store, classifier: PartitionClassifier, offset: int) -> None:
    questions = Restoring(store.settings.stream, 0, offset, classifier.seen.span)
    await restore(classifier, questions, store.ask)


STEPS = st.sampled_from([0, 1_000, 10_000, 20 * 60_000, 30 * 60_000, HOUR, HOUR + 1, 3 * HOUR, 2 * DAY, 40 * DAY])
LOGS = st.lists(
    st.tuples(
        STEPS,
        st.sampled_from([0, 0, -HOUR, -2 * HOUR - 1, 6 * 60_000]),
        st.integers(0, 12),
        st.sampled_from([None, "own", "own", "own", -1, 0]),
        st.sampled_from([0, 0, 1]),
        st.sampled_from([b"", b"", b"", b"3:1", b"3:2", b"junk"]),
    ),
    min_size=2,
    max_size=40,
)


@given(log=LOGS, cut=st.integers(1, 39))
@example(  # an origin that came with a duplicate first and with an event later
    log=[(0, 0, 1, None, 0, b""), (0, 0, 1, None, 0, b"3:1"), (HOUR + 1, 0, 0, None, 0, b"3:1"),
         (0, 360_000, 3, None, 0, b""), (HOUR, 0, 2, None, 0, b""), (0, 0, 0, None, 0, b"3:1")],
    cut=3,
)  # fmt: skip
@settings(
    max_examples=settings.default.max_examples // 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_restored_archiver_decides_as_one_that_never_stopped(store: Store, log: list[Any], cut: int) -> None:
    """The rows are those of odd times as well; a table that is not merged holds some of them twice."""
    records, now = [], NOW - 900 * DAY
    for offset, (step, back, number, timestamp, by_broker, origin) in enumerate(log):
        at = now + step
        now = at if step < 40 * DAY else now
        time_ = at if timestamp == "own" else timestamp
        records.append(look(offset, f"e{number}", at + back, time_, origin=origin)._replace(timestamp_type=by_broker))
    cut = min(cut, len(records) - 1)
    for table in ("events_raw", "duplicates_raw"):
        await store.run(f"TRUNCATE TABLE {table}")
    going_on = await store.insert(records[:cut])
    await store.insert(records)  # by another archiver that was further
    restored = await _restored(store, cut)
    assert (restored.watermark, restored.clock) == (going_on.watermark, going_on.clock)
    assert restored.classify(records[cut:]).outcomes == going_on.classify(records[cut:]).outcomes


LINKING = parse_plan(
    "product: T\nevents: {look: {}, rename: {properties: {old: string}}}\n"
    "identity: {shared_device: 2, alias: {event: rename, previous: properties.old}}\n"
)


def by(offset: int, user: str | None, device: str | None, old: str = "") -> Record:
    """An event of these ids, which may tell an old one."""
    event: dict[str, Any] = {"event_id": f"e{offset}", "event": "look", "ts": NOW + offset}
    event |= {"user_id": user, "anonymous_id": device}
    if old:
        event |= {"event": "rename", "properties": {"old": old}}
    return Record(offset, NOW + offset, None, json.dumps(event).encode(), (), 1)


async def test_a_restored_archiver_knows_whose_each_id_is(store: Store) -> None:
    """In the order of the log, and of one record: who is first owns, one too many makes a device nobody's."""
    claims = [
        {"id": device, "person": user, "kind": "import", "ts": NOW}
        for device, users in (("d2", "zyx"), *((f"t{n}", "zy") for n in range(20))) for user in users
    ]  # fmt: skip
    records = [
        by(0, "b", "d1"), by(1, "a", "d1"), by(2, "n1", None, old="o1"), by(3, "n2", None, old="n1"),
        by(4, "o1", None, old="n2"), Record(5, NOW, None, json.dumps(claims).encode(), [("streamgauge-link", b"1")], 1),
    ]  # fmt: skip
    later = [
        by(6, None, "d1"), by(7, None, "d2"), by(8, "o1", None), by(9, "c", "d1"), by(10, None, "d1"),
        by(11, "o1", None, old="n2"), by(12, "n3", None, old="n2"), by(13, "n4", None, old="n3"), by(14, "o1", None),
    ]  # fmt: skip
    going_on = await store.insert(records, plan=LINKING)
    await store.insert([*records, *later], plan=LINKING)  # by another archiver that was further
    restored = await _restored(store, 6, LINKING)
    assert restored.owners.is_shared("$device:d2")
    assert {restored.owners.of(f"$device:t{n}") for n in range(20)} == {"z"}
    found, expected = restored.classify(later), going_on.classify(later)
    assert [event.actor for event in found.events if event] == [
        "b", "$device:d2", "n2", "c", "$device:d1", "n2", "n3", "n4", "n3",
    ]  # fmt: skip
    assert (found.outcomes, found.links, found.shared) == (expected.outcomes, expected.links, expected.shared)


async def test_rows_of_before_the_clock_was_kept_are_enough_to_go_on(store: Store) -> None:
    records = [look(i, f"e{i}", NOW + i * 60_000, NOW + i * 60_000)._replace(timestamp_type=1) for i in range(120)]
    going_on = await store.insert(records)
    await store.run(
        "ALTER TABLE events_raw UPDATE watermark = 0, clock = 0, claim = 0, claimed = 0 WHERE 1 "
        "SETTINGS mutations_sync = 1"
    )
    restored = await _restored(store, 120)
    assert restored.watermark == going_on.watermark == NOW + 119 * 60_000
    again = [record._replace(offset=120 + i) for i, record in enumerate(records)]
    assert restored.classify(again).outcomes == going_on.classify(again).outcomes
