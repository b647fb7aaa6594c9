"""What `streamgauge metrics run` does: runs a metric and writes its result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.clickhouse import codes
from pipeline.clickhouse.client import CONNECTION_ERRORS, Connection, error_code
from pipeline.errors import UserError
from pipeline.metrics.arguments import arguments_for
from pipeline.metrics.installed import INSTALLED, difference
from pipeline.metrics.metric import Metric
from pipeline.metrics.registry import metric as find
from pipeline.metrics.run import Limits, Table, run, run_as, today
from pipeline.metrics.spreadsheet import harmless_csv
from pipeline.settings import Settings
from schemas.plan import Plan
from schemas.translatable import Foreign

FORMATS = ("table", "csv", "json", "parquet", "png")
#: Formats that are no text: not for a terminal.
_BINARY = ("parquet", "png")


def options(words: Sequence[str]) -> dict[str, str]:
    """`--from 2026-11-01 --period=day` as a mapping. Raises UserError for anything else."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise UserError("{word}: a parameter is given as --name value", word=word)
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise UserError("{word} needs a value", word=word)
            value = rest.pop(0)
        found[name.replace("-", "_")] = value
    return found


#: Draws a result as PNG. Rooms above this one draw.
Draw = Callable[[Metric, Table, Mapping[str, Any], date], bytes]
#: Prints one, with where it comes from and the day that is not over.
Show = Callable[[Metric, Table, Mapping[str, Any], str, date], None]


async def run_metric(
    settings: Settings,
    plan: Plan,
    name: str,
    given: Mapping[str, str],
    fmt: str,
    out: Path | None,
    rows: int,
    draw: Draw,
    show: Show,
) -> int:
    """Run a metric and write the result to `out`, else to standard output; returns the exit code."""
    metric = find(name)
    if fmt not in FORMATS:
        raise UserError("{name} is one of {known}, not {given}", name="--format", known=", ".join(FORMATS), given=fmt)
    if fmt in _BINARY and out is None and sys.stdout.isatty():
        raise UserError("{format} is nothing for a terminal: give --out FILE", format=fmt)
    arguments = arguments_for(metric, given, plan, today(plan))
    connection = Connection(settings)
    limits = Limits(rows=rows)
    try:
        await _require_plan(connection, settings, plan)
        if fmt in ("csv", "parquet"):
            data = await run_as(connection, metric, arguments, "CSVWithNames" if fmt == "csv" else "Parquet", limits)
            if fmt == "csv":
                data = harmless_csv(data)
        elif fmt == "json":
            lines = (await run_as(connection, metric, arguments, "JSONEachRow", limits)).splitlines()
            data = b"[\n" + b",\n".join(lines) + b"\n]\n" if lines else b"[]\n"
        else:
            table = await run(connection, metric, arguments, limits)
            if fmt == "table" and out is None:
                where = f"{settings.clickhouse_database} at {settings.clickhouse_url}"
                show(metric, table, arguments, where, today(plan))
                return 0
            if fmt == "table":
                raise UserError("--out goes with csv, json, parquet or png")
            data = draw(metric, table, arguments, today(plan))
    finally:
        await connection.close()
    _write(data, out)
    return 0


async def _require_plan(connection: Connection, settings: Settings, plan: Plan) -> None:
    """Raise UserError, in one line, unless the views are those of `plan`."""
    where = f"{settings.clickhouse_database} at {settings.clickhouse_url}"

    async def ask(client: Any) -> Any:
        return (await client.query(INSTALLED)).result_rows

    try:
        rows = await connection.run(ask)
    except (*CONNECTION_ERRORS, ClickHouseError) as exc:
        if error_code(exc) not in codes.NO_SCHEMA:
            raise
        raise UserError(
            "{where} has no metrics, or those of an older version: run `streamgauge migrate`", where=where
        ) from None
    if problem := difference(plan, rows, where):
        raise problem


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    try:
        out.write_bytes(data)
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=out, why=Foreign(exc.strerror)) from None
