"""What `/metrics` shows: values are read from the state when Prometheus asks. The names are in `names.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from pipeline.live import names
from pipeline.live.complete import Minutes, funnel_users
from pipeline.live.names import Metric
from pipeline.live.numbers import window_total
from pipeline.measure.windows import bounds
from pipeline.stream.figures import SIZES
from pipeline.stream.state import PartitionState
from schemas.plan import Plan

CONTENT_TYPE: Final = OPENMETRICS
#: How long a partition's freshness is told after its last event: it says nothing of the time since.
FRESH_FOR: Final = 60_000
Sample = tuple[Metric, tuple[str, ...], float]


def product_samples(states: Iterable[PartitionState], plan: Plan, minutes: Minutes, now: int) -> Iterator[Sample]:
    """The product's figures of partitions that are current at `now` (epoch ms): metric, label values, value."""
    day = bounds("day", now, plan.zone)[0]
    for state in states:
        p = str(state.partition)
        for outcome, count in state.totals.items():
            yield names.RECORDS, (p, outcome.name.lower()), count
        for reason, count in state.reasons.items():
            yield names.REJECTED, (p, reason), count
        minute = minutes.of(state, now)
        if minute is not None:
            yield names.MINUTE_START, (p,), minute.start / 1000
            for (dimension, value), figures in minute.figures.items():
                yield names.MINUTE_EVENTS, (p, dimension, value), figures.events
                yield names.MINUTE_USERS, (p, dimension, value), figures.users
                yield names.MINUTE_SESSIONS, (p, dimension, value), figures.sessions
                if plan.registration is not None:
                    yield names.MINUTE_REGISTRATIONS, (p, dimension, value), figures.registrations
                yield names.MINUTE_REVENUE, (p, dimension, value), figures.revenue / 1e6
            for span, users in minute.active.items():
                yield names.ACTIVE, (p, span), users
        for measure, number in window_total([state], "day", day).items():
            name, scale = ("revenue", 1e6) if measure == "value_micro" else (measure, 1)
            yield names.TODAY, (p, name), number / scale
        for row in funnel_users(state, plan, now):
            steps = plan.funnels[row.funnel].steps
            for number, (step, users) in enumerate(zip(steps, row.users, strict=True), start=1):
                labels = (p, row.funnel, str(number), step.title, row.breakdown, row.value, row.bucket)
                yield names.FUNNEL_USERS, labels, users


def funnel_buckets(plan: Plan, now: int) -> Iterator[Sample]:
    """When the current bucket of each funnel began."""
    for name, funnel in plan.funnels.items():
        yield names.FUNNEL_BUCKET, (name,), bounds(funnel.bucket, now, plan.zone)[0] / 1000


class WorkerCollector(Collector):
    """Reads the figures of a worker app."""

    def __init__(self, app: Any, clock: Callable[[], float] = time.time) -> None:
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
        counts = list(accumulate(app.figures.sizes))
        buckets = [(str(float(bound)), n) for bound, n in zip(SIZES, counts, strict=False)]
        sizes = HistogramMetricFamily(names.BATCHES.name, names.BATCHES.meaning)
        sizes.add_metric([], [*buckets, ("+Inf", counts[-1])], app.figures.records)
        yield sizes

    def _behind(self, state: PartitionState, now: int) -> float:
        """How long ago (ms) all the records were written that are known to be folded."""
        consumer = self._app.batch_consumer
        lag = consumer.lag(state.partition, state.mark)
        if lag is None:
            return float("inf")
        known = consumer.polled_at(state.partition) if lag == 0 else self._app.figures.written_at.get(state.partition)
        return float("inf") if known is None else max(0, now - known)

    def _pipeline(self, states: list[PartitionState], now: int) -> Iterator[Sample]:
        app, figures = self._app, self._app.figures
        yield names.PARTITIONS, (), app.partition_count
        for state in states:
            p = str(state.partition)
            lag, behind = app.batch_consumer.lag(state.partition, state.mark), self._behind(state, now)
            if lag is not None:
                yield names.LAG, (p,), lag
            if behind != float("inf"):
                yield names.LAG_SECONDS, (p,), behind / 1000
            if state.watermark:
                yield names.WATERMARK, (p,), state.watermark / 1000
            at, freshness = figures.freshness.get(state.partition, (0, 0))
            if now - at <= FRESH_FOR:
                yield names.FRESHNESS, (p,), freshness / 1000
            yield names.ENTRIES, (p, "window"), len(state.activity.cells)
            yield names.ENTRIES, (p, "event_id"), len(state.classifier.seen)
            yield names.ENTRIES, (p, "funnel_actor"), sum(len(v.actors) for v in state.funnels.views.values())
        for stage, seconds in figures.seconds.items():
            yield names.STAGE_SECONDS, (stage,), seconds
            yield names.STAGE_RUNS, (stage,), figures.runs[stage]
        yield names.DELIVERED, (), app.delivery.delivered
        yield names.RETRIED, (), app.delivery.retries
        yield names.PUBLISHED, (), figures.published_rows
        yield names.PUBLISH_FAILED, (), figures.publish_failures
        yield names.CHECKPOINT_AGE, (), time.monotonic() - app.last_checkpoint_at
        if app.last_publish_at is not None:
            yield names.PUBLISH_AGE, (), time.monotonic() - app.last_publish_at
        recovery = app.tables.recovery
        recovering = app.rebalancing or not recovery.completed.is_set()
        yield names.RECOVERING, (), float(recovering)
        yield names.RESTORED, (), app.store.restored_records
        yield names.RESTORE_LEFT, (), max(0, recovery.active_remaining_total()) if recovering else 0


class ArchiverCollector(Collector):
    """Reads the figures of an archiver."""

    def __init__(self, archiver: Any) -> None:
        self._archiver = archiver

    def collect(self) -> Iterator[Family]:
        """The metric families of this moment."""
        yield from families(self._samples())

    def _samples(self) -> Iterator[Sample]:
        archiver = self._archiver
        for outcome, count in archiver.totals.items():
            yield names.ARCHIVED, (outcome.name.lower(),), count
        yield names.INSERTED, (), archiver.inserted
        yield names.INSERTS, (), archiver.inserts
        yield names.INSERT_SECONDS, (), archiver.insert_seconds
        yield names.INSERT_FAILED, (), archiver.connection.health.failures
        for partition, behind in archiver.lag().items():
            yield names.ARCHIVER_LAG, (str(partition),), behind
        if archiver.freshness_ms is not None:
            yield names.ARCHIVE_FRESHNESS, (), archiver.freshness_ms / 1000


def families(samples: Iterable[Sample]) -> list[Family]:
    """The samples of each metric together, as OpenMetrics wants them."""
    found: dict[str, Any] = {}
    for metric, labels, value in samples:
        family = found.get(metric.name)
        if family is None:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = found[metric.name] = kind(metric.name, metric.meaning, labels=metric.labels)
        family.add_metric(labels, value)
    return list(found.values())


def registry(collector: Collector) -> CollectorRegistry:
    """A registry with `collector` and the process's own figures."""
    made = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    made.register(collector)
    return made


def render(source: CollectorRegistry) -> bytes:
    """The page that Prometheus reads (OpenMetrics)."""
    page: bytes = generate_latest(source)  # type: ignore[no-untyped-call]
    return page
