"""What can be kept, as values. Pure.

A chart is a title and the address of a question, since every view is a link; a board is a list of charts under a
filter; a segment is what the filter bar makes; an annotation and an alert are the plan's own entries. All of it comes
from strangers, by forms, files and the API: names, texts and addresses are bounded here, wherever they come from.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from pipeline.errors import UserError
from schemas.alerts import Alert
from schemas.annotations import AnnotationSpec
from schemas.names import check_text, shown
from schemas.receivers import AlertName
from schemas.translatable import TranslatableValueError, said_by
from schemas.where import StrictModel

Kind = Literal["board", "segment", "annotation", "alert"]
KINDS: Final[tuple[Kind, ...]] = ("board", "segment", "annotation", "alert")
#: Characters of a title; charts of a board; parameters of an address, characters of one, and of all as they stand
#: in a link: a browser's request line has room for that and more.
MAX_TITLE, MAX_CHARTS = 120, 40
MAX_PARAMETERS, MAX_PARAMETER, MAX_ADDRESS = 150, 2_000, 6_000
#: Things of a kind; bytes of one.
MAX_THINGS: Final[dict[Kind, int]] = {"board": 200, "segment": 200, "annotation": 5_000, "alert": 200}
MAX_BYTES: Final = 128 * 1024
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
#: The parameters of a segment that is made in the bar.
OF_SEGMENT: Final = re.compile(r"g(\d.*)?")


def _title(text: str) -> str:
    text = text.strip()
    if not text:
        raise TranslatableValueError("a title can't be empty")
    if len(text) > MAX_TITLE:
        raise TranslatableValueError(
            "a title has at most {most} characters, and this has {length}", most=MAX_TITLE, length=len(text)
        )
    return check_text(text)


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise TranslatableValueError(
            "{text} can't be an id: use small letters, digits and -, at most 40", text=shown(text)
        )
    return text


def _address(found: dict[str, str]) -> dict[str, str]:
    if len(found) > MAX_PARAMETERS:
        raise TranslatableValueError("an address has at most {most} parameters", most=MAX_PARAMETERS)
    for name, value in found.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,49}", name):
            raise TranslatableValueError("{name} is no parameter of an address", name=shown(name))
        if len(value) > MAX_PARAMETER:
            raise TranslatableValueError("{name}: at most {most} characters", name=name, most=MAX_PARAMETER)
        check_text(value)
    if (length := len(urlencode(found))) > MAX_ADDRESS:
        raise TranslatableValueError(
            "an address has at most {most} characters, and this has {length}", most=MAX_ADDRESS, length=length
        )
    # In one order, so that the same address is the same thing. What is empty says nothing, but that it is: the start
    # of a retention from any event on.
    return dict(sorted(found.items()))


KeptTitle = Annotated[str, AfterValidator(_title)]
KeptId = Annotated[str, AfterValidator(_id)]
Address = Annotated[dict[str, str], AfterValidator(_address)]


class _Dated(StrictModel):
    """An address whose days either stand in it, or move on: so many days, the last of them so many days ago."""

    address: Address = Field(default_factory=dict)
    days: int | None = Field(default=None, ge=1, le=366)
    ago: int = Field(default=0, ge=0, le=366)

    @model_validator(mode="after")
    def _one_of_both(self) -> _Dated:
        if self.days is not None and {"from", "to"} & self.address.keys():
            raise TranslatableValueError("days that move on, or from and to: not both")
        return self

    def at(self, today: date) -> dict[str, str]:
        """The address as of a day."""
        if self.days is None:
            return dict(self.address)
        last = today - timedelta(days=self.ago)
        first = last - timedelta(days=self.days - 1)
        return {**self.address, "from": first.isoformat(), "to": last.isoformat()}


class KeptChart(_Dated):
    """A chart of a board: the parameters of the page Explore. The key names it within its board."""

    key: KeptId
    title: KeptTitle


class BoardFilter(_Dated):
    """What the bar above a board says: parameters of the filter bar."""


class Board(StrictModel):
    """An ordered list of charts, and a filter that all of them are seen under."""

    title: KeptTitle
    filter: BoardFilter = Field(default_factory=BoardFilter)
    charts: tuple[KeptChart, ...] = Field(default=(), max_length=MAX_CHARTS)

    @model_validator(mode="after")
    def _keys_differ(self) -> Board:
        if len({chart.key for chart in self.charts}) < len(self.charts):
            raise TranslatableValueError("two charts of a board have one key")
        return self


class KeptSegment(StrictModel):
    """People by rules, as the bar writes them: `g`, `g1`, `g1e` and so on."""

    title: KeptTitle
    address: Address

    @model_validator(mode="after")
    def _only_rules(self) -> KeptSegment:
        if other := [name for name in self.address if not OF_SEGMENT.fullmatch(name)]:
            raise TranslatableValueError("{name} is no parameter of a segment: they begin with g", name=other[0])
        return self


Thing = Board | KeptSegment | AnnotationSpec | Alert
MODELS: Final[dict[Kind, type[StrictModel]]] = {
    "board": Board, "segment": KeptSegment, "annotation": AnnotationSpec, "alert": Alert,
}  # fmt: skip
_ALERT_NAME: Final = TypeAdapter(AlertName)


@dataclass(frozen=True)
class Entry:
    """A kept thing as it stands: its version, who made that and when (epoch ms), and who owns it since when."""

    id: str
    number: int
    at: int
    who: str
    owner: str
    since: int
    value: Any


@dataclass(frozen=True)
class Kept:
    """Everything that is kept at a moment."""

    boards: Mapping[str, Entry] = field(default_factory=dict)
    segments: Mapping[str, Entry] = field(default_factory=dict)
    annotations: Mapping[str, Entry] = field(default_factory=dict)
    alerts: Mapping[str, Entry] = field(default_factory=dict)
    #: What stands in the file and this version can't read: kind, id, why.
    unreadable: tuple[tuple[Kind, str, UserError], ...] = ()
    #: The last version of everything, also of what was removed.
    numbers: Mapping[tuple[Kind, str], int] = field(default_factory=dict)

    def of(self, kind: Kind) -> Mapping[str, Entry]:
        """The things of a kind, by id."""
        found: Mapping[str, Entry] = getattr(self, f"{kind}s")
        return found

    @property
    def rules(self) -> dict[str, Mapping[str, str]]:
        """The rules of the segments, as the bar writes them."""
        return {id_: entry.value.address for id_, entry in self.segments.items()}

    def number(self, kind: Kind, id_: str) -> int:
        """The last version of a thing, also of one that was removed; 0 of one that never was."""
        return self.numbers.get((kind, id_), 0)

    def ids(self, kind: Kind) -> set[str]:
        """Every id of a kind, also of what was removed."""
        return {id_ for one, id_ in self.numbers if one == kind}


def check_id(kind: Kind, id_: str) -> str:
    """The id of a thing. Raises UserError; an alert is called as in the plan."""
    try:
        return _ALERT_NAME.validate_python(id_) if kind == "alert" else _id(id_)
    except ValidationError as exc:
        raise mistake_of(exc) from None
    except ValueError as exc:
        raise UserError.of(exc) from None


def make(kind: Kind, data: Any) -> Any:
    """A thing from its data, checked. Raises UserError, one line."""
    try:
        found = MODELS[kind].model_validate(data)
    except ValidationError as exc:
        raise mistake_of(exc) from None
    except RecursionError:
        raise UserError("nested too deeply") from None
    return found


def data_of(value: Any) -> dict[str, Any]:
    """The data of a thing, in the words that `make` reads; what has its default is left out."""
    found: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found


def mistake_of(exc: ValidationError) -> UserError:
    """The first mistake in one line."""
    error = exc.errors(include_url=False)[0]
    where = ".".join(str(part)[:60] for part in error["loc"] if part != "[key]")
    why = said_by(error)
    found = UserError("{place}: {why}", place=where, why=why) if where else UserError("{why}", why=why)
    line = str(found)
    if len(line) <= 400 and line.isprintable():
        return found
    return UserError("".join(c if c.isprintable() else " " for c in line)[:400])


def new_id(title: str, taken: Collection[str]) -> str:
    """An id after a title, as far as that has letters of ASCII; one that is not taken."""
    plain = unicodedata.normalize("NFKD", title[:200]).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:30].strip("-")
    if slug and slug not in taken:
        return slug
    return f"{slug}-{secrets.token_hex(3)}".strip("-")
