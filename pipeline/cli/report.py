"""`streamgauge report`: a day or a week as one file."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import Lang, speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.kept.current import plan_with_kept
from pipeline.settings import load_settings
from pipeline.terminal import print_json, say_lines

app = typer.Typer()


@app.command()
def report(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file: .html, .pdf (needs chromium) or .md.")],
    day: Annotated[str | None, typer.Option(help="The report of a day: 2026-11-21, or yesterday.")] = None,
    week: Annotated[
        str | None, typer.Option(help="The report of the week, Monday to Sunday, of a day; or last.")
    ] = None,
    lang: Lang = None,
    send_to: Annotated[
        list[str] | None, typer.Option("--send", help="Tell a receiver of the plan's alerting. Can be given again.")
    ] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """The report of a day or a week as one file: what changed, which segment explains it, what to do."""
    from pipeline.report.command import report as run_report
    from pipeline.report.dates import asked_period

    t = speak(lang)
    settings = load_settings(config, plan=plan)
    found = plan_with_kept(settings)
    now = datetime.now(UTC)
    period = asked_period(found, day, week, now)
    work = run_report(settings, found, period, now, t.code, output, send_to or ())
    lines = run(work, logging.WARNING)
    if as_json:
        print_json({"file": str(output), "headline": lines})
    else:
        say_lines(lines)
