"""What `/metrics` shows of an archiver: read when Prometheus asks. The names are in `serve/names.py`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pipeline.archiver.archiver import Archiver
from pipeline.serve import names
from pipeline.serve.samples import Sample, families


class ArchiverCollector(Collector):
    """Reads the figures of an archiver."""

    def __init__(self, archiver: Archiver) -> None:
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
        for partition in archiver.stored:
            yield names.ARCHIVER_MISSING, (str(partition),), archiver.missing.get(partition, 0)
        yield names.ARCHIVER_UNFORESEEN, (), archiver.unforeseen
        if archiver.freshness_ms is not None:
            yield names.ARCHIVE_FRESHNESS, (), archiver.freshness_ms / 1000
