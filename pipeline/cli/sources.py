"""`streamgauge sources`: who may send to the front door."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    say(f"The write key of {name}: {key}")
    say(f"It is shown this once. {path} has its hash.")


@app.command("list")
def list_(file: File = None, config: Config = None, as_json: AsJson = False) -> None:
    """The sources, their limits, and which are revoked."""
    from pipeline.collect.sources import read_sources

    path = _file(file, config)
    sources = read_sources(path)
    if as_json:
        print_json([source.model_dump(mode="json", exclude={"key_sha256"}) for source in sources])
        return
    if not sources:
        say(f"{path} has no sources: make one with `streamgauge sources add NAME`")
    for source in sources:
        state = (
            f"revoked {source.revoked:%Y-%m-%d}" if source.revoked is not None else f"since {source.created:%Y-%m-%d}"
        )
        rate = f"{source.rate:g} events/s" if source.rate else "any rate"
        pages = ", ".join(source.origins) or "no pages"
        say(f"{source.name}  {state}  {rate}, {source.max_bytes:,} bytes, {source.max_events:,} events  {pages}")


@app.command()
def revoke(name: Name, file: File = None, config: Config = None) -> None:
    """Refuse what comes with the key of a source, within a second."""
    from pipeline.collect.sources import revoke_source

    path = _file(file, config)
    revoke_source(path, name)
    say(f"{name} is revoked: what comes with its key is refused from now on")


def _file(given: Path | None, config: Path | None) -> Path:
    return given if given is not None else load_settings(config).collect_sources
