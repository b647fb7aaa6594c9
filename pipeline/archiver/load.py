"""Inserting events that don't come by Kafka: the past of a simulated product, and test data.

They are judged by the worker's own rules, as one partition of a stream of their own, and numbered: what is loaded
again with the same stream replaces itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from pipeline.archiver.rows import EVENT_COLUMNS, LINK_COLUMNS, STORED_AT, ArchiveBatch, with_time
from pipeline.errors import UserError
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.sent import Sent
from pipeline.ingest.validate import Validator
from schemas.plan import Plan

#: The stream of what was loaded, where nobody says otherwise. The live figures and `verify` don't look at it.
HISTORY: Final = "history"
_CHUNK: Final = 20_000
_SETTINGS: Final = {"max_partitions_per_insert_block": 0}
_VALUE: Final = EVENT_COLUMNS.index("value")


async def load(
    client: Any,
    plan: Plan,
    records: Iterable[Sent],
    *,
    stream: str = HISTORY,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Insert the events of `records` (in the order of their times) into `events_raw`; returns how many there are.

    `client` is an asynchronous ClickHouse client. Making and judging the records happens in a thread. Raises UserError
    if the plan rejects one of them.
    """
    classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
    numbered = enumerate(records)
    stored = 0
    while True:
        batch = await asyncio.to_thread(_next, numbered, classifier, stream)
        if batch is None:
            return stored
        for table, names, columns in (
            ("links_raw", LINK_COLUMNS, batch.links),
            ("events_raw", EVENT_COLUMNS, batch.events),
        ):
            if columns[0]:
                await client.insert(
                    table,
                    with_time(columns, int(time.time() * 1000)),
                    column_names=[*names, STORED_AT],
                    column_oriented=True,
                    settings=_SETTINGS,
                )
        stored += len(batch.events[0])
        if progress is not None:
            progress(stored)


def _next(numbered: Iterable[tuple[int, Sent]], classifier: PartitionClassifier, stream: str) -> ArchiveBatch | None:
    records = [Record(number, sent.at, sent.key, sent.value, ()) for number, sent in islice(numbered, _CHUNK)]
    if not records:
        return None
    result = classifier.classify(records)
    for why in result.rejections.values():
        raise UserError(f"an event doesn't fit the plan: {why.reason}: {why.detail}")
    batch = ArchiveBatch(stream)
    batch.add(0, result)
    batch.events[_VALUE] = [Decimal(micro).scaleb(-6) if micro else 0 for micro in batch.events[_VALUE]]
    return batch
