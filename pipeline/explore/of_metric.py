"""The people behind a number of the catalogue: the question of Explore, and the cell of it, that counts the same ones.

Only of numbers that count people, and where Explore counts by the same rule: the people are as many as the number
says (`tests/explore/test_of_metric.py`). Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from pipeline.explore.address import MAX_DEPTH, MAX_WINDOW, of_metric
from pipeline.explore.filters import MAX_VALUE, of_plan
from pipeline.explore.given import ALSO
from pipeline.explore.metric_people import METRIC_PEOPLE
from pipeline.explore.question import (
    MAX_CONDITIONS,
    MAX_DAYS,
    MAX_STEPS,
    BuiltFunnel,
    Cell,
    Grain,
    Lifecycle,
    Paths,
    Retention,
    Scope,
    Trend,
    TrendSeries,
    WithPeople,
)
from pipeline.explore.scope import first_day, period_number
from pipeline.explore.segments import EventSet
from pipeline.metrics.facts import registrations
from schemas.duration import DAY, SECOND
from schemas.event import CONTEXT_FIELDS
from schemas.meanings import Meaning
from schemas.plan import Plan

Behind = tuple[WithPeople, Cell]


@dataclass(frozen=True)
class _Number:
    """A number of a metric: of which column and row, with which arguments, under which filters."""

    metric: str
    column: str
    row: Mapping[str, Any]
    arguments: Mapping[str, Any]
    scope: Scope
    plan: Plan

    @property
    def grain(self) -> Grain:
        found: Grain = self.arguments.get("period", "day")
        return found


def people_behind(
    metric: str, column: str, row: Mapping[str, Any], arguments: Mapping[str, Any], filtered: Scope, plan: Plan
) -> Behind | None:
    """Who a number of a metric's row counts; None where it doesn't count people, or nobody knows them by a question.

    `filtered` has the filters and the segment that the metric was asked with.
    """
    found = _METRICS.get(metric)
    if found is None or column not in found[0]:
        return None
    if found[1] is _own:
        return _own(_Number(metric, column, row, arguments, filtered, plan))
    days = [arguments.get(name) for name in ("from", "to")]
    if not all(isinstance(day, date) for day in days) or (days[1] - days[0]).days >= MAX_DAYS:  # type: ignore[operator]
        return None
    scope = replace(filtered, first=days[0], last=days[1], until=None)  # type: ignore[arg-type]
    return found[1](_Number(metric, column, row, arguments, scope, plan))


def _did(number: _Number, events: EventSet, at: str = "", **more: Any) -> Behind:
    return Trend(number.scope, (TrendSeries(events),), grain=number.grain, **more), Cell(at=at)


def _day(number: _Number) -> Behind | None:
    return _did(number, EventSet(), number.row["day"].isoformat())


def _days_up_to(number: _Number) -> Behind | None:
    """Of a rolling number: the days that end with the row's."""
    width = {"dau": 1, "wau": 7, "mau": 30}[number.column]
    day = number.row["day"]
    if number.scope.segment is not None and day != number.scope.last:
        return None  # the segment would be seen from another day
    scope = replace(number.scope, first=day - timedelta(days=width - 1), last=day)
    return Trend(scope, (TrendSeries(EventSet()),)), Cell()


def _period(number: _Number) -> Behind | None:
    return _did(number, EventSet(), number.row["period"].isoformat())


def _value(number: _Number) -> Behind | None:
    field = number.arguments["dimension"]
    if field not in ("event", *CONTEXT_FIELDS):
        return None  # the catalogue tells lists and long texts of a property apart, and Explore doesn't
    question, cell = _did(number, EventSet(), by=(field,))
    return question, replace(cell, values=(number.row["value"],))


def _event(number: _Number) -> Behind | None:
    return _did(number, EventSet((number.row["event"],)))


def _funnel(number: _Number) -> Behind | None:
    steps, within = number.arguments["steps"], number.arguments["within"] * SECOND
    field = number.arguments.get("dimension", "")
    if not 2 <= len(steps) <= MAX_STEPS or not 0 < within <= MAX_WINDOW:
        return None
    if field not in ("", "event", *CONTEXT_FIELDS):
        return None
    step, lost = number.row["step"] - 1, number.column == "dropped"
    if lost and not step:
        return None
    funnel = BuiltFunnel(number.scope, tuple(EventSet((step,)) for step in steps), within, by=field)
    return funnel, Cell(step, values=(number.row["value"],) if field else (), lost=lost)


