"""`streamgauge replay`: a file measured without a broker."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config, PlanOption
from pipeline.cli.reading import (
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
def replay(
    file: FileArgument,
    plan: PlanOption = None,
    with_sql: Annotated[
        bool, typer.Option("--sql", help="Compute the measures by ClickHouse, in this process, from the raw events.")
    ] = False,
    mapping: MapOption = None,
    drop: DropOption = False,
    tz: ZoneOption = None,
    time_format: TimeFormatOption = None,
    encoding: EncodingOption = None,
    separator: SeparatorOption = None,
    decimal: DecimalOption = None,
    as_logged: Annotated[
        bool,
        typer.Option(
            "--as-logged", help="Take the lines in the file's order, as if they arrived so: some may be late."
        ),
    ] = False,
    grain: Annotated[
        list[str] | None, typer.Option(help="Windows shown: minute, hour, day, day_utc. Can be given again.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Measure a file of events without a broker: every live measure of the plan, by the worker's own fold.

    The lines may stand in any order: they are counted by event time, so none is late. JSON lines are judged as the
    worker would judge them; CSV, or any file with --map or --tz, is prepared as `send` does it.
    """
    from pipeline.replay.command import replay_file

    found = plan_of(load_settings(config, plan=plan))
    how = reading(
        found, mapping=mapping, drop=drop, tz=tz, time_format=time_format, encoding=encoding, separator=separator,
        decimal=decimal,
    )  # fmt: skip
    code = replay_file(
        found, file, how, with_sql=with_sql, as_logged=as_logged, grains=grain or (), as_json=as_json, t=speak()
    )
    raise typer.Exit(code)
