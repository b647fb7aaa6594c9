"""The events of a batch by columns, and those of them that are counted together. Pure.

A pass over a column is far quicker than its share of a pass over whole events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

import numpy as np

from pipeline.measure.accumulator import Group, Lone
from pipeline.measure.conditions import text_values
from pipeline.measure.grouping import Codes, Groups, codes_of, pairs
from pipeline.measure.sketches import hashes_of
from schemas.duration import MINUTE
from schemas.event import Event


class ActivityBatch:
    """Events (at least one), by the columns that `fields` name; those called `registration` register their actor."""

    def __init__(self, events: Sequence[Event], fields: Sequence[str], registration: str | None) -> None:
        self.minutes = np.array([event.ts for event in events], np.int64) // MINUTE
        self._columns = [text_values(events, name) for name in fields]
        self._codes = [codes_of(column) for column in self._columns]
        self._actors = hashes_of([event.actor for event in events])
        given = [event.session_id or "" for event in events]
        self._sessions = hashes_of(given)
        self._actor_objects, self._session_objects = self._actors.astype(object), self._sessions.astype(object)
        self._has_session = None if all(given) else np.array(given) != ""
        self._worth = {i: event.value for i, event in enumerate(events) if event.value}
        registers = [] if registration is None else [i for i, event in enumerate(events) if event.name == registration]
        self._registers = dict.fromkeys(registers)  # in their order
        self._ends: list[int] = ((self.minutes + 1) * MINUTE).tolist()
        #: Of each event the hash of its actor, and that of its session if it has one: made when first asked for.
        self._actor_of: list[list[int]] = []
        self._session_of: list[list[int]] = []
        self._lone: dict[int, Lone] = {}

    def groups(self, windows: Codes, at: Sequence[int]) -> Iterator[tuple[int, tuple[str, ...], Group | None]]:
        """The events by window and the values of the fields `at` these places, in the order of their first events.

        Of each group the row of its first event, the values, and what to count: None for that event alone.
        """
        code = windows
        for place in at:
            code = pairs(code, self._codes[place])
        columns = [self._columns[place] for place in at]
        groups = Groups(code)
        if len(groups) == len(code):
            for row in range(len(code)):
                yield row, tuple([column[row] for column in columns]), None
            return
        # Objects: numbers would be made into Python's anew for each dimension.
        actors: list[int] = self._actor_objects[groups.order].tolist()
        sessions: list[int] = self._session_objects[groups.order].tolist()
        has_session = None if self._has_session is None else self._has_session[groups.order].tolist()
        values = _sums((int(code[row]), value) for row, value in self._worth.items())
        registered: dict[int, list[int]] = {}
        for row in self._registers:
            registered.setdefault(int(code[row]), []).append(int(self._actors[row]))
        for row, own in groups:
            group: Group | None = None
            events = own.stop - own.start
            if events > 1:
                one, theirs = int(code[row]), sessions[own]
                if has_session is not None:
                    theirs = list(compress(theirs, has_session[own]))
                group = Group(events, values.get(one, 0), actors[own], theirs, registered.get(one, []))
            yield row, tuple([column[row] for column in columns]), group

    def group(self, row: int) -> Group:
        """One event, as a group."""
        if not self._actor_of:
            self._actor_of = [[one] for one in self._actors.tolist()]
            self._session_of = [[one] for one in self._sessions.tolist()]
            for none in [] if self._has_session is None else np.flatnonzero(~self._has_session).tolist():
                self._session_of[none] = []
        actor = self._actor_of[row]
        return Group(1, self._worth.get(row, 0), actor, self._session_of[row], actor if row in self._registers else [])

    def lone(self, row: int, version: int) -> Lone:
        """The counters of a minute's window with this event alone: all such windows share them."""
        found = self._lone.get(row)
        if found is None:
            found = self._lone[row] = Lone(self._ends[row], version, self.group(row))
        return found


def _sums(items: Iterable[tuple[int, int]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for key, number in items:
        found[key] = found.get(key, 0) + number
    return found
