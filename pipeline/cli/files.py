"""`streamgauge send`, `check` and `import`: files of events, and of what metrics need besides."""

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
    FileArgument,
    MapOption,
    SeparatorOption,
    TimeFormatOption,
    ZoneOption,
    reading,
)
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def send(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help=FILE_HELP)],
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each column and line, and send nothing.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most this many events a second.")] = None,
    kafka: Annotated[str | None, typer.Option(help="Kafka to send to (host:port).")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Produce the events of files to Kafka, keyed by actor. The plan says which columns of a CSV are numbers."""
    from pipeline.files.command import preview_files, send_files

    settings = load_settings(config, plan=plan, kafka_bootstrap=kafka)
    found = plan_of(settings)
    how = reading(
        found, mapping=mapping, drop=drop, tz=tz, time_format=time_format, encoding=encoding, separator=separator,
        decimal=decimal,
    )  # fmt: skip
    if dry_run:
        raise typer.Exit(preview_files(found, files, how, as_json, speak()))
    work = send_files(settings, files, how, rate, as_json, skip_bad=skip_bad, t=speak())
    raise typer.Exit(run(work, logging.WARNING))


@app.command()
def check(
    file: FileArgument,
    mapping: MapOption = None,
    drop: DropOption = False,
    tz: ZoneOption = None,
    time_format: TimeFormatOption = None,
    encoding: EncodingOption = None,
    separator: SeparatorOption = None,
    decimal: DecimalOption = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Validate events against the plan, without a broker; says per line what is wrong.

    JSON is judged as it is; CSV, and any file with --map or --tz, as `send` would send it.
    """
    from pipeline.files.command import check_file

    found = plan_of(load_settings(config, plan=plan))
    how = reading(
        found, mapping=mapping, drop=drop, tz=tz, time_format=time_format, encoding=encoding, separator=separator,
        decimal=decimal,
    )  # fmt: skip
    raise typer.Exit(check_file(found, file, as_json, how, speak()))


@app.command("import")
def import_(
    table: Annotated[str, typer.Argument(help="spend, campaigns, content, users or identities.")],
    file: FileArgument,
    mapping: Annotated[str | None, typer.Option("--map", help="Which columns are which: day=date,amount=cost")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave out columns that the table doesn't have.")] = False,
    tz: ZoneOption = None,
    time_format: TimeFormatOption = None,
    encoding: EncodingOption = None,
    separator: SeparatorOption = None,
    decimal: DecimalOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would become of each column and row, and store nothing.")
    ] = False,
    kafka: Annotated[str | None, typer.Option(help="Kafka to send identities to (host:port).")] = None,
    plan: PlanOption = None,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to import into (http://host:8123).")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Import what metrics need besides events. A row that is there already is replaced; exit 1 if one is wrong.

    `identities` (device, user, since) are links of a history: they are sent to Kafka, so that live figures know them.
    """
    from pipeline.files.side_tables import import_file

    settings = load_settings(config, clickhouse_url=clickhouse, kafka_bootstrap=kafka, plan=plan)
    how = reading(None, tz=tz, time_format=time_format, encoding=encoding, separator=separator, decimal=decimal)
    t = speak()
    work = import_file(settings, table, file, mapping, as_json, drop=drop, reading=how, dry_run=dry_run, t=t)
    raise typer.Exit(run(work, logging.WARNING))
