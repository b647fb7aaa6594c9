"""`streamgauge send`, `check` and `import`: files of events, and of what metrics need besides."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def send(
    file: Annotated[str, typer.Argument(help="JSON lines or CSV, .gz too; - for standard input.")],
    mapping: Annotated[
        str | None, typer.Option("--map", help="Which columns are which: user_id=uid,event=name,ts=time,...")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave out the columns that --map does not name.")] = False,
    tz: Annotated[str, typer.Option(help="Zone of times that have none, like Europe/Berlin.")] = "UTC",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out lines that are no events, and go on; else the first ends it.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most this many events a second.")] = None,
    kafka: Annotated[str | None, typer.Option(help="Kafka to send to (host:port).")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Produce the events of a file to Kafka, keyed by actor. The plan says which columns of a CSV are numbers."""
    from pipeline.files.command import send_file

    settings = load_settings(config, plan=plan, kafka_bootstrap=kafka)
    work = send_file(settings, file, mapping, tz, rate, as_json, drop=drop, skip_bad=skip_bad)
    raise typer.Exit(run(work, logging.WARNING))


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="JSON lines, .gz too; - for standard input.")],
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Validate JSON lines against the plan, without a broker; says per line what is wrong."""
    from pipeline.files.command import check_file

    raise typer.Exit(check_file(plan_of(load_settings(config, plan=plan)), file, as_json))


@app.command("import")
def import_(
    table: Annotated[str, typer.Argument(help="spend, campaigns, content or users.")],
    file: Annotated[str, typer.Argument(help="CSV or JSON lines, .gz too; - for standard input.")],
    mapping: Annotated[str | None, typer.Option("--map", help="Which columns are which: day=date,amount=cost")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave out columns that the table doesn't have.")] = False,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to import into (http://host:8123).")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Import what metrics need besides events. A row that is there already is replaced; exit 1 if one is wrong."""
    from pipeline.files.side_tables import import_file

    settings = load_settings(config, clickhouse_url=clickhouse)
    raise typer.Exit(run(import_file(settings, table, file, mapping, as_json, drop=drop), logging.WARNING))
