"""Tables, in the one way that all of them are drawn: what is too wide for a phone becomes cards there. Pure.

A row is a card, its first cell the title, each other cell has the name of its column before it (`data-label`, which the
style sheet shows). A table that fits stays a table; a matrix (cohorts, heat maps) scrolls in its own box with its first
column fixed, since its columns say something only beside each other. Roles are written out, for browsers that forget
what a table is once it is laid out otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.render.html import Child, Safe, h, plain

#: What a table may be wide on the narrowest screen, in letters: 310 px; a letter has about 9 with what its column adds.
_ROOM: Final = 36.0
_PADDING: Final = 1.5
#: Letters after which a text is better broken than its column made wider; and after which it stands below its name.
_BROKEN: Final = 16
_LONG: Final = 24
#: Lines after which a table scrolls by itself on a phone, so that what follows is not out of reach.
_TALL: Final = 60
_LARGE: Final = re.compile("<(?:details|form|pre|ul|ol|p|div)[ >]")


def table(
    heads: Sequence[Child],
    rows: Iterable[Sequence[Child]],
    *,
    label: str,
    numeric: Iterable[int] = (),
    whole: Iterable[int] = (),
    matrix: bool = False,
    empty: Child = None,
) -> Safe:
    """A table with a name. `numeric` columns stand on the right, `whole` ones (days) are never broken; without rows `empty`."""
    right, unbroken = set(numeric), set(whole)
    found = list(rows)
    if not found:
        return h("p", empty or "–", class_="empty")
    named = [plain(head) for head in heads]
    cards = not matrix and not _fits(named, found, right | unbroken)
    role = (lambda name: name) if cards else (lambda name: None)
    body = [
        h(
            "tr",
            *[
                h("td", cell, class_=_classes(cell, k in right, k in unbroken, cards), data_label=named[k] if cards else None,
                  role=role("cell"))
                for k, cell in enumerate(row)
            ],
            role=role("row"),
        )
        for row in found
    ]  # fmt: skip
    top = [h("th", head, scope="col", class_="n" if k in right else None, role=role("columnheader"))
           for k, head in enumerate(heads)]  # fmt: skip
    inner = h(
        "table",
        h("thead", h("tr", *top, role=role("row")), role=role("rowgroup")),
        h("tbody", *body, role=role("rowgroup")),
        class_="cards" if cards else "matrix" if matrix else None,
        role=role("table"),
    )
    lines = len(found) * (len(heads) if cards else 1)
    box = "scroll tall" if lines > _TALL and not matrix else "scroll"
    return h("div", inner, class_=box, role="region", aria_label=label, tabindex="0")


def letters(words: str) -> int:
    """How wide a text is: Chinese letters are twice as wide as ours."""
    return sum(2 if ord(letter) > 0x2E80 else 1 for letter in words)


def _fits(heads: Sequence[str], rows: Sequence[Sequence[Child]], unbroken: set[int]) -> bool:
    """Whether a phone has room for all columns beside each other."""
    widest = [float(_word(head)) for head in heads]
    for row in rows:
        for k, cell in enumerate(row):
            if isinstance(cell, Safe) and _LARGE.search(cell):
                return False
            words = plain(cell)
            wide = letters(words) if k in unbroken else max(_word(words), min(letters(words), _BROKEN))
            widest[k] = max(widest[k], wide)
    return sum(widest) + _PADDING * len(widest) <= _ROOM


def _word(words: str) -> int:
    """The longest piece that is not broken."""
    return max((letters(word) if word.isascii() else min(letters(word), _BROKEN) for word in words.split()), default=0)


def _classes(cell: Child, right: bool, unbroken: bool, cards: bool) -> str | None:
    found = ["n"] if right else ["day"] if unbroken else []
    if cards and (letters(plain(cell)) > _LONG or (isinstance(cell, Safe) and _LARGE.search(cell))):
        found.append("long")
    return " ".join(found) or None
