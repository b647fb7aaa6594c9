"""The metric catalogue: one SQL file a metric, installed as ClickHouse views, and run from Python.

    chosen = metric("daily_active_users")
    arguments = arguments_for(chosen, {"to": "2026-11-30"}, plan, today(plan))
    table = await run(Connection(settings), chosen, arguments)

`install(settings, plan)` makes the views (after the migrations).
"""

from pipeline.metrics.arguments import arguments_for
from pipeline.metrics.install import install
from pipeline.metrics.metric import GROUPS, Metric, MetricChart, Parameter
from pipeline.metrics.registry import metric, metrics
from pipeline.metrics.run import Limits, Table, run, run_as, today

__all__ = [
    "GROUPS", "Limits", "Metric", "MetricChart", "Parameter", "Table",
    "arguments_for", "install", "metric", "metrics", "run", "run_as", "today",
]  # fmt: skip
