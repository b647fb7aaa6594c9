"""YAML as people write it: what it silently reads as something else, and in which line a thing stands.

YAML 1.1 reads `NO` as false, `1.10` as 1.1, `010` as 8, `12:30` as 750 and `2026-11-25` as a date. Where the text is
meant, quotes are missing; nothing here guesses which is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from schemas.translatable import Sentence

#: Fields of a plan that are true or false: there `yes` and `on` say what they mean.
TRUE_OR_FALSE: Final = frozenset({"required", "aliases", "absent", "print", "require_tls"})

_TAG: Final = "tag:yaml.org,2002:"
#: Numbers that everybody reads alike.
_PLAIN: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)|[-+]?(0|[1-9][0-9]*)?\.[0-9]*([eE][-+]?[0-9]+)?")
_READ: Final = {
    "bool": Sentence("a word"), "int": Sentence("a number"), "float": Sentence("a number"),
    "timestamp": Sentence("a date"), "null": Sentence("nothing"),
}  # fmt: skip
_ELSE: Final = Sentence("something else")


class Place(NamedTuple):
    """A node and the line of it, or of its key."""

    line: int
    node: yaml.Node


class Surprise(NamedTuple):
    """A place that YAML reads as something that nobody may have meant."""

    line: int
    path: str
    message: str


def find(root: yaml.Node, path: tuple[int | str, ...]) -> Place:
    """The deepest node that `path` still names (unions and short forms add parts that no node has)."""
    place = Place(root.start_mark.line + 1, root)
    for part in path:
        if isinstance(place.node, yaml.MappingNode):
            for key, value in place.node.value:
                if key.value == str(part):
                    place = Place(key.start_mark.line + 1, value)
                    break
        elif isinstance(place.node, yaml.SequenceNode):
            index = int(part) if isinstance(part, int) or part.isdecimal() else -1
            if 0 <= index < len(place.node.value):
                node = place.node.value[index]
                place = Place(node.start_mark.line + 1, node)
    return place


def without_quotes(node: yaml.Node) -> str:
    """What to say of a text that isn't one for lack of quotes (or of one among the items); "" if that isn't so."""
    if isinstance(node, yaml.SequenceNode):
        return next(filter(None, map(without_quotes, node.value)), "")
    if not isinstance(node, yaml.ScalarNode) or node.style is not None or not node.value:
        return ""
    if node.tag == _TAG + "str":  # 1e3 is text in YAML 1.1
        power = re.fullmatch(r"[-+]?[0-9]+[eE][-+]?[0-9]+", node.value)
        return Sentence(": write it with a point, like 1.0e+3") if power else ""
    return Sentence(": if the text is meant, put it in quotes: {quoted}", quoted=_quoted(node.value))


def surprises(root: yaml.Node | None) -> list[Surprise]:
    """Names that are none for lack of quotes, values that aren't what they look like, keys that stand twice.

    Each node is visited once: an alias can stand for itself, or be repeated beyond any measure.
    """
    return [] if root is None else list(_surprises(root, (), set()))


def _surprises(node: yaml.Node, path: tuple[str, ...], visited: set[int]) -> Iterator[Surprise]:
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            inner = (*path, name)
            if not isinstance(key, yaml.ScalarNode):
                yield Surprise(line, ".".join(path), Sentence("a list or a mapping can't be a name"))
            elif key.style is None and key.tag not in (_TAG + "str", _TAG + "merge"):
                said = Sentence(
                    "a name, which YAML reads as {read}: put it in quotes: {quoted}",
                    read=_read(key), quoted=_quoted(key.value),
                )  # fmt: skip
                yield Surprise(line, ".".join(inner), said)
            elif name in seen:
                yield Surprise(line, ".".join(inner), Sentence("stands here twice"))
            seen.add(name)
            yield from _surprises(value, inner, visited)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from _surprises(item, (*path, str(i)), visited)
    elif isinstance(node, yaml.ScalarNode) and (message := _surprise(node, path[-1] if path else "")):
        yield Surprise(node.start_mark.line + 1, ".".join(path), message)


def _surprise(node: yaml.ScalarNode, field: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in node.value):
        return Sentence("half of a character (a lone surrogate) is no text")
    if node.style is not None:
        return ""
    kind = node.tag.removeprefix(_TAG)
    odd = {
        "bool": node.value.lower() not in ("true", "false") and field not in TRUE_OR_FALSE,
        "int": not _PLAIN.fullmatch(node.value) or len(node.value) > 400,
        "float": not _PLAIN.fullmatch(node.value),
        "timestamp": True,
        "value": True,
    }
    if not odd.get(kind, False):
        return ""
    other = {
        "bool": Sentence("; or write true or false"),
        "int": Sentence("; or the number in plain digits"),
    }.get(kind, "")
    return Sentence(
        "{text} is read as {read}: put it in quotes: {quoted}{other}",
        text=node.value[:60], read=_read(node), quoted=_quoted(node.value), other=other,
    )  # fmt: skip


def _read(node: yaml.ScalarNode) -> str:
    """What YAML makes of a text without quotes."""
    kind = node.tag.removeprefix(_TAG)
    try:
        value: Any = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError):
        return _READ.get(kind, _ELSE)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return Sentence("the number {number}", number=f"{value!r:.60}")
    return _READ.get(kind, _ELSE)


def _quoted(text: str) -> str:
    return '"' + text[:60].replace("\\", "\\\\").replace('"', '\\"') + '"'
