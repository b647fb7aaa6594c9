"""Segments: people who match a rule, by what they did up to the end of the days looked at and by their attributes.

One model for the plan's segments and those made in a page; the SQL is one pass over the events, whatever the rule asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from pipeline.errors import UserError
from pipeline.explore.filters import ATTRIBUTE, Filter, filter_sql, filters_sql, of_plan
from pipeline.explore.sql import Values
from pipeline.queries.conditions import quoted
from schemas.duration import DAY
from schemas.segments import MAX_DEPTH, MAX_RULES, SegmentRule


@dataclass(frozen=True)
class EventSet:
    """Events: of one of these names (none: whichever), with all these conditions."""

    names: tuple[str, ...] = ()
    where: tuple[Filter, ...] = ()


@dataclass(frozen=True)
class HasDone:
    """The person did such an event at least and at most so many times, within so many days (None: ever)."""

    events: EventSet
    at_least: int = 1
    at_most: int | None = None
    days: int | None = None


@dataclass(frozen=True)
class HasAttribute:
    """The person has an attribute (`user.NAME`)."""

    filter: Filter


@dataclass(frozen=True)
class Rules:
    """Every one of the rules holds, or any."""

    every: bool
    rules: tuple[HasDone | HasAttribute | Rules, ...]


Rule = HasDone | HasAttribute | Rules


@dataclass(frozen=True)
class ChosenSegment:
    """A rule with its name; `outside` means everybody else."""

    name: str
    rule: Rule
    outside: bool = False

    def others(self) -> ChosenSegment:
        """Who is not in it."""
        return replace(self, outside=not self.outside)


def rule_of_plan(spec: SegmentRule) -> Rule:
    """A rule of the plan."""
    days = None if spec.within is None else spec.within // DAY
    where = of_plan(spec.where)
    if spec.did:
        least = spec.at_least if spec.at_least is not None else 0 if spec.at_most is not None else 1
        return HasDone(EventSet((spec.did,), where), least, spec.at_most, days)
    if spec.did_not:
        return HasDone(EventSet((spec.did_not,), where), 0, 0, days)
    if spec.seen:
        return HasDone(EventSet((), of_plan(spec.seen)), days=days)
    if spec.attribute:
        found = of_plan({f"{ATTRIBUTE}{name}": condition for name, condition in spec.attribute.items()})
        return Rules(True, tuple(map(HasAttribute, found)))
    return Rules(bool(spec.all), tuple(map(rule_of_plan, spec.all or spec.any)))


def check_rule(rule: Rule, depth: int = 0) -> None:
    """Raise UserError for a rule that asks for too much."""
    if depth > MAX_DEPTH or len(list(_leaves(rule))) > MAX_RULES:
        raise UserError("a segment has at most {most} rules, {deep} deep", most=MAX_RULES, deep=MAX_DEPTH)
    if isinstance(rule, Rules):
        if not rule.rules:
            raise UserError("a segment needs a rule")
        for one in rule.rules:
            check_rule(one, depth + 1)


def _leaves(rule: Rule) -> Iterator[HasDone | HasAttribute]:
    if isinstance(rule, Rules):
        for one in rule.rules:
            yield from _leaves(one)
    else:
        yield rule


def events_sql(events: EventSet, values: Values) -> str:
    """The condition that an event is one of the set."""
    names = f"event IN {values.texts(events.names)}" if events.names else ""
    where = filters_sql(events.where, values) if events.where else ""
    return " AND ".join(filter(None, (names, where))) or "1"


def segment_sql(segment: ChosenSegment, last: date, zone: str, values: Values) -> str:
    """The condition that `person` is in the segment, seen from the end of the day `last`. `zone` is the plan's."""
    leaves = list(_leaves(segment.rule))
    if all(isinstance(leaf, HasAttribute) for leaf in leaves):
        found = f"({_rule(segment.rule, '', values)})"
        return f"NOT {found}" if segment.outside else found
    day, end = f"toDate(ts, {quoted(zone)})", values.day(last)
    # Who has to have done something has an event of that name. Who must not have done it may have any.
    names = {name for leaf in leaves if isinstance(leaf, HasDone) for name in leaf.events.names}
    some = all(isinstance(leaf, HasDone) and leaf.at_least > 0 and leaf.events.names for leaf in leaves)
    only = f" AND event IN {values.texts(sorted(names))}" if some else ""
    having = _rule(segment.rule, f"dateDiff('day', {day}, {end})", values)
    return (
        f"person {'NOT ' if segment.outside else ''}IN (SELECT person FROM events "
        f"WHERE toDate(ts) <= {end} + 1 AND {day} <= {end}{only} GROUP BY person HAVING {having})"
    )


def _rule(rule: Rule, age: str, values: Values) -> str:
    if isinstance(rule, HasAttribute):
        return filter_sql(rule.filter, values)
    if isinstance(rule, Rules):
        return (
            "(" + (" AND " if rule.every else " OR ").join(f"({_rule(one, age, values)})" for one in rule.rules) + ")"
        )
    condition = events_sql(rule.events, values)
    if rule.days is not None:
        condition = f"{age} < {rule.days} AND {condition}"
    times = f"countIf({condition})"
    bounds = [f"{times} >= {rule.at_least}"] if rule.at_least else []
    bounds += [f"{times} <= {rule.at_most}"] if rule.at_most is not None else []
    return " AND ".join(bounds) or "1"
