"""Numbers as people and spreadsheets write them: `1299.5`, `1,299.50`, `1.299,50`, `1 299,50`, `19,90`.

What can be two numbers (`1,299` is 1299 in London and 1.299 in Berlin) is refused with what to say. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.translatable import TranslatableValueError

_NUMBER: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]{1,3}(?:(?P<group>[,.'\u2019 \u00a0\u202f])[0-9]{3})(?:(?P=group)[0-9]{3})*|[0-9]+)"
    r"(?:(?P<mark>[.,])(?P<fraction>[0-9]+))?"
)


def number_text(text: str, decimal: str | None, *, commas: bool = False, integer: bool = False) -> str | None:
    """A number as programs write it (`1299.50`); None if it is none.

    `decimal` is the decimal mark of the file, None if nobody said it: then a comma or a dot that may be either is
    refused. `commas`: the file looks as if it had decimal commas (it is separated by semicolons), so a dot before
    three digits may be either, too. `integer`: only a whole number fits. Raises ValueError.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    sign, whole, group, mark, fraction = found.group("sign", "whole", "group", "mark", "fraction")
    if group in (",", ".") and mark is None and whole.count(group) == 1:
        head, _, tail = whole.partition(group)
        as_fraction = f"{sign}{head}.{tail}"
        if head == "0" or group == decimal or (group == "." and decimal is None and not commas and not integer):
            return as_fraction
        if decimal is None and not integer:
            raise TranslatableValueError(
                "{text} is {whole} or {fraction}: say --decimal . or --decimal ,",
                text=repr(text),
                whole=f"{sign}{head}{tail}",
                fraction=as_fraction,
            )
    elif mark is not None and decimal not in (None, mark):
        raise TranslatableValueError(
            "{text} has another decimal mark than --decimal {decimal}", text=repr(text), decimal=decimal
        )
    elif group is not None and group in (mark, decimal):
        raise TranslatableValueError(
            "{text} is no number with --decimal {decimal}", text=repr(text), decimal=decimal or mark
        )
    digits = whole.replace(group, "") if group else whole
    return f"{sign}{digits}.{fraction}" if fraction else f"{sign}{digits}"
