"""Publishing: the live rows that changed go to ClickHouse, and folding waits when too many do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Protocol

from pipeline.measure.rows import ActivityRow, FunnelRow, GapRow, PartitionRow
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.worker.app import WorkerApp

log = logging.getLogger(__name__)


class RowSink(Protocol):
    """Where changed live rows go (ClickHouse)."""

    async def publish(
        self,
        activity: list[ActivityRow],
        funnels: list[FunnelRow],
        partitions: list[PartitionRow],
        gaps: list[GapRow],
    ) -> None:
        """Store the rows; raises if that failed, and the rows will come again."""


class Publishing:
    """Publishes the rows of the partitions of `app`; None as `sink` publishes nowhere."""

    def __init__(self, app: WorkerApp, settings: Settings, sink: RowSink | None) -> None:
        self._app, self._settings, self._sink = app, settings, sink
        self.last_at: float | None = None
        self.error = ""
        #: Since when rows are on their way.
        self.since: float | None = None
        #: Since when folding waits because too many rows do.
        self.holding_since: float | None = None
        self._now, self._published = asyncio.Event(), asyncio.Event()

    async def room(self) -> None:
        """Wait while as many rows wait for ClickHouse as may: what is not folded yet is kept by Kafka."""
        while (
            self.waiting_rows > self._settings.max_unpublished_rows
            and not self._app.rebalancing
            and not self._app.should_stop
        ):
            self.holding_since = self.holding_since or time.monotonic()
            self._now.set()
            self._published.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._published.wait(), 0.5)
        self.holding_since = None

    @property
    def waiting_rows(self) -> int:
        """Changed rows that ClickHouse has not acknowledged."""
        return sum(state.waiting for state in self._app.store.states.values())

    async def publish(self) -> None:
        """Send changed rows to the sink; on failure they stay changed."""
        if self._app.failure is not None:
            return
        states = list(self._app.store.states.values())
        now = int(time.time() * 1000)
        activity: list[ActivityRow] = []
        funnels: list[FunnelRow] = []
        partitions: list[PartitionRow] = []
        gaps: list[GapRow] = []
        for state in states:
            accumulators, counters, row = state.changed_rows(now)
            activity += accumulators
            funnels += counters
            partitions.append(row)
            gaps += state.changed_gaps()
        started = time.perf_counter()
        self.since = time.monotonic()
        try:
            if partitions and self._sink is not None:
                await self._sink.publish(activity, funnels, partitions, gaps)
        except BaseException as exc:
            for state in states:
                state.publish_again()
            if not isinstance(exc, Exception):
                raise
            self.error = f"{type(exc).__name__}: {exc}"
            self._app.counters.publish_failures += 1
            log.warning("live rows not published (%s): trying again", self.error[:300])
        else:
            self.error = ""
            self._app.counters.took("publish", started)
            self._app.counters.published_rows += len(activity) + len(funnels) + len(partitions)
            self.last_at = time.monotonic()
            for state in states:
                state.published()
                state.expire()
            self._published.set()
        finally:
            self.since = None

    async def run(self) -> None:
        """Publish at the interval of the settings until cancelled."""
        delay = self._settings.publish_interval_s
        while True:
            if self.error:
                await asyncio.sleep(delay)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._now.wait(), delay)
            self._now.clear()
            await self.publish()
            delay = min(delay * 2, 15.0) if self.error else self._settings.publish_interval_s
