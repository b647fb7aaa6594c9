"""The measures as ClickHouse computes them from the raw events, in this process (chDB).

The records are classified by the worker's own rules, as the archiver does it. From there on it is SQL alone: the
queries are those of `verify`, users are counted exactly.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from pydantic_core import to_json

from pipeline.archiver.rows import EVENT_COLUMNS, HANDOVER_COLUMNS, LINK_COLUMNS, ArchiveBatch, Columns
from pipeline.errors import UserError
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Classified, Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.measure.windows import bounds
from pipeline.queries.activity import activity_sql
from pipeline.queries.funnel import cell_of, funnel_sql
from pipeline.queries.persons import owners, with_person
from pipeline.queries.plan_funnels import funnel_query
from pipeline.replay.measures import Cohort, Counts, Measures, Window
from schemas.event import CONTEXT_FIELDS
from schemas.plan import Plan

# As `events_raw`, but for times and values, which come in as the integers that they are in Python.
_TABLE: Final = f"""
CREATE TABLE replayed
(
    stream LowCardinality(String), partition UInt16, offset UInt64, event LowCardinality(String), event_id String,
    actor String, user_id String, anonymous_id String, session_id String, ts_ms Int64,
    {", ".join(f"{field} LowCardinality(String)" for field in CONTEXT_FIELDS)},
    value_micro Int64, properties String, late Bool, ingested_at Int64, origin UInt64,
    watermark Int64, clock Int64, claim Int64, claimed Int64, counted_as String,
    ts DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(ts_ms, 'UTC')
)
ENGINE = Memory SETTINGS compress = 1"""
_COLUMNS: Final = [{"ts": "ts_ms", "value": "value_micro"}.get(name, name) for name in EVENT_COLUMNS]
_FORMAT: Final = "JSONCompactEachRow"
_LINKS: Final = """
CREATE TABLE replayed_links
(
    stream LowCardinality(String), partition UInt16, offset UInt64, id String, person String,
    kind LowCardinality(String), outcome LowCardinality(String), ts Int64, watermark Int64
)
ENGINE = Memory"""
_HANDOVERS: Final = """
CREATE TABLE replayed_handovers
(
    stream LowCardinality(String), partition UInt16, offset UInt64, item UInt32, part UInt32, id String,
    person String, watermark Int64
)
ENGINE = Memory"""
_TABLES: Final = {"replayed": _TABLE, "replayed_links": _LINKS, "replayed_handovers": _HANDOVERS}
#: Asked for once: every measure joins it.
_OWNERS: Final = f"""
CREATE OR REPLACE TABLE replayed_owners ENGINE = Memory AS
SELECT * FROM {owners("replayed_links", "replayed_handovers")}"""
_ACTIVITY: Final = with_person("replayed WHERE NOT late", "replayed_owners")
_FUNNEL: Final = f"(SELECT * REPLACE (ts_ms AS ts) FROM {_ACTIVITY})"


class Archive:
    """The raw events of a replay in ClickHouse, in memory. Raises UserError if chDB is not installed."""

    def __init__(self) -> None:
        try:
            from chdb import _chdb

            engine: Any = _chdb
        except ImportError:
            raise UserError("--sql needs ClickHouse in Python: pip install 'streamgauge[embedded]'") from None
        engine.set_signal_handlers_enabled(0)  # Ctrl-C stays Python's
        self._connection: Any = engine.connect(":memory:")
        for name, definition in _TABLES.items():
            self._run(f"DROP TABLE IF EXISTS {name}")
            self._run(definition)

    def close(self) -> None:
        """Forget everything."""
        for name in (*_TABLES, "replayed_owners"):
            self._run(f"DROP TABLE IF EXISTS {name}")
        self._connection.close()

    def clear(self) -> None:
        """Forget the events."""
        for name in _TABLES:
            self._run(f"TRUNCATE TABLE {name}")

    def query(self, sql: str) -> list[Any]:
        """The rows of the answer, as JSON has them."""
        answer = self._connection.query(sql, _FORMAT, params={}).bytes()
        # Bytes: text would also be split at U+0085 and other ends of lines that may stand in a value.
        return [json.loads(line) for line in answer.splitlines()]

    def add(self, partition: int, result: Classified) -> None:
        """Store what the archiver would store in `events_raw`."""
        batch = ArchiveBatch("replay")
        batch.add(partition, result)
        self._insert("replayed", _COLUMNS, batch.events)
        self._insert("replayed_links", LINK_COLUMNS, batch.links)
        self._insert("replayed_handovers", HANDOVER_COLUMNS, batch.handovers)

    def _insert(self, table: str, names: Sequence[str], columns: Columns) -> None:
        rows = b"\n".join(to_json(row) for row in zip(*columns, strict=True))
        if rows:
            insert = self._connection.send_insert(f"INSERT INTO {table} ({', '.join(names)})\n", _FORMAT)
            self._connection.insert_append(insert, rows)
            self._connection.insert_done(insert)

    def measure(self, measures: Measures, grains: Collection[str]) -> None:
        """Compute every measure of the plan."""
        plan = measures.plan
        self._run(_OWNERS)
        for grain in grains:
            for dimension in ((), *plan.dimensions):
                for start, value, *counts in self.query(activity_sql(plan, grain, dimension, _ACTIVITY)):
                    _, end = bounds(grain, int(start), plan.zone)
                    window = Window(grain, int(start), end, ",".join(dimension), tuple(value))
                    measures.add_window(window, Counts(*map(int, counts)))
        untimed = set()
        for name, funnel in plan.funnels.items():
            for breakdown in dict.fromkeys(("", *funnel.breakdown)):
                query = funnel_query(plan, funnel, breakdown, _FUNNEL)
                if not query.has_times:
                    untimed.add(name)
                for bucket, value, users, sums, bins in self.query(funnel_sql(query)):
                    _, end = bounds(funnel.bucket, int(bucket), plan.zone)
                    counted = [(indexes, list(map(int, counts))) for indexes, counts in bins]
                    cell = cell_of(list(map(int, users)), list(map(int, sums)), counted)
                    measures.add_cohort(Cohort(name, int(bucket), end, breakdown, value), cell)
        measures.untimed = frozenset(untimed)

    def _run(self, sql: str) -> None:
        self._connection.query(sql, "Null", params={})


def replay(plan: Plan, batches: Iterable[Sequence[Record]], grains: Collection[str]) -> Measures:
    """Classify the log of one partition, store it and measure it in SQL. Raises UserError."""
    archive = Archive()
    try:
        measures = Measures(plan)
        classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
        for batch in batches:
            result = classifier.classify(batch)
            count(measures, result)
            archive.add(0, result)
        archive.measure(measures, grains)
        return measures
    finally:
        archive.close()


def count(measures: Measures, result: Classified) -> None:
    """Add what became of these records to the totals."""
    for outcome in result.outcomes:
        if outcome is not Outcome.REJECTED:
            measures.totals.outcomes[outcome] += 1
    for why in result.rejections.values():
        measures.totals.reject(why.reason)
