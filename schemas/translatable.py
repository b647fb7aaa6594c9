"""What is said in the language of whoever reads it, although it is made where no language is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Term:
    """A word among the values of a sentence that has a name in each language: of that meaning in the tables."""

    meaning: str
    text: str

    def __str__(self) -> str:
        return self.text


class Foreign(str):
    """An English sentence without its parts: of another program, or stored. Tables know some by their form."""


class Sentence(str):
    """An English sentence, with its text and the values for the places in it, by their names, apart.

    As a `str` it is both together; whoever shows it in another language looks the text up and puts the values into
    that. Values that are terms, sentences or errors that have one are said in that language, too.
    """

    text: str
    values: dict[str, object]

    def __new__(cls, text: str, /, **values: object) -> Self:
        """The sentence of a text and its values."""
        made = super().__new__(cls, text.format(**values) if values else text)
        made.text, made.values = text, values
        return made

    @classmethod
    def joined(cls, between: str, parts: Iterable[object]) -> Self:
        """Several as one, in their order."""
        values = {f"part{n}": part for n, part in enumerate(parts)}
        return cls(between.join(f"{{{name}}}" for name in values), **values)


class TranslatableError(Exception):
    """An error that says a sentence."""

    def __init__(self, text: str, /, **values: object) -> None:
        self.said = Sentence(text, **values)
        super().__init__(str(self.said))


class TranslatableValueError(TranslatableError, ValueError):
    """A value is none of its kind."""


class Speech:
    """Says texts to people, for rooms that know no language: in English, as they stand."""

    def __call__(self, text: str, /, **values: object) -> str:
        """The text, with `values` in the places that their names hold."""
        return text.format(**values) if values else text

    def of(self, meaning: str, text: str, /, **values: object) -> str:
        """A text that means several things: here, this one."""
        return self(text, **values)

    def said(self, what: object) -> str:
        """A sentence, an error or a term."""
        return str(what)


ENGLISH: Final = Speech()


def said_of(error: Exception) -> Sentence | Foreign:
    """What an error says: its sentence, or that of another program."""
    return error.said if isinstance(error, TranslatableError) else Foreign(error)


def said_by(error: ErrorDetails) -> str:
    """What an error of pydantic says: the sentence of ours that it was raised with, or its own."""
    why = error.get("ctx", {}).get("error")
    if isinstance(why, TranslatableError):
        return why.said
    return Foreign(error["msg"].removeprefix("Value error, "))
