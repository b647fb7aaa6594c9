"""What `/metrics` shows, sent to a collector as OTLP metrics: the same names, labels and values."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry

from pipeline import __version__
from pipeline.telemetry.spans import resource

log = logging.getLogger(__name__)

#: How often, and how long a collector may take. Seconds.
EVERY: Final = 10.0
_EXPORT_SECONDS: Final = 5


async def send_figures(registry: CollectorRegistry, role: str, endpoint: str) -> None:
    """Send them every ten seconds until cancelled. A collector that is away is told once in the log and tried again."""
    exporter = OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", timeout=_EXPORT_SECONDS)
    about, scope, began, failing = resource(role), InstrumentationScope("streamgauge", __version__), time.time(), False
    # The SDK says it at each attempt, and with a traceback.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    while True:
        now = time.time()
        found = ScopeMetrics(scope, list(as_metrics(registry.collect(), began, now)), "")
        data = MetricsData([ResourceMetrics(about, [found], "")])
        result = await asyncio.to_thread(exporter.export, data)
        if (result.name != "SUCCESS") != failing:
            failing = not failing
            log.warning("OpenTelemetry: %s %s", endpoint, "takes no metrics" if failing else "takes metrics again")
        await asyncio.sleep(max(0.0, EVERY - (time.time() - now)))


def as_metrics(families: Iterable[Any], began: float, now: float) -> Iterator[Metric]:
    """Families of a Prometheus registry as metrics of OpenTelemetry; times are of `time.time`."""
    since, at = int(began * 1e9), int(now * 1e9)
    cumulative = AggregationTemporality.CUMULATIVE
    for family in families:
        if family.type == "histogram":
            data: Any = Histogram(list(_histograms(family, since, at)), cumulative)
            yield Metric(family.name, family.documentation, family.unit, data)
            continue
        monotonic = family.type == "counter"
        wanted = f"{family.name}_total" if monotonic else family.name
        points = [
            NumberDataPoint(dict(one.labels), since, at, one.value)
            for one in family.samples
            if one.name == wanted and math.isfinite(one.value)
        ]
        if points:
            data = Sum(points, cumulative, True) if monotonic else Gauge(points)
            yield Metric(wanted, family.documentation, family.unit, data)


def _histograms(family: Any, since: int, at: int) -> Iterator[HistogramDataPoint]:
    by_labels: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for one in family.samples:
        labels = dict(one.labels)
        bound = labels.pop("le", None)
        found = by_labels.setdefault(tuple(sorted(labels.items())), {"bounds": [], "sum": 0.0, "count": 0})
        if bound is not None:
            found["bounds"].append((float(bound), int(one.value)))
        elif one.name.endswith("_sum"):
            found["sum"] = one.value
        elif one.name.endswith("_count"):
            found["count"] = int(one.value)
    for key, found in by_labels.items():
        bounds = sorted(found["bounds"])
        counts = [count - before for (_, count), (_, before) in zip(bounds, [(0.0, 0), *bounds], strict=False)]
        yield HistogramDataPoint(
            dict(key), since, at, found["count"], found["sum"], counts,
            [bound for bound, _ in bounds if math.isfinite(bound)], -math.inf, math.inf,
        )  # fmt: skip
