"""Where each id was counted that may yet turn out to be somebody's: so that it can be counted for them instead.

An id that belongs to nobody (a device before login) leaves a trail: the minutes in which it was active and the values
of the plan's dimensions there, as long as one of its windows can change, and its sessions where a funnel counts by
session.

An entry is bytes, and begins as those of funnels do (`funnel_state.HEAD`), with the time from which on it can be
forgotten:

    base int64, epoch ms; ttl uint32, seconds; number of visits uint16
    msgpack: sessions; texts; and for each visit its minute after the first one, whether it registered, and for each
    field the place of its value among the texts
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgpack

from pipeline.measure.activity import Visit
from pipeline.measure.conditions import text_value
from pipeline.measure.entries import Entries
from pipeline.measure.funnel_state import HEAD
from pipeline.measure.windows import bounds, closing, grains
from schemas.duration import MINUTE
from schemas.event import Event
from schemas.plan import Plan

#: From so many visits on those of one hour, or day, are put together once their minutes can't change any more.
_MANY = 8


class Trail(NamedTuple):
    """What an id has left."""

    visits: list[Visit]
    sessions: list[str]


class Trails:
    """The trails of one partition. `fields` are the fields of the plan's dimensions, in the order of the values."""

    def __init__(self, plan: Plan, fields: Sequence[str], entries: Entries) -> None:
        self._plan, self._fields, self.entries = plan, tuple(fields), entries
        self._grains = grains(plan.zone)
        self._by_session = any(funnel.per == "session" for funnel in plan.funnels.values())
        #: Until when an event's steps may matter to a funnel of its session, after its time.
        self._steps_ms = max(
            [funnel.window + 2 * 86_400_000 for funnel in plan.funnels.values() if funnel.per == "session"], default=0
        )
        self.changed: set[str] = set()

    def add(self, events: Iterable[Event], watermark: int) -> None:
        """Note accepted events of ids that belong to nobody."""
        by_id: dict[str, list[Event]] = {}
        for event in events:
            by_id.setdefault(event.actor, []).append(event)
        registration = self._plan.registration
        for identifier, own in by_id.items():
            trail = self._decode(self.entries.get(identifier))
            visits = {(minute, values): registered for minute, values, registered in trail.visits}
            sessions = dict.fromkeys(trail.sessions)
            for event in own:
                key = (event.ts // MINUTE, tuple([text_value(event.fields, name) for name in self._fields]))
                visits[key] = visits.get(key, False) or event.name == registration
                if self._by_session and (session := event.fields.get("session_id")):
                    sessions[session] = None
            if len(visits) > _MANY:
                visits = self._closed_together(visits, watermark)
            self.entries[identifier] = self._encode(visits, list(sessions))
            self.changed.add(identifier)

    def of(self, identifier: str) -> Trail:
        """The trail of an id, empty if it has none."""
        return self._decode(self.entries.get(identifier))

    def drop(self, identifier: str) -> None:
        """Forget the trail of an id: it is somebody's now."""
        if self.entries.get(identifier):
            self.entries[identifier] = b""
            self.changed.add(identifier)

    def join(self, identifier: str, trail: Trail, watermark: int) -> None:
        """Note what was counted elsewhere and is counted for this id now, for it may turn out to be somebody's too."""
        own = self.of(identifier)
        visits = {(minute, values): registered for minute, values, registered in own.visits}
        for minute, values, registered in trail.visits:
            visits[minute, values] = visits.get((minute, values), False) or registered
        if len(visits) > _MANY:
            visits = self._closed_together(visits, watermark)
        self.entries[identifier] = self._encode(visits, list(dict.fromkeys([*own.sessions, *trail.sessions])))
        self.changed.add(identifier)

    def _closed_together(
        self, visits: dict[tuple[int, tuple[str, ...]], bool], watermark: int
    ) -> dict[tuple[int, tuple[str, ...]], bool]:
        """One visit for all of an hour (a day) with the same values, where their minutes (and hours) are closed."""
        if self._open("minute", min(visits)[0], watermark) is not None:
            return visits  # all are open
        found: dict[tuple[object, tuple[str, ...]], tuple[int, bool]] = {}
        for (minute, values), registered in sorted(visits.items()):
            open_ = [start for grain in self._grains if (start := self._open(grain, minute, watermark)) is not None]
            if open_:
                key = (tuple(open_), values)
                first, before = found.get(key, (minute, False))
                found[key] = (first, before or registered)
        return {(minute, values): registered for (_, values), (minute, registered) in found.items()}

    def _open(self, grain: str, minute: int, watermark: int) -> tuple[str, int] | None:
        start, end = bounds(grain, minute * MINUTE, self._plan.zone)
        return (grain, start) if end > closing(self._plan, grain, watermark) else None

    def _encode(self, visits: dict[tuple[int, tuple[str, ...]], bool], sessions: list[str]) -> bytes:
        if not visits:
            return b""
        rows = sorted((minute, values, registered) for (minute, values), registered in visits.items())
        base, latest = rows[0][0], rows[-1][0]
        places: dict[str, int] = {}
        flat: list[int] = []
        for minute, values, registered in rows:
            flat += (minute - base, int(registered))
            flat += [places.setdefault(value, len(places)) for value in values]
        ends = [bounds(grain, latest * MINUTE, self._plan.zone)[1] for grain in self._grains]
        expires = max(*ends, (latest + 1) * MINUTE + (self._steps_ms if sessions else 0))
        # Some time more, for minutes stay open for links a little longer than for events.
        ttl = (expires - base * MINUTE + 999) // 1000 + 3600
        head = HEAD.pack(base * MINUTE, ttl, min(len(rows), 0xFFFF))
        body: bytes = msgpack.packb((sessions, list(places), flat))
        return head + body

    def _decode(self, entry: bytes | None) -> Trail:
        if not entry:
            return Trail([], [])
        base = HEAD.unpack_from(entry)[0] // MINUTE
        sessions, texts, flat = msgpack.unpackb(entry[HEAD.size :])
        width = 2 + len(self._fields)
        visits: list[Visit] = []
        for at in range(0, len(flat), width):
            minute, registered, *places = flat[at : at + width]
            visits.append((base + minute, tuple([texts[place] for place in places]), bool(registered)))
        return Trail(visits, sessions)

    def expire(self, horizon: int) -> None:
        """Forget trails of which every window is closed at `horizon` (epoch ms)."""
        self.entries.drop_expired(horizon, self.changed)

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Every trail, as it is when its turn comes."""
        for identifier in self.entries.actors():
            if entry := self.entries.get(identifier):
                yield identifier, entry
