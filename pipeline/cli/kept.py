"""`streamgauge kept`: boards, segments, annotations and alerts that were made in pages, as a file and back."""

from __future__ import annotations

import getpass
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.language import Lang, speak
from pipeline.cli.options import AsJson, Config
from pipeline.errors import UserError
from pipeline.settings import Settings, load_settings
from pipeline.terminal import print_json, say
from schemas.translatable import Foreign

app = typer.Typer(help="Boards, segments, annotations and alerts made in pages, as a file.", no_args_is_help=True)
Data = Annotated[Path | None, typer.Option(help="The folder of `streamgauge up`.")]
File = Annotated[Path, typer.Argument(help="A YAML file; - is standard input or output.")]


@app.command("export")
def kept_export(file: File, data: Data = None, config: Config = None) -> None:
    """Write everything that is kept into a file: in one order, so that git shows what has changed."""
    from pipeline.kept.current import kept_of
    from pipeline.kept.file import export
    from pipeline.whole_file import write_whole

    text = export(kept_of(_settings(data, config)))
    if str(file) == "-":
        sys.stdout.write(text)
        return
    try:
        write_whole(file, text, 0o644)
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=file, why=Foreign(exc.strerror)) from None


@app.command("import")
def kept_import(
    file: File,
    data: Data = None,
    who: Annotated[str | None, typer.Option("--as", help="Who changes them, for the history; else your login.")] = None,
    lang: Lang = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make what stands in a file stand here, as new versions, all or nothing. What is not in it stays."""
    from pipeline.kept.current import open_kept
    from pipeline.kept.file import MAX_FILE_BYTES, changes, parse
    from pipeline.kept.store import Edit
    from pipeline.kept.things import Kept

    t = speak(lang)
    store = open_kept(_settings(data, config))
    assert store is not None
    made: list[Edit] = []

    def wanted(kept: Kept) -> list[Edit]:
        made[:] = changes(kept, things)
        return made

    try:
        try:
            stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
            with stream:
                things = parse(stream.read(MAX_FILE_BYTES + 1))
        except OSError as exc:
            raise UserError("{path} can't be read: {why}", path=file, why=Foreign(exc.strerror)) from None
        except UserError as exc:
            raise UserError("{place}: {why}", place=file, why=exc) from None
        store.change(wanted, (who if who is not None else _login())[:100], int(time.time() * 1000))
    finally:
        store.close()
    if as_json:
        print_json({"changed": [{"kind": one.kind, "id": one.id} for one in made], "same": len(things) - len(made)})
        return
    for one in made:
        kind = t.of("kept", one.kind)
        changed = t("{kind} {id}: changed", kind=kind, id=one.id)
        say(changed if one.seen else t("{kind} {id}: new", kind=kind, id=one.id))
    say(t("{changed} changed, {same} the same", changed=len(made), same=len(things) - len(made)))


def _settings(data: Path | None, config: Path | None) -> Settings:
    from pipeline.demo.folder import settings_in

    settings = load_settings(settings_in(data, config))
    if settings.kept is None:
        raise UserError("name the file of kept things in PIPELINE_KEPT, or the folder of an `up` with --data")
    return settings


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "import"
