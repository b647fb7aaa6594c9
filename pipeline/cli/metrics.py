"""`streamgauge metrics`: the metric catalogue."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import Lang, speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.settings import load_settings, plan_of

app = typer.Typer(help="The metric catalogue: list, show, run.", no_args_is_help=True)


@app.command("list")
def metrics_list(lang: Lang = None, as_json: AsJson = False) -> None:
    """The metrics by group."""
    from pipeline.cli.metrics_text import list_metrics

    list_metrics(speak(lang), as_json)


@app.command("show")
def metrics_show(name: str, lang: Lang = None, config: Config = None, as_json: AsJson = False) -> None:
    """A metric's definition, parameters and SQL."""
    from pipeline.cli.metrics_text import show_metric

    show_metric(speak(lang), name, load_settings(config).clickhouse_database, as_json)


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def metrics_run(
    ctx: typer.Context,
    name: str,
    fmt: Annotated[str, typer.Option("--format", help="table, csv, json, parquet or png (a chart).")] = "table",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=10_000_000, help="At most this many rows.")] = 10_000,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse to ask (http://host:8123).")] = None,
    lang: Lang = None,
    plan: PlanOption = None,
    config: Config = None,
) -> None:
    """Run a metric. Its parameters are options: --from 2026-11-01 --to 2026-11-30 --period day."""
    from pipeline.cli.metrics_text import print_table
    from pipeline.metrics.command import options, run_metric
    from pipeline.render.picture import png

    t = speak(lang)
    settings = load_settings(config, plan=plan, clickhouse_url=clickhouse)
    draw, show = partial(png, t), partial(print_table, t)
    work = run_metric(settings, plan_of(settings), name, options(ctx.args), fmt, out, rows, draw, show)
    raise typer.Exit(run(work, logging.WARNING))
