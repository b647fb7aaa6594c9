"""`streamgauge rebuild`: the past straight into ClickHouse, and its live windows."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.cli.reading import (
    FILE_HELP,
    DecimalOption,
    DropOption,
    EncodingOption,
    MapOption,
    SeparatorOption,
    TimeFormatOption,
    ZoneOption,
    reading,
)
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def rebuild(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help=FILE_HELP)] = None,
    stream: Annotated[
        str | None, typer.Option(help="What the events are stored as: a name of their own, such as history.")
    ] = None,
    mapping: MapOption = None,
    drop: DropOption = False,
    tz: ZoneOption = None,
    time_format: TimeFormatOption = None,
    encoding: EncodingOption = None,
    separator: SeparatorOption = None,
    decimal: DecimalOption = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that are no events, and go on; else the first ends it.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Store them anew, whatever was stored of the same files before.")
    ] = False,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to store them in (http://host:8123).")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Store files of the past in ClickHouse, without Kafka, and compute their live windows there.

    Without files: the windows of what is stored, anew, with the plan as it is now. Those that are not over yet are the
    worker's, and are left to it.
    """
    from pipeline.replay.rebuild import rebuild_files

    settings = load_settings(config, plan=plan, clickhouse_url=clickhouse)
    found = plan_of(settings)
    how = reading(
        found, mapping=mapping, drop=drop, tz=tz, time_format=time_format, encoding=encoding, separator=separator,
        decimal=decimal,
    )  # fmt: skip
    work = rebuild_files(settings, found, files or (), how, stream, as_json, skip_bad=skip_bad, again=again, t=speak())
    raise typer.Exit(run(work, logging.WARNING))
