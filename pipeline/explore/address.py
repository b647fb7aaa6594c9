"""Questions in addresses: the address is the state of a page, so that what is seen can be sent as a link.

    kind=trend&from=2026-11-01&to=2026-11-30&grain=day&e1=view_item&m1=people&e1f1=platform&e1o1=is&e1v1=ios&by=channel

`e1` is the first event, `e1a` and `e1b` are others that count as it, `e1f1` `e1o1` `e1v1` a condition on it; `f1`
`o1` `v1` a filter of all; `seg` a segment: `in:NAME` or `out:NAME` of the plan or a kept one, `in` or `out` of the
one made by `g1` and so on.
Whatever stands there comes from a stranger: all of it is bounded, and what can't be read is a UserError of one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.explore import segments
from pipeline.explore.filters import ATTRIBUTE, Filter, make_filter, of_plan
from pipeline.explore.formula import formula_sql
from pipeline.explore.given import AddressReader
from pipeline.explore.metric_people import METRIC_PEOPLE
from pipeline.explore.question import (
    COUNTED,
    GRAINS,
    MAX_DAYS,
    MAX_FILTERS,
    MAX_FORMULAS,
    MAX_HOUR_DAYS,
    MAX_SERIES,
    MAX_STEPS,
    OF_PROPERTY,
    BuiltFunnel,
    Cell,
    Distribution,
    Lifecycle,
    OfMetric,
    Paths,
    Question,
    Retention,
    Scope,
    Trend,
    TrendSeries,
    WithPeople,
)
from pipeline.explore.segments import ChosenSegment, EventSet, HasAttribute, HasDone, Rules, rule_of_plan
from pipeline.metrics.arguments import arguments_for, last_day, written
from pipeline.metrics.registry import metrics
from schemas.duration import DAY, format_duration, parse_duration
from schemas.names import shown
from schemas.plan import Plan

KINDS: Final = ("trend", "funnel", "retention", "distribution", "lifecycle", "paths")
#: Fields that have a place of their own in the filter bar.
QUICK: Final = ("source", "platform", "channel", "app_version", "country")
COMPARES: Final = ("", "before", "week", "year", "segment")
ORDERS: Final = ("ordered", "any", "strict")
#: Rules of a segment made in a page, and exclusions of a funnel.
MAX_OWN_RULES, MAX_EXCLUDED = 5, 2
MAX_WINDOW, MAX_DEPTH, MAX_AWAY = 90 * DAY, 5, 365


def read_scope(given: AddressReader, days: int = 30, ending: int = 0) -> Scope:
    """Days, filters and segment; by default so many days up to `ending` days ago. Raises UserError."""
    last = given.day("to", given.today - timedelta(days=ending))
    first = given.day("from", last - timedelta(days=days - 1))
    if first > last:
        raise UserError("from ({first}) is later than to ({last})", first=first, last=last)
    if (last - first).days >= MAX_DAYS:
        raise UserError("from {first} to {last} are more than {most} days", first=first, last=last, most=MAX_DAYS)
    own = tuple(make_filter(name, "is", given.text(name)) for name in QUICK if given.text(name))
    where = _quick_first((*own, *given.filters("", MAX_FILTERS)))
    return Scope(first, last, where, read_segment(given, "seg"))


def quick(filters: tuple[Filter, ...]) -> dict[str, Filter]:
    """The filters that have a place of their own, by field: the first `is` of each."""
    return {one.field: one for one in reversed(filters) if one.field in QUICK and one.operator == "is"}


def _quick_first(filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
    """In the order in which they are written, so that the same question has one address."""
    found = quick(filters)
    first = tuple(found[name] for name in QUICK if name in found)
    return (*first, *(one for one in filters if not any(one is known for known in first)))


def read_segment(given: AddressReader, name: str) -> ChosenSegment | None:
    """The segment that a parameter names. Raises UserError."""
    found = given.text(name)
    if not found:
        return None
    way, colon, of_plan_ = found.partition(":")
    if way not in ("in", "out"):
        raise UserError(
            "{name} is in:NAME or out:NAME of a segment of the plan, or in or out of the own one", name=name
        )
    if not colon:
        return ChosenSegment("", read_rule(given), way == "out")
    spec = given.plan.segments.get(of_plan_)
    if spec is None and of_plan_ in given.kept:
        own = replace(given, query=given.kept[of_plan_])
        return ChosenSegment(of_plan_, read_rule(own), way == "out")
    if spec is None:
        if close := difflib.get_close_matches(of_plan_[:100], [*given.plan.segments, *given.kept], 1):
            raise UserError(
                "the plan has no segment {segment}: did you mean {close}?", segment=shown(of_plan_), close=close[0]
            )
        raise UserError("the plan has no segment {segment}", segment=shown(of_plan_))
    rule = rule_of_plan(spec)
    segments.check_rule(rule)
    return ChosenSegment(of_plan_, rule, way == "out")


def read_rule(given: AddressReader) -> Rules:
    """The rules `g`, `g1` and so on of a segment that is made in a page. Raises UserError."""
    rules: list[segments.Rule] = []
    for k in range(1, MAX_OWN_RULES + 1):
        kind = given.choice(f"g{k}", ("", "did", "not", "has"))
        if not kind:
            continue
        if kind == "has":
            name = f"{ATTRIBUTE}{given.text(f'g{k}f1').removeprefix(ATTRIBUTE)}"
            written = given.query.get(f"g{k}v1", "")
            rules.append(HasAttribute(make_filter(given.allowed(name), given.text(f"g{k}o1") or "is", written)))
            continue
        one = EventSet(
            tuple(filter(None, [given.event(f"g{k}e")])),
            given.filters(f"g{k}", 1),
        )
        days = given.integer(f"g{k}d", 1, 3660, 0) or None
        times = given.integer(f"g{k}n", 0, 1_000_000, 1)
        compared = given.choice(f"g{k}c", ("gte", "is", "lte"))
        if kind == "not":
            rules.append(HasDone(one, 0, 0, days))
        else:
            rules.append(HasDone(one, 0 if compared == "lte" else times, None if compared == "gte" else times, days))
    if not rules:
        raise UserError("the segment has no rule: say what its people did, or which attribute they have")
    return Rules(given.choice("g", ("every", "any")) == "every", tuple(rules))


def read(given: AddressReader, kind: str) -> Question:
    """The question of an address; what is not said has a default. Raises UserError."""
    match kind:
        case "trend":
            return _trend(given)
        case "funnel":
            return _funnel(given)
        case "retention":
            grain = given.choice("grain", ("day", "hour", "week", "month"))
            scope = read_scope(given, {"day": 14, "hour": 2, "week": 56, "month": 180}[grain], ending=1)
            _check_hours(grain, scope)
            return Retention(
                scope, _start(given), given.events("e2"), grain,
                given.choice("first", ("first", "every")) == "first", _monday(given),
            )  # fmt: skip
        case "distribution":
            of = given.choice("of", ("times", "days", "sum"))
            number = given.number_field("p1")
            if of == "sum" and not number:
                number = "value"
            return Distribution(read_scope(given), given.events("e1"), of, number if of == "sum" else "")
        case "lifecycle":
            grain = given.choice("grain", ("day", "week", "month"))
            scope = read_scope(given, {"day": 30, "week": 84, "month": 180}[grain], ending=1)
            return Lifecycle(scope, given.events("e1"), grain, given.integer("away", 1, MAX_AWAY, 1), _monday(given))
        case "paths":
            way = given.choice("way", ("from", "to"))
            event = given.event("event")
            if way == "to" and not event:
                event = _steps(given.plan)[-1].names[0]
            return Paths(read_scope(given, 14), way, event, given.integer("depth", 1, MAX_DEPTH, 3))
    raise UserError("{name} is one of {known}, not {given}", name="kind", known=", ".join(KINDS), given=shown(kind))


def read_with_people(given: AddressReader, kind: str) -> WithPeople:
    """What an address asks for the people of: a question, or a metric of `METRIC_PEOPLE`. Raises UserError."""
    return _of_metric(given) if kind == "metric" else read(given, kind)


def of_metric(name: str, arguments: Mapping[str, Any], scope: Scope) -> OfMetric:
    """A metric with all its arguments, under the filters and the segment of a scope."""
    last = last_day(arguments) or scope.last
    asked = tuple((name, written(value)) for name, value in arguments.items())
    return OfMetric(replace(scope, first=min(arguments.get("from", last), last), last=last, until=None), name, asked)


def _of_metric(given: AddressReader) -> OfMetric:
    name = given.text("metric")
    if name not in METRIC_PEOPLE:
        raise UserError(
            "{name} is one of {known}, not {given}", name="metric", known=", ".join(METRIC_PEOPLE), given=shown(name)
        )
    metric = metrics()[name]
    named = {parameter.name for parameter in metric.parameters}
    asked = {name: value for name, value in given.query.items() if name in named and value}
    arguments = arguments_for(metric, asked, given.plan, given.today)
    rest = {name: value for name, value in given.query.items() if name not in named}
    return of_metric(name, arguments, read_scope(replace(given, query=rest)))


def _start(given: AddressReader) -> EventSet:
    if "e1" in given.query or given.plan.registration is None:
        return given.events("e1")
    return EventSet((given.plan.registration,))


def _monday(given: AddressReader) -> bool:
    return bool(given.choice("week", ("monday", "sunday")) == "monday")


def _check_hours(grain: str, scope: Scope) -> None:
    if grain == "hour" and scope.days > MAX_HOUR_DAYS:
        raise UserError(
            "by hour at most {most} days can be asked for, and these are {days}", most=MAX_HOUR_DAYS, days=scope.days
        )


def _compared(given: AddressReader) -> dict[str, Any]:
    compare = given.choice("than", COMPARES)
    versus = read_segment(given, "vs") if compare == "segment" else None
    if compare == "segment" and versus is None:
        raise UserError("compared with which segment? Choose one")
    return {"compare": compare, "versus": versus}


def _trend(given: AddressReader) -> Trend:
    series = []
    for k in range(1, MAX_SERIES + 1):
        measure = given.choice(f"m{k}", ("", *COUNTED, *OF_PROPERTY))
        if not measure:
            continue
        number = given.number_field(f"p{k}")
        if measure in OF_PROPERTY and not number:
            number = "value"
        series.append(TrendSeries(given.events(f"e{k}"), measure, number if measure in OF_PROPERTY else ""))
    formulas = tuple(filter(None, (given.text(f"x{k}") for k in range(1, MAX_FORMULAS + 1))))
    series = series or [TrendSeries(EventSet(), "people")]
    for formula in formulas:
        formula_sql(formula, len(series))
    grain = given.choice("grain", GRAINS)
    scope = read_scope(given, 3 if grain == "hour" else 30)
    _check_hours(grain, scope)
    by = tuple(dict.fromkeys(filter(None, (given.field("by"), given.field("by2")))))
    return Trend(scope, tuple(series), grain, formulas, by, monday=_monday(given), **_compared(given))


def _funnel(given: AddressReader) -> BuiltFunnel:
    steps = tuple(one for k in range(1, MAX_STEPS + 1) if (one := given.events(f"e{k}")).names)
    window = given.text("window")
    if not steps:
        name = given.funnel("funnel")
        plans = given.plan.funnels.get(name)
        steps = _steps(given.plan, name)
        window = window or (format_duration(plans.window) if plans is not None else "")
    if len(steps) < 2:
        raise UserError("a funnel has two steps at least: choose one more")
    try:
        within = parse_duration(window or "1d")
    except (ValueError, OverflowError) as exc:
        raise UserError("the time for all steps: {why}", why=exc) from None
    if not 0 < within <= MAX_WINDOW:
        most = format_duration(MAX_WINDOW)
        raise UserError("the time for all steps is at most {most}, and more than nothing", most=most)
    excluded = tuple(one for k in range(1, MAX_EXCLUDED + 1) if (one := given.events(f"n{k}")).names)
    return BuiltFunnel(
        read_scope(given, 7), steps, within, given.choice("order", ORDERS), excluded,
        given.choice("per", ("person", "session")) == "session", given.field("by"), **_compared(given),
    )  # fmt: skip


def _steps(plan: Plan, name: str = "") -> tuple[EventSet, ...]:
    """The steps of a funnel of the plan; without one, its first events."""
    funnel = plan.funnels.get(name) or next(iter(plan.funnels.values()), None)
    if funnel is None:
        return tuple(EventSet((event,)) for event in list(plan.events)[:2])
    return tuple(EventSet((step.event,), of_plan(step.where)) for step in funnel.steps[:MAX_STEPS])


def read_cell(given: AddressReader, question: WithPeople) -> Cell:
    """The cell of an answer that an address names: `n`, `at`, `is1`, `is2`, `lost`. Raises UserError.

    Without any `is…` it is that of all values of a breakdown together.
    """
    if isinstance(question, Trend):
        by = question.by
    elif isinstance(question, OfMetric):
        by = METRIC_PEOPLE[question.metric].keys
    else:
        by = (question.by,) if isinstance(question, BuiltFunnel) and question.by else ()
    names = [f"is{k}" for k in range(1, len(by) + 1)]
    values = tuple(given.query.get(name, "")[:256] for name in names) if given.query.keys() & set(names) else ()
    if isinstance(question, OfMetric):
        values = values or ("",) * len(by)
    lost = given.choice("lost", ("", "1")) == "1"
    number = given.text("n")
    n = -1 if number == "-1" else given.integer("n", 0, 400, 0)
    least = int(lost)
    if isinstance(question, Trend) and not least <= n < len(question.series):
        raise UserError(
            "n is the number of one of the series, from {least}, not {given}", least=least, given=shown(number)
        )
    if isinstance(question, BuiltFunnel) and not least <= n < len(question.steps):
        raise UserError(
            "n is the number of one of the steps, from {least}, not {given}", least=least, given=shown(number)
        )
    if isinstance(question, OfMetric) and not 0 <= n < len(METRIC_PEOPLE[question.metric].columns):
        raise UserError("{metric} has no such column of people: {given}", metric=question.metric, given=shown(number))
    return Cell(n, given.query.get("at", "")[:1000], values, lost)
