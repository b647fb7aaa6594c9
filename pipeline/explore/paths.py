"""Paths: how sessions go on after an event, or come to one, by the catalogue's own views."""

from __future__ import annotations

from pipeline.explore.catalogue import filter_of
from pipeline.explore.question import Cell, OfMetric, Paths
from pipeline.explore.sql import SETTINGS, Sql, Values
from schemas.plan import Plan


def paths_sql(asked: Paths, plan: Plan) -> Sql:
    """The query: the columns of `paths_from` or `paths_to`."""
    values = Values()
    name = "start" if asked.way == "from" else "target"
    filters = settings_of(asked, plan)
    return values.sql(
        f"SELECT * FROM paths_{asked.way}({_days(asked, values)}, {name} = {values.text(asked.event)}, "
        f"depth = {asked.depth}, collapse = 1)\n{SETTINGS}{filters}"
    )


def paths_people(asked: Paths, cell: Cell, plan: Plan, values: Values) -> str:
    """A sub-query of the persons whose sessions went the way `at`, as the answer writes it."""
    wanted = f"indexOf((SELECT names FROM event_names), {values.text(asked.event)})"
    if asked.way == "from":
        end, whole = "(end)", "arrayPushBack(path, 0)"
        at = f"indexOf(path, {wanted})" if asked.event else "1"
        way = f"arraySlice(whole, at, {asked.depth + bool(asked.event)})"
    else:
        end, whole = "(start)", "arrayPushFront(path, 0)"
        at = f"if({wanted} = 0, 0, indexOf(whole, {wanted}))"
        way = f"arraySlice(whole, greatest(toInt64(at) - {asked.depth}, 1), least(at, {asked.depth + 1}))"
    written = f"arrayStringConcat(arrayMap(n -> if(n = 0, '{end}', (SELECT names FROM event_names)[n]), way), ' → ')"
    return f"""\
    SELECT DISTINCT person FROM (
        SELECT person, {whole} AS whole, {at} AS at, {way} AS way
        FROM session_paths({_days(asked, values)}, collapse = 1)
    )
    WHERE at > 0 AND {written} = {values.text(cell.at)}"""


def _days(asked: Paths, values: Values) -> str:
    return f"from = {values.day(asked.scope.first)}, to = {values.day(asked.scope.last)}"


def settings_of(asked: Paths | OfMetric, plan: Plan) -> str:
    """What is added to the settings of a query by the catalogue's views: they see the events that fit the filters."""
    found = filter_of(asked.scope, plan)
    return f", additional_table_filters = {found}" if found else ""
