"""`streamgauge worker`, `archiver`, `collect` and `dashboard`: the processes of an installation."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import Config, LogFormat, PlanOption, run
from pipeline.errors import UserError
from pipeline.settings import load_settings, plan_of
from pipeline.terminal import say

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
        write_password(settings.dashboard_password_file, set_password, _new_password(set_password))
        return
    run(run_dashboard(settings, plan_of(settings)), logging.WARNING, settings)


def _new_password(name: str) -> str:
    """What somebody types twice, the same, and does not see."""
    t = speak()

    def typed(text: str) -> str:
        return str(typer.prompt(text, hide_input=True, prompt_suffix=t.of("prompt", ": ")))

    while True:
        password = typed(t("Password of {name}", name=name))
        if typed(t("Repeat for confirmation")) == password:
            return password
        say(t("Error: The two entered values do not match."))
