"""Who is who in the log of a partition, said a second time: the records between partitions, claims and owners.

Written from docs/identity.md, not from `pipeline.ingest.links`: lists of names, one claim at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from pipeline.simulate.rules import Seen, Wrong, is_text, json_of, means_nobody, must
from schemas.event import EARLIEST_TS, LATEST_TS
from schemas.plan import Plan

#: An alias that is `decided` is linked where its old id lives.
Ruling = Literal["linked", "refused", "shared", "decided"]
Headers = Sequence[tuple[str, bytes | None]]
#: Links that are followed from one id to the next.
MOST_LINKS: Final = 4
#: Aliases that may follow each other: a device comes before them.
MOST_ALIASES: Final = MOST_LINKS - 1
#: In the home of this name aliases are decided.
ALIASES: Final = "$aliases"
_DEVICE: Final = "$device:"


class ClaimSeen(NamedTuple):
    """That an id belongs to a user, since `ts` (epoch ms). A device has `$device:` before its id."""

    id: str
    person: str
    kind: str
    ts: int


class OwnersSeen:
    """Who has claimed the ids of one partition, in the order of its log."""

    def __init__(self, plan: Plan) -> None:
        self._most = plan.identity.shared_device
        #: By id: the users that have claimed it, the owner first.
        self.users: dict[str, list[str]] = {}
        self.shared: set[str] = set()

    def claim(self, claim: ClaimSeen) -> Ruling | None:
        """What becomes of a claim; None if it is nothing new."""
        users = self.users.setdefault(claim.id, [])
        if claim.person in users or claim.id in self.shared:
            return None
        if len(users) == self._most:
            if not claim.id.startswith(_DEVICE):
                return None
            self.shared.add(claim.id)
            return "shared"
        users.append(claim.person)
        return "linked" if len(users) == 1 else "refused"

    def of(self, one: str) -> str | None:
        """Whose an id is."""
        return None if one in self.shared else next(iter(self.users.get(one, ())), None)


class AliasesSeen:
    """Every alias, in the order of the log of the partition that decides on them."""

    def __init__(self, plan: Plan) -> None:
        self._most = plan.identity.shared_device
        #: By old id: the new one.
        self.new: dict[str, str] = {}
        #: By old id: who has claimed it.
        self.users: dict[str, list[str]] = {}

    def claim(self, claim: ClaimSeen) -> Ruling | None:
        """What becomes of an alias; None if it is nothing new."""
        old, new = claim.id, claim.person
        users = self.users.setdefault(old, [])
        if new in users:
            return None
        after = self._after(new)
        # Of all aliases that follow each other with this one, the first is this one or leads to it.
        longest = max(self._after(one).index(old) for one in [old, *self.new] if old in self._after(one))
        if old not in self.new and old not in after and longest + len(after) <= MOST_ALIASES:
            users.append(new)
            self.new[old] = new
            return "decided"
        if len(users) + (old not in self.new) >= self._most:
            return None
        users.append(new)
        return "refused"

    def _after(self, one: str) -> list[str]:
        found = [one]
        while found[-1] in self.new:
            found.append(self.new[found[-1]])
        return found


def follow(one: str, hops: int, owners: OwnersSeen) -> tuple[str, int]:
    """As whom an id counts in this partition, and after how many links."""
    while hops < MOST_LINKS and (owner := owners.of(one)) is not None:
        one, hops = owner, hops + 1
    return one, hops


def claims_of(event: Seen, plan: Plan) -> Iterator[ClaimSeen]:
    """What an event of a user claims."""
    user, device = event.fields.get("user_id"), event.fields.get("anonymous_id")
    if not user or means_nobody(user):
        return
    if device and not means_nobody(device):
        yield ClaimSeen(_DEVICE + device, user, "login", event.ts)
    alias = plan.identity.alias
    if alias is not None and event.fields["event"] == alias.event:
        old: Any = (event.fields.get("properties") or {}).get(alias.previous.removeprefix("properties."))
        if is_text(old, at_least=1) and _other_user(old, user):
            yield ClaimSeen(old, user, "alias", event.ts)


def _other_user(old: str, user: str) -> bool:
    return old != user and not old.startswith(_DEVICE) and not means_nobody(old)


def header(headers: Headers, wanted: str) -> bytes | None:
    """The value of the last header of that name."""
    return next((value for name, value in reversed(headers) if name == wanted), None)


def told_person(headers: Headers) -> tuple[str, int] | None:
    """As whom a record says that it counts, after how many links."""
    hops, _, name = (header(headers, "streamgauge-person") or b"").partition(b":")
    try:
        person = name.decode()
    except UnicodeDecodeError:
        return None
    if len(hops) != 1 or hops not in b"123456789" or not is_text(person, at_least=1):
        return None
    if person.startswith(_DEVICE) or means_nobody(person):
        return None
    return person, int(hops)


class LetterSeen(NamedTuple):
    """What a record between partitions says, or one of several things: where it belongs (an id), and its claim.

    `claim` is None for a handover; `decided` of an alias that holds.
    """

    home: str
    claim: ClaimSeen | None = None
    decided: bool = False


def letters_of(value: bytes | None, headers: Headers, plan: Plan) -> list[LetterSeen]:
    """What a record between partitions says; nothing if it is no such record. Raises Wrong if it should be one."""
    names = {name for name, _ in headers}
    if "streamgauge-link" in names:
        claims = [_link(each, plan) for each in _each(value)]
        decided = header(headers, "streamgauge-link") == b"decided"
        return [LetterSeen(claim.id, claim, decided and claim.kind == "alias") for claim in claims]
    if "streamgauge-handover" not in names:
        return []
    must(_is_mark(header(headers, "streamgauge-handover") or b""))
    many = _each(value)
    if isinstance(json_of(value or b""), list):
        for each in many:
            mark = each.pop("mark", None) if isinstance(each, dict) else None
            must(isinstance(mark, str) and mark.isascii() and _is_mark(mark.encode()))
    return [LetterSeen(_handover(each)) for each in many]


def _each(value: bytes | None) -> list[Any]:
    found = json_of(value or b"")
    if isinstance(found, list):
        must(len(found) > 0)
        return found
    return [found]


def _is_mark(text: bytes) -> bool:
    numbers = text.split(b":")
    return len(numbers) == 3 and all(map(_is_number, numbers, (10, 19, 6)))


def _is_number(text: bytes, digits: int) -> bool:
    return text.isdigit() and len(text) <= digits and (text == b"0" or not text.startswith(b"0"))


def _link(told: Any, plan: Plan) -> ClaimSeen:
    fields = _object(told, "id", "person", "kind", "ts")
    one, person, kind, ts = fields["id"], fields["person"], fields["kind"], fields["ts"]
    must(is_text(one, at_least=1) and is_text(person, at_least=1))
    must(kind in ("login", "import") or (kind == "alias" and plan.aliases))
    must(_is_integer(ts, EARLIEST_TS, LATEST_TS))
    must(not means_nobody(one) and not means_nobody(person) and not person.startswith(_DEVICE))
    if kind == "alias":
        must(_other_user(one, person))
        return ClaimSeen(one, person, kind, ts)
    return ClaimSeen(_DEVICE + one, person, kind, ts)


def _handover(told: Any) -> str:
    fields = _object(told, "id", "person", "hops", "watermark", "fields", "visits", "steps")
    one, person = fields["id"], fields["person"]
    must(isinstance(one, str) and len(one) <= 256 + len(_DEVICE) and is_text(person, at_least=1))
    must(not means_nobody(one.removeprefix(_DEVICE)) and not means_nobody(person))
    must(one != person and not person.startswith(_DEVICE))
    must(_is_integer(fields["hops"], 1, MOST_LINKS) and _is_integer(fields["watermark"], 0, LATEST_TS))
    must(all(isinstance(fields[name], list) for name in ("fields", "visits", "steps")))
    for visit in fields["visits"]:
        must(isinstance(visit, list) and len(visit) == 3 and len(visit[1]) == len(fields["fields"]))
    return person  # type: ignore[no-any-return]


def _object(fields: Any, *names: str) -> dict[str, Any]:
    if not isinstance(fields, dict) or fields.keys() != set(names):
        raise Wrong
    return fields


def _is_integer(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
