"""What forms change of what is kept: each a pure function of the form and of what stands, to the new versions."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from pipeline.errors import UserError
from pipeline.explore.address import read_rule
from pipeline.explore.given import AddressReader
from pipeline.kept.current import with_alert
from pipeline.kept.days import moving
from pipeline.kept.store import Edit, KeptVersion
from pipeline.kept.things import KINDS, MAX_PARAMETERS, Entry, Kept, Kind, data_of, make, new_id
from schemas.plan import Plan
from schemas.translatable import Term

#: The fields of a form that was sent.
Form = Mapping[str, str]


@dataclass(frozen=True)
class Editing:
    """A form that was sent: what stands, the plan without kept alerts, the day, and past versions."""

    form: Form
    kept: Kept
    plan: Plan
    today: date
    history: Callable[[Kind, str], Sequence[KeptVersion]]
    #: Whether single people may be looked at: see AddressReader.
    people: bool

    def text(self, name: str) -> str:
        """A field; "" if it isn't there."""
        return self.form.get(name, "").strip()

    @property
    def seen(self) -> int:
        """The version that whoever changes it saw."""
        found = self.text("seen")
        return int(found) if found.isascii() and found.isdecimal() and len(found) < 10 else 0

    def entry(self, kind: Kind) -> Entry:
        """The thing that the form names. Raises UserError."""
        found = self.kept.of(kind).get(self.text("id"))
        if found is None:
            raise UserError("there is no such {kind} any more", kind=Term("kept", kind))
        return found

    def address(self, name: str) -> dict[str, str]:
        """An address in a field. Raises UserError."""
        try:
            found = parse_qsl(self.form.get(name, ""), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise UserError("an address has at most {most} parameters", most=MAX_PARAMETERS) from None
        return dict(found)


@dataclass(frozen=True)
class Edited:
    """New versions, and the address at which to look at them."""

    edits: Sequence[Edit]
    to: str


def _board_new(given: Editing) -> Edited:
    id_ = new_id(given.text("title"), given.kept.ids("board"))
    return Edited([Edit("board", id_, 0, make("board", {"title": given.text("title")}))], f"/board?id={id_}")


def _chart_add(given: Editing) -> Edited:
    """Onto a board as it stands now: what others have done to it meanwhile stays."""
    address = given.address("address")
    dated = moving(address, given.today) if given.text("moving") else {"address": address}
    chart = {"key": f"c{secrets.token_hex(4)}", "title": given.text("title"), **dated}
    if not given.text("board"):
        title = given.text("new")
        id_ = new_id(title, given.kept.ids("board"))
        board, seen = make("board", {"title": title or given.text("title"), "charts": [chart]}), 0
    else:
        entry = given.kept.boards.get(given.text("board"))
        if entry is None:
            raise UserError("there is no such {kind} any more", kind=Term("kept", "board"))
        id_, seen = entry.id, entry.number
        data = data_of(entry.value)
        board = make("board", data | {"charts": [*data.get("charts", []), chart]})
    return Edited([Edit("board", id_, seen, board)], f"/board?id={id_}")


def _board_edit(given: Editing) -> Edited:
    entry = given.entry("board")
    data, do, key = data_of(entry.value), given.text("do"), given.text("key")
    charts: list[dict[str, Any]] = list(data.get("charts", []))
    at = next((k for k, chart in enumerate(charts) if chart["key"] == key), None)
    if do.startswith("chart-") and at is None:
        raise UserError("the chart is not on the board any more")
    match do:
        case "rename":
            data["title"] = given.text("title")
        case "filter":
            found = {name: value for name, value in given.address("address").items() if value}
            data["filter"] = moving(found, given.today)
        case "chart-rename" if at is not None:
            charts[at] = charts[at] | {"title": given.text("title")}
        case "chart-remove" if at is not None:
            del charts[at]
        case "chart-up" if at is not None:
            charts.insert(max(0, at - 1), charts.pop(at))
        case "chart-down" if at is not None:
            charts.insert(at + 1, charts.pop(at))
        case _:
            raise UserError("what shall be done with the board?")
    board = make("board", data | {"charts": charts})
    return Edited([Edit("board", entry.id, given.seen, board)], f"/board?id={entry.id}")


def _segment_save(given: Editing) -> Edited:
    title = given.text("title")
    address = {name: value for name, value in given.address("address").items() if value}
    segment = make("segment", {"title": title, "address": address})
    # It must be one that questions can use.
    read_rule(AddressReader(segment.address, given.plan, given.today, given.people))
    id_ = new_id(title, {*given.kept.ids("segment"), *given.plan.segments})
    return Edited([Edit("segment", id_, 0, segment)], "/kept#segments")


def _annotation_save(given: Editing) -> Edited:
    found = make("annotation", {name: given.text(name) for name in ("at", "text", "kind") if given.text(name)})
    id_ = new_id(found.text, given.kept.ids("annotation"))
    return Edited([Edit("annotation", id_, 0, found)], "/kept#annotations")


def _alert_save(given: Editing) -> Edited:
    name, data = given.text("name"), alert_data(given.form)
    alert = make("alert", data)
    with_alert(given.plan, name, alert)
    if name in given.kept.alerts:
        raise UserError("there is an alert {name} already: choose another name", name=name)
    edit = Edit("alert", name, given.kept.number("alert", name), alert)
    return Edited([edit], f"/kept?{urlencode({'alert': name})}#alerts")


def alert_data(form: Form) -> dict[str, Any]:
    """The plan's entry of an alert, of the form's fields. Raises UserError."""
    try:
        what = json.loads(form.get("what", ""))
        kind, *names = what if isinstance(what, list) and all(isinstance(one, str) for one in what) else [""]
    except (ValueError, RecursionError):
        kind, names = "", []
    data: dict[str, Any] = {"metric": kind}
    if kind == "conversion" and len(names) == 2:
        data |= {"funnel": names[0], "step": names[1]}
    elif len(names) == 1:
        data["event"] = names[0]
    condition, value = form.get("condition", ""), form.get("value", "").strip()
    if condition == "absent":
        data["absent"] = True
    elif condition in ("above", "below", "drop", "rise", "unusual"):
        data[condition] = _number(value)
    for name in ("title", "for", "severity", "todo"):
        if text := form.get(name, "").strip():
            data[name] = text
    return data


def _number(text: str) -> Any:
    """`30%` and `5m` as they are; digits as a number."""
    try:
        found = float(text)
    except ValueError:
        return text
    return found if abs(found) < 1e15 else text


def _remove(given: Editing) -> Edited:
    kind = _kind(given)
    return Edited([Edit(kind, given.entry(kind).id, given.seen, None)], "/boards" if kind == "board" else "/kept")


def _restore(given: Editing) -> Edited:
    kind, id_, number = _kind(given), given.text("id"), given.text("version")
    found = next((v for v in given.history(kind, id_) if str(v.number) == number), None)
    if found is None or found.value is None:
        raise UserError("there is no such version")
    if kind == "alert":
        with_alert(given.plan, id_, found.value)
    back = f"/board?id={id_}" if kind == "board" else "/kept"
    return Edited([Edit(kind, id_, given.seen, found.value)], back)


def _kind(given: Editing) -> Kind:
    for kind in KINDS:
        if given.text("kind") == kind:
            return kind
    raise UserError("no such kind of thing is kept")


#: What a form asks for, by the end of its address.
EDITS: Final[dict[str, Callable[[Editing], Edited]]] = {
    "board-new": _board_new,
    "chart-add": _chart_add,
    "board-edit": _board_edit,
    "segment-save": _segment_save,
    "annotation-save": _annotation_save,
    "alert-save": _alert_save,
    "remove": _remove,
    "restore": _restore,
}
