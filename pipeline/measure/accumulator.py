"""The counters of one window and dimension value, and the groups of events that they take up.

Sketches merge, so longer spans are unions, never sums: an event goes into the sketches of its minute, and those of its
hour and day take in the minute's when they are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgpack
from datasketches import hll_sketch

from pipeline.measure.sketches import (
    Distinct,
    difference,
    dumped,
    hashes_of,
    loaded,
    new_sketch,
    new_union,
    union,
    update,
)


class Group:
    """Events of one batch that fall into the same accumulator; actors and sessions once for each event."""

    __slots__ = ("actors", "events", "registered", "sessions", "value")

    def __init__(self) -> None:
        self.events = 0
        self.value = 0
        self.actors: list[int] = []
        self.sessions: list[int] = []
        self.registered: list[int] = []

    @classmethod
    def of(cls, rows: Sequence[tuple[str, str | None, int, str]], registration: str | None) -> Group:
        """Events, each as its actor, session, value and name."""
        group = cls()
        actors, sessions, values, names = zip(*rows, strict=True)
        group.events, group.value = len(rows), sum(values)
        group.actors = hashes_of(actors)
        group.sessions = hashes_of(filter(None, sessions))
        if registration in names:
            group.registered = [a for a, name in zip(group.actors, names, strict=True) if name == registration]
        return group

    def merge(self, other: Group) -> None:
        """Put other events to these."""
        self.events += other.events
        self.value += other.value
        self.actors += other.actors
        self.sessions += other.sessions
        self.registered += other.registered


class Accumulator:
    """The counters of one window and dimension value."""

    __slots__ = (
        "_gone", "_gone_registrations", "_minutes", "_registrations", "_sessions", "_users", "brought", "end", "events",
        "value", "version", "wide",
    )  # fmt: skip

    def __init__(self, end: int, wide: bool) -> None:
        self.end, self.wide = end, wide
        self.version = 0
        #: Whether a link has brought persons here, of whom no event need be counted.
        self.brought = False
        self.events = 0
        self.value = 0
        self._users: Distinct = self._new()
        self._sessions: Distinct | None = None
        self._registrations: Distinct | None = None
        #: Who was counted here and is counted as somebody else now: a sketch can't forget, so they are taken off.
        self._gone: hll_sketch | None = None
        self._gone_registrations: hll_sketch | None = None
        #: Minutes that have changed since their sketches were taken in.
        self._minutes: set[Accumulator] = set()

    def _new(self) -> Distinct:
        return new_union() if self.wide else new_sketch()

    @property
    def users(self) -> Distinct:
        """Distinct actors."""
        self._take_in()
        return self._users

    @property
    def sessions(self) -> Distinct | None:
        """Distinct sessions, None if no event had one."""
        self._take_in()
        return self._sessions

    @property
    def registrations(self) -> Distinct | None:
        """Distinct actors of the registration event, None if there was none."""
        self._take_in()
        return self._registrations

    def add(self, group: Group, version: int, minute: Accumulator | None) -> None:
        """Count a group of events; `minute` is the accumulator that has counted all of it, None if there is none."""
        self.version = version
        self.events += group.events
        self.value += group.value
        if minute is not None:
            self._minutes.add(minute)
            return
        update(self._users, group.actors)
        if group.sessions:
            self._sessions = self._sessions or self._new()
            update(self._sessions, group.sessions)
        if group.registered:
            self._registrations = self._registrations or self._new()
            update(self._registrations, group.registered)

    def take_off(self, hashes: Sequence[int], registered: Sequence[int], version: int) -> None:
        """Count these (hashes of ids) no longer, and some of them as registered: they are counted as somebody else."""
        self.version = version
        self._gone = self._gone or new_sketch()
        update(self._gone, hashes)
        if registered:
            self._gone_registrations = self._gone_registrations or new_sketch()
            update(self._gone_registrations, registered)

    def put_on(self, hashes: Sequence[int], registered: Sequence[int], version: int) -> None:
        """Count these, whose events are counted elsewhere."""
        self.version = version
        update(self._users, hashes)
        if registered:
            self._registrations = self._registrations or self._new()
            update(self._registrations, registered)

    @property
    def gone(self) -> hll_sketch | None:
        """Those of `users` that are counted as somebody else."""
        return self._gone

    def figures(self) -> tuple[float, float, float]:
        """Estimates of users, sessions and registrations."""
        users, sessions, registrations = self.users, self._sessions, self._registrations
        return (
            difference(users, self._gone),
            sessions.get_estimate() if sessions else 0.0,
            difference(registrations, self._gone_registrations) if registrations else 0.0,
        )

    def _take_in(self) -> None:
        for minute in self._minutes:
            self._users.update(minute._users)
            if minute._sessions is not None:
                self._sessions = self._sessions or self._new()
                self._sessions.update(minute._sessions)
            if minute._registrations is not None:
                self._registrations = self._registrations or self._new()
                self._registrations.update(minute._registrations)
        self._minutes.clear()

    def dump(self) -> bytes:
        """The accumulator as bytes, for a checkpoint."""
        distinct = (self.users, self._sessions, self._registrations)
        return msgpack.packb(  # type: ignore[no-any-return]
            (
                self.end,
                self.version,
                self.events,
                str(self.value),  # may outgrow 64 bits
                *[None if found is None else dumped(found) for found in distinct],
                *([] if self._gone is None else [dumped(self._gone)]),
                *([] if self._gone_registrations is None else [dumped(self._gone_registrations)]),
                *([True] if self.brought else []),
            )
        )

    @classmethod
    def load(cls, data: bytes, wide: bool) -> Accumulator:
        """The accumulator that `dump` wrote."""
        end, version, events, value, users, sessions, registrations, *rest = msgpack.unpackb(data)
        accumulator = cls(end, wide)
        # One of before this was noted has no events if it was brought.
        accumulator.brought = True in rest or not events
        gone = [one for one in rest if one is not True]
        accumulator.version, accumulator.events, accumulator.value = version, events, int(value)
        accumulator._users = loaded(users, wide)
        accumulator._sessions = loaded(sessions, wide) if sessions else None
        accumulator._registrations = loaded(registrations, wide) if registrations else None
        sketches = [loaded(one, False) for one in gone]
        accumulator._gone, accumulator._gone_registrations = (*sketches, None, None)[:2]
        return accumulator


def users_of(accumulators: Sequence[Accumulator]) -> float:
    """Estimated persons of several windows, each once."""
    gone = [accumulator.gone for accumulator in accumulators if accumulator.gone is not None]
    return difference(union(accumulator.users for accumulator in accumulators), union(gone) if gone else None)
