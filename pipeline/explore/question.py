"""What can be asked: a scope (days, filters, a segment) and a kind of question. Values only; `address` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Literal

from pipeline.explore.filters import Filter
from pipeline.explore.segments import ChosenSegment, EventSet

Grain = Literal["hour", "day", "week", "month"]
GRAINS: Final[tuple[Grain, ...]] = ("day", "hour", "week", "month")
Measure = Literal[
    "count", "people", "per_person", "sessions", "per_session", "sum", "average", "median", "p90", "p95", "p99"
]
#: Measures that need no property, and those of a property.
COUNTED: Final = ("people", "count", "per_person", "sessions", "per_session")
OF_PROPERTY: Final = ("sum", "average", "median", "p90", "p95", "p99")
#: Measure to its name.
MEASURES: Final[dict[str, str]] = {
    "people": "people",
    "count": "times",
    "per_person": "times a person",
    "sessions": "sessions",
    "per_session": "times a session",
    "sum": "sum of",
    "average": "average of",
    "median": "median of",
    "p90": "90th percentile of",
    "p95": "95th percentile of",
    "p99": "99th percentile of",
}
Order = Literal["ordered", "any", "strict"]
ORDER_NAMES: Final = {
    "ordered": "in this order",
    "any": "in any order",
    "strict": "nothing else in between",
}

#: Bounds of a question.
MAX_SERIES, MAX_FORMULAS, MAX_BY, MAX_STEPS, MAX_FILTERS, MAX_CONDITIONS = 6, 3, 2, 8, 8, 3
MAX_DAYS, MAX_HOUR_DAYS = 366, 14
#: Values of a breakdown that are answered, the largest; how many there are is said.
MAX_VALUES: Final = 25


@dataclass(frozen=True)
class Scope:
    """Of which events: of the days `first` to `last` (of the plan's zone), with these conditions, of these people.

    `until` (epoch ms) leaves out what came later, so that an earlier period can be seen as far as this one is.
    """

    first: date
    last: date
    where: tuple[Filter, ...] = ()
    segment: ChosenSegment | None = None
    until: int | None = None

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def moved(self, days: int) -> Scope:
        """The same, so many days earlier."""
        back = timedelta(days=days)
        return replace(self, first=self.first - back, last=self.last - back)


@dataclass(frozen=True)
class TrendSeries:
    """What a line of a trend counts: events, and how. `property` is `value`, or a field with numbers."""

    events: EventSet
    measure: Measure = "people"
    property: str = ""


Compare = Literal["", "before", "week", "year", "segment"]


@dataclass(frozen=True)
class Trend:
    """Events and formulas of them over time."""

    scope: Scope
    series: tuple[TrendSeries, ...]
    grain: Grain = "day"
    formulas: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    compare: Compare = ""
    versus: ChosenSegment | None = None
    monday: bool = True


@dataclass(frozen=True)
class BuiltFunnel:
    """Steps that people take within a time from the first."""

    scope: Scope
    steps: tuple[EventSet, ...]
    #: Milliseconds.
    window: int
    order: Order = "ordered"
    exclude: tuple[EventSet, ...] = ()
    per_session: bool = False
    by: str = ""
    compare: Compare = ""
    versus: ChosenSegment | None = None


@dataclass(frozen=True)
class Retention:
    """Who did the first event in a period, and did the second one in the periods after."""

    scope: Scope
    start: EventSet
    back: EventSet
    grain: Grain = "day"
    #: Only the first time ever that a person did the first event; else every period in which they did.
    first_time: bool = True
    monday: bool = True


@dataclass(frozen=True)
class Distribution:
    """How many people did something how often, on how many days, or how much of a property each has in sum."""

    scope: Scope
    events: EventSet
    of: Literal["times", "days", "sum"] = "times"
    property: str = ""


@dataclass(frozen=True)
class Lifecycle:
    """The people of each period, parted into new, returning and resurrected, and those who fell away."""

    scope: Scope
    events: EventSet
    grain: Grain = "day"
    #: Periods without the event after which a person is dormant.
    away: int = 1
    monday: bool = True


@dataclass(frozen=True)
class Paths:
    """How sessions go on after an event (or from their begin), or come to one."""

    scope: Scope
    way: Literal["from", "to"] = "from"
    event: str = ""
    depth: int = 3


@dataclass(frozen=True)
class OfMetric:
    """A metric of the catalogue behind whose numbers there are people (`pipeline.explore.metric_people`).

    Of the scope only the filters and the segment are its own: the days are among the arguments, which are texts.
    """

    scope: Scope
    metric: str
    arguments: tuple[tuple[str, str], ...]


#: What can be asked in Explore; and whatever has people behind its numbers.
Question = Trend | BuiltFunnel | Retention | Distribution | Lifecycle | Paths
WithPeople = Question | OfMetric


@dataclass(frozen=True)
class Cell:
    """One number of an answer: which series, step or column (`n`, from 0), of which period or cohort (`at`, as the
    answer writes it, empty for all), of which values of the breakdown (none: of all together), or of which row of a
    metric. `lost`: who did not come on to step `n`."""

    n: int = 0
    at: str = ""
    values: tuple[str, ...] = field(default=())
    lost: bool = False
