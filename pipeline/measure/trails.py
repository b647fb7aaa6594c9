"""Where each id was counted that may yet turn out to be somebody's: so that it can be counted for them instead.

An id that belongs to nobody (a device before login) leaves a trail: the minutes in which it was active and the values
of the plan's dimensions there, as long as one of its windows can change, and its sessions where a funnel counts by
session. So does what was handed over for an id, which was counted as far as windows were open where it came from.

Most ids leave little, and every event of theirs comes by here: so an entry is made to be added to. It is bytes, and
begins as those of funnels do (`funnel_state.HEAD`), with the time from which on it can be forgotten:

    base   int64    minute of the first visit that was noted, epoch ms
    ttl    uint32   seconds from base until every window is closed, less the lateness (`funnel_state.expires_at`)
    flags  uint16   WIDE: the places are 32 bits; BROUGHT: there are visits that were handed over; PLACED: as said here
    size   uint32   bytes of the texts
    texts           the sessions as a list of msgpack, then the values of the visits: each uint16 length, and UTF-8
    visits          of each: its minute after base int32, whether it registered uint8, and for each field the place of
                    its value, uint8 or uint32; where BROUGHT, at which watermark it was counted, int64

A place is where a value's length and text stand, in bytes after the beginning of the texts: whoever adds an event looks
for them there, and reads nothing else. It does not matter if they are found across others: whoever reads them has the
same value. Entries that are not PLACED are those of older states: all texts are msgpack, and a place is a number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Final, NamedTuple

import msgpack

from pipeline.measure.activity import Visit
from pipeline.measure.conditions import text_values
from pipeline.measure.entries import Entries
from pipeline.measure.funnel_state import HEAD, ttl_of
from pipeline.measure.windows import bounds, closing, grains
from schemas.duration import MINUTE
from schemas.event import Event
from schemas.plan import Plan

#: From so many visits on those of one hour, or day, are put together once their minutes can't change any more.
_MANY = 24
#: Visits that are handed over for an id are noted until it has so many: a forged handover may have any number.
MOST_VISITS: Final = 10_000
_WIDE, _BROUGHT, _PLACED = 1, 2, 4
#: What an entry begins with: base, ttl, flags, size.
_HEAD: Final = struct.Struct(f"{HEAD.format}I")
_LENGTH: Final = struct.Struct("<H")
#: Texts of an id without sessions: msgpack's empty list.
_NO_SESSIONS: Final = 0x90
#: Entries of one visit, texts, and ends of minutes' windows, that are remembered: they are those of many ids.
_REMEMBERED: Final = 4096

#: A minute and the values of the plan's fields there, and at which watermark that was counted if it was handed over
#: (`_OWN` if not); whether the id registered.
_Visits = dict[tuple[int, tuple[str, ...], int], bool]
_OWN: Final = -1


class Trail(NamedTuple):
    """What an id has left."""

    visits: list[Visit]
    sessions: list[str]


class Trails:
    """The trails of one partition. `fields` are the fields of the plan's dimensions, in the order of the values."""

    def __init__(self, plan: Plan, fields: Sequence[str], entries: Entries) -> None:
        self._plan, self._fields, self.entries = plan, tuple(fields), entries
        self._grains = grains(plan.zone)
        #: By grain: the end of the last window that is closed, less the watermark.
        self._closing = [closing(plan, grain, 0) for grain in self._grains]
        self._by_session = any(funnel.per == "session" for funnel in plan.funnels.values())
        #: Until when an event's steps may matter to a funnel of its session, after its time.
        self._steps_ms = max(
            [funnel.window + 2 * 86_400_000 for funnel in plan.funnels.values() if funnel.per == "session"], default=0
        )
        #: By flags, without PLACED.
        self._layouts = [struct.Struct(f"<iB{len(fields)}{place}") for place in ("B", "I", "Bq", "Iq")]
        self._texts: dict[str, bytes] = {}
        self._alone: dict[Visit, bytes] = {}
        self._visit_of: dict[bytes, Visit] = {}
        self._ends: dict[int, list[int]] = {}
        self.changed: set[str] = set()

    def add(self, events: Sequence[Event], watermark: int) -> None:
        """Note accepted events of ids that belong to nobody."""
        registration = self._plan.registration
        #: Ids that need more than a visit at their entry's end, with what is to be noted from there on.
        slow: dict[str, list[tuple[Visit, str | None]]] = {}
        columns = [text_values(events, name) for name in self._fields]
        for event, values in zip(events, zip(*columns, strict=True) if columns else repeat(()), strict=False):
            identifier, session = event.actor, (event.session_id or None) if self._by_session else None
            visit = (event.ts // MINUTE, values, event.name == registration)
            before = self.entries.get(identifier) or b""
            entry = self._with(before, visit) if session is None and identifier not in slow else None
            if entry is None:
                slow.setdefault(identifier, []).append((visit, session))
            elif entry is not before:
                self.entries[identifier] = entry
                self.changed.add(identifier)
        for identifier, own in slow.items():
            before = self.entries.get(identifier) or b""
            visits, sessions = self._read(before)
            for (minute, values, registered), session in own:
                visits[minute, values, _OWN] = visits.get((minute, values, _OWN), False) or registered
                if session:
                    sessions[session] = None
            entry = self._encode(self._fewer(visits, watermark), sessions)
            if entry != before:
                self.entries[identifier] = entry
                self.changed.add(identifier)

    def of(self, identifier: str, watermark: int) -> Trail:
        """What an id has left by itself, as far as its windows are open at `watermark`: nothing if there is none.

        It is a function of the log, however much of it was put together when. The sessions are all that it has.
        """
        entry = self.entries.get(identifier)
        if not entry:
            return Trail([], [])
        visits, sessions = self._read(entry)
        own = {visit: registered for visit, registered in visits.items() if visit[2] == _OWN}
        found = self._closed_together(own, watermark)
        return Trail([(*visit[:2], found[visit]) for visit in sorted(found)], list(sessions))

    def brought(self, identifier: str, watermark: int) -> dict[int, list[Visit]]:
        """What was handed over for an id, by the watermark at which a window must be open so that it is counted there.

        Of what has come from a partition that is ahead, windows that were closed there were not counted here.
        """
        found: dict[int, list[Visit]] = {}
        if entry := self.entries.get(identifier):
            visits = self._closed_together(self._read(entry)[0], watermark)
            for (minute, values, counted_at), registered in sorted(visits.items()):
                if counted_at != _OWN:
                    found.setdefault(max(counted_at, watermark), []).append((minute, values, registered))
        return found

    def drop(self, identifier: str) -> None:
        """Forget the trail of an id: it is somebody's now."""
        if self.entries.get(identifier):
            self.entries[identifier] = b""
            self.changed.add(identifier)

    def join(self, identifier: str, shares: Iterable[tuple[Trail, int]], watermark: int) -> None:
        """Note what was counted elsewhere and is counted for this id now, for it may turn out to be somebody's too.

        Each is counted where windows are open at the watermark with it; `watermark` is the partition's own before them.
        """
        visits, sessions = self._read(self.entries.get(identifier) or b"")
        for trail, counted_at in shares:
            for minute, values, registered in trail.visits:
                visit = (minute, values, counted_at)
                if visit in visits or len(visits) < MOST_VISITS:
                    visits[visit] = visits.get(visit, False) or registered
            sessions.update(dict.fromkeys(trail.sessions))
        self.entries[identifier] = self._encode(self._fewer(visits, watermark), sessions)
        self.changed.add(identifier)

    def _with(self, entry: bytes, visit: Visit) -> bytes | None:
        """The short way: an entry with one visit more. None if it would be a long one, or has to be made anew."""
        minute, values, registered = visit
        if not entry:
            alone = self._alone.get(visit)
            if alone is None:
                if len(self._alone) >= _REMEMBERED:
                    self._alone.clear()
                    self._visit_of.clear()
                alone = self._alone[visit] = self._encode({(minute, values, _OWN): registered}, {})
                self._visit_of[alone] = visit
            return alone
        base, ttl, flags, size = _HEAD.unpack_from(entry)
        layout, begin = self._layouts[flags & _WIDE], _HEAD.size
        start = begin + size
        if flags | _WIDE != _PLACED | _WIDE or len(entry) - start >= _MANY * layout.size:
            return None
        new = b""
        places = []
        for value in values:
            text = self._texts.get(value) or self._text(value)
            place = entry.find(text, begin, start) - begin
            if place < 0:
                if (place := new.find(text)) < 0:
                    place, new = len(new), new + text
                place += size
            places.append(place)
        if places and not flags & _WIDE and max(places) > 255:
            return None
        row = layout.pack(minute - base // MINUTE, registered, *places)
        if not new:
            at = entry.find(row, start)
            if at >= 0 and not (at - start) % layout.size:
                return entry
        ttl = max(ttl, ttl_of(base, self._expires(minute, entry[begin] != _NO_SESSIONS)))
        return b"".join([_HEAD.pack(base, ttl, flags, size + len(new)), entry[begin:start], new, entry[start:], row])

    def _text(self, value: str) -> bytes:
        """A value as it stands among the texts."""
        if len(self._texts) >= _REMEMBERED:
            self._texts.clear()
        raw = value.encode()
        found = self._texts[value] = _LENGTH.pack(len(raw)) + raw
        return found

    def _fewer(self, visits: _Visits, watermark: int) -> _Visits:
        return self._closed_together(visits, watermark) if len(visits) > _MANY else visits

    def _closed_together(self, visits: _Visits, watermark: int) -> _Visits:
        """One visit for all of an hour (a day) with the same values, where their minutes (and hours) are closed."""
        latest = max([watermark, *[counted_at for _, _, counted_at in visits]])
        if not visits or self._ends_of(min(visits)[0])[0] > latest + self._closing[0]:
            return visits  # all minutes are open
        found: dict[tuple[object, tuple[str, ...], int], tuple[int, bool]] = {}
        for (minute, values, counted_at), registered in sorted(visits.items()):
            at = max(watermark, counted_at)
            ends = zip(self._ends_of(minute), self._closing, strict=False)
            open_ = tuple([end if end > at + ahead else 0 for end, ahead in ends])
            if any(open_):
                key = (open_, values, counted_at)
                first, before = found.get(key, (minute, False))
                found[key] = (first, before or registered)
        return {
            (minute, values, counted_at): registered for (_, values, counted_at), (minute, registered) in found.items()
        }

    def _ends_of(self, minute: int) -> list[int]:
        """The ends of the windows around a minute, that of the minute first; at last, when all of them are closed."""
        ends = self._ends.get(minute)
        if ends is None:
            if len(self._ends) >= _REMEMBERED:
                self._ends.clear()
            ends = [bounds(grain, minute * MINUTE, self._plan.zone)[1] for grain in self._grains]
            # Less the lateness, as what expires is asked for; minutes stay open for links longer than for events.
            closed = max([end - ahead for end, ahead in zip(ends, self._closing, strict=True)])
            ends.append(closed - self._plan.lateness)
            self._ends[minute] = ends
        return ends

    def _expires(self, minute: int, sessions: bool) -> int:
        closed = self._ends_of(minute)[-1]
        return max(closed, (minute + 1) * MINUTE + self._steps_ms) if sessions else closed

    def _encode(self, visits: _Visits, sessions: dict[str, None]) -> bytes:
        if not visits:
            return b""
        base, latest = next(iter(visits))[0], max(visits)[0]
        texts = bytearray(msgpack.packb(list(sessions)))
        places: dict[str, int] = {}
        for value in dict.fromkeys(value for _, values, _ in visits for value in values):
            text = self._text(value)
            if (place := texts.find(text)) < 0:
                place = len(texts)
                texts += text
            places[value] = place
        brought = any(counted_at != _OWN for _, _, counted_at in visits)
        wide = max(places.values(), default=0) > 255
        layout = self._layouts[(_WIDE if wide else 0) | (_BROUGHT if brought else 0)]
        rows = [
            layout.pack(
                minute - base, registered, *[places[value] for value in values], *([counted_at] if brought else [])
            )
            for (minute, values, counted_at), registered in visits.items()
        ]
        flags = _PLACED | (_WIDE if wide else 0) | (_BROUGHT if brought else 0)
        ttl = ttl_of(base * MINUTE, self._expires(latest, bool(sessions)))
        return b"".join([_HEAD.pack(base * MINUTE, ttl, flags, len(texts)), texts, *rows])

    def _read(self, entry: bytes) -> tuple[_Visits, dict[str, None]]:
        if not entry:
            return {}, {}
        if (alone := self._visit_of.get(entry)) is not None:
            return {(alone[0], alone[1], _OWN): alone[2]}, {}
        base, _, flags, size = _HEAD.unpack_from(entry)
        start = _HEAD.size + size
        texts = entry[_HEAD.size : start]
        first, visits = base // MINUTE, _Visits()
        if flags & _PLACED:
            sessions = _sessions_of(texts) if texts[0] != _NO_SESSIONS else ()
            value_of = partial(_placed, texts)
        else:
            sessions, values = msgpack.unpackb(texts)
            value_of = values.__getitem__
        for minute, registered, *places in self._layouts[flags & ~_PLACED].iter_unpack(entry[start:]):
            counted_at = places.pop() if flags & _BROUGHT else _OWN
            key = (first + minute, tuple(map(value_of, places)), counted_at)
            visits[key] = visits.get(key, False) or bool(registered)
        return visits, dict.fromkeys(sessions)

    def expire(self, horizon: int) -> None:
        """Forget trails of which every window is closed at `horizon` (epoch ms)."""
        self.entries.drop_expired(horizon, self.changed)


def _sessions_of(texts: bytes) -> list[str]:
    """The sessions that texts begin with."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(texts)
    return unpacker.unpack()  # type: ignore[no-any-return]


def _placed(texts: bytes, place: int) -> str:
    """The value at a place."""
    start = place + _LENGTH.size
    return texts[start : start + texts[place] + (texts[place + 1] << 8)].decode()
