"""Inserting events that don't come by Kafka: the past of a simulated product, and test data.

They are judged by the worker's own rules, as one partition of a stream of their own, and numbered: what is loaded
again with the same stream replaces itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

from pipeline.archiver.rows import EVENT_COLUMNS, EVENTS_TABLE, LINK_COLUMNS, STORED_AT, ArchiveBatch, with_time
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
        now = int(time.time() * 1000)
        if batch.links[0]:
            names = [*LINK_COLUMNS, STORED_AT]
            await client.insert(
                "links_raw", with_time(batch.links, now), column_names=names, column_oriented=True, settings=_SETTINGS
            )
        rows, data = batch.native(now)
        if rows:
            await client.raw_insert(EVENTS_TABLE, [*EVENT_COLUMNS, STORED_AT], data, _SETTINGS, "Native")
        stored += rows
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
    batch.pack(1)
    return batch
