"""The counters of one window and dimension value, and the groups of events that they take up.

Sketches merge, so longer spans are unions, never sums: an event goes into the sketches of its minute, and those of its
hour and day take in the minute's when they are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgpack

from pipeline.measure.sketches import (
    Distinct,
    Union,
    dumped,
    less,
    loaded,
    new_sketch,
    sketch_of,
    union,
    update,
)

_packer = msgpack.Packer()  # `packb` makes a new one each time, which is half of its work


class Group(NamedTuple):
    """Events of one batch that fall into the same accumulator: hashes of their actors, and of those that have them."""

    events: int
    value: int
    actors: list[int]
    sessions: list[int]
    registered: list[int]


class Whole:
    """Events that fall into the same wider windows, and the minutes that have them."""

    __slots__ = ("events", "loose", "minutes", "value")

    def __init__(self) -> None:
        self.events = 0
        self.value = 0
        self.minutes: list[Accumulator] = []
        #: Groups that no minute counts by themselves.
        self.loose: list[Group] = []

    def add(self, group: Group, minute: Accumulator | None) -> None:
        """Put a group to these; `minute` has counted it, and nothing that belongs elsewhere."""
        self.events += group.events
        self.value += group.value
        if minute is not None:
            self.minutes.append(minute)
        else:
            self.loose.append(group)


class Accumulator:
    """The counters of one window and dimension value."""

    __slots__ = (
        "_come", "_come_registrations", "_gone", "_gone_registrations", "_minutes", "_registrations",
        "_sessions", "_users", "brought", "end", "events", "value", "version", "wide",
    )  # fmt: skip

    def __init__(self, end: int, wide: bool) -> None:
        self.end, self.wide = end, wide
        self.version = 0
        #: Whether a link has brought persons here, of whom no event need be counted.
        self.brought = False
        self.events = 0
        self.value = 0
        self._users: Distinct = Union() if wide else new_sketch()
        self._sessions: Distinct | None = None
        self._registrations: Distinct | None = None
        #: Who was counted here and is counted as somebody else now: a sketch can't forget, so they are taken off.
        self._gone: Union | None = None
        #: Whom links have brought to a minute: apart from those of events, which wider windows take in.
        self._come: Union | None = None
        self._come_registrations: Union | None = None
        self._gone_registrations: Union | None = None
        #: Minutes that have changed since their sketches were taken in.
        self._minutes: list[Accumulator] = []

    def _new(self) -> Distinct:
        return Union() if self.wide else new_sketch()

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

    def count(self, group: Group, version: int) -> None:
        """Count a group of events."""
        self.version = version
        self.events += group.events
        self.value += group.value
        self._see(group)

    def take(self, whole: Whole, version: int) -> None:
        """Count what minutes have counted: their sketches are taken in when this one is looked at."""
        self.version = version
        self.events += whole.events
        self.value += whole.value
        self._minutes += whole.minutes
        for group in whole.loose:
            self._see(group)

    def _see(self, group: Group) -> None:
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
        self._gone = self._gone or Union()
        update(self._gone, hashes)
        if registered:
            self._gone_registrations = self._gone_registrations or Union()
            update(self._gone_registrations, registered)

    def put_on(self, hashes: Sequence[int], registered: Sequence[int], version: int) -> None:
        """Count these, whose events are counted elsewhere."""
        self.version = version
        if self.wide:
            # No other window takes in those of this one.
            update(self._users, hashes)
            if registered:
                self._registrations = self._registrations or Union()
                update(self._registrations, registered)
            return
        self._come = self._come or Union()
        update(self._come, hashes)
        if registered:
            self._come_registrations = self._come_registrations or Union()
            update(self._come_registrations, registered)

    @property
    def come(self) -> Union | None:
        """Whom links have brought, who are not among `users`."""
        return self._come

    @property
    def gone(self) -> Union | None:
        """Those of `users` and `come` that are counted as somebody else."""
        return self._gone

    def figures(self) -> tuple[float, float, float]:
        """Estimates of users, sessions and registrations."""
        if self._minutes:
            self._take_in()
        users, sessions, registrations = self._users, self._sessions, self._registrations
        if self._come is not None:
            users = _together(users, self._come)
        if self._come_registrations is not None:
            registrations = _together(registrations, self._come_registrations)
        return (
            less(users, self._gone),
            sessions.get_estimate() if sessions else 0.0,
            less(registrations, self._gone_registrations) if registrations else 0.0,
        )

    def _take_in(self) -> None:
        for minute in dict.fromkeys(self._minutes):
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
        users = self.users
        gone = [one for one in (self._gone, self._gone_registrations) if one is not None]
        come = [one for one in (self._come, self._come_registrations) if one is not None]
        return _packer.pack(  # type: ignore[no-any-return]
            (
                self.end,
                self.version,
                self.events,
                str(self.value),  # may outgrow 64 bits
                dumped(users),
                None if self._sessions is None else dumped(self._sessions),
                None if self._registrations is None else dumped(self._registrations),
                *([True] if self.brought else []),
                *map(dumped, gone),
                *[[dumped(one)] for one in come],
            )
        )

    @classmethod
    def load(cls, data: bytes, wide: bool) -> Accumulator:
        """The accumulator that `dump` wrote."""
        end, version, events, value, users, sessions, registrations, *rest = msgpack.unpackb(data)
        accumulator = cls(end, wide)
        # One of before this was noted has no events if it was brought.
        accumulator.brought = True in rest or not events
        gone = [one for one in rest if isinstance(one, bytes)]
        come = [one for each in rest if isinstance(each, list) for one in each]
        accumulator.version, accumulator.events, accumulator.value = version, events, int(value)
        accumulator._users = loaded(users, wide)
        accumulator._sessions = loaded(sessions, wide) if sessions else None
        accumulator._registrations = loaded(registrations, wide) if registrations else None
        unions = [loaded(one, True) for one in gone]
        accumulator._gone, accumulator._gone_registrations = (*unions, None, None)[:2]
        unions = [loaded(one, True) for one in come]
        came, registered = (*unions, None, None)[:2]
        if wide:  # an earlier version kept them apart
            accumulator._users = _together(accumulator._users, came)
            accumulator._registrations = _together(accumulator._registrations, registered)
        else:
            accumulator._come, accumulator._come_registrations = came, registered
        return accumulator


def end_of(data: bytes) -> int:
    """The end (epoch ms) of the window whose accumulator `dump` wrote."""
    end: int = msgpack.unpackb(data)[0]
    return end


def _together(found: Distinct | None, more: Union | None) -> Distinct:
    """What either has seen; neither changes."""
    if more is None:
        return found
    return union([one.sketch() if isinstance(one, Union) else one for one in (found, more) if one is not None])


class Lone:
    """The counters of a minute's window and value that have seen one event, and nothing else.

    Where events are sparse nearly all have. The windows of one event share them: whoever counts more in one of those
    puts an `Accumulator` there (`opened`).
    """

    __slots__ = ("_dumped", "_figures", "_group", "end", "value", "version")

    events: Final = 1
    brought: Final = False
    come: Final = None
    gone: Final = None

    def __init__(self, end: int, version: int, group: Group) -> None:
        self.end, self.version, self.value = end, version, group.value
        self._group = group
        # A sketch of one is exact.
        self._figures = 1.0, float(len(group.sessions)), float(len(group.registered))
        self._dumped = b""

    @property
    def users(self) -> Distinct:
        """The event's actor, as a sketch."""
        return sketch_of(self._group.actors)

    def opened(self) -> Accumulator:
        """Counters of the same that can count more."""
        accumulator = Accumulator(self.end, False)
        accumulator.count(self._group, self.version)
        return accumulator

    def figures(self) -> tuple[float, float, float]:
        """Estimates of users, sessions and registrations."""
        return self._figures

    def dump(self) -> bytes:
        """What `Accumulator.dump` gives."""
        if not self._dumped:
            _, value, actors, sessions, registered = self._group
            users = dumped(sketch_of(actors))
            seen = dumped(sketch_of(sessions)) if sessions else None
            self._dumped = _packer.pack(
                (self.end, self.version, 1, str(value), users, seen, users if registered else None)
            )
        return self._dumped


def users_of(accumulators: Sequence[Accumulator | Lone]) -> float:
    """Estimated persons of several windows, each once."""
    gone = [accumulator.gone.sketch() for accumulator in accumulators if accumulator.gone is not None]
    come = [accumulator.come.sketch() for accumulator in accumulators if accumulator.come is not None]
    return less(union([*(each.users for each in accumulators), *come]), union(gone) if gone else None)
