"""`streamgauge demo` and `up`: everything on this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.language import Lang, speak
from pipeline.cli.options import AsJson, Config, FaultOption, LogFormat, PlanOption, run
from pipeline.errors import UserError
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def demo(
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="Events a second, on average of a day.")] = 0.13,
    users: Annotated[int, typer.Option(min=1, max=10_000_000, help="Simulated users.")] = 3_000,
    for_: Annotated[str | None, typer.Option("--for", help="Stop after this long (30s, 5m) and verify.")] = None,
    plan: PlanOption = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same users.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Keep ClickHouse's data in this folder.")] = None,
    history: Annotated[int, typer.Option(min=0, max=360, help="Days of the past to make up first.")] = 21,
    fault: FaultOption = None,
    lang: Lang = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Run everything on this machine, with simulated users, live in the terminal."""
    from pipeline.demo.run import Demo
    from schemas.duration import parse_duration

    t = speak(lang)
    try:
        seconds = parse_duration(for_) / 1000 if for_ else None
    except ValueError as exc:
        raise UserError("{place}: {why}", place="--for", why=exc) from None
    work = Demo(
        load_settings(config, plan=plan), rate, users, seconds, seed, data, as_json, days=history, faults=fault or (),
        language=t.code,
    )  # fmt: skip
    raise typer.Exit(run(work.run(), logging.WARNING))


@app.command()
def up(
    kafka: Annotated[str | None, typer.Option(help="Use this Kafka (host:port) instead of one of its own.")] = None,
    clickhouse: Annotated[
        str | None, typer.Option(help="Use this ClickHouse (http://host:8123) instead of the embedded one.")
    ] = None,
    broker: Annotated[
        Literal["auto", "kafka", "memory"],
        typer.Option(help="kafka keeps its log (needs Java), memory keeps nothing. auto: kafka, if it can."),
    ] = "auto",
    kafka_dir: Annotated[
        Path | None, typer.Option(help="An unpacked Apache Kafka 4; else it is fetched once, through Maven.")
    ] = None,
    plan: PlanOption = None,
    data: Annotated[Path, typer.Option(help="Folder for data and logs.")] = Path("data"),
    lang: Lang = None,
    log_format: LogFormat = None,
    config: Config = None,
) -> None:
    """Run everything on this machine, for events of your own."""
    from pipeline.demo.up import up as run_up

    t = speak(lang)
    settings = load_settings(config, plan=plan, kafka_bootstrap=kafka, clickhouse_url=clickhouse, log_format=log_format)
    plan_of(settings)  # a mistake in it shows before anything is fetched
    work = run_up(
        settings, data, kafka is None, clickhouse is None, broker=broker, kafka_dir=kafka_dir, language=t.code
    )
    run(work, logging.WARNING, settings)
