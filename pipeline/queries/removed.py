"""What ClickHouse has removed because its retention is over, so that nobody takes it for lost.

Retention counts from `stored_at`, and rows are stored in the order of their partition: so what is gone are the first
records of each, and ClickHouse removes rows only when it merges. From the watermark of the last one that is too old on,
the archive has everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pipeline.queries.comparison import Comparison, when
from schemas.translatable import Sentence

_TTL: Final = re.compile(r"\bTTL\b.*?\btoInterval(Day|Week|Month|Quarter|Year)\(([0-9]+)\)", re.DOTALL)
#: Days of each at least.
_DAYS: Final = {"Day": 1, "Week": 7, "Month": 28, "Quarter": 90, "Year": 365}
_FOR_GOOD: Final = 36_500
#: What was stored again after a crash has a later `stored_at` than what came after it. Seconds.
_MARGIN: Final = 3600
#: What was stored before may be gone, or go while it is looked at.
_SINCE: Final = "now64(3) - toIntervalDay({days:UInt32}) + toIntervalSecond({margin:UInt32})"


async def kept_days(comparison: Comparison, table: str, otherwise: int) -> int:
    """For how many days a table keeps its rows; `otherwise` if it says so in a way that isn't known here.

    It may have been altered since the settings made it.
    """
    rows = await comparison.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        table=table,
    )
    if rows and not re.search(r"\bTTL\b", rows[0][0]):
        return _FOR_GOOD
    found = _TTL.search(rows[0][0]) if rows else None
    return _DAYS[found[1]] * int(found[2]) if found else otherwise


async def is_older(comparison: Comparison, days: int) -> bool:
    """Whether the stream was being counted so many days ago: what was stored then may be gone without a trace."""
    rows = await comparison.query(
        "SELECT max(at < " + _SINCE + ") FROM (SELECT min(stored_at) AS at FROM events_raw "
        "WHERE stream = {stream:String} UNION ALL SELECT min(updated_at) FROM live_activity_raw "
        "WHERE stream = {stream:String}) WHERE at > toDateTime64(0, 3, 'UTC')",
        days=days, margin=_MARGIN,
    )  # fmt: skip
    return bool(rows[0][0])


async def find_removed(comparison: Comparison, counted: Mapping[int, int]) -> None:
    """Note up to which time windows may lack events: where a partition has fewer than were `counted`, or soon will."""
    days = await kept_days(comparison, "events_raw", comparison.settings.retention_days)
    if not await is_older(comparison, days):
        return
    rows = await comparison.query(
        "SELECT partition, count(), countIf(is_old), maxIf(reached, is_old), argMinIf(reached, offset, NOT is_old) "
        "FROM (SELECT partition, offset, greatest(watermark, claimed) AS reached, "
        f"stored_at < {_SINCE} AS is_old FROM {comparison.before('events_raw')}) GROUP BY partition",
        days=days, margin=_MARGIN,
    )  # fmt: skip
    stored = {row[0]: row[1:] for row in rows}
    ends = await comparison.query(
        "SELECT partition, toUnixTimestamp64Milli(watermark) FROM live_partition_raw FINAL "
        f"WHERE stream = {{stream:String}} AND watermark < {_SINCE}",
        days=days, margin=_MARGIN,
    )  # fmt: skip
    # Of a partition with events of since then not all can be gone.
    idle = {row[0]: row[1] for row in ends}
    for partition, number in counted.items():
        there, old, last_old, first_kept = stored.get(partition, (0, 0, 0, 0))
        if old or there != number:
            reached = last_old if old else first_kept if there else idle.get(partition, -1)
            comparison.removed_up_to = max(comparison.removed_up_to, reached)
    if comparison.removed_up_to >= 0:
        comparison.result.removed = Sentence(
            "what began up to {time}, for events are kept for {days} days",
            time=when(comparison.removed_up_to), days=days,
        )  # fmt: skip
