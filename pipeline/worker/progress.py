"""Whether a worker gets on: what it has folded last, what waits, and the watchdog that ends it without prospect."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from faust.types import TP

from pipeline.errors import BrokenPromiseError
from pipeline.kafka.consumer import LogFetcher
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.worker.app import WorkerApp


class Progress:
    """That of the partitions of `app`."""

    def __init__(self, app: WorkerApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self.last_batch_at = time.monotonic()
        #: Since when records wait and none is folded.
        self.at = time.monotonic()
        #: Since when there has been something that waits for an open transaction.
        self.held_since: float | None = None

    def folded(self) -> None:
        """Records have been folded, or were gone."""
        self.last_batch_at = self.at = time.monotonic()

    def total_lag(self) -> int | None:
        """Records not folded yet in the partitions owned; None while nothing is known."""
        lags = [self._app.batch_consumer.lag(p, state.position) for p, state in self._app.store.states.items()]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if known else None

    def fetching(self) -> LogFetcher | None:
        """What fetches from Kafka, once it is there."""
        consumer = self._app.batch_consumer.kafka
        return consumer.fetcher if consumer is not None else None

    def silent_for(self) -> float:
        """Seconds without an answer of Kafka to a fetch, while nothing that it had brought was left to fold."""
        fetcher = self.fetching()
        if fetcher is None or not self._app.store.states:
            return 0.0
        return time.monotonic() - max(fetcher.answered_at, self.last_batch_at)

    def held_back(self) -> int:
        """Offsets that wait for open transactions."""
        consumer = self._app.batch_consumer.kafka
        if consumer is None:
            return 0
        return sum(consumer.held_back(TP(self._settings.events_topic, p)) for p in self._app.store.states)

    async def watch(self) -> None:
        """End the process if it has no prospect: fetching has ended, or there is lag and no progress for long."""
        positions: dict[int, int] = {}
        while True:
            await asyncio.sleep(1.0)
            fetcher = self.fetching()
            if fetcher is not None and fetcher.failure is not None:
                raise BrokenPromiseError(f"nothing is fetched any more: {fetcher.failure!r}") from fetcher.failure
            if self._app.publishing.holding_since is not None:
                await self._app.batch_consumer.ask_ends()
            self.held_since = (self.held_since or time.monotonic()) if self.held_back() else None
            now = {p: state.position for p, state in self._app.store.states.items()}
            waits = self._app.delivery.failing_since is not None or self._app.publishing.holding_since is not None
            if now != positions or not self.total_lag() or waits:
                positions, self.at = now, time.monotonic()
            elif time.monotonic() - self.at > self._settings.watchdog_seconds:
                raise BrokenPromiseError(
                    f"no progress for {self._settings.watchdog_seconds:.0f} s with {self.total_lag()} records waiting"
                )
