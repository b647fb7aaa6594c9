"""`streamgauge backup` and `restore`: everything into a folder, and back into an empty place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config, PlanOption, run
from pipeline.settings import load_settings
from pipeline.terminal import print_json, say
from schemas.translatable import Speech

app = typer.Typer()


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="The folder of back-ups; each adds what has changed.")],
    data: Annotated[Path | None, typer.Option(help="The folder of a running `streamgauge up`.")] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Remove all back-ups but the newest so many.")] = None,
    plan: PlanOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Back up everything as of one place in the log, while it works."""
    from pipeline.backup.take import backup as run_backup
    from pipeline.demo.folder import settings_in

    t = speak()
    settings = load_settings(settings_in(data, config), plan=plan)
    taken = run(run_backup(settings, folder, keep, _telling(t, as_json)), logging.WARNING)
    if as_json:
        print_json(taken._asdict())
        return
    rows, records, size = f"{taken.rows:,}", f"{taken.records:,}", f"{taken.written / 1e6:,.1f}"
    say(t("{name}: {rows} rows, {records} records of the log, {size} MB new", name=taken.name, rows=rows,
          records=records, size=size))  # fmt: skip
    if not taken.live:
        say(t("without the log: this broker keeps none, so live figures count anew after a restore"))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of back-ups.")],
    data: Annotated[Path | None, typer.Option(help="Restore into this empty folder, for `streamgauge up`.")] = None,
    at: Annotated[str | None, typer.Option(help="The name of a back-up; else the newest.")] = None,
    kafka_dir: Annotated[Path | None, typer.Option(help="As of `up`: an unpacked Apache Kafka 4.")] = None,
    files: Annotated[Path, typer.Option(help="Without --data: where the plan and the sources go.")] = Path("restored"),
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Restore a back-up into an empty place: the folder of an `up`, or the Kafka and ClickHouse of the settings."""
    from pipeline.backup.give import restore as run_restore
    from pipeline.demo.restored import restore_into
    from pipeline.demo.up import kafka_of

    t = speak()
    settings, tell = load_settings(config), _telling(t, as_json)
    work = (
        run_restore(settings, folder, files, at, tell)
        if data is None
        else restore_into(settings, folder, data, at, tell, lambda: kafka_of("auto", data, kafka_dir, tell))
    )
    given = run(work, logging.WARNING)
    if as_json:
        print_json({name: value for name, value in given._asdict().items() if name != "settings"})
        return
    rows, records = f"{given.rows:,}", f"{given.records:,}"
    say(t("{name} restored: {rows} rows, {records} records of the log", name=given.name, rows=rows, records=records))
    say(t("Its stream is {stream}, its plan {plan}", stream=given.settings.stream, plan=given.settings.plan))
    if not given.live:
        say(t("Live figures count anew: the back-up has no log"))
    if data is not None:
        say(t("Start it with: streamgauge up --data {data} --plan {plan}", data=data, plan=given.settings.plan))


def _telling(t: Speech, as_json: bool) -> Callable[[str], None]:
    """What says how far it is: nothing does beside JSON, which is one document."""
    return (lambda _: None) if as_json else (lambda line: say(t.said(line)))
