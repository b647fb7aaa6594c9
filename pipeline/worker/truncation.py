"""Keeps the changelog in proportion to the state: old records are deleted once nothing in them is needed.

When a partition's changelog has grown to a multiple of its state, every entry is written again, a slice with each
checkpoint; when that is complete, what lay before its beginning is deleted. The traffic stays in proportion to the
changes, and no moment writes everything at once.

Only the owner may delete: a worker that has lost the partition would throw away its successor's records. So a rewrite
counts only if it began and ended within one generation of the consumer group, which a commit after its end proves.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError

from pipeline.settings import Settings

log = logging.getLogger(__name__)

#: A changelog partition smaller than this is left alone.
MIN_BYTES = 32 << 20
#: A rewrite begins when so many times the size of the last one has been written since.
GROWTH = 2


@dataclass
class _Log:
    written: int  # bytes since the last rewrite began
    base: int = 0  # bytes of the last rewrite
    began_at: int | None = None  # changelog offset at which the rewrite under way began
    generation: int = -1


class Truncation:
    """Decides for each changelog partition when to rewrite, and deletes what a complete rewrite leaves behind."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._logs: dict[int, _Log] = {}
        self._supported = True

    def note_restored(self, partition: int, size: int) -> None:
        """A partition was restored from so many bytes."""
        self._logs[partition] = _Log(size)

    def forget(self) -> None:
        """A rebalance: rewrites under way don't count."""
        self._logs.clear()

    def due(self, partition: int) -> bool:
        """Whether a rewrite should begin."""
        found = self._logs.get(partition)
        return (
            self._supported
            and found is not None
            and found.began_at is None
            and found.written > max(MIN_BYTES, GROWTH * found.base)
        )

    def begin(self, partition: int, offset: int, generation: int) -> None:
        """A rewrite begins: its records come at `offset` of the changelog or later."""
        entry = self._logs[partition]
        entry.began_at, entry.generation, entry.written = offset, generation, 0

    def wrote(self, partition: int, size: int) -> None:
        """So many bytes of a checkpoint were written."""
        self._logs.setdefault(partition, _Log(0)).written += size

    def size(self, partition: int) -> int:
        """Bytes written since the last rewrite began."""
        return self._logs[partition].written

    async def finish(self, partition: int, generation: int) -> None:
        """A rewrite is complete and a commit after it succeeded: delete what lies before its beginning."""
        entry = self._logs.get(partition)
        if entry is None or entry.began_at is None:
            return
        began_at, entry.began_at, entry.base = entry.began_at, None, entry.written
        if entry.generation != generation or began_at <= 0:
            return
        admin = AIOKafkaAdminClient(**self._settings.kafka_kwargs())
        try:
            await admin.start()
            tp = TopicPartition(self._topic, partition)
            await admin.delete_records({tp: RecordsToDelete(began_at)})
            log.info("changelog partition %s: records before %s deleted", partition, began_at)
        except (KafkaError, OSError, NotImplementedError) as exc:
            # Nothing is lost by keeping more than is needed; the next rewrite tries again.
            log.warning("changelog partition %s could not be shortened: %r", partition, exc)
        finally:
            await admin.close()
