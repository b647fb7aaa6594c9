"""The commands as `--help` shows them, for tests that look at every one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from pipeline.cli.help import commands, show_help
from pipeline.cli.main import app
from schemas.translatable import Speech


class Asked(Speech):
    """Says English, and notes which texts it was asked for by meaning."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def of(self, meaning: str, text: str, /, **values: object) -> str:
        self.keys.add(f"{meaning}|{text}")
        return super().of(meaning, text, **values)


def contexts() -> Iterator[typer.Context]:
    """A call of each command, as one that asks for help is made."""
    command = commands(app)
    yield from _below(command, command.context_class(command, info_name="streamgauge", help_option_names=["--help"]))


def _below(command: Any, context: typer.Context) -> Iterator[typer.Context]:
    yield context
    for name, one in getattr(command, "commands", {}).items():
        yield from _below(one, one.context_class(one, info_name=name, parent=context))


def help_keys() -> set[str]:
    """Keys of every text of every help. Prints them all: for a test, which shows that only if it fails."""
    t = Asked()
    for context in contexts():
        show_help(context, t)
    return {key for key in t.keys if key.startswith("help|")}
