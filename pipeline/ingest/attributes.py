"""What the log tells of users and devices besides their events: a plan, a name, a score.

Such a record is no event and counts as nothing: who is told of every night is not active every night. It carries its
meaning in a header and a JSON value, and is checked like every other record, for whoever may write to the topic can
send one. The archiver stores what it tells. Of two tellings of an attribute the one with the later `ts` holds; a
*change* (add to it, append to it, take it away) is kept as what it is, and ClickHouse applies it to what was there:
nobody has to know what that was, and the order in which they arrive doesn't matter.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import to_json

from pipeline.ingest.links import words
from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS, Identifier, Label, plain_id
from schemas.nobody import is_nobody

#: Header of a record that tells attributes.
ATTRIBUTES_HEADER: Final = "streamgauge-attributes"
#: Attributes that a record may tell, and characters that the value of one may have.
MAX_ATTRIBUTES: Final = 500
MAX_VALUE: Final = 10_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

#: What can be done to an attribute besides setting it. `add`: a number to a number. `append`, `prepend`: values to a
#: list. `union`, `union_first`: those that it doesn't have yet. `remove`: all that equal one of them. `unset`: the
#: attribute is none any more. `clear`: so is every attribute of the id.
Change = Literal["add", "append", "prepend", "union", "union_first", "remove", "unset", "clear"]
CHANGES: Final[tuple[str, ...]] = get_args(Change)


class Attributes(NamedTuple):
    """What is known of an id (a user's, or `$device:` and a device's) since `ts` (epoch ms): name to text.

    With a `change` the texts are what is changed by: a number, a JSON list, or nothing. `change_id` is the same
    whenever the same change is told again, which must not change anything twice.
    """

    id: str
    ts: int
    values: dict[str, str]
    change: str = ""
    change_id: str = ""


class _AttributesRecord(BaseModel):
    """The value of a record that tells attributes. The id stands in it as it was sent: `device` says whose it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Identifier
    device: bool
    ts: Annotated[int, Field(ge=EARLIEST_TS, le=LATEST_TS)]
    attributes: Annotated[dict[str, Any], Field(max_length=MAX_ATTRIBUTES)]
    source: Label = ""
    change: Literal[Change, ""] = ""
    change_id: Annotated[str, StringConstraints(max_length=512)] = ""


def attributes_value(
    one: str, ts: int, attributes: dict[str, Any], source: str = "", change: str = "", change_id: str = ""
) -> bytes:
    """The value of the record that tells attributes of `one`, or changes of them. Values are JSON's."""
    named = {"id": plain_id(one), "device": one.startswith(DEVICE), "ts": ts}
    changed = {"change": change, "change_id": change_id} if change else {}
    return to_json({**named, "attributes": attributes, "source": source, **changed})


def read_attributes(value: bytes | None) -> Attributes:
    """The attributes in a record's value. Raises ValueError with words for a person if it tells none."""
    try:
        found = _AttributesRecord.model_validate_json(value or b"")
    except ValidationError as exc:
        raise ValueError(words(exc)) from None
    if is_nobody(found.id):
        raise ValueError(f"id: {found.id!r:.60} is nobody's")
    if not found.device and found.id.startswith(DEVICE):
        raise ValueError(f"id: no user's id begins with {DEVICE}")
    if bool(found.change) != bool(found.change_id):
        raise ValueError("change_id: a change has one, and nothing else has")
    values = {}
    for name, told in found.attributes.items():
        if not 0 < len(name) <= 256 or _CONTROL.search(name):
            raise ValueError(f"attributes: {name!r:.60} can't be the name of one")
        text = _changed_by(found.change, name, told) if found.change else _text(told)
        if len(text) > MAX_VALUE:
            raise ValueError(f"attributes: {name!r:.60} has {len(text)} characters, and may have {MAX_VALUE}")
        values[name] = text
    if found.change == "clear":
        # Of every name: it is stored under none.
        values = {"": ""}
    one = (DEVICE if found.device else "") + found.id
    return Attributes(one, found.ts, values, found.change, found.change_id)


def _text(told: Any) -> str:
    return told if isinstance(told, str) else to_json(told).decode()


def _changed_by(change: str, name: str, told: Any) -> str:
    """What an attribute is changed by, as it is stored."""
    if change in ("unset", "clear"):
        return ""
    if change == "add":
        if type(told) not in (int, float) or not isfinite(told):
            raise ValueError(f"attributes: {name!r:.60} can only be added to with a number, not {_text(told):.60}")
        return _text(told)
    return _text(told if isinstance(told, list) else [told])
