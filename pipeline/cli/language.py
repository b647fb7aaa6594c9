"""In which language a command speaks: `--lang`, else what the terminal asks for (LC_ALL, LC_MESSAGES, LANG)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.render.language import Language

Lang = Annotated[str | None, typer.Option("--lang", help="en, zh; else what LC_ALL, LC_MESSAGES or LANG say.")]
_asked: list[str] = []


def of_arguments(arguments: Sequence[str]) -> str | None:
    """The language that the arguments of a command ask for, before they are understood; None if it is none of ours."""
    from pipeline.render.language import CODES

    found = [
        word.removeprefix("--lang=") if word != "--lang" else next_
        for word, next_ in zip(arguments, [*arguments[1:], ""], strict=False)
        if word == "--lang" or word.startswith("--lang=")
    ]
    return found[-1] if found and found[-1] in CODES else None


def speak(asked: str | None = None) -> Language:
    """The language of this command, in which its errors are said too. Raises UserError for one that we don't speak."""
    from pipeline.render.language import CODES, Language, of_terminal

    if asked is not None:
        if asked not in CODES:
            raise UserError("{name} is one of {known}, not {given}", name="--lang", known=", ".join(CODES), given=asked)
        _asked[:] = [asked]
    return Language(_asked[0] if _asked else of_terminal(os.environ))
