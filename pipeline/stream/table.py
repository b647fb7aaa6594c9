"""The Faust table that holds the partitions' states, and its store.

The table's changelog topic holds checkpoints (see `checkpoint.py`) instead of one record for each key, so its
clean-up policy is `delete` with our own truncation, never `compact`: compaction keeps the newest record of a key,
while the right one is that with the highest source offset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import faust
from faust.stores.base import Store
from faust.tables.manager import TableManager
from faust.types import TP

from pipeline.stream.checkpoint import Restorer
from pipeline.stream.state import PartitionState
from pipeline.stream.transport import partitions_of

log = logging.getLogger(__name__)

TABLE_NAME: Final = "state"


class StateStore(Store[Any, Any]):
    """Live states by partition, and those being restored.

    `new_state` makes an empty state; it is set by the app before the table starts.
    """

    new_state: Callable[[int], PartitionState]

    def __post_init__(self) -> None:
        self.states: dict[int, PartitionState] = {}
        self.restoring: dict[int, Restorer] = {}
        #: Why restoring failed: Faust only logs what a store raises, so whoever resumes must look here.
        self.failure: Exception | None = None
        #: Highest changelog offset known to be in the live state.
        self.read_up_to: dict[int, int] = {}
        self.restored_records = 0
        self.restored_bytes: dict[int, int] = {}

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
                self.restoring.setdefault(partition, Restorer()).add(message.value)
            except Exception as exc:
                log.error("changelog partition %s offset %s: %s", partition, message.offset, exc)
                self.failure = exc
            self.read_up_to[partition] = message.offset
            self.restored_records += 1

    def persisted_offset(self, tp: TP) -> int | None:
        """The changelog offset that a live state holds: recovery reads from there on."""
        return self.read_up_to.get(tp.partition) if tp.partition in self.states else None

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Forget partitions that are no longer ours, and states whose last checkpoint was not acknowledged."""
        owned = partitions_of(assigned, self.table.changelog_topic.get_topic_name())
        for partition in list(self.states):
            if partition not in owned or self.states[partition].doubtful:
                self.forget(partition)
        for partition in [p for p in self.restoring if p not in owned]:
            del self.restoring[partition]

    def forget(self, partition: int) -> None:
        """Drop a live state: the next recovery reads it from the changelog."""
        self.states.pop(partition, None)
        self.restoring.pop(partition, None)
        self.read_up_to.pop(partition, None)
        topic = self.table.changelog_topic.get_topic_name()
        self.app.tables.recovery.active_offsets.pop(TP(topic, partition), None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Make live states of what was read."""
        for partition in partitions_of(active_tps, self.table.changelog_topic.get_topic_name()):
            if partition in self.states:
                continue
            restorer = self.restoring.pop(partition, None)
            try:
                state = self.new_state(partition)
                if restorer is not None:
                    state.restore(restorer)
                    self.restored_bytes[partition] = restorer.bytes
                    log.info("partition %s restored: %s records, mark %s", partition, restorer.records, state.mark)
                self.states[partition] = state
            except Exception as exc:
                log.exception("partition %s can't be restored", partition)
                self.failure = exc

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
        return StateStore("memory://", self.app, self, table_name=self.name, loop=self.loop)

    @property
    def store(self) -> StateStore:
        """The store, typed."""
        store: StateStore = self.data  # type: ignore[assignment]
        return store
