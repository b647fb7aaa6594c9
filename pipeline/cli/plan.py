"""`streamgauge plan`: the tracking plan."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import AsJson, Config, PlanOption
from pipeline.settings import load_settings, plan_of

app = typer.Typer(help="The tracking plan: show, check, export as JSON Schema.", no_args_is_help=True)


@app.command("show")
def plan_show(plan: PlanOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """The plan, readable."""
    from pipeline.cli.plan_text import show

    show(plan_of(load_settings(config, plan=plan)), as_json)


@app.command("check")
def plan_check(
    file: Annotated[str, typer.Argument(help="A plan file, or the name of a ready one.")], as_json: AsJson = False
) -> None:
    """Every mistake in a plan, with its line; exit 1 if there is one."""
    from pipeline.cli.plan_text import check as run_check

    raise typer.Exit(run_check(file, as_json))


@app.command("export")
def plan_export(plan: PlanOption = None, config: Config = None) -> None:
    """The plan's events as JSON Schema, for producers in any language."""
    from pipeline.cli.plan_text import export

    export(plan_of(load_settings(config, plan=plan)))
