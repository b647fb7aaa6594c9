"""Which column of a foreign file is which field of an event: `user_id=uid,ts=time,country='DE'`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.errors import UserError
from schemas.event import ADDED_FIELDS, CONTEXT_FIELDS
from schemas.translatable import TranslatableValueError

#: Fields of the envelope that a column can be mapped to.
TARGETS: Final = ("event_id", "event", "ts", "user_id", "anonymous_id", "session_id", *CONTEXT_FIELDS)
_PROPERTY: Final = "properties."
_ITEM: Final = re.compile(r"\s*(?P<target>[^=,]+?)\s*=\s*(?:'(?P<constant>[^']*)'|(?P<column>[^,']*?))\s*(?:,|$)")


@dataclass(frozen=True)
class ColumnMapping:
    """Target to column, and target to constant text. A target is an envelope field or `properties.NAME`.

    Columns that are not named keep their name: fields of the envelope stand for themselves, the rest goes to
    the properties, unless `drop`; so do `city`, `source` and the others that the front door adds.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False

    def apply(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The event in a row, without its empty cells. Raises ValueError if a column is missing."""
        event: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        for target, column in self.columns.items():
            if column not in row:
                raise TranslatableValueError(
                    "there is no column {column}; it has {names}",
                    column=repr(column),
                    names=", ".join(map(str, row))[:200],
                )
            _put(event, properties, target, row[column])
        for target, text in self.constants.items():
            _put(event, properties, target, text)
        if not self.drop:
            named = set(self.columns.values())
            for column, value in row.items():
                if column in named or column == "":
                    continue  # pandas writes its row numbers under no name
                if column == "properties" and isinstance(value, dict):
                    properties = {**value, **properties}
                elif (column in TARGETS and column not in ADDED_FIELDS) or column.startswith(_PROPERTY):
                    if column not in event:
                        _put(event, properties, column, value)
                else:
                    _put(event, properties, _PROPERTY + column, value)
        if properties:
            event["properties"] = properties
        return event


def _put(event: dict[str, Any], properties: dict[str, Any], target: str, value: Any) -> None:
    if value is None or value == "":
        return
    if target.startswith(_PROPERTY):
        properties.setdefault(target[len(_PROPERTY) :], value)
    else:
        # Ids are often numbers elsewhere; here they are text.
        is_number = isinstance(value, int) and not isinstance(value, bool)
        event[target] = str(value) if is_number and target != "ts" else value


def parse_mapping(text: str | None, *, drop: bool = False) -> ColumnMapping:
    """Read `target=column,target='constant',...`. Raises UserError that names the part that is wrong."""
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    rest = text or ""
    while rest.strip():
        match = _ITEM.match(rest)
        if match is None or (match["constant"] is None and not match["column"]):
            raise UserError(
                "--map: {rest} is not understood: write target=column or target='constant'", rest=repr(rest)
            )
        target = match["target"]
        if target not in TARGETS and not (target.startswith(_PROPERTY) and len(target) > len(_PROPERTY)):
            raise UserError(
                "--map: an event has no field {target}: use {names} or properties.NAME",
                target=repr(target),
                names=", ".join(TARGETS),
            )
        if target in columns or target in constants:
            raise UserError("--map: {target} is given twice", target=target)
        if match["constant"] is not None:
            constants[target] = match["constant"]
        else:
            columns[target] = match["column"]
        rest = rest[match.end() :]
    return ColumnMapping(columns, constants, drop)
