"""Inserting events that don't come by Kafka: files of the past, that of a simulated product, and test data.

They are judged by the worker's own rules, as one partition of a stream of their own, and numbered: what is loaded
again with the same stream replaces itself.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol

from pipeline.archiver.rows import EVENTS_TABLE, STORED_AT, ArchiveBatch, with_time
from pipeline.errors import UserError
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.sent import Sent
from pipeline.ingest.validate import Validator
from schemas.plan import Plan
from schemas.translatable import Foreign

#: The stream of what was loaded, where nobody says otherwise. The live figures and `verify` don't look at it.
HISTORY: Final = "history"
#: Records that are judged together: while they are, what they are made of stays in the processor's cache.
_CHUNK: Final = 4_096
#: Records that are inserted together.
_INSERTED: Final = 100_000
#: A Record of a tuple: a call less, which is a tenth of what reading a line takes.
_RECORD: Final[Callable[[Any], Record]] = partial(tuple.__new__, Record)
_SETTINGS: Final = {"max_partitions_per_insert_block": 0}


class Keyed(Protocol):
    """What becomes a record."""

    @property
    def key(self) -> bytes | None:
        """Whom it is of."""

    @property
    def value(self) -> bytes | None:
        """The event."""


def numbered(lines: Iterable[Keyed], at: int) -> Iterator[Record]:
    """Records in their order, all written at one time (epoch ms)."""
    return map(_RECORD, ((number, at, line.key, line.value, (), 1) for number, line in enumerate(lines)))


def batches(
    plan: Plan, records: Iterator[Record], stream: str = HISTORY, *, keep_rejected: bool = False
) -> Iterator[ArchiveBatch]:
    """The events of `records` (numbered, in the order of their times), judged and packed.

    Raises UserError if the plan rejects one of them, unless rejected ones are to be kept as such.
    """
    classifier = PartitionClassifier(plan, Validator(plan), 0, 1)
    batch = ArchiveBatch(stream)
    while found := list(islice(records, _CHUNK)):
        result = classifier.classify(found)
        for why in result.rejections.values() if not keep_rejected else ():
            raise UserError(
                "an event doesn't fit the plan: {reason}: {detail}", reason=why.reason, detail=Foreign(why.detail)
            )
        batch.add(0, result)
        batch.pack(1)
        if batch.records >= _INSERTED:
            yield batch
            batch = ArchiveBatch(stream)
    if batch.records:
        yield batch


def history_batches(plan: Plan, records: Iterable[Sent], stream: str = HISTORY) -> Iterator[ArchiveBatch]:
    """The same of what a simulated product sent, each at its time."""
    return batches(plan, (Record(number, sent.at, sent.key, sent.value) for number, sent in enumerate(records)), stream)


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
    return await insert(client, history_batches(plan, records, stream), progress)


async def insert(client: Any, made: Iterator[ArchiveBatch], progress: Callable[[int], None] | None = None) -> int:
    """Insert what `batches` made; returns how many events there are. The next batch is made meanwhile."""
    stored = 0
    # Looking for cycles among the records would take a third of the time. Those of the driver are looked for below.
    collects = gc.isenabled()
    gc.disable()
    following = asyncio.create_task(asyncio.to_thread(next, made, None))
    try:
        while (batch := await following) is not None:
            following = asyncio.create_task(asyncio.to_thread(next, made, None))
            stored += await _insert(client, batch)
            gc.collect(1)
            if progress is not None:
                progress(stored)
    finally:
        following.cancel()
        if collects:
            gc.enable()
    return stored


async def _insert(client: Any, batch: ArchiveBatch) -> int:
    now = int(time.time() * 1000)
    rows, data = batch.native(now)
    for table, names, columns in batch.tables():
        if table == EVENTS_TABLE and rows:
            await client.raw_insert(table, [*names, STORED_AT], data, _SETTINGS, "Native")
        elif columns[0]:
            await client.insert(
                table, with_time(columns, now), column_names=[*names, STORED_AT], column_oriented=True,
                settings=_SETTINGS,
            )  # fmt: skip
    return rows
