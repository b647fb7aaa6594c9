"""The parameters of an address, read as what they should be. Each mistake is a UserError of one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.explore.filters import ATTRIBUTE, PROPERTY, Filter, check_field, make_filter
from pipeline.explore.question import MAX_CONDITIONS
from pipeline.explore.segments import EventSet
from schemas.names import check_name, shown
from schemas.plan import Plan

_FIRST_DAY, _LAST_DAY = date(1971, 1, 1), date(2148, 12, 31)
#: Endings of the names of further events that count as one.
ALSO: Final = ("", "a", "b")


@dataclass(frozen=True)
class AddressReader:
    """The parameters of an address, and what they may name."""

    query: Mapping[str, str]
    plan: Plan
    today: date
    #: Whether single people may be looked at. Where not, nothing that is asked in an address reads their attributes: a
    #: value that few have says who they are, and a condition on it shows them alone. What the plan itself asks of them
    #: (its segments) stays.
    people: bool
    #: Segments that are kept besides the plan's: the parameters that the bar wrote for each.
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A parameter; "" if it isn't there."""
        return self.query.get(name, "").strip()

    def choice(self, name: str, options: tuple[str, ...]) -> Any:
        """One of the options, the first of them if nothing is given."""
        found = self.text(name)
        if not found:
            return options[0]
        if found not in options:
            known = ", ".join(filter(None, options))
            raise UserError("{name} is one of {known}, not {given}", name=name, known=known, given=shown(found))
        return found

    def integer(self, name: str, low: int, high: int, default: int) -> int:
        """A whole number within bounds."""
        found = self.text(name)
        if not found:
            return default
        if not (found.isascii() and found.isdecimal() and len(found) < 8 and low <= int(found) <= high):
            raise UserError(
                "{name} is a whole number from {low} to {high}, not {given}",
                name=name, low=low, high=high, given=shown(found),
            )  # fmt: skip
        return int(found)

    def day(self, name: str, default: date) -> date:
        """A day."""
        found = self.text(name)
        if not found:
            return default
        try:
            day = date.fromisoformat(found)
        except ValueError:
            raise UserError("{name} is a day like 2026-11-30, not {given}", name=name, given=shown(found)) from None
        if not _FIRST_DAY <= day <= _LAST_DAY:
            raise UserError(
                "{name} is a day from {first} to {last}, not {given}",
                name=name, first=_FIRST_DAY, last=_LAST_DAY, given=day,
            )  # fmt: skip
        return day

    def event(self, name: str) -> str:
        """The name of an event of the plan; any name where others may come; "" if nothing is given."""
        found = self.text(name)
        if not found or found in self.plan.events:
            return found
        if self.plan.unknown_events == "keep":
            try:
                return check_name(found)
            except ValueError as exc:
                raise UserError.of(exc) from None
        if close := difflib.get_close_matches(found[:100], self.plan.events, 1):
            raise UserError("the plan has no event {event}: did you mean {close}?", event=shown(found), close=close[0])
        raise UserError("the plan has no event {event}", event=shown(found))

    def funnel(self, name: str) -> str:
        """The name of a funnel of the plan, the first one if nothing is given; "" of a plan without any."""
        found = self.text(name)
        if not found or found in self.plan.funnels:
            return found or next(iter(self.plan.funnels), "")
        if close := difflib.get_close_matches(found[:100], self.plan.funnels, 1):
            raise UserError(
                "the plan has no funnel {funnel}: did you mean {close}?", funnel=shown(found), close=close[0]
            )
        raise UserError("the plan has no funnel {funnel}", funnel=shown(found))

    def events(self, name: str) -> EventSet:
        """An event, others that count as it, and the conditions."""
        names = tuple(dict.fromkeys(filter(None, (self.event(f"{name}{more}") for more in ALSO))))
        return EventSet(names, self.filters(name, MAX_CONDITIONS))

    def filters(self, prefix: str, most: int) -> tuple[Filter, ...]:
        """The conditions `f1 o1 v1` and so on behind a prefix."""
        found = []
        for k in range(1, most + 1):
            if field := self.text(f"{prefix}f{k}"):
                operator = self.text(f"{prefix}o{k}") or "is"
                found.append(make_filter(self.allowed(field), operator, self.query.get(f"{prefix}v{k}", "")))
        return tuple(found)

    def field(self, name: str) -> str:
        """A field, or "" if none is given."""
        found = self.text(name)
        return check_field(self.allowed(found)) if found else ""

    def allowed(self, field: str) -> str:
        """The field, unless it is an attribute of users and single people may not be looked at."""
        if field.startswith(ATTRIBUTE) and not self.people:
            raise UserError(
                "{field} is an attribute of users, and this installation shows no single people "
                "(PIPELINE_DASHBOARD_PEOPLE): ask by a segment of the plan",
                field=shown(field),
            )
        return field

    def number_field(self, name: str) -> str:
        """The name of a property with numbers."""
        found = self.text(name)
        if found and found != "value" and not found.startswith(PROPERTY):
            raise UserError("{field} has no numbers: use properties.NAME, or value", field=shown(found))
        return found if found in ("", "value") else check_field(found)
