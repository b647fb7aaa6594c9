"""A metric asked among the questions of dashboard and report: bounded, and once for all who ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pipeline.clickhouse.questions import Store
from pipeline.metrics.installed import INSTALLED, difference
from pipeline.metrics.metric import Metric
from pipeline.metrics.run import Limits, Table, bound, query
from schemas.plan import Plan

LIMITS: Final = Limits(rows=10_000, seconds=30.0, memory_bytes=2_000_000_000)


async def ask_metric(
    store: Store,
    metric: Metric,
    arguments: Mapping[str, Any],
    filters: str = "",
    *,
    keep: float = 30.0,
    stale: float = 0.0,
    most: int | None = None,
) -> Table:
    """The metric's result for all its arguments, remembered as `Store.remembered` says. Raises StoreError.

    `filters` is a value of ClickHouse's `additional_table_filters`: what of the facts is seen, "" for all.
    Of a list whoever shows the first rows asks for so many (`most`): to put all in order and to send them takes longer.
    """
    limits = replace(LIMITS, rows=min(most or LIMITS.rows, LIMITS.rows))
    sql, parameters = query(metric, limits), bound(arguments)
    settings = limits.settings() | ({"additional_table_filters": filters} if filters else {})

    async def ask() -> Table:
        client = await store.client()
        result = await client.query(sql, parameters=parameters, settings=settings)
        rows = [tuple(row) for row in result.result_rows]
        types = tuple(kind.name for kind in result.column_types)
        return Table(tuple(result.column_names), types, rows[: limits.rows], len(rows) > limits.rows)

    found: Table = await store.cached((sql, repr(parameters), filters), keep, ask, stale=stale)
    return found


async def require_plan(store: Store, plan: Plan) -> None:
    """Raise UserError unless the views are those of `plan`; StoreError as any question does."""
    settings = store.settings
    answer = await store.ask(INSTALLED, keep=30.0)
    if problem := difference(plan, answer.rows, f"{settings.clickhouse_database} at {settings.clickhouse_url}"):
        raise problem
