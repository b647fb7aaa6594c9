"""What `/metrics` shows of a front door: read when Prometheus asks. The names are in `serve/names.py`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pipeline.collect.server import TIMES, FrontDoor
from pipeline.serve import names
from pipeline.serve.samples import Sample, families


class CollectCollector(Collector):
    """Reads the figures of a front door."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door

    def collect(self) -> Iterator[Family]:
        """The metric families of this moment."""
        yield from families(self._samples())
        name = names.COLLECT_SECONDS
        counts = list(accumulate(self._door.times))
        bounds = [*map(str, TIMES), "+Inf"]
        yield HistogramMetricFamily(
            name.name, name.meaning, buckets=list(zip(bounds, counts, strict=True)), sum_value=self._door.seconds
        )

    def _samples(self) -> Iterator[Sample]:
        door = self._door
        for (protocol, status), count in list(door.answers.items()):
            yield names.COLLECT_REQUESTS, (protocol, str(status)), count
        for labels, count in list(door.events.items()):
            yield names.COLLECT_EVENTS, labels, count
        producer = door.producer
        yield names.COLLECT_WAITING, (), door.taken + (producer.waiting_bytes if producer is not None else 0)
        yield names.COLLECT_ACKNOWLEDGED, (), producer.acknowledged if producer is not None else 0
        yield names.COLLECT_UNFORESEEN, (), door.unforeseen
