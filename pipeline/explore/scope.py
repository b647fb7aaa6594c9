"""The part of every question's SQL that says of which events: FROM, WHERE, periods and breakdowns."""

from __future__ import annotations

from datetime import date, timedelta

from pipeline.explore.filters import ATTRIBUTE, filters_sql
from pipeline.explore.question import Grain, Scope
from pipeline.explore.segments import EventSet, segment_sql
from pipeline.explore.sql import Values
from pipeline.queries.conditions import value_sql


def scope_sql(scope: Scope, zone: str, values: Values, *, further: int = 0, ever: bool = False) -> str:
    """The condition over `activity`. `further` days after the last are in it too; with `ever`, all before the first."""
    first, last = values.day(scope.first), values.day(scope.last + timedelta(days=further))
    # The day of UTC is in the sorting key, the local one may be a day beside it.
    parts = [f"toDate(ts) <= {last} + 1", f"day <= {last}"]
    if not ever:
        parts = [f"toDate(ts) >= {first} - 1", f"day >= {first}", *parts]
    if scope.until is not None:
        parts.append(f"ts < fromUnixTimestamp64Milli({scope.until})")
    if scope.where:
        parts.append(filters_sql(scope.where, values))
    if scope.segment is not None:
        parts.append(segment_sql(scope.segment, scope.last, zone, values))
    return " AND ".join(parts)


def names_sql(sets: tuple[EventSet, ...], values: Values) -> str:
    """The condition that an event's name is one of those of the sets: it is in the sorting key; "1" for any name."""
    if any(not one.names for one in sets):
        return "1"
    return f"event IN {values.texts(sorted({name for one in sets for name in one.names}))}"


def by_sql(field: str, values: Values) -> str:
    """The value of a breakdown as text; of an attribute, that of the person."""
    if not field.startswith(ATTRIBUTE):
        return value_sql(field)
    name = values.text(field.removeprefix(ATTRIBUTE))
    known = f"SELECT person, max(value) AS held FROM user_attributes WHERE name = {name} GROUP BY person"
    pairs = f"(SELECT (groupArray(person), groupArray(held)) FROM ({known}))"
    return f"transform(person, {pairs}.1, {pairs}.2, '')"


def period_sql(grain: Grain, *, monday: bool = True) -> str:
    """The begin of the period of an event: a day, of hours a time."""
    match grain:
        case "hour":
            return "toStartOfHour(local_time)"
        case "week":
            return f"toStartOfWeek(day, {int(monday)})"
        case "month":
            return "toStartOfMonth(day)"
    return "day"


def number_of_period(grain: Grain, *, monday: bool = True) -> str:
    """The number of the period of an event, which grows by one from each to the next."""
    match grain:
        case "hour":
            return "toUInt32(intDiv(toUnixTimestamp(toStartOfHour(local_time)), 3600))"
        case "week":
            # The first of January 1970 was a Thursday.
            return f"toUInt32(intDiv(toUInt32(day) + {3 if monday else 4}, 7))"
        case "month":
            return "toUInt32(toYear(day) * 12 + toMonth(day) - 1)"
    return "toUInt32(day)"


def period_number(grain: Grain, day: date, *, monday: bool = True) -> int:
    """The number of the day's period (not for hours), as `number_of_period` has it."""
    if grain == "month":
        return day.year * 12 + day.month - 1
    days = (day - date(1970, 1, 1)).days
    return (days + (3 if monday else 4)) // 7 if grain == "week" else days


def first_day(grain: Grain, number: int, *, monday: bool = True) -> date:
    """The first day of a period by its number (not for hours)."""
    if grain == "month":
        return date(number // 12, number % 12 + 1, 1)
    days = number * 7 - (3 if monday else 4) if grain == "week" else number
    return date(1970, 1, 1) + timedelta(days=days)
