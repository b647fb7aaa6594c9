"""The catalogue under a filter: its views read events through `activity`, and ClickHouse is told to see less of it.

A setting of a query (`additional_table_filters`) adds a condition to every read of a table or view, however deep it is
in others. So a metric needs no parameter for it, and all of what it counts is of these events and people alone: who
joined, too, is who did so within the filter.
"""

from __future__ import annotations

from pipeline.explore.filters import filters_sql
from pipeline.explore.question import Scope
from pipeline.explore.segments import segment_sql
from pipeline.explore.sql import Sql, Values
from pipeline.queries.conditions import quoted
from schemas.plan import Plan


def filter_of(scope: Scope, plan: Plan) -> str:
    """The value of the setting `additional_table_filters` for the filters and the segment; "" without any."""
    condition = condition_of(scope, plan)
    return f"{{'activity': {quoted(condition)}}}" if condition else ""


def condition_of(scope: Scope, plan: Plan) -> str:
    """The filters and the segment as a condition over `events` or `activity`, with its values in it; "" without any."""
    values = Values()
    parts = [filters_sql(scope.where, values)] if scope.where else []
    if scope.segment is not None:
        # It reads `events`, which the filter leaves alone: what a person did elsewhere counts.
        parts.append(segment_sql(scope.segment, scope.last, plan.timezone, values))
    return Sql(" AND ".join(f"({part})" for part in parts), values.found).shown()
