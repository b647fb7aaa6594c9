"""`--help`, and mistakes in the arguments, in another language than English, in which Typer says both itself."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import typer
from rich.padding import Padding
from rich.table import Table
from typer.main import get_command

from pipeline.cli.language import speak
from pipeline.terminal import cell, console, plain, say
from schemas.translatable import Speech

_INDENT: Final = (0, 0, 0, 2)


def run_spoken(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run the command that was called, with its help in the language of the terminal. Returns the exit code."""
    try:
        code = commands(app)(arguments, standalone_mode=False)
    except typer.TyperException as mistake:
        return _told(mistake)
    except typer.Abort:
        t = speak()
        say(t("Aborted."), file=sys.stderr)
        return 1
    return code if isinstance(code, int) else 0


def commands(app: typer.Typer) -> Any:
    """The command with all below it, whose help is ours."""
    command = get_command(app)
    for one in _all(command):
        one.context_class = _Context
    return command


def _all(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _all(below)


class _Context(typer.Context):
    """A call of a command: what is asked for its help prints that, in the language of the terminal."""

    def get_usage(self) -> str:
        """How the command is called, in one line."""
        return usage(self, speak())

    def get_help(self) -> str:
        """Nothing more: it is printed."""
        show_help(self, speak())
        return ""


def usage(context: typer.Context, t: Speech) -> str:
    """How a command is called, in one line."""
    parts = context.command.collect_usage_pieces(context)
    parts = [part if part.startswith("{") else t.of("help", part) for part in parts]  # {name}: an argument
    return t("Usage: {command}", command=" ".join([context.command_path, *parts]))


def show_help(context: typer.Context, t: Speech) -> None:
    """Print what a command does, its arguments, its options, and the commands below it."""
    out = console()
    out.print(plain(usage(context, t)), style="bold")
    for text in paragraphs(context.command.help):
        out.print()
        out.print(Padding(cell(t.of("help", text)), _INDENT, expand=False))
    found: dict[str, list[tuple[str, str]]] = {}
    for parameter in context.command.get_params(context):
        if (record := parameter.get_help_record(context)) is not None:
            own = getattr(parameter, "help", None) or ""
            kind = t("Arguments") if parameter.param_type_name == "argument" else t("Options")
            found.setdefault(kind, []).append((_typed(record[0], t), _described(own, record[1], t)))
    below = getattr(context.command, "commands", {})
    found[t("Commands")] = [(name, t.of("help", paragraphs(one.help)[0])) for name, one in below.items()]
    for kind, rows in found.items():
        if rows:
            out.print()
            out.print(kind, style="bold")
            table = Table.grid(padding=(0, 2))
            table.add_column(no_wrap=True)
            for name, text in rows:
                table.add_row(cell(name, "cyan"), cell(text))
            out.print(Padding(table, _INDENT, expand=False))


def paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a help text, each in one line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n") if part.strip()]


def _typed(name: str, t: Speech) -> str:
    """A parameter with the kind of its values: `--rate <float>`; `<text|json>` are values."""
    return re.sub("<[^>|]*>", lambda kind: t.of("help", kind[0]), name)


def _described(own: str, record: str, t: Speech) -> str:
    """What a parameter is for, and what Typer adds to that: whether it has to be given, its default, its range."""
    text = " ".join(t.of("help", part) for part in paragraphs(own))
    added = []
    for fact in filter(None, record.removeprefix(own).strip().removeprefix("[").removesuffix("]").split("; ")):
        default = fact.removeprefix("default: ")
        if default != fact:
            fact = t("default: {value}", value=default)
        added.append(t("required") if fact == "required" else fact)
    return t("{text}  [{facts}]", text=text, facts=t.of("of clauses", "; ").join(added)) if added else text


def _told(mistake: typer.TyperException) -> int:
    """Say what is wrong with the arguments, and how the command is called."""
    message = mistake.format_message()
    if message:  # without one it was no mistake: who gives no arguments is shown the help
        t, context = speak(), getattr(mistake, "ctx", None)
        if context is not None:
            say(context.get_usage(), file=sys.stderr)
        say(f"streamgauge: {t.read(message)}", file=sys.stderr)
        if context is not None:
            command = f"{context.command_path} {context.help_option_names[-1]}"
            say(t("See `{command}`.", command=command), file=sys.stderr)
    return mistake.exit_code
