"""Who an id belongs to, by the log of the partition that it lives in.

An *id* is a device (`$device:` and its `anonymous_id`) or a user (`user_id`). It belongs to the first user that is
linked to it in the log of its home partition; a later user's claim is refused, and a device that too many users have
claimed is nobody's from then on. What follows from the rule, and why it is this one: docs/decisions/0013-a-person.md.

Records by which partitions tell each other of links carry their meaning in headers and a JSON value, and are checked
like every other record: whoever may write to the topic can forge one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal, NamedTuple, Protocol

import xxhash
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS, Event, Identifier, plain_id
from schemas.nobody import is_nobody

#: Header of a record that tells the home of an id that a user claims it.
LINK_HEADER: Final = "streamgauge-link"
#: Its value where a claim is told, and where it is an alias that was decided.
TOLD: Final = b"1"
DECIDED: Final = b"decided"
#: Header of a record that was sent on because its actor is linked: `HOPS:PERSON`, as whom it counts.
PERSON_HEADER: Final = "streamgauge-person"
#: Links that are followed from one id to the next: device, old user, new user.
MAX_HOPS: Final = 4
_PERSON: Final = re.compile(rb"([1-9]):([^\x00-\x1f\x7f]{1,1024})")
_ID: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")

Kind = Literal["login", "alias", "import"]
#: What became of a claim. One that changes nothing (the same user again) is none. An alias that is `decided` is linked
#: in the home of its id, which is told.
Ruling = Literal["linked", "refused", "shared", "decided"]


class Claim(NamedTuple):
    """That an id belongs to a user: an old user by an alias, else a device.

    `ts` (epoch ms) is the time of the event that says so.
    """

    id: str
    person: str
    kind: Kind
    ts: int


class Telling(NamedTuple):
    """A claim of record number `at` of a batch that another partition has to know; `decided` if it is an alias that
    holds."""

    at: int
    partition: int
    claim: Claim
    decided: bool = False


class Link(NamedTuple):
    """A claim that record number `at` of a batch made, and what became of it.

    `person` is as whom the id counts after it, as this partition knows, and `hops` how many links that takes.
    """

    at: int
    claim: Claim
    ruling: Ruling
    person: str
    hops: int


class OwnerStore(Protocol):
    """Where the owners of ids are kept: a dictionary, or a disk."""

    def get(self, key: str, /) -> bytes | None:
        """The entry of an id, None or empty if there is none."""

    def __setitem__(self, key: str, entry: bytes, /) -> None:
        """Put the entry of an id."""


class Owners:
    """The owners of one partition's ids. `limit` is the number of users from which on a device is nobody's.

    An old user id is never shared: of more users than that the claims on it are not noted.

    An entry is one byte (the number of users that were refused; 255 where the id is shared), eight bytes of hash for
    each of them, and the owner in UTF-8.
    """

    _SHARED: Final = 255

    def __init__(self, limit: int, store: OwnerStore | None = None) -> None:
        self._limit = limit
        self._store: OwnerStore = {} if store is None else store
        #: Ids whose entry has changed since the last checkpoint.
        self.changed: set[str] = set()

    def of(self, identifier: str) -> str | None:
        """The user that an id belongs to now, None if it is its own."""
        entry = self._store.get(identifier)
        return None if not entry or entry[0] == self._SHARED else entry[1 + 8 * entry[0] :].decode()

    def knows(self, identifier: str) -> bool:
        """Whether anybody has claimed an id."""
        return bool(self._store.get(identifier))

    def is_shared(self, identifier: str) -> bool:
        """Whether an id is nobody's, after too many users have claimed it."""
        entry = self._store.get(identifier)
        return bool(entry) and entry[0] == self._SHARED  # type: ignore[index]

    def entry(self, identifier: str) -> bytes:
        """What is kept of an id; empty for nothing."""
        return self._store.get(identifier) or b""

    def claim(self, identifier: str, person: str) -> Ruling | None:
        """A user claims an id: what becomes of that, None if it is nothing new."""
        entry = self._store.get(identifier)
        if not entry:
            self._put(identifier, b"\0" + person.encode())
            return "linked"
        refused = entry[0]
        if refused == self._SHARED:
            return None
        others, owner = entry[1 : 1 + 8 * refused], entry[1 + 8 * refused :]
        name = person.encode()
        mark = xxhash.xxh3_64_digest(name)
        if owner == name or mark in {others[at : at + 8] for at in range(0, len(others), 8)}:
            return None
        if refused + 2 > self._limit:
            if not identifier.startswith(DEVICE):
                # An old user id is no device that people pass on: it stays the first new id's, and enough are reported.
                return None
            self._put(identifier, bytes([self._SHARED]))
            return "shared"
        self._put(identifier, bytes([refused + 1]) + others + mark + owner)
        return "refused"

    def _put(self, identifier: str, entry: bytes) -> None:
        self._store[identifier] = entry
        self.changed.add(identifier)


