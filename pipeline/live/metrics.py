"""Every metric that a worker or an archiver exports: name, meaning, labels, and where its value comes from.

Values are read from the state when Prometheus asks. A partition's figures come from its owner alone and vanish
when it loses the partition, so they add up over workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from pipeline.live.numbers import snapshot

CONTENT_TYPE: Final = OPENMETRICS

RECORDS: Final = ("streamgauge_records", "Records folded, by what became of them", ["partition", "outcome"])
REJECTED: Final = ("streamgauge_rejected_records", "Rejected records by reason", ["partition", "reason"])
LAG: Final = ("streamgauge_lag_records", "Records of a partition that are not folded yet", ["partition"])
WATERMARK: Final = ("streamgauge_watermark_seconds", "Largest event time accepted, epoch seconds", ["partition"])
FRESHNESS: Final = ("streamgauge_freshness_seconds", "Now minus the largest event time counted", [])
ACTIVE: Final = ("streamgauge_active_users", "Users of a sliding span of whole minutes (estimate)", ["span"])
TODAY: Final = ("streamgauge_today", "Today so far, in the plan's time zone", ["measure"])
FUNNEL: Final = ("streamgauge_funnel_users", "Users that reached a step, current bucket", ["funnel", "step", "title"])
CELLS: Final = ("streamgauge_state_entries", "Entries of live state", ["partition", "kind"])
FOLD: Final = ("streamgauge_fold_seconds", "Time spent folding", [])
DELIVERY: Final = ("streamgauge_deliveries_retried", "Sends to Kafka that had to be repeated", [])
CHECKPOINT: Final = ("streamgauge_checkpoint_age_seconds", "Time since the last checkpoint", [])
PUBLISH: Final = ("streamgauge_publish_age_seconds", "Time since live rows were last published", [])

ARCHIVED: Final = ("streamgauge_archived_records", "Records archived, by what became of them", ["outcome"])
INSERTED: Final = ("streamgauge_inserted_rows", "Rows acknowledged by ClickHouse", [])
ARCHIVER_LAG: Final = ("streamgauge_archiver_lag_records", "Records not archived yet", ["partition"])


class WorkerCollector(Collector):
    """Reads the figures of a worker app."""

    def __init__(self, app: Any, clock: Callable[[], float] = time.time) -> None:
        self._app, self._clock = app, clock

    def collect(self) -> Iterator[Any]:
        """The metric families of this moment."""
        app, now = self._app, self._clock()
        states = list(app.store.states.values())
        numbers = snapshot(states, app.plan, int(now * 1000))
        records, rejected = (
            CounterMetricFamily(*RECORDS[:2], labels=RECORDS[2]),
            CounterMetricFamily(*REJECTED[:2], labels=REJECTED[2]),
        )
        lag, marks = GaugeMetricFamily(*LAG[:2], labels=LAG[2]), GaugeMetricFamily(*WATERMARK[:2], labels=WATERMARK[2])
        entries = GaugeMetricFamily(*CELLS[:2], labels=CELLS[2])
        for state in states:
            p = str(state.partition)
            for outcome, count in state.totals.items():
                records.add_metric([p, outcome.name.lower()], count)
            for reason, count in state.reasons.items():
                rejected.add_metric([p, reason], count)
            behind = app.batch_consumer.lag(state.partition, state.mark)
            if behind is not None:
                lag.add_metric([p], behind)
            marks.add_metric([p], state.watermark / 1000)
            entries.add_metric([p, "window"], len(state.activity.cells))
            entries.add_metric([p, "event_id"], len(state.classifier.seen))
            entries.add_metric([p, "funnel_actor"], sum(len(v.actors) for v in state.funnels.views.values()))
        yield from (records, rejected, lag, marks, entries)
        active = GaugeMetricFamily(*ACTIVE[:2], labels=ACTIVE[2])
        for span, users in numbers["active"].items():
            active.add_metric([span], users)
        today = GaugeMetricFamily(*TODAY[:2], labels=TODAY[2])
        for measure, number in numbers["today"].items():
            name, scale = ("value", 1e6) if measure == "value_micro" else (measure, 1)
            today.add_metric([name], number / scale)
        funnel = GaugeMetricFamily(*FUNNEL[:2], labels=FUNNEL[2])
        for name, data in numbers["funnels"].items():
            for step, (title, users) in enumerate(zip(data["steps"], data["users"], strict=True), start=1):
                funnel.add_metric([name, str(step), title], users)
        yield from (active, today, funnel)
        if numbers["freshness_ms"] is not None:
            yield _gauge(FRESHNESS, numbers["freshness_ms"] / 1000)
        yield CounterMetricFamily(FOLD[0], FOLD[1], value=app.fold_seconds)
        yield CounterMetricFamily(DELIVERY[0], DELIVERY[1], value=app.delivery.retries)
        yield _gauge(CHECKPOINT, time.monotonic() - app.last_checkpoint_at)
        if app.last_publish_at is not None:
            yield _gauge(PUBLISH, time.monotonic() - app.last_publish_at)


class ArchiverCollector(Collector):
    """Reads the figures of an archiver."""

    def __init__(self, archiver: Any) -> None:
        self._archiver = archiver

    def collect(self) -> Iterator[Any]:
        """The metric families of this moment."""
        archiver = self._archiver
        archived = CounterMetricFamily(*ARCHIVED[:2], labels=ARCHIVED[2])
        for outcome, count in archiver.totals.items():
            archived.add_metric([outcome.name.lower()], count)
        yield archived
        yield CounterMetricFamily(INSERTED[0], INSERTED[1], value=archiver.inserted)
        lag = GaugeMetricFamily(*ARCHIVER_LAG[:2], labels=ARCHIVER_LAG[2])
        for partition, behind in archiver.lag().items():
            lag.add_metric([str(partition)], behind)
        yield lag


def _gauge(metric: tuple[str, str, list[str]], value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric[0], metric[1], value=value)


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
    return generate_latest(source)
