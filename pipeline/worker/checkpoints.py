"""Checkpoints of a worker: what changed goes into the changelog, then the offsets that it covers are committed."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

from faust.types import TP

from pipeline.settings import Settings
from pipeline.state.checkpoint import encode
from pipeline.state.partition import PartitionState
from pipeline.worker.delivery import Outgoing
from pipeline.worker.truncation import Truncation

if TYPE_CHECKING:
    from pipeline.worker.app import WorkerApp

log = logging.getLogger(__name__)

#: Rejected and sent-on records of one partition that may wait for acknowledgement before folding waits too.
MAX_UNDELIVERED = 20_000
#: And what their values may amount to.
MAX_UNDELIVERED_BYTES = 64 << 20


class Checkpoints:
    """Writes them for the partitions of `app`, and what has to arrive before they count."""

    def __init__(self, app: WorkerApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._undelivered: dict[int, list[asyncio.Task[int]]] = {}
        #: By partition, how many records those are, and of how many bytes.
        self._undelivered_size: dict[int, tuple[int, int]] = {}
        self._writing = asyncio.Lock()
        self._periodic: asyncio.Future[None] | None = None
        self.truncation = Truncation(settings, app.table.changelog_topic.get_topic_name())
        self._rewritten: set[int] = set()
        #: Offset committed by us since the last rebalance, by partition.
        self._committed: dict[int, int] = {}
        self.last_at = time.monotonic()

    async def deliver(self, partition: int, outgoing: list[Outgoing]) -> None:
        """Send in the background what follows from records of a partition: its next checkpoint waits for it."""
        task = asyncio.create_task(self._app.delivery.deliver(outgoing))
        self._undelivered.setdefault(partition, []).append(task)
        waiting, size = self._undelivered_size.get(partition, (0, 0))
        waiting, size = waiting + len(outgoing), size + sum(len(record.value or b"") for record in outgoing)
        self._undelivered_size[partition] = waiting, size
        if waiting > MAX_UNDELIVERED or size > MAX_UNDELIVERED_BYTES:
            await self.write()

    async def write(self) -> None:
        """Write what changed, then commit the offsets it covers: nothing is committed before it is durable."""
        async with self._writing:
            started = time.perf_counter()
            saved: dict[int, int] = {}
            await asyncio.gather(
                *[self._partition(p, state, saved) for p, state in list(self._app.store.states.items())]
            )
            generation = self._app.consumer_generation_id
            # Also what was saved earlier and not committed: by a former owner that died in between, say. Nothing
            # else would commit it while no event comes, and whoever watches the lag would wait.
            saved = {p: position for p, position in saved.items() if self._committed.get(p) != position}
            offsets = {TP(self._settings.events_topic, p): position for p, position in saved.items()}
            committed = bool(offsets) and await self._app.batch_consumer.commit_offsets(offsets)
            rewritten, self._rewritten = self._rewritten, set()
            if committed:
                self._committed |= saved
                for partition in rewritten:
                    await self.truncation.finish(partition, generation)
            self.last_at = time.monotonic()
            self._app.counters.took("checkpoint", started)

    async def _partition(self, partition: int, state: PartitionState, saved: dict[int, int]) -> None:
        if state.in_doubt:
            # It has lost track of changes: they were in a checkpoint that was broken off. One that came after it
            # would hide that they are missing.
            return
        if not state.unsaved:
            saved[partition] = state.position
            return
        # Taken in one step, without a pause: these deliveries belong to the records before this position.
        waiting = self._undelivered.pop(partition, [])
        self._undelivered_size.pop(partition, None)
        state.in_doubt = True
        restored = self._app.store.restored_bytes.pop(partition, None)
        if restored is not None:
            self.truncation.note_restored(partition, restored)
        if self.truncation.due(partition):
            self.truncation.begin(
                partition, self._app.store.read_up_to.get(partition, -1) + 1, self._app.consumer_generation_id
            )
            state.start_rewrite()
        checkpoint = state.checkpoint()
        if waiting:
            await asyncio.gather(*waiting)
        topic = self._app.table.changelog_topic.get_topic_name()
        parts = [Outgoing(topic, partition, None, value) for value in encode(checkpoint, os.urandom(8))]
        last = await self._app.delivery.deliver(parts)
        self.truncation.wrote(partition, sum(len(part.value or b"") for part in parts))
        if checkpoint.rewritten:
            self._rewritten.add(partition)
        if self._app.store.states.get(partition) is state:
            self._app.store.read_up_to[partition] = max(last, self._app.store.read_up_to.get(partition, -1))
            if state.disk is not None:
                state.disk.changelog_bytes = self.truncation.size(partition)
            state.acknowledged(checkpoint, len(parts), last)
        state.in_doubt = False
        saved[partition] = checkpoint.position

    def taken_over(self) -> None:
        """Forget what belongs to the partitions of before a rebalance, and go on with those of now."""
        self.truncation.forget()
        self._rewritten.clear()
        self._committed.clear()
        for state in self._app.store.states.values():
            state.stop_rewrite()

    async def before_handing_over(self) -> None:
        """Save what is folded while the partitions are still ours; a new owner then has less to repeat."""
        try:
            await asyncio.wait_for(self.write(), timeout=self._settings.session_timeout_s / 2)
        except TimeoutError:
            log.warning("no checkpoint before the rebalance: the records since the last one are folded again")

    async def run(self) -> None:
        """Checkpoint at the interval of the settings until cancelled."""
        while True:
            await asyncio.sleep(self._settings.checkpoint_interval_s)
            if not self._app.rebalancing:
                # When this loop is cancelled, a checkpoint under way goes on: the one at the end waits for it.
                self._periodic = asyncio.ensure_future(self.write())
                await asyncio.shield(self._periodic)