class _LinkRecord(TypedDict):
    """A claim in the value of a record. The id stands in it as it was sent: `kind` says whose it is."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]

    id: Identifier
    person: Identifier
    kind: Kind
    ts: Annotated[int, Field(ge=EARLIEST_TS, le=LATEST_TS)]


_ONE: Final = TypeAdapter(_LinkRecord)
_MANY: Final = TypeAdapter(Annotated[list[_LinkRecord], Field(min_length=1)])


def link_value(*claims: Claim) -> bytes:
    """The value of the record that tells of claims: of one its object, of several a list of them."""
    told = [{"id": plain_id(one), "person": person, "kind": kind, "ts": ts} for one, person, kind, ts in claims]
    return to_json(told[0] if len(told) == 1 else told)


def read_links(value: bytes | None, aliases: bool) -> list[Claim]:
    """The claims in a record's value; without `aliases` the plan has none.

    Raises ValueError with words for a person if it is none, or if one of them is none.
    """
    try:
        found = _MANY.validate_json(value) if value and is_list(value) else [_ONE.validate_json(value or b"")]
    except ValidationError as exc:
        raise ValueError(words(exc)) from None
    return [_claim(told, aliases) for told in found]


def is_list(value: bytes) -> bool:
    """Whether JSON may be a list: it begins like one."""
    return value.lstrip(b" \t\r\n").startswith(b"[")


def _claim(told: _LinkRecord, aliases: bool) -> Claim:
    plain, person, kind = told["id"], told["person"], told["kind"]
    if kind == "alias" and not aliases:
        raise ValueError("kind: the plan has no alias")
    one = plain if kind == "alias" else DEVICE + plain
    if (kind == "alias" and plain.startswith(DEVICE)) or not may_link(one, person):
        raise ValueError("an id that means nobody, or itself, links to nobody")
    return Claim(one, person, kind, told["ts"])


def may_link(one: str, user: str) -> bool:
    """Whether these can be an id and a user that it belongs to."""
    return one != user and not (is_nobody(plain_id(one)) or is_nobody(user) or user.startswith(DEVICE))


def words(exc: ValidationError) -> str:
    """The first mistake of a record between partitions."""
    first = exc.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'value'}: {first['msg']}"


def person_header(person: str, hops: int) -> tuple[str, bytes]:
    """The header of a record that counts as `person` after `hops` links."""
    return PERSON_HEADER, f"{hops}:{person}".encode()


def told_person(headers: Sequence[tuple[str, bytes | None]]) -> tuple[str, int] | None:
    """As whom a record says that it counts, and after how many links. What is not exactly ours says nothing."""
    found = last(headers, PERSON_HEADER)
    match = _PERSON.fullmatch(found) if found is not None else None
    if match is None:
        return None
    try:
        person = match[2].decode()
    except UnicodeDecodeError:
        return None
    if len(person) > 256 or is_nobody(person) or person.startswith(DEVICE):
        return None
    return person, int(match[1])


def last(headers: Sequence[tuple[str, bytes | None]], wanted: str) -> bytes | None:
    """The value of the last header of a name: a worker puts its own behind all that it found."""
    value = None
    for name, found in headers:
        if name == wanted:
            value = found
    return value


def resolve(owners: Owners, identifier: str, hops: int = 0) -> tuple[str, int]:
    """Follow the links of this partition from an id: as whom it counts here, and how many links that took in all."""
    while hops < MAX_HOPS:
        owner = owners.of(identifier)
        if owner is None:
            break
        identifier, hops = owner, hops + 1
    return identifier, hops


def claims_of(event: Event, alias: tuple[str, str] | None) -> Iterator[Claim]:
    """What a user's event claims: its device, and by an alias (event, property) the old id that it tells."""
    user, ts = event.user_id, event.ts
    if not user or is_nobody(user):
        return
    device = event.anonymous_id
    # Of a user, an event has neither an id that means nobody nor a device's name: no more has to be asked.
    if device and not is_nobody(device):
        yield Claim(DEVICE + device, user, "login", ts)
    if alias is not None and event.name == alias[0]:
        old = (event.properties or {}).get(alias[1])
        if type(old) is str and _ID.fullmatch(old) and not old.startswith(DEVICE) and may_link(old, user):
            yield Claim(old, user, "alias", ts)
