"""The people behind numbers of the catalogue that count by a rule of their own: the view that knows them one by one.

A metric and its people read the same view, so they are the same people: those of a row (named by some of its columns),
and of them those that a column counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.explore.question import Cell, OfMetric
from pipeline.explore.sql import Values
from pipeline.metrics.arguments import arguments_for
from pipeline.metrics.registry import metrics
from schemas.names import shown
from schemas.plan import Plan


@dataclass(frozen=True)
class MetricPeople:
    """Where the people of a metric are.

    `view` is what follows FROM, `keys` are the columns that name a row, `row` is the condition that a person is in it,
    and `columns` says of each column that counts people whom of them it counts. `{NAME}` is an argument of the metric,
    `{of_NAME}` the row's value of a key.
    """

    view: str
    keys: tuple[str, ...]
    row: str
    columns: Mapping[str, str]


#: Metrics whose numbers no other question of Explore counts alike.
METRIC_PEOPLE: Final[dict[str, MetricPeople]] = {
    "new_users": MetricPeople(
        "users",
        ("day", "channel", "campaign"),
        "channel = {of_channel} AND campaign = {of_campaign}",
        {"new": "toString(first_day) = {of_day}", "registered": "toString(joined_day) = {of_day}"},
    ),
    "retention_by": MetricPeople(
        "users_by(dimension = {dimension}, return_event = {return_event})",
        ("value", "n"),
        "by = {of_value} AND joined_day BETWEEN {from} AND {to} AND joined_day + {of_n} <= {until}",
        {
            "users": "1",
            "classic": "has(active_days, assumeNotNull(joined_day) + {of_n})",
            "rolling": "arrayExists(d -> d >= assumeNotNull(joined_day) + {of_n} AND d <= {until}, active_days)",
        },
    ),
    "experiment_results": MetricPeople(
        "experiment_outcomes(from = {from}, to = {to}, experiment = {experiment}, goal = {goal})",
        ("experiment", "variant"),
        "experiment = {of_experiment} AND variant = {of_variant}",
        {"users": "1", "converted": "has_converted"},
    ),
    "experiment_allocation": MetricPeople(
        "experiment_users(from = {from}, to = {to}, experiment = {experiment})",
        ("experiment", "variant"),
        "experiment = {of_experiment} AND first_variant = {of_variant}",
        {"users": "1", "also_in_another": "in_several"},
    ),
    "campaign_results": MetricPeople(
        "campaign_people(from = {from}, to = {to}, until = {until})",
        ("campaign",),
        "name = {of_campaign}",
        {
            "participants": "part = 'participants'",
            "buyers": "part = 'participants' AND has_bought",
            "compared_users": "part != 'participants'",
        },
    ),
}
#: Keys that are numbers, at most this one.
_MOST: Final = {"n": 65_535}


def metric_people(asked: OfMetric, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons behind column `n` of the row that the cell's values name. Raises UserError."""
    of = METRIC_PEOPLE[asked.metric]
    arguments = arguments_for(metrics()[asked.metric], dict(asked.arguments), plan, asked.scope.last)
    given = {name: _bound(value, values) for name, value in arguments.items()}
    for key, value in zip(of.keys, cell.values, strict=True):
        given[f"of_{key}"] = _number(key, value) if key in _MOST else values.text(value)
    column = tuple(of.columns.values())[cell.n]
    view, row, counted = (text.format_map(given) for text in (of.view, of.row, column))
    return f"    SELECT DISTINCT person FROM {view} WHERE {row} AND {counted}"


def _bound(value: Any, values: Values) -> str:
    if isinstance(value, date):
        return values.day(value)
    return values.text(value) if isinstance(value, str) else ""  # other arguments choose rows, no people


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
