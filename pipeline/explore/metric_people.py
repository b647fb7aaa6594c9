"""The people behind numbers of the catalogue that count by a rule of their own: the view that knows them one by one.

A metric and its people read the same view, so they are the same people: those of a row (named by some of its columns),
and of them those that a column counts.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.explore.metric_view import MetricPeople
from pipeline.explore.people_business import BUSINESS
from pipeline.explore.people_growth import GROWTH
from pipeline.explore.question import Cell, OfMetric
from pipeline.explore.sql import Values
from pipeline.metrics.arguments import arguments_for
from pipeline.metrics.registry import metrics
from schemas.names import shown
from schemas.plan import Plan

#: Metrics whose numbers no other question of Explore counts alike.
METRIC_PEOPLE: Final[dict[str, MetricPeople]] = {**GROWTH, **BUSINESS}
#: Keys that are numbers, at most this one.
_MOST: Final = {"n": 65_535, "days": 65_535, "first": 65_535, "last": 65_535, "step": 255, "depth": 64}


def metric_people(asked: OfMetric, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons behind column `n` of the row that the cell's values name. Raises UserError."""
    of = METRIC_PEOPLE[asked.metric]
    arguments = arguments_for(metrics()[asked.metric], dict(asked.arguments), plan, asked.scope.last)
    given = {name: _bound(value, values) for name, value in arguments.items()}
    for key, value in zip(of.keys, cell.values, strict=True):
        given[f"of_{key}"] = _value(key, value, values)
    column = tuple(of.columns.values())[cell.n]
    view, row, counted = (text.format_map(given) for text in (of.view, of.row, column))
    return f"    SELECT DISTINCT person FROM {view} WHERE {row} AND {counted}"


def _bound(value: Any, values: Values) -> str:
    if isinstance(value, date):
        return values.day(value)
    if isinstance(value, str):
        return values.text(value)
    if isinstance(value, int):
        return str(int(value))
    if all(isinstance(one, str) for one in value):
        return values.texts(value)
    return f"[{', '.join(str(int(one)) for one in value)}]"


def _value(key: str, value: str, values: Values) -> str:
    if key in _MOST:
        return _number(key, value)
    if key != "day":
        return values.text(value)
    try:
        return values.day(date.fromisoformat(value))
    except ValueError:
        raise UserError("{name} is a day like 2026-11-30, not {given}", name=key, given=shown(value)) from None


def _number(key: str, value: str) -> str:
    if not (value.isascii() and value.isdecimal() and len(value) < 7 and int(value) <= _MOST[key]):
        raise UserError(
            "{name} is a whole number from {low} to {high}, not {given}",
            name=key,
            low=0,
            high=_MOST[key],
            given=shown(value),
        )
    return str(int(value))
