"""Running a metric: bound parameters, limits, and the result as a table or in a format that ClickHouse writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from pipeline.metrics.metric import Metric
from pipeline.queries.conditions import quoted
from pipeline.queries.memory import before_disk
from schemas.plan import Plan

if TYPE_CHECKING:  # a client of ClickHouse takes half a second to load; whoever only lists metrics needs none
    from pipeline.clickhouse.client import Connection


@dataclass(frozen=True)
class Limits:
    """Bounds of one query. Beyond `rows` the rest is left out; beyond the others the query fails."""

    rows: int = 10_000
    seconds: float = 60.0
    memory_bytes: int = 2 << 30

    def settings(self) -> dict[str, str]:
        """As ClickHouse's settings."""
        return {
            "max_execution_time": str(self.seconds),
            "max_memory_usage": str(self.memory_bytes),
            "max_bytes_before_external_group_by": str(before_disk(self.memory_bytes)),
            "max_bytes_before_external_sort": str(before_disk(self.memory_bytes)),
        }


@dataclass(frozen=True)
class Table:
    """A result: column names, their ClickHouse types, rows of Python values. `truncated`: there were more rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    truncated: bool = False

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def is_number(kind: str) -> bool:
    """Whether a column of that ClickHouse type is one of numbers."""
    return any(word in kind for word in ("Int", "Float", "Decimal"))


def today(plan: Plan, now: datetime | None = None) -> date:
    """The day that it is in the plan's time zone."""
    return (now or datetime.now(UTC)).astimezone(plan.zone).date()


def query(metric: Metric, limits: Limits) -> str:
    """The query of a metric, for bound parameters. One row more than the limit is asked for, to know of it."""
    given = ", ".join(f"{p.name} = {{{p.name}:{p.type}}}" for p in metric.parameters)
    # A view without parameters is a table, not a function.
    return f"SELECT * FROM {metric.name}{f'({given})' if given else ''} LIMIT {limits.rows + 1}"


async def run(
    connection: Connection, metric: Metric, arguments: Mapping[str, Any], limits: Limits | None = None
) -> Table:
    """Run a metric with all its `arguments` (see `arguments_for`). Raises what the client raises."""
    limits = limits or Limits()

    text, options = query(metric, limits), limits.settings()

    async def work(client: Any) -> Table:
        result = await client.query(text, parameters=bound(arguments), settings=options)
        names, types = tuple(result.column_names), tuple(kind.name for kind in result.column_types)
        rows = [tuple(row) for row in result.result_rows]
        if not rows:  # then the answer is empty, without even the names of its columns
            described = await client.query(f"DESCRIBE ({text})", parameters=bound(arguments))
            names, types = (tuple(row[i] for row in described.result_rows) for i in (0, 1))
        return Table(names, types, rows[: limits.rows], len(rows) > limits.rows)

    return await connection.run(work)


async def run_as(
    connection: Connection, metric: Metric, arguments: Mapping[str, Any], fmt: str, limits: Limits | None = None
) -> bytes:
    """The result in a format of ClickHouse's, such as Parquet or CSVWithNames, at most `limits.rows` rows."""
    limits = limits or Limits()
    text = query(metric, limits).rpartition(" ")[0] + f" {limits.rows}"

    async def work(client: Any) -> Any:
        return await client.raw_query(text, parameters=bound(arguments), settings=limits.settings(), fmt=fmt)

    answer: bytes = await connection.run(work)
    return answer


def call(metric: Metric, arguments: Mapping[str, Any], filters: str = "") -> str:
    """The query as an analyst would write it, with the values in it; `filters` as `ask_metric` has them."""
    given = ", ".join(f"{name} = {_literal(value)}" for name, value in arguments.items())
    only = f"\nSETTINGS additional_table_filters = {filters}" if filters else ""
    return f"SELECT * FROM {metric.name}" + (f"({given})" if given else "") + only


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, date):
        return quoted(value.isoformat())
    return quoted(value) if isinstance(value, str) else str(value)


def bound(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the client binds them."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in arguments.items()}
