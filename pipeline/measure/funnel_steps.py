"""Which of a batch's events are steps of which funnels: worked out name by name, over columns.

The events of one name are steps of the same funnels, with the same codes, but for the conditions; and a condition that
several funnels have is looked at once an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.measure.conditions import text_values
from schemas.event import Event
from schemas.funnel import Funnel
from schemas.where import Predicate, Step, predicate

#: Separates actor and session in the key of a funnel that counts sessions; neither can contain it.
SEPARATOR = "\x1f"


class Matches(NamedTuple):
    """Events of one name that are steps of one funnel, all with the same code."""

    funnel: int
    code: int
    #: Which of the events; None: all of them.
    rows: list[int] | None


class Named:
    """The events of one name, by columns that are made when they are asked for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        #: Each event's place in the batch, and when it happened (epoch ms).
        self.places: list[int] = []
        self.ts: list[int] = []
        self._actors: dict[bool, list[str]] = {}
        self._texts: dict[str, list[str]] = {}
        self._holds: dict[int, list[bool]] = {}

    def actors(self, sessions: bool) -> list[str]:
        """Who has an entry for it: the actor, or the actor's session ("" for an event without one)."""
        found = self._actors.get(sessions)
        if found is None:
            if sessions:
                found = [f"{e.actor}{SEPARATOR}{e.session_id}" if e.session_id else "" for e in self.events]
            else:
                found = [event.actor for event in self.events]
            self._actors[sessions] = found
        return found

    def texts(self, breakdown: str) -> list[str]:
        """The values of a field."""
        found = self._texts.get(breakdown)
        if found is None:
            found = self._texts[breakdown] = text_values(self.events, breakdown)
        return found

    def holds(self, number: int, condition: Predicate) -> list[bool]:
        """For which events a condition holds, whose `number` it is."""
        found = self._holds.get(number)
        if found is None:
            found = self._holds[number] = [condition(event) for event in self.events]
        return found


def by_name(events: Sequence[Event]) -> tuple[dict[str, Named], dict[str, Named]]:
    """A batch's events by name: those that are the only one of their actor, and the others."""
    times = Counter([event.actor for event in events])
    alone: dict[str, Named] = {}
    together: dict[str, Named] = {}
    for place, event in enumerate(events):
        found = alone if times[event.actor] == 1 else together
        named = found.get(event.name)
        if named is None:
            named = found[event.name] = Named()
        named.events.append(event)
        named.places.append(place)
        named.ts.append(event.ts)
    return alone, together


class StepIndex:
    """The steps of some funnels by the name of the event.

    With `every`, all events matter to these funnels (`strict_order`), also those that are no step.
    """

    def __init__(self, every: bool) -> None:
        self._every = every
        self._numbers: list[int] = []
        #: By event name, and of each funnel: code bits, each with the number of its condition, -1 for none.
        self._steps: dict[str, dict[int, list[tuple[int, int]]]] = {}
        self._conditions: list[Predicate] = []
        self._known: dict[str, int] = {}

    def add(self, number: int, funnel: Funnel) -> None:
        """Take up a funnel."""
        self._numbers.append(number)
        for bit, step in enumerate(funnel.steps):
            self._on(number, 1 << bit, step)
        for step in funnel.exclude:
            self._on(number, 1 << len(funnel.steps), step)

    def _on(self, number: int, bit: int, step: Step) -> None:
        condition, which = predicate(step.where), -1
        if condition is not None:
            text = step.model_dump_json(include={"where"})
            which = self._known.setdefault(text, len(self._conditions))
            if which == len(self._conditions):
                self._conditions.append(condition)
        self._steps.setdefault(step.event, {}).setdefault(number, []).append((bit, which))

    def of(self, events: Sequence[Event]) -> list[Event]:
        """Those of the events that matter."""
        if self._every:
            return list(events) if self._numbers else []
        steps = self._steps
        return [event for event in events if event.name in steps]

    def matches(self, name: str, named: Named) -> Iterator[Matches]:
        """Of which funnels the events of one name are steps, or matter."""
        steps = self._steps.get(name, {})
        for number in self._numbers if self._every else steps:
            bits = steps.get(number, [])
            if len(bits) == 1 and bits[0][1] < 0:
                yield Matches(number, bits[0][0], None)
            elif not bits:
                yield Matches(number, 0, None)
            else:
                yield from self._some(number, bits, named)

    def _some(self, number: int, bits: list[tuple[int, int]], named: Named) -> Iterator[Matches]:
        codes = [0] * len(named.events)
        for bit, which in bits:
            if which < 0:
                codes = [code | bit for code in codes]
            else:
                held = named.holds(which, self._conditions[which])
                codes = [code | bit if holds else code for code, holds in zip(codes, held, strict=True)]
        rows: dict[int, list[int]] = {}
        for row, code in enumerate(codes):
            if code or self._every:
                rows.setdefault(code, []).append(row)
        for code, those in rows.items():
            yield Matches(number, code, those)
