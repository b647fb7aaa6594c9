"""Kept things as a YAML file, to live in git and to be taken to another machine. Pure.

kept: 1
boards:
  weekly: {title: Weekly, charts: [{key: a1, title: Buyers, address: {kind: trend, m1: people}, days: 30}]}
segments:
  loyal: {title: Loyal, address: {g: every, g1: did, g1e: purchase}}
annotations:
  app-2-4: {at: "2026-11-20T14:00", text: App 2.4 is out}
alerts:
  FewOrders: {metric: events, event: purchase, below: 5}
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from pipeline.errors import UserError
from pipeline.kept.store import Edit
from pipeline.kept.things import KINDS, MAX_THINGS, Kept, Kind, check_id, data_of, make
from schemas.alerts import Alert
from schemas.yaml_text import surprises

MAX_FILE_BYTES: Final = 16 << 20
_HEAD: Final = "# Boards, segments, annotations and alerts, written by `streamgauge kept export`.\n"


class _Dumper(yaml.SafeDumper):
    """Indents lists below their names, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(data: Any) -> str:
    """YAML of data, in its own order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def export(kept: Kept) -> str:
    """Everything as it stands, in one order: the same things are the same text."""
    found: dict[str, Any] = {"kept": 1}
    for kind in KINDS:
        if things := kept.of(kind):
            found[f"{kind}s"] = {id_: data_of(things[id_].value) for id_ in sorted(things)}
    return _HEAD + written(found)


def alert_yaml(name: str, alert: Alert) -> str:
    """An alert as the plan has it, to be put there."""
    return written({"alerting": {"alerts": {name: data_of(alert)}}})


def parse(data: bytes) -> list[tuple[Kind, str, Any]]:
    """The things of a file. Raises UserError, one line with the place."""
    if len(data) > MAX_FILE_BYTES:
        raise UserError("larger than {most} bytes", most=f"{MAX_FILE_BYTES:,}")
    try:
        text = data.decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise UserError("aliases (*name) are not read here")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if odd := surprises(node):
            raise UserError("line {line}: {why}", line=odd[0].line, why=f"{odd[0].path}: {odd[0].message}")
        found = None if node is None else loader.construct_document(node)
    except UnicodeDecodeError:
        raise UserError("not UTF-8 text") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        why = getattr(exc, "problem", None) or type(exc).__name__
        if mark is not None:
            raise UserError("line {line}: no YAML: {why}", line=mark.line + 1, why=why) from None
        raise UserError("no YAML: {why}", why=why) from None
    if not isinstance(found, dict) or found.get("kept") != 1:
        raise UserError("no file of kept things: it begins with kept: 1")
    names = {f"{kind}s": kind for kind in KINDS}
    things: list[tuple[Kind, str, Any]] = []
    for name, section in found.items():
        if name == "kept":
            continue
        if name not in names or not isinstance(section, dict):
            raise UserError(
                "{name}: a file has {known}, each by name", name=repr(str(name)[:60]), known=", ".join(names)
            )
        if len(section) > MAX_THINGS[names[name]]:
            raise UserError("{name}: at most {most}", name=name, most=MAX_THINGS[names[name]])
        for id_, value in section.items():
            try:
                things.append((names[name], check_id(names[name], str(id_)), make(names[name], value)))
            except UserError as exc:
                raise UserError("{place}: {why}", place=f"{name}.{str(id_)[:60]}", why=exc) from None
    return things


def changes(kept: Kept, things: list[tuple[Kind, str, Any]]) -> list[Edit]:
    """What makes the things of a file stand: nothing for those that do. What is not in the file stays."""
    found = []
    for kind, id_, value in things:
        entry = kept.of(kind).get(id_)
        if entry is None or data_of(entry.value) != data_of(value):
            found.append(Edit(kind, id_, kept.number(kind, id_), value))
    return found
