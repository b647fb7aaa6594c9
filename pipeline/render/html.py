"""HTML from Python calls, escaped unless it was made here.

h("p", "5 < 6", class_="note")   ->   <p class="note">5 &lt; 6</p>
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape, unescape
from typing import Any, Final

_VOID: Final = {"br", "hr", "img", "input", "link", "meta", "path", "rect", "line", "circle"}


class Safe(str):
    """Text that is HTML already."""

    __slots__ = ()


#: What can stand between two tags. None and False leave nothing.
Child = Any


def text(*children: Child) -> Safe:
    """The children one after the other: strings escaped, Safe as it is, iterables flattened."""
    return Safe("".join(_parts(children)))


def h(tag: str, *children: Child, **attributes: Any) -> Safe:
    """An element. `class_` and `for_` lose their underscore at the end, `data_x` becomes `data-x`.

    An attribute that is None or False is left out, True stands without a value.
    """
    found = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        found.append(f" {name}" if value is True else f' {name}="{escape(str(value))}"')
    opening = f"<{tag}{''.join(found)}>"
    if tag in _VOID and not children:
        return Safe(opening[:-1] + ("/>" if tag in ("path", "rect", "line", "circle") else ">"))
    return Safe(f"{opening}{text(*children)}</{tag}>")


def plain(child: Child) -> str:
    """The words of an element without its tags."""
    return unescape(re.sub(r"<[^>]*>", "", text(child)))


def _parts(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None or child is False:
            continue
        if isinstance(child, Safe):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        elif isinstance(child, Iterable):
            yield from _parts(child)
        else:
            yield escape(str(child))
