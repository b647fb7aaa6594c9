"""`streamgauge worker`, `archiver`, `collect` and `dashboard`: the processes of an installation."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.options import Config, LogFormat, PlanOption, run
from pipeline.errors import UserError
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def worker(log_format: LogFormat = None, config: Config = None) -> None:
    """The worker: folds the events topic into live counters. Any number of them."""
    from pipeline.worker.role import run_worker

    settings = load_settings(config, log_format=log_format)
    run(run_worker(settings), settings=settings)


@app.command()
def archiver(log_format: LogFormat = None, config: Config = None) -> None:
    """The archiver: stores every event in ClickHouse. Any number of them."""
    from pipeline.archiver.role import run_archiver

    settings = load_settings(config, log_format=log_format)
    run(run_archiver(settings), settings=settings)


@app.command()
def collect(log_format: LogFormat = None, config: Config = None) -> None:
    """The front door: events over HTTP into Kafka. Any number of them."""
    from pipeline.collect.role import run_collect

    settings = load_settings(config, log_format=log_format)
    run(run_collect(settings), settings=settings)


@app.command()
def dashboard(
    set_password: Annotated[
        str | None,
        typer.Option(
            "--set-password", metavar="NAME", help="Ask for a password of NAME, write it to the file, and end."
        ),
    ] = None,
    plan: PlanOption = None,
    log_format: LogFormat = None,
    config: Config = None,
) -> None:
    """The dashboard in the browser: live figures, funnels, every metric, data quality."""
    from pipeline.dashboard.auth import set_password as write_password
    from pipeline.dashboard.role import run_dashboard

    settings = load_settings(config, plan=plan, log_format=log_format)
    if set_password is not None:
        if settings.dashboard_password_file is None:
            raise UserError("name the file in PIPELINE_DASHBOARD_PASSWORD_FILE first")
        password = typer.prompt(f"Password of {set_password}", hide_input=True, confirmation_prompt=True)
        write_password(settings.dashboard_password_file, set_password, password)
        return
    run(run_dashboard(settings, plan_of(settings)), logging.WARNING, settings)
