"""Names in a plan: of events, properties, funnels.

What an SDK sends is allowed: `$pageview`, `支付成功`, `Sign Up (Google)`. A name is compared with what was
sent character by character: nothing is trimmed, folded or normalised.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator

from schemas.translatable import TranslatableValueError

#: Characters of a name.
MAX_NAME: Final = 200
#: Control characters, halves of characters, and what breaks lines: a name stands in tables, labels and logs.
_BREAK: Final = "{text}: a line break at position {at} can't stand here"
REFUSED: Final = {
    "Cc": "{text}: a control character at position {at} can't stand here",
    "Cs": "{text}: half of a character at position {at} can't stand here",
    "Zl": _BREAK,
    "Zp": _BREAK,
}
_BREAKS: Final = "\n\r\v\f\x85"


def check_text(text: str) -> str:
    """Return a text that may stand in one line; raises ValueError that says which character may not."""
    if text.isascii() and text.isprintable():
        return text
    for at, character in enumerate(text, 1):
        what = REFUSED.get(unicodedata.category(character))
        if what is not None:
            what = _BREAK if character in _BREAKS else what
            raise TranslatableValueError(what, text=shown(text), at=at)
    return text


def check_name(text: str) -> str:
    """Return a name; raises ValueError that says why it can't be one."""
    if not text:
        raise TranslatableValueError("a name can't be empty")
    if len(text) > MAX_NAME:
        raise TranslatableValueError(
            "{text} has {length} characters; a name has at most {most}",
            text=shown(text),
            length=len(text),
            most=MAX_NAME,
        )
    if text != text.strip():
        raise TranslatableValueError("{text}: a name can't begin or end with a space", text=shown(text))
    return check_text(text)


def shown(text: str) -> str:
    """A text within a message: in quotes, odd characters escaped, long ones cut."""
    return repr(text) if len(text) <= 60 else repr(text[:57] + "...")


#: The name of an event, a property or a funnel.
Name = Annotated[str, AfterValidator(check_name)]
#: A title, or empty: one line.
Title = Annotated[str, AfterValidator(check_text)]
