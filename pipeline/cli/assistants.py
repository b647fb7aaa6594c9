"""`streamgauge mcp`: for assistants that ask."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Annotated

import typer

from pipeline.cli.doctor import DataOption
from pipeline.cli.options import Config, LogFormat, PlanOption, run
from pipeline.errors import UserError
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def mcp(
    data: DataOption = None,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to ask (http://host:8123).")] = None,
    plan: PlanOption = None,
    log_format: LogFormat = None,
    config: Config = None,
) -> None:
    """Answer an assistant (Model Context Protocol, over standard input and output): metrics, questions, the plan.

    An assistant starts it: see docs/assistants.md. Read-only.
    """
    if find_spec("mcp") is None:
        raise UserError("the extra mcp is not installed: pip install 'streamgauge[mcp]'")
    from pipeline.assistants.server import run_server
    from pipeline.demo.folder import settings_in

    settings = load_settings(settings_in(data, config), plan=plan, clickhouse_url=clickhouse, log_format=log_format)
    run(run_server(settings, plan_of(settings)), logging.WARNING, settings)
