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
        progress, inserter = archiver.progress, archiver.inserter
        for outcome, count in progress.totals.items():
            yield names.ARCHIVED, (outcome.name.lower(),), count
        yield names.INSERTED, (), inserter.inserted
        yield names.INSERTS, (), inserter.inserts
        yield names.INSERT_SECONDS, (), inserter.insert_seconds
        yield names.INSERT_FAILED, (), archiver.connection.health.failures
        for partition, behind in progress.lag().items():
            yield names.ARCHIVER_LAG, (str(partition),), behind
        for partition in progress.stored:
            yield names.ARCHIVER_MISSING, (str(partition),), progress.missing.get(partition, 0)
        yield names.ARCHIVER_UNFORESEEN, (), progress.unforeseen
        if inserter.freshness_ms is not None:
            yield names.ARCHIVE_FRESHNESS, (), inserter.freshness_ms / 1000
