"""What the log tells of users and devices besides their events: a plan, a name, a score.

Such a record is no event and counts as nothing: who is told of every night is not active every night. It carries its
meaning in a header and a JSON value, and is checked like every other record, for whoever may write to the topic can
send one. The archiver stores what it tells; of two tellings of an attribute the one with the later `ts` holds.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
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


class Attributes(NamedTuple):
    """What is known of an id (a user's, or `$device:` and a device's) since `ts` (epoch ms): name to text."""

    id: str
    ts: int
    values: dict[str, str]


class _AttributesRecord(BaseModel):
    """The value of a record that tells attributes. The id stands in it as it was sent: `device` says whose it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Identifier
    device: bool
    ts: Annotated[int, Field(ge=EARLIEST_TS, le=LATEST_TS)]
    attributes: Annotated[dict[str, Any], Field(max_length=MAX_ATTRIBUTES)]
    source: Label = ""


def attributes_value(one: str, ts: int, attributes: dict[str, Any], source: str = "") -> bytes:
    """The value of the record that tells attributes of `one`. Values are JSON's."""
    named = {"id": plain_id(one), "device": one.startswith(DEVICE), "ts": ts}
    return to_json({**named, "attributes": attributes, "source": source})


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
    values = {}
    for name, told in found.attributes.items():
        if not 0 < len(name) <= 256 or _CONTROL.search(name):
            raise ValueError(f"attributes: {name!r:.60} can't be the name of one")
        text = told if isinstance(told, str) else to_json(told).decode()
        if len(text) > MAX_VALUE:
            raise ValueError(f"attributes: {name!r:.60} has {len(text)} characters, and may have {MAX_VALUE}")
        values[name] = text
    return Attributes((DEVICE if found.device else "") + found.id, found.ts, values)
