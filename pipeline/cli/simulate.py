"""`streamgauge simulate`: events of the past."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config, FaultOption, PlanOption, run
from pipeline.errors import UserError
from pipeline.settings import load_settings, plan_of

app = typer.Typer()


@app.command()
def simulate(
    days: Annotated[float, typer.Option(min=0.01, max=3650, help="How many days, up to the end.")] = 30,
    events: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="About so many events.")] = 1_000_000,
    users: Annotated[int | None, typer.Option(min=1, help="Users at a time; else one for 60 events.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = 1,
    end: Annotated[
        str | None, typer.Option(help="When it ends, in the plan's zone (2026-11-22T14:00); else now.")
    ] = None,
    fault: FaultOption = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="File of JSON lines, .gz too; - to print.")
    ] = None,
    insert: Annotated[
        bool, typer.Option("--insert", help="Store them in ClickHouse, without Kafka, and the side tables too.")
    ] = False,
    sides: Annotated[Path | None, typer.Option(help="Folder for spend.csv, campaigns.csv, content.csv.")] = None,
    devices: Annotated[
        bool, typer.Option("--devices", help="People have several devices, share some, log out, and come by servers.")
    ] = False,
    people: Annotated[Path | None, typer.Option(help="File of who came: a JSON line a person, the truth.")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make events of the past, of a simulated shop or content app: as a file, or straight into ClickHouse."""
    from pipeline.simulate import command

    settings = load_settings(config, plan=plan)
    found = plan_of(settings)
    if insert == (output is not None):
        raise UserError("say where the events go: -o FILE, or --insert into ClickHouse")
    history = command.history_of(
        found, days=days, events=events, users=users, seed=seed, end=end, faults=fault or (), devices=devices,
        people=people is not None,
    )  # fmt: skip
    if output is not None:
        command.write(history, output, as_json, speak())
        if sides is not None:
            command.write_sides(history, found, sides)
    else:
        run(command.insert(history, settings, found, as_json, speak()), logging.WARNING)
    if people is not None:
        command.write_people(history, people)
