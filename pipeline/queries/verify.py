"""`streamgauge verify`: do the live windows equal what ClickHouse computes from the raw events?

A partition's live row says up to which offset it is folded (its version). The raw events before that offset are
counted here and compared with the live windows: events, sums and funnels exactly, users within the sketch's error.
Windows with a row that is newer than its partition's row are still moving and are left out; on a system at rest
there are none.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pipeline.clickhouse.client import require_product, require_stream
from pipeline.ingest.links import MAX_HOPS
from pipeline.measure.windows import SLIDING
from pipeline.queries.compare_funnels import compare_funnels
from pipeline.queries.compare_windows import compare_windows
from pipeline.queries.comparison import Comparison, Verification, close, taken_off
from pipeline.queries.persons import ID
from pipeline.queries.removed import find_removed, is_older, kept_days
from pipeline.settings import Settings
from schemas.duration import MINUTE
from schemas.plan import Plan
from schemas.translatable import Sentence

#: How long the archive may lag behind the live windows before that counts as a difference.
CATCH_UP_SECONDS = 30.0


async def verify(settings: Settings, plan: Plan) -> Verification:
    """Compare everything live in the stream of the settings. Raises DependencyError if ClickHouse does not answer."""
    comparison = Comparison(settings, plan)
    try:
        return await _compared(comparison)
    finally:
        await comparison.connection.close()


async def prepare(comparison: Comparison) -> None:
    """Find out up to where the live windows are folded, and note where the archive doesn't hold what was folded.

    Raises UserError if there is no such stream, or it is another product's.
    """
    await require_stream(comparison.connection, comparison.settings, "live_partition_raw")
    # Another version of the plan is compared; another product has nothing in common.
    await require_product(comparison.connection, comparison.settings, comparison.plan)
    partitions = await comparison.query(
        "SELECT partition, version, accepted, late, rejected, duplicate FROM live_partition_raw FINAL "
        "WHERE stream = {stream:String}"
    )
    await _gaps(comparison)
    partitions = [row for row in partitions if row[0] not in comparison.result.left_out]
    comparison.versions = {row[0]: row[1] for row in partitions}
    await _partitions(comparison, partitions)
    aliases = await comparison.query(f"SELECT count() FROM {comparison.before('links_raw')} AND kind = 'alias'")
    comparison.hops = MAX_HOPS if aliases[0][0] else 1


async def _compared(comparison: Comparison) -> Verification:
    await prepare(comparison)
    await _active(comparison)
    await compare_windows(comparison)
    await compare_funnels(comparison)
    return comparison.result


async def _gaps(comparison: Comparison) -> None:
    """Leave out partitions of which Kafka had removed other records before the one role read them than the other.

    What both have missed is missing on both sides alike.
    """
    rows = await comparison.query(
        "SELECT partition, role, groupArray((first_offset, end_offset)) FROM "
        "(SELECT * FROM gaps WHERE stream = {stream:String} ORDER BY first_offset) GROUP BY partition, role"
    )
    by_role = {(partition, role): list(found) for partition, role, found in rows}
    for partition in {row[0] for row in rows}:
        worker, archiver = by_role.get((partition, "worker"), []), by_role.get((partition, "archiver"), [])
        if worker != archiver:
            comparison.result.left_out[partition] = Sentence(
                "records were gone from Kafka before they were read (worker {worker}; archiver {archiver})",
                worker=_spans(worker), archiver=_spans(archiver),
            )  # fmt: skip


async def _partitions(comparison: Comparison, partitions: list[Any]) -> None:
    """Every record that the worker classified must have been stored as what it was classified."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    await find_removed(comparison, {row[0]: row[2] + row[3] for row in partitions})
    days = await kept_days(comparison, "rejected_raw", comparison.settings.rejected_retention_days)
    # Rejected records and duplicates have a retention of their own.
    may_go = 0 if comparison.result.removed else 2 if await is_older(comparison, days) else 4
    while True:
        stored: dict[int, list[int]] = {p: [0, 0, 0, 0] for p in comparison.versions}
        for table, columns in (("events_raw", (0, 1)), ("rejected_raw", (2,)), ("duplicates_raw", (3,))):
            late = "late" if table == "events_raw" else "0"
            only = " AND outcome = 'duplicate'" if table == "duplicates_raw" else ""
            rows = await comparison.query(
                f"SELECT partition, countIf(NOT {late}), countIf({late}) FROM {comparison.before(table)}{only} "
                "GROUP BY partition"
            )
            for partition, first, second in rows:
                for column, count in zip(columns, (first, second), strict=False):
                    stored.setdefault(partition, [0, 0, 0, 0])[column] = count
        live = {row[0]: list(row[2:]) for row in partitions}
        for partition, counts in live.items():
            # Of what may have gone some are missing, and none may be too many.
            counts[may_go:] = map(min, counts[may_go:], stored[partition][may_go:])
        if stored == live or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    for partition, counts in live.items():
        for measure, ours, theirs in zip(
            ("accepted", "late", "rejected", "duplicate"), counts, stored[partition], strict=True
        ):
            comparison.result.records += ours
            if ours != theirs:
                comparison.result.differ(f"{measure} records", f"partition {partition}", ours, theirs)


async def _active(comparison: Comparison) -> None:
    """The persons of the last 1, 5 and 30 minutes, at the time when the partitions' rows were written."""
    since = {
        name: f"ts >= toStartOfMinute(p.updated_at) - toIntervalMinute({minutes})"
        for name, minutes in (("active_1m", 1), ("active_5m", 4), ("active_30m", 29))
    }
    counts = ", ".join(
        f"uniqExactIf(e.{column}, {condition}{only})"
        for column, only in (("person", ""), (ID, " AND e.is_linked"))
        for condition in since.values()
    )
    # A person counts in the partition that they live in, whose row may be of another minute than that of their
    # device: so all partitions together, where all rows are of one minute.
    rows = await comparison.query(
        "SELECT sum(active_1m), sum(active_5m), sum(active_30m), uniqExact(toStartOfMinute(updated_at)), "
        "groupUniqArray((partition, version)), max(watermark - toIntervalMillisecond({ahead:UInt64}) > updated_at) "
        "FROM live_partition_raw FINAL WHERE stream = {stream:String} "
        "AND NOT has({left_out:Array(UInt16)}, partition)",
        ahead=max(comparison.plan.lateness - SLIDING * MINUTE, comparison.plan.max_future),
    )
    if not rows or any(comparison.versions.get(p) != version for p, version in rows[0][4]):
        return
    minutes, clock_was_ahead = rows[0][3], rows[0][5]
    if minutes != 1 or clock_was_ahead:  # by the events' times these minutes may be closed, and forgotten
        return
    expected = await comparison.query(
        f"SELECT {counts} FROM (SELECT * FROM {comparison.events()} WHERE ts >= "
        "(SELECT min(updated_at) - toIntervalMinute(31) FROM live_partition_raw FINAL "
        "WHERE stream = {stream:String})) AS e INNER JOIN (SELECT partition, updated_at FROM live_partition_raw "
        "FINAL WHERE stream = {stream:String}) AS p ON p.partition = e.partition"
    )
    found = expected[0] if expected else (0,) * 6
    for name, ours, theirs, links in zip(since, rows[0][:3], found[:3], found[3:], strict=True):
        if not close(ours, theirs, len(comparison.versions) + taken_off(links)):
            comparison.result.differ(f"users of {name}", "all partitions", round(ours), theirs)


def _spans(gaps: list[tuple[int, int]]) -> str:
    return ", ".join(f"{first} to {end - 1}" for first, end in gaps) or "none"
