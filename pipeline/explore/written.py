"""Questions as the parameters of an address, which `address` reads as the same question."""

from __future__ import annotations

from pipeline.explore.address import QUICK, quick
from pipeline.explore.filters import ATTRIBUTE, Filter, joined
from pipeline.explore.given import ALSO
from pipeline.explore.question import (
    BuiltFunnel,
    Cell,
    Distribution,
    Lifecycle,
    OfMetric,
    Paths,
    Retention,
    Scope,
    Trend,
    WithPeople,
)
from pipeline.explore.segments import ChosenSegment, EventSet, HasAttribute, HasDone, Rule, Rules
from schemas.duration import format_duration


def write(question: WithPeople) -> dict[str, str]:
    """The question with its days, whatever the day is on which it is read."""
    found = write_scope(question.scope)
    match question:
        case Trend():
            found |= {"kind": "trend", "grain": question.grain, **_week(question.monday)}
            for k, one in enumerate(question.series, 1):
                found |= {f"m{k}": one.measure, f"p{k}": one.property, **write_events(f"e{k}", one.events)}
            found |= {f"x{k}": text for k, text in enumerate(question.formulas, 1)}
            found |= dict(zip(("by", "by2"), question.by, strict=False))
            found |= {"than": question.compare, **write_segment("vs", question.versus)}
        case BuiltFunnel():
            found |= {"kind": "funnel", "order": question.order, "window": format_duration(question.window)}
            for k, step in enumerate(question.steps, 1):
                found |= write_events(f"e{k}", step)
            for k, one_out in enumerate(question.exclude, 1):
                found |= write_events(f"n{k}", one_out)
            found |= {"per": "session" if question.per_session else "", "by": question.by}
            found |= {"than": question.compare, **write_segment("vs", question.versus)}
        case Retention():
            found |= {"kind": "retention", "grain": question.grain, **_week(question.monday), "e1": ""}
            found |= {**write_events("e1", question.start), **write_events("e2", question.back)}
            found |= {"first": "first" if question.first_time else "every"}
        case Distribution():
            found |= {"kind": "distribution", "of": question.of, "p1": question.property}
            found |= write_events("e1", question.events)
        case Lifecycle():
            found |= {"kind": "lifecycle", "grain": question.grain, "away": str(question.away)}
            found |= {**_week(question.monday), **write_events("e1", question.events)}
        case Paths():
            found |= {"kind": "paths", "way": question.way, "event": question.event, "depth": str(question.depth)}
        case OfMetric():
            found |= {"from": "", "to": "", "kind": "metric", "metric": question.metric, **dict(question.arguments)}
    # Of a retention from any event on, that there is none is said: its default is the registration.
    return {name: value for name, value in found.items() if value or (name == "e1" and found["kind"] == "retention")}


def write_scope(scope: Scope) -> dict[str, str]:
    """Days, filters and segment."""
    own = quick(scope.where)
    rest = tuple(one for one in scope.where if not any(one is known for known in own.values()))
    found = {"from": scope.first.isoformat(), "to": scope.last.isoformat()}
    found |= {name: joined(own[name].values) for name in QUICK if name in own}
    return found | write_filters("", rest) | write_segment("seg", scope.segment)


def write_events(prefix: str, events: EventSet) -> dict[str, str]:
    """Events that count as one, with their conditions."""
    names = {f"{prefix}{also}": name for also, name in zip(ALSO, events.names, strict=False)}
    return names | write_filters(prefix, events.where)


def write_segment(name: str, segment: ChosenSegment | None) -> dict[str, str]:
    """A segment; of one made in a page its rules too."""
    if segment is None:
        return {}
    way = "out" if segment.outside else "in"
    if segment.name:
        return {name: f"{way}:{segment.name}"}
    assert isinstance(segment.rule, Rules)
    found = {name: way, "g": "every" if segment.rule.every else "any"}
    for k, rule in enumerate(segment.rule.rules, 1):
        found |= _rule(f"g{k}", rule)
    return found


def _rule(prefix: str, rule: Rule) -> dict[str, str]:
    if isinstance(rule, HasAttribute):
        own = write_filters(prefix, (rule.filter,))
        return own | {prefix: "has", f"{prefix}f1": rule.filter.field.removeprefix(ATTRIBUTE)}
    assert isinstance(rule, HasDone)
    found = write_filters(prefix, rule.events.where)
    found |= {f"{prefix}e": rule.events.names[0]} if rule.events.names else {}
    found |= {f"{prefix}d": str(rule.days)} if rule.days else {}
    if rule.at_most == 0:
        return found | {prefix: "not"}
    compared = "gte" if rule.at_most is None else "lte" if rule.at_least == 0 else "is"
    times = rule.at_least if rule.at_most is None else rule.at_most
    return found | {prefix: "did", f"{prefix}c": compared, f"{prefix}n": str(times)}


def write_filters(prefix: str, filters: tuple[Filter, ...]) -> dict[str, str]:
    """Conditions."""
    found: dict[str, str] = {}
    for k, one in enumerate(filters, 1):
        found |= {f"{prefix}f{k}": one.field, f"{prefix}o{k}": one.operator, f"{prefix}v{k}": joined(one.values)}
    return {name: value for name, value in found.items() if value}


def write_cell(cell: Cell) -> dict[str, str]:
    """A cell."""
    found = {"n": str(cell.n), "at": cell.at, "lost": "1" if cell.lost else ""}
    return {k: v for k, v in found.items() if v} | {f"is{k}": v for k, v in enumerate(cell.values, 1)}


def _week(monday: bool) -> dict[str, str]:
    return {"week": "" if monday else "sunday"}