def _cohort(number: _Number) -> Behind | None:
    if number.column == "rolling":
        return _own(number)
    joined = _events_of(registrations(number.plan)) if registrations(number.plan) else EventSet()
    if joined is None:
        return None
    n = -1 if number.column == "users" else number.row["n"]
    cohort = str(period_number(number.grain, number.row["cohort"]))
    return Retention(number.scope, joined, EventSet(), number.grain), Cell(n, cohort)


def _lifecycle(number: _Number) -> Behind | None:
    away = number.plan.meanings.thresholds.dormant // DAY
    if number.column == "dormant":
        # The metric counts them on the day after the last one on which they could have come in time.
        day = number.row["day"] - timedelta(days=1)
        scope = replace(number.scope, first=min(number.scope.first, day))
        return Lifecycle(scope, EventSet(), "day", away), Cell(3, str(period_number("day", day)))
    state = ("new", "returning", "resurrected").index(number.column)
    return Lifecycle(number.scope, EventSet(), "day", away), Cell(state, str(period_number("day", number.row["day"])))


def _churn(number: _Number) -> Behind | None:
    """Who was there in the period before the row's; of them those who were not in this one."""
    period, grain = number.row["period"], number.grain
    before = first_day(grain, period_number(grain, period) - 1)
    scope = replace(number.scope, first=min(number.scope.first, before))
    if scope.days > MAX_DAYS:
        return None
    if number.column == "users_before":
        return Trend(scope, (TrendSeries(EventSet()),), grain=grain), Cell(at=before.isoformat())
    return Lifecycle(scope, EventSet(), grain, 1), Cell(3, str(period_number(grain, period)))


def _own(number: _Number) -> Behind | None:
    """Of a metric that counts by a rule of its own, and knows the people."""
    of = METRIC_PEOPLE[number.metric]
    values = tuple(str(number.row[key]) for key in of.keys)
    if any(len(value) > MAX_VALUE for value in values):
        return None
    question = of_metric(number.metric, number.arguments, number.scope)
    return question, Cell(tuple(of.columns).index(number.column), values=values)


def _buyers(number: _Number) -> Behind | None:
    if number.column == "active_users":
        return _period(number)
    events = _events_of(number.plan.meanings.payment)
    return None if events is None else _did(number, events, number.row["period"].isoformat())


def _path(number: _Number) -> Behind | None:
    way = "from" if "start" in number.arguments else "to"
    depth = number.arguments["depth"]
    if number.arguments["collapse"] != 1 or not 1 <= depth <= MAX_DEPTH:
        return None
    event = number.arguments["start" if way == "from" else "target"]
    return Paths(number.scope, "from" if way == "from" else "to", event, depth), Cell(at=number.row["path"])


def _events_of(meanings: Sequence[Meaning]) -> EventSet | None:
    """The events that mean this, None where an address can't say which."""
    names = tuple(dict.fromkeys(meaning.event for meaning in meanings))
    if len(meanings) == 1 and len(where := of_plan(meanings[0].where)) <= MAX_CONDITIONS:
        return EventSet(names, where)
    if not 0 < len(names) <= len(ALSO) or any(meaning.where for meaning in meanings):
        return None
    return EventSet(names)


#: Metric to its columns that count people, and to who they are.
_METRICS: Final[dict[str, tuple[tuple[str, ...], Callable[[_Number], Behind | None]]]] = {
    **{name: (tuple(of.columns), _own) for name, of in METRIC_PEOPLE.items()},
    "active_users_daily": (("users",), _day),
    "active_users": (("dau", "wau", "mau"), _days_up_to),
    "active_users_calendar": (("users",), _period),
    "active_users_by": (("users",), _value),
    "feature_penetration": (("users",), _event),
    "funnel": (("users", "dropped"), _funnel),
    "funnel_by": (("users",), _funnel),
    "retention": (("users", "classic", "rolling"), _cohort),
    "user_lifecycle": (("new", "returning", "resurrected", "dormant"), _lifecycle),
    "churn": (("users_before", "churned"), _churn),
    "revenue": (("buyers", "active_users"), _buyers),
    "paths_from": (("users",), _path),
    "paths_to": (("users",), _path),
}
