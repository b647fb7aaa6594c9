"""`streamgauge sources`: who may send to the front door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import speak
from pipeline.cli.options import AsJson, Config
from pipeline.settings import load_settings
from pipeline.terminal import print_json, say

app = typer.Typer(no_args_is_help=True, help="Who may send to the front door: write keys and their limits.")

File = Annotated[
    Path | None, typer.Option("--file", help="The file of sources; else PIPELINE_COLLECT_SOURCES (sources.json).")
]
Name = Annotated[str, typer.Argument(help="Name of the source: it stands in each of its events.")]


@app.command()
def add(
    name: Name,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Pages of this origin may send (https://shop.example), * for any. Repeatable."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Events a second that each front door takes; 0: any number.")] = 0,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Bytes of a request, unpacked.")] = None,
    max_events: Annotated[int | None, typer.Option(min=1, help="Events of a request.")] = None,
    file: File = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a source. Its write key is printed, and is nowhere else."""
    from pipeline.collect.sources import add_source

    path = _file(file, config)
    key = add_source(path, name, origins=tuple(origin or ()), rate=rate, max_bytes=max_bytes, max_events=max_events)
    if as_json:
        print_json({"name": name, "key": key, "file": str(path)})
        return
    t = speak()
    say(t("The write key of {name}: {key}", name=name, key=key))
    say(t("It is shown this once. {path} has its hash.", path=path))


@app.command("list")
def list_(file: File = None, config: Config = None, as_json: AsJson = False) -> None:
    """The sources, their limits, and which are revoked."""
    from pipeline.collect.sources import read_sources

    path = _file(file, config)
    sources = read_sources(path)
    if as_json:
        print_json([source.model_dump(mode="json", exclude={"key_sha256"}) for source in sources])
        return
    t = speak()
    if not sources:
        say(t("{path} has no sources: make one with `streamgauge sources add NAME`", path=path))
    for source in sources:
        state = (
            t("revoked {day}", day=f"{source.revoked:%Y-%m-%d}")
            if source.revoked is not None
            else t("since {day}", day=f"{source.created:%Y-%m-%d}")
        )
        limits = t(
            "{rate}, {bytes} bytes, {events} events",
            rate=t("{n} events/s", n=f"{source.rate:g}") if source.rate else t("any rate"),
            bytes=f"{source.max_bytes:,}",
            events=f"{source.max_events:,}",
        )
        say(f"{source.name}  {state}  {limits}  {', '.join(source.origins) or t('no pages')}")


@app.command()
def revoke(name: Name, file: File = None, config: Config = None) -> None:
    """Refuse what comes with the key of a source, within a second."""
    from pipeline.collect.sources import revoke_source

    path = _file(file, config)
    revoke_source(path, name)
    t = speak()
    say(t("{name} is revoked: what comes with its key is refused from now on", name=name))


def _file(given: Path | None, config: Path | None) -> Path:
    return given if given is not None else load_settings(config).collect_sources
