"""Inserting events that don't come by Kafka: the past of a simulated product, and test data.

They are judged by the worker's own rules, as one partition of a stream of their own, and numbered: what is loaded
again with the same stream replaces itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from pipeline.archiver.rows import EVENT_COLUMNS, EVENTS_TABLE, LINK_COLUMNS, STORED_AT, ArchiveBatch, with_time
from pipeline.errors import UserError
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.sent import Sent
from pipeline.ingest.validate import Validator
from schemas.plan import Plan
from schemas.translatable import Foreign

#: The stream of what was loaded, where nobody says otherwise. The live figures and `verify` don't look at it.
HISTORY: Final = "history"
_CHUNK: Final = 20_000
_SETTINGS: Final = {"max_partitions_per_insert_block": 0}


def batches(plan: Plan, records: Iterable[Sent], stream: str = HISTORY) -> Iterator[ArchiveBatch]:
    """The events of `records` (in the order of their times), judged and packed.

    Raises UserError if the plan rejects one of them.
    """
    classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
    numbered = enumerate(records)
    while found := [Record(number, sent.at, sent.key, sent.value, ()) for number, sent in islice(numbered, _CHUNK)]:
        result = classifier.classify(found)
        for why in result.rejections.values():
            raise UserError(
                "an event doesn't fit the plan: {reason}: {detail}", reason=why.reason, detail=Foreign(why.detail)
            )
        batch = ArchiveBatch(stream)
        batch.add(0, result)
        batch.pack(1)
        yield batch


def ahead(made: Iterator[ArchiveBatch]) -> Iterator[ArchiveBatch]:
    """The same, made from now on in a thread, whether or not somebody takes them yet."""
    waiting: SimpleQueue[ArchiveBatch | BaseException | None] = SimpleQueue()

    def make() -> None:
        try:
            for batch in made:
                waiting.put(batch)
            waiting.put(None)
        except BaseException as exc:
            waiting.put(exc)  # whoever takes them has to know

    Thread(target=make, name="history", daemon=True).start()
    return _taken(waiting)


def _taken(waiting: SimpleQueue[ArchiveBatch | BaseException | None]) -> Iterator[ArchiveBatch]:
    while (found := waiting.get()) is not None:
        if isinstance(found, BaseException):
            raise found
        yield found


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
    return await insert(client, batches(plan, records, stream), progress)


async def insert(client: Any, made: Iterator[ArchiveBatch], progress: Callable[[int], None] | None = None) -> int:
    """Insert what `batches` made; returns how many events there are."""
    stored = 0
    while (batch := await asyncio.to_thread(next, made, None)) is not None:
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
    return stored
