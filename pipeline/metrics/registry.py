"""The metrics that there are: the files of `sql/metrics`, read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from pipeline.metrics.arguments import no_metric
from pipeline.metrics.metric import GROUPS, Metric, parse_metric


@cache
def metrics() -> dict[str, Metric]:
    """All metrics by name, in the order of the groups, and by name within one."""
    folder = files("sql") / "metrics"
    found = [
        parse_metric(entry.name.removesuffix(".sql"), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    order = list(GROUPS)
    found.sort(key=lambda metric: (order.index(metric.group), metric.name))
    return {metric.name: metric for metric in found}


def metric(name: str) -> Metric:
    """The metric of this name; raises UserError if there is none."""
    try:
        return metrics()[name]
    except KeyError:
        raise no_metric(name, metrics()) from None
