"""`streamgauge doctor`: what is wrong with this installation, and what to do."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import Lang, speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.settings import load_settings
from pipeline.terminal import print_json, say

app = typer.Typer()

DataOption = Annotated[
    Path | None, typer.Option("--data", help="The folder of a `streamgauge up`: it knows where everything is.")
]


@app.command()
def doctor(
    data: DataOption = None,
    worker: Annotated[str | None, typer.Option(help="Where a worker answers.")] = None,
    archiver: Annotated[str | None, typer.Option(help="Where an archiver answers.")] = None,
    front_door: Annotated[str | None, typer.Option(help="Where the front door answers.")] = None,
    lang: Lang = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """What is wrong with this installation, and what to do; exit 1 if there is something to mend. Changes nothing."""
    from pipeline.demo.folder import addresses_in, settings_in
    from pipeline.doctor.diagnosis import diagnose, exit_code, fine
    from pipeline.doctor.gather import gather, usual_addresses
    from pipeline.doctor.words import lines

    t = speak(lang)
    settings = load_settings(settings_in(data, config), plan=plan)
    found = addresses_in(data) if data is not None else {}
    given = {"worker": worker, "archiver": archiver, "collect": front_door}
    addresses = (found or usual_addresses(settings)) | {
        name: url.rstrip("/") for name, url in given.items() if url is not None
    }
    folders = [path for path in (data, settings.state_dir) if path is not None]
    said = diagnose(run(gather(settings, addresses, folders), logging.CRITICAL), t)
    code = exit_code(said)
    if as_json:
        print_json({"ok": code == 0, "fine": fine(said), "advice": [asdict(one) for one in said]})
    else:
        for line in lines(said, t):
            say(line)
    raise typer.Exit(code)
