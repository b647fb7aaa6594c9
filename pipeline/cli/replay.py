"""`streamgauge replay`: a file measured without a broker."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, Config, PlanOption
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def replay(
    file: Annotated[str, typer.Argument(help="JSON lines or CSV, .gz too; - for standard input.")],
    plan: PlanOption = None,
    with_sql: Annotated[
        bool, typer.Option("--sql", help="Compute the measures by ClickHouse, in this process, from the raw events.")
    ] = False,
    mapping: Annotated[
        str | None, typer.Option("--map", help="Which columns are which: user_id=uid,event=name,ts=time,...")
    ] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of times that have none.")] = None,
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

    replay_file(
        plan_of(load_settings(config, plan=plan)),
        file,
        mapping=mapping,
        tz=tz,
        with_sql=with_sql,
        as_logged=as_logged,
        grains=grain or (),
        as_json=as_json,
    )
