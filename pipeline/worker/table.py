"""The Faust table that holds the partitions' states, and its store.

The table's changelog topic holds checkpoints (see `checkpoint.py`) instead of one record for each key, so its
clean-up policy is `delete` with our own truncation, never `compact`: compaction keeps the newest record of a key,
while the right one is that with the highest source offset.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import faust
from faust.stores.base import Store
from faust.tables.manager import TableManager
from faust.types import TP

from pipeline.state.checkpoint import Restorer
from pipeline.state.disk import Disk
from pipeline.state.partition import PartitionState
from pipeline.worker.transport import partitions_of

log = logging.getLogger(__name__)

#: Time between two lines on the progress of a recovery.
_TELL_SECONDS: Final = 2.0


class StateStore(Store[Any, Any]):
    """Live states by partition, and those being restored.

    `new_state` makes an empty state, `new_disk` opens a partition's disk (None: states live in memory); both are set
    by the app before the table starts.
    """

    new_state: Callable[[int, Disk | None], PartitionState]
    new_disk: Callable[[int], Disk] | None

    def __post_init__(self) -> None:
        self.states: dict[int, PartitionState] = {}
        self.restoring: dict[int, Restorer] = {}
        #: Why restoring failed: Faust only logs what a store raises, so whoever resumes must look here.
        self.failure: Exception | None = None
        #: Highest changelog offset known to be in the live state.
        self.read_up_to: dict[int, int] = {}
        self.restored_records = 0
        self.restored_bytes: dict[int, int] = {}
        self._tell_at = 0.0

    # The dictionary interface of a table is not how this state is used.
    def _unused(self, *_: Any) -> Any:
        raise NotImplementedError("the state is folded by partition, not set by key")

    __getitem__ = __setitem__ = __delitem__ = _unused

    def __iter__(self) -> Any:
        return iter(self.states)

    def __len__(self) -> int:
        return len(self.states)

    def apply_changelog_batch(
        self, batch: Iterable[Any], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Take records of the changelog, in Faust's recovery."""
        for event in batch:
            message = event.message
            partition = message.tp.partition
            if partition in self.states or message.value is None:
                continue
            try:
                self._restorer(partition).add(message.value, message.offset)
            except Exception as exc:
                log.error("changelog partition %s offset %s: %s", partition, message.offset, exc)
                self.failure = exc
            self.read_up_to[partition] = message.offset
            self.restored_records += 1
            self._tell_progress(message.tp, message.offset)

    def _restorer(self, partition: int) -> Restorer:
        found = self.restoring.get(partition)
        if found is None:
            found = self.restoring[partition] = Restorer(self.new_disk(partition) if self.new_disk else None)
        return found

    def _tell_progress(self, tp: TP, offset: int) -> None:
        now = time.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + _TELL_SECONDS
        end = self.app.tables.recovery.active_highwaters.get(tp)
        restorer = self.restoring[tp.partition]
        log.info(
            "restoring partition %s: changelog offset %s of %s, %.1f MB read",
            tp.partition, offset, "?" if end is None else end, restorer.bytes / 1e6,
        )  # fmt: skip

    def persisted_offset(self, tp: TP) -> int | None:
        """The changelog offset that a live state, or the disk, holds: recovery reads from there on."""
        if tp.partition in self.states:
            return self.read_up_to.get(tp.partition)
        disk = self._restorer(tp.partition).snapshot if self.new_disk else None
        return disk.offset if isinstance(disk, Disk) else None

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Forget partitions that are no longer ours, and states whose last checkpoint was not acknowledged."""
        owned = partitions_of(assigned, self.table.changelog_topic.get_topic_name())
        for partition in list(self.states):
            if partition not in owned or self.states[partition].in_doubt:
                self.forget(partition)
        for partition in [p for p in self.restoring if p not in owned]:
            self.forget(partition)

    def forget(self, partition: int) -> None:
        """Drop a live state: the next recovery reads it from the changelog."""
        state, restorer = self.states.pop(partition, None), self.restoring.pop(partition, None)
        for disk in (state and state.disk, restorer and restorer.snapshot):
            if isinstance(disk, Disk):
                disk.close()
        self.read_up_to.pop(partition, None)
        topic = self.table.changelog_topic.get_topic_name()
        self.app.tables.recovery.active_offsets.pop(TP(topic, partition), None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Make live states of what was read."""
        for partition in partitions_of(active_tps, self.table.changelog_topic.get_topic_name()):
            if partition in self.states:
                continue
            try:
                restorer = self._restorer(partition)
                kept = restorer.snapshot
                state = self.new_state(partition, kept if isinstance(kept, Disk) else None)
                state.restore(kept)
                self.restored_bytes[partition] = restorer.bytes + (state.disk.changelog_bytes if state.disk else 0)
                log.info("partition %s restored: %s records, position %s", partition, restorer.records, state.position)
                self.states[partition] = state
                del self.restoring[partition]
            except Exception as exc:
                log.exception("partition %s can't be restored", partition)
                self.failure = exc

    def close(self) -> None:
        """Forget everything, and let go of files."""
        for state in self.states.values():
            state.activity.close()  # whoever still holds the state (a checkpoint that Kafka doesn't answer)
        for partition in [*self.states, *self.restoring]:
            self.forget(partition)

    def reset_state(self) -> None:
        """Nothing is kept on disk."""

    async def backup_partition(self, tp: Any, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing is kept on disk."""

    def restore_backup(self, tp: Any, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing is kept on disk."""


class PromptTableManager(TableManager):
    """Faust's manager of tables without the second that it waits before it starts."""

    async def on_start(self) -> None:
        """Make the tables' channels and start the recovery."""
        await self._update_channels()
        await self.recovery.start()


class StateTable(faust.Table[Any, Any]):
    """A Faust table with the store above."""

    _changelog_compacting = False
    _changelog_deleting = True

    def _new_store(self) -> StateStore:
        # What Faust calls a store is ours, whatever it keeps its entries in.
        return StateStore("memory://", self.app, self, table_name=self.name, loop=self.loop)

    @property
    def store(self) -> StateStore:
        """The store, typed."""
        store: StateStore = self.data
        return store
