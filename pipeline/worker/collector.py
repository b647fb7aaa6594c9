"""What `/metrics` shows of a worker: read from its app when Prometheus asks. The names are in `serve/names.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pipeline.serve import names
from pipeline.serve.complete import Minutes
from pipeline.serve.samples import Sample, families, funnel_buckets, product_samples
from pipeline.state.partition import PartitionState
from pipeline.worker.app import WorkerApp
from pipeline.worker.counters import SIZES
from schemas.duration import MINUTE

#: How long a partition's freshness is told after its last event: it says nothing of the time since.
FRESH_FOR: Final = MINUTE


class WorkerCollector(Collector):
    """Reads the counters of a worker app."""

    def __init__(self, app: WorkerApp, clock: Callable[[], float] = time.time) -> None:
        self._app, self._clock = app, clock
        self._minutes = Minutes(app.plan)

    def collect(self) -> Iterator[Family]:
        """The metric families of this moment."""
        app, now = self._app, int(self._clock() * 1000)
        states = list(app.store.states.values())
        self._minutes.forget({state.partition for state in states})
        samples = list(self._pipeline(states, now))
        current = [s for s in states if self._behind(s, now) <= app.plan.alerting.settle]
        samples += [(names.CURRENT, (str(s.partition),), float(s in current)) for s in states]
        samples += product_samples(current, app.plan, self._minutes, now)
        samples += funnel_buckets(app.plan, now)
        yield from families(samples)
        counts = list(accumulate(app.counters.sizes))
        buckets = [(str(float(bound)), n) for bound, n in zip(SIZES, counts, strict=False)]
        sizes = HistogramMetricFamily(names.BATCHES.name, names.BATCHES.meaning)
        sizes.add_metric([], [*buckets, ("+Inf", counts[-1])], app.counters.records)
        yield sizes

    def _behind(self, state: PartitionState, now: int) -> float:
        """How long ago (ms) all the records were written that are known to be folded."""
        consumer = self._app.batch_consumer
        lag = consumer.lag(state.partition, state.position)
        if lag is None:
            return float("inf")
        known = consumer.polled_at(state.partition) if lag == 0 else self._app.counters.written_at.get(state.partition)
        return float("inf") if known is None else max(0, now - known)

    def _pipeline(self, states: list[PartitionState], now: int) -> Iterator[Sample]:
        app, counters = self._app, self._app.counters
        yield names.PARTITIONS, (), app.partition_count
        for state in states:
            p = str(state.partition)
            lag, behind = app.batch_consumer.lag(state.partition, state.position), self._behind(state, now)
            if lag is not None:
                yield names.LAG, (p,), lag
            if behind != float("inf"):
                yield names.LAG_SECONDS, (p,), behind / 1000
            yield names.MISSING, (p,), state.missing
            if state.reached:
                yield names.WATERMARK, (p,), state.reached / 1000
            at, freshness = counters.freshness.get(state.partition, (0, 0))
            if now - at <= FRESH_FOR:
                yield names.FRESHNESS, (p,), freshness / 1000
            yield names.ENTRIES, (p, "window"), len(state.activity.accumulators)
            yield names.ENTRIES, (p, "event_id"), len(state.classifier.seen)
            yield names.ENTRIES, (p, "funnel_actor"), state.funnels.actor_count
        for stage, seconds in counters.seconds.items():
            yield names.STAGE_SECONDS, (stage,), seconds
            yield names.STAGE_RUNS, (stage,), counters.runs[stage]
        yield names.DELIVERED, (), app.delivery.delivered
        yield names.RETRIED, (), app.delivery.retries
        yield names.PUBLISHED, (), counters.published_rows
        yield names.PUBLISH_FAILED, (), counters.publish_failures
        yield names.UNPUBLISHED, (), app.publishing.waiting_rows
        yield names.HOLDING, (), float(app.publishing.holding_since is not None)
        yield names.UNFORESEEN, (), counters.unforeseen
        yield names.CHECKPOINT_AGE, (), time.monotonic() - app.checkpoints.last_at
        if app.publishing.last_at is not None:
            yield names.PUBLISH_AGE, (), time.monotonic() - app.publishing.last_at
        recovery = app.tables.recovery
        recovering = app.rebalancing or not recovery.completed.is_set()
        yield names.RECOVERING, (), float(recovering)
        yield names.RESTORED, (), app.store.restored_records
        yield names.RESTORE_LEFT, (), max(0, recovery.active_remaining_total()) if recovering else 0
