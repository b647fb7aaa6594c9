"""What an archiver reads in ClickHouse to know how a partition stood: the watermark, the clock and the ids seen.

Each row of an event says how the partition stood after its record, so nothing has to be guessed from the rows that are
left. Rows from before this was noted (all four columns 0) stand for the largest event time up to them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import numpy as np
import xxhash

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.clock import Standing
from pipeline.ingest.seen import SeenIds

#: Answers a query with its parameters by rows.
Ask: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[Any]]
#: The watermark after a row.
_MARK: Final = "if(watermark = 0 AND claim = 0, toUnixTimestamp64Milli(ts), watermark)"


class Restoring:
    """The questions about one partition before `offset`, and their parameters. `span` is a generation's length, ms."""

    def __init__(self, stream: str, partition: int, offset: int, span: int) -> None:
        self.parameters: dict[str, Any] = {
            "stream": stream, "partition": partition, "offset": offset, "span": span, "oldest": 0, "first": 0,
        }  # fmt: skip
        scope = (
            "FROM events_raw WHERE stream = {stream:String} AND partition = {partition:UInt16} "
            "AND offset < {offset:UInt64}"
        )
        after = f"{scope} AND offset >= {{first:UInt64}}"
        #: How the partition stands: watermark, clock, claim, claimed; all 0 if there is no row, or an old one.
        self.last_sql: Final = (
            f"SELECT max({_MARK}), argMax(clock, offset), argMax(claim, offset), argMax(claimed, offset) {scope}"
        )
        #: The generations that are remembered, the newest first.
        self.kept_sql: Final = (
            f"SELECT DISTINCT intDiv({_MARK}, {{span:Int64}}) AS generation {scope} "
            f"ORDER BY generation DESC LIMIT {SeenIds.KEPT + 1}"
        )
        #: The first row of the oldest of them.
        self.first_sql: Final = f"SELECT min(offset) {scope} AND {_MARK} >= {{oldest:Int64}} * {{span:Int64}}"
        #: Offset, event_id, watermark after it and origin of each event since.
        self.events_sql: Final = (
            f"SELECT offset, any(event_id), any({_MARK}), any(origin) {after} GROUP BY offset ORDER BY offset"
        )
        #: Claims on ids of this partition that changed something, in the order of the log. Of one record those that
        #: were linked come before those that were refused, and these before one too many.
        self.links_sql: Final = (
            f"SELECT id, person, any(kind) {scope.replace('events_raw', 'links_raw')} "
            "GROUP BY offset, id, person ORDER BY offset, any(outcome)"
        )
        #: What was sent on and came twice is known by its origin, whatever became of it the first time.
        copies = after.replace("events_raw", "duplicates_raw")
        self.forwarded_sql: Final = f"SELECT offset, any(origin) {copies} AND origin != 0 GROUP BY offset"


async def restore(classifier: PartitionClassifier, questions: Restoring, ask: Ask) -> None:
    """Put a new classifier where the answers say that the partition stood. Raises what `ask` raises."""
    parameters = questions.parameters
    (watermark, *clock), *_ = await ask(questions.last_sql, parameters)
    kept = await ask(questions.kept_sql, parameters)
    parameters["oldest"] = kept[-1][0] if kept else 0
    parameters["first"] = (await ask(questions.first_sql, parameters))[0][0]
    events = await ask(questions.events_sql, parameters)
    forwarded = await ask(questions.forwarded_sql, parameters)
    classifier.restore_links(await ask(questions.links_sql, parameters))
    classifier.watermark = max(0, watermark)
    # A row of before the clock was kept: what the watermark has reached was believed.
    classifier.clock = Standing(*clock) if any(clock) else Standing(now=classifier.watermark)
    if events:
        offsets = np.array([row[0] for row in events], np.int64)
        watermarks = np.maximum.accumulate(np.array([row[2] for row in events], np.int64))
        ids = [(xxhash.xxh3_64_intdigest(row[1].encode()) or 1, row[0]) for row in events]
        ids += [(row[3], row[0]) for row in events if row[3]] + [(row[1], row[0]) for row in forwarded]
        at = np.searchsorted(offsets, np.array([offset for _, offset in ids], np.int64), "right") - 1
        classifier.restore(np.array([mark for mark, _ in ids], np.uint64), watermarks[np.maximum(at, 0)])
