"""From what a protocol read to records for Kafka, and what becomes of each event. Pure.

An event that the plan rejects is sent all the same: worker and archiver reject it as any other, whole, where all
rejected records are looked for. What is said of it here is what they say, for the validator is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET
from pydantic_core import PydanticSerializationError, to_json

from pipeline.collect.clock import corrected, milliseconds
from pipeline.collect.enrich.channel import tells
from pipeline.collect.ids import Ids
from pipeline.collect.model import IDENTIFY, STORED, Incoming, Manner, Refused, Result, Told, Written, first_told
from pipeline.collect.producer import Sendable
from pipeline.ingest.attributes import ATTRIBUTES_HEADER, attributes_value, read_attributes
from pipeline.ingest.links import LINK_HEADER, Claim, Kind, link_value, read_links
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.refused import SOURCE_HEADER, refused_header
from pipeline.ingest.validate import MAX_RECORD_BYTES, Rejection, Validator
from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS
from schemas.plan import Plan

#: Of what can't be an event so much is kept at most: with its headers it must fit into the topic.
MAX_KEPT: Final = MAX_RECORD_BYTES - 50_000
_MARK: Final = b"1"
_ENCODE: Final = msgspec.json.Encoder().encode
#: Actors whose partition is remembered.
_REMEMBERED: Final = 100_000
#: Addresses and user agents of which it is remembered what they add.
_ADDITIONS: Final = 5_000
_NOTHING_TOLD: Final = "neither another id of the user nor an attribute: there is nothing to keep"
#: Adds labels to an event, of its address and user agent, and of how its person came where it tells that.
Enrich = Callable[[Incoming], None]


class Taken(NamedTuple):
    """What becomes of a request: the records to be sent, and of each event the result once they are.

    `told` are the events, those read with care that had to be.
    """

    records: list[Sendable]
    results: list[Result]
    told: list[Told]


#: A record that hasn't got its partition yet: key, value, headers.
_Placeless: TypeAlias = tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]


class _Added(NamedTuple):
    """Names of the fields that are added to an event, and the end of its JSON with them."""

    names: tuple[str, ...]
    end: bytes


class Reception:
    """Judges requests by a plan, for a topic of so many partitions."""

    def __init__(
        self,
        plan: Plan,
        partitions: int,
        enrich: Enrich | None = None,
        validation: Literal["fast", "pydantic"] = "fast",
    ) -> None:
        self._plan, self._partitions, self._enrich = plan, partitions, enrich
        self._validator = Validator(plan, validation)
        #: Events judged so far: of some both ways of validation are asked.
        self._judged = 0
        self._homes: dict[bytes, int] = {}
        self._additions: dict[tuple[str, str, str], _Added | None] = {}
        section = plan.collect
        self._events = section.events if section is not None else {}
        self._properties = section.properties if section is not None else {}
        self._renames = bool(self._events or self._properties)

    def take(self, protocol: str, told: Sequence[Told], source: str, received: int) -> Taken:
        """What becomes of the events of a request that was `received` then (epoch ms), by a source's key."""
        read = list(told)
        records: list[_Placeless] = []
        results: list[Result] = []
        ids = Ids(protocol, source, received)
        manner, added = None, None
        earliest, latest = received - self._plan.lateness, received + self._plan.max_future
        for at, item in enumerate(told):
            if type(item) is Written:
                if item.manner is not manner:
                    manner = item.manner
                    added = self._added(manner, source) if protocol == "native" or not self._renames else None
                record = self._surely(item.value, added, earliest, latest)
                if record is not None:
                    records.append(record)
                    results.append(STORED)
                    continue
                item = read[at] = item.carefully()
            if isinstance(item, Refused):
                records.append(_refused(item.raw, item.reason, item.detail, source))
                results.append(Result(item.reason, item.detail))
                continue
            assert isinstance(item, Incoming)
            try:
                made, result = self._one(protocol, item, source, received, ids)
            except (UnicodeError, PydanticSerializationError) as exc:  # half a character, out of a form
                raw = repr(item.fields).encode("utf-8", "backslashreplace")
                made, result = [_refused(raw, "not_utf8", str(exc), source)], Result("not_utf8", str(exc)[:500])
            records += made
            results.append(result)
        return Taken(self._placed(records), results, read)

    def _added(self, manner: Manner, source: str) -> _Added | None:
        """What is added to an event that says none of it; None where it has to be looked at more closely."""
        key = (manner.address, manner.user_agent, source)
        if key not in self._additions:
            if len(self._additions) >= _ADDITIONS:
                self._additions.clear()
            self._additions[key] = self._made(manner, source)
        return self._additions[key]

    def _made(self, manner: Manner, source: str) -> _Added | None:
        blank = Incoming({}, address=manner.address, user_agent=manner.user_agent)
        if self._enrich is not None:
            self._enrich(blank)
        labels = blank.fields
        if "properties" in labels or "bot" in labels:
            return None
        return _Added(("source", *labels), b"," + _ENCODE(labels | {"source": source})[1:])

    def _surely(self, value: bytes, added: _Added | None, earliest: int, latest: int) -> _Placeless | None:
        """The record of an event that is simply stored; None where that isn't sure."""
        if added is None:
            return None
        self._judged += 1
        found = self._validator.sure(value, self._judged)
        if found is None or not earliest <= found.ts <= latest or found.name == IDENTIFY:
            return None
        for name in added.names:
            if getattr(found, name) is not UNSET:
                return None
        if tells(found.referrer, found.properties):
            return None
        return (found.user_id or found.anonymous_id or "").encode(), value[:-1] + added.end, ()

    def _placed(self, records: Sequence[_Placeless]) -> list[Sendable]:
        """The records, each with the partition of its key; one without a key goes anywhere."""
        if not records:
            return []
        homes = self._homes
        keys = [record[0] or b"%d" % len(record[1]) for record in records]
        unknown = list({key for key in keys if key not in homes})
        if unknown:
            # Actors come again and again: to hash one alone takes as long as a hundred together.
            if len(homes) > _REMEMBERED:
                homes.clear()
                unknown = list(set(keys))
            homes.update(zip(unknown, partitions_of(unknown, self._partitions).tolist(), strict=True))
        return [Sendable(homes[key], *record) for key, record in zip(keys, records, strict=True)]

    def _one(
        self, protocol: str, item: Incoming, source: str, received: int, ids: Ids
    ) -> tuple[list[_Placeless], Result]:
        fields = item.fields
        made_id = ""
        if not fields.get("event_id"):
            # Said of the event as it was sent: a retry comes at another time.
            besides = (item.attributes, item.alias, *([item.changes] if item.changes else ()))
            made_id = ids.of(fields, *besides)
        ts, note = fields.get("ts"), ""
        if item.sent is not None or ts is None:
            ts, note = corrected(ts, item.sent, received)
        name = fields.get("event")
        profile: list[_Placeless] = []
        refusal = None
        if name == IDENTIFY or item.attributes or item.first_attributes or item.changes or item.alias:
            profile, refusal = self._profile(item, ts, received, source, made_id)
        if name == IDENTIFY and IDENTIFY not in self._plan.events:
            if refusal is not None:
                raw = to_json({**fields, "source": source, **_said(item)})
                return [_refused(raw, refusal.reason, refusal.detail, source)], Result(refusal.reason, refusal.detail)
            return profile, Result("", note or ("" if profile else _NOTHING_TOLD))
        if self._renames and protocol != "native":
            self._rename(fields)
        if self._enrich is not None:
            self._enrich(item)
        if made_id:
            fields["event_id"] = made_id
        fields["ts"], fields["source"] = ts, source
        value = _json(fields)
        try:
            self._judged += 1
            event = self._validator.parse(value, self._judged)
            if event.ts > received + self._plan.max_future:
                ahead = (event.ts - received) // 1000
                raise Rejection("time_in_future", f"ts {event.ts} is {ahead} s after it was received")
        except Rejection as why:
            key = _key(fields)
            if len(value) > MAX_KEPT:
                return [_refused(value, why.reason, why.detail, source, key)], Result(why.reason, why.detail)
            return [(key, value, ())], Result(why.reason, why.detail)
        if refusal is not None:
            # The event is good, and what it says besides of the user is not: that is kept, and told.
            raw = to_json({"source": source, **_said(item)})
            profile.append(_refused(raw, refusal.reason, refusal.detail, source))
            note = note or f"the event is stored; {refusal.reason}: {refusal.detail}"
        elif not note and event.ts < received - self._plan.lateness:
            note = "late: stored, and not counted live"
        mine: _Placeless = (_key(fields), value, ())
        return [mine, *profile] if profile else [mine], Result("", note) if note else STORED

    def _rename(self, fields: dict[str, Any]) -> None:
        """The plan's names for those of an SDK."""
        name = fields.get("event")
        if isinstance(name, str) and name in self._events:
            name = fields["event"] = self._events[name]
        names = self._properties.get(name) if isinstance(name, str) else None
        properties = fields.get("properties")
        if names and isinstance(properties, dict):
            fields["properties"] = {names.get(key, key): value for key, value in properties.items()}

    def _profile(
        self, item: Incoming, ts: Any, received: int, source: str, made_id: str
    ) -> tuple[list[_Placeless], Rejection | None]:
        """The records that link ids and tell attributes, and why some of that can't be."""
        identify = item.fields.get("event") == IDENTIFY
        user, device = item.fields.get("user_id") or "", item.fields.get("anonymous_id") or ""
        said = milliseconds(ts)
        at = said if EARLIEST_TS <= said <= min(LATEST_TS, received + self._plan.max_future) else received
        made: list[_Placeless] = []
        if not isinstance(user, str) or not isinstance(device, str) or not (user or device):
            return [], Rejection("missing_actor", "user_id or anonymous_id is needed: whose is it?")
        links: list[tuple[str, Kind]] = []
        if identify and user and device and self._plan.identity.on:
            links.append((DEVICE + device, "login"))
        # An SDK doesn't say whether an old id was a device's or a user's: then it is given as both.
        if item.alias and item.alias != user and (self._plan.aliases or item.alias != device):
            links.append((item.alias, "alias"))
        for one, kind in links:
            value = link_value(Claim(one, user, kind, at))
            try:
                read_links(value, self._plan.aliases)
            except ValueError as exc:
                return made, Rejection("bad_link", str(exc))
            made.append((one.removeprefix(DEVICE).encode(), value, ((LINK_HEADER, _MARK),)))
        actor = user or DEVICE + device
        told = [attributes_value(actor, at, item.attributes, source)] if item.attributes else []
        if item.first_attributes:
            told.append(attributes_value(actor, first_told(at), item.first_attributes, source))
        named = made_id or str(item.fields["event_id"])
        for number, (change, operands) in enumerate(item.changes):
            told.append(attributes_value(actor, at, operands, source, change, f"{named}-{number:03}"))
        for value in told:
            try:
                read_attributes(value)
            except ValueError as exc:
                return made, Rejection("bad_attributes", str(exc))
            made.append(((user or device).encode(), value, ((ATTRIBUTES_HEADER, _MARK),)))
        return made, None


def _json(fields: dict[str, Any]) -> bytes:
    """An event as JSON; raises UnicodeError, PydanticSerializationError."""
    value: bytes = _ENCODE(fields)
    # The quick encoder writes null for what is no number: that has to stay what it is, for the validator.
    return to_json(fields) if b"null" in value else value


def _said(item: Incoming) -> dict[str, Any]:
    """What an event says of its user, as it is kept where it is refused."""
    changes = {"$changes": item.changes} if item.changes else {}
    return {"$attributes": item.attributes, "$alias": item.alias, **changes}


def _key(fields: dict[str, Any]) -> bytes | None:
    """The actor, as far as there is one."""
    actor = fields.get("user_id") or fields.get("anonymous_id")
    return actor.encode() if isinstance(actor, str) and len(actor) <= 1_024 else None


def _refused(raw: bytes, reason: str, detail: str, source: str, key: bytes | None = None) -> _Placeless:
    """The record of what can't be an event, cut where the topic takes nothing so large."""
    return (key, raw[:MAX_KEPT], (refused_header(reason, detail), (SOURCE_HEADER, source.encode())))
