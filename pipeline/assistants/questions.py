"""Questions as tools take them, read by Explore's own parser: an address, or arguments written as one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from pipeline.assistants.arguments import (
    EventsArgument,
    FilterArgument,
    Filtered,
    PeopleBehind,
    QuestionArgument,
    RuleArgument,
    Scalar,
)
from pipeline.errors import UserError
from pipeline.explore.address import read, read_cell, read_scope
from pipeline.explore.filters import ATTRIBUTE, Filter
from pipeline.explore.given import AddressReader
from pipeline.explore.question import COUNTED, OF_PROPERTY, BuiltFunnel, Cell, Question, Scope, Trend
from pipeline.explore.segments import EventSet
from pipeline.explore.written import write, write_events, write_filters
from schemas.plan import Plan

_MAX_PARAMETERS: Final = 200
#: Parameters of an address that are no part of the question: the page's language, and the number that was clicked.
_BESIDES: Final = frozenset({"lang", "theme", "kind", "funnel", "n", "at", "is1", "is2", "lost"})
#: Which arguments go with which kind only.
_ONLY: Final = {
    "grain": ("trend", "retention", "lifecycle"), "sunday": ("trend", "retention", "lifecycle"), "series": ("trend",),
    "formulas": ("trend",), "by": ("trend", "funnel"), "compare": ("trend", "funnel"),
    "compare_segment": ("trend", "funnel"), "funnel": ("funnel",), "steps": ("funnel",), "exclude": ("funnel",),
    "window": ("funnel",), "order": ("funnel",), "per_session": ("funnel",), "start": ("retention",),
    "back": ("retention",), "every_time": ("retention",), "of_events": ("distribution", "lifecycle"),
    "of": ("distribution",), "property": ("distribution",), "away": ("lifecycle",), "way": ("paths",),
    "event": ("paths",), "depth": ("paths",),
}  # fmt: skip


#: Kept segments by id: the parameters that the dashboard's bar wrote for each.
Segments = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Asked:
    """A question, its parameters as they were read, and names of an address that say nothing of such a question."""

    question: Question
    cell: Cell
    ignored: tuple[str, ...] = ()


def asked_of(asked: QuestionArgument, plan: Plan, today: date, *, people: bool, kept: Segments) -> Asked:
    """The question of the arguments, and the number of it that they name.

    `people`: see AddressReader; `kept` are segments besides the plan's. Raises UserError.
    """
    query = _of_address(asked) if asked.address else _of_arguments(asked)
    kind = query.get("kind", "")
    if kind == "metric" or (not kind and "metric" in query):
        raise UserError("the address is that of a metric of the catalogue: use run_metric")
    reader = AddressReader(query, plan, today, people, kept)
    question = read(reader, kind)
    cell = Cell()
    if isinstance(asked, PeopleBehind):
        by = question.by if isinstance(question, Trend) else (question.by,) if isinstance(question, BuiltFunnel) else ()
        if asked.values and len(asked.values) != len([field for field in by if field]):
            raise UserError(
                "values are those of a row of the breakdown, one for each field of `by`; none: of all together"
            )
        of_cell = query if asked.address else query | _cell(asked)
        cell = read_cell(AddressReader(of_cell, plan, today, people, kept), question)
    known = write(question).keys() | _BESIDES
    ignored = sorted(name for name, value in query.items() if value and name not in known) if asked.address else []
    return Asked(question, cell, tuple(ignored))


def scope_of(asked: Filtered, last: date, plan: Plan, *, people: bool, kept: Segments) -> Scope:
    """The filters and the segment of a metric, seen from the end of the day `last`. Raises UserError."""
    return read_scope(AddressReader(_filtered(asked) | {"to": last.isoformat()}, plan, last, people, kept), 1)


def _of_address(asked: QuestionArgument) -> dict[str, str]:
    allowed = {"address", "rows"}
    if isinstance(asked, PeopleBehind):
        allowed |= {"n", "at", "values", "lost"}
    if more := sorted(asked.model_fields_set - allowed):
        raise UserError(f"an address says everything: leave out {', '.join(more)}, or the address")
    try:
        parts = urlsplit(asked.address.strip())
        text = parts.query or parts.path.lstrip("?")
        query = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS))
    except ValueError as exc:
        raise UserError(f"the address can't be read: {exc}") from None
    if isinstance(asked, PeopleBehind) and asked.model_fields_set & {"n", "at", "values", "lost"}:
        query = {name: value for name, value in query.items() if name not in ("n", "at", "is1", "is2", "lost")}
        query |= _cell(asked)
    return query


def _of_arguments(asked: QuestionArgument) -> dict[str, str]:
    if asked.kind is None:
        raise UserError("say which kind of question it is, or give an address")
    for name in asked.model_fields_set:
        kinds = _ONLY.get(name)
        if kinds is not None and asked.kind not in kinds and getattr(asked, name) not in (None, "", [], False):
            raise UserError(f"{name} goes with {' and '.join(kinds)}, not with {asked.kind}")
    if asked.compare_segment and asked.compare != "segment":
        raise UserError("compare_segment goes with compare = segment")
    found = {
        "kind": asked.kind, "from": asked.first_day, "to": asked.last_day, "grain": asked.grain or "",
        "week": "sunday" if asked.sunday else "", **_filtered(asked), **dict(zip(("by", "by2"), asked.by, strict=False)),
        "than": asked.compare, "vs": asked.compare_segment,
    }  # fmt: skip
    match asked.kind:
        case "trend":
            for k, one in enumerate(asked.series, 1):
                if one.property and one.measure in COUNTED:
                    raise UserError(f"a property goes with {', '.join(OF_PROPERTY)}, not with {one.measure}")
                found |= {f"m{k}": one.measure, f"p{k}": one.property, **write_events(f"e{k}", _events(one))}
            found |= {f"x{k}": formula for k, formula in enumerate(asked.formulas, 1)}
        case "funnel":
            found |= _funnel(asked)
        case "retention":
            if asked.start is not None:
                found |= {"e1": "", **write_events("e1", _events(asked.start))}
            found |= {**_set("e2", asked.back), "first": "every" if asked.every_time else "first"}
        case "distribution":
            if asked.property and asked.of != "sum":
                raise UserError("a property goes with of = sum")
            found |= {**_set("e1", asked.of_events), "of": asked.of or "", "p1": asked.property}
        case "lifecycle":
            found |= {**_set("e1", asked.of_events), "away": str(asked.away or "")}
        case "paths":
            found |= {"way": asked.way or "", "event": asked.event, "depth": str(asked.depth or "")}
    return found


def _funnel(asked: QuestionArgument) -> dict[str, str]:
    if asked.funnel and asked.steps:
        raise UserError("a funnel is one of the plan's by name (funnel), or made of steps, not both")
    if len(asked.by) > 1:
        raise UserError("a funnel is broken down by one field")
    for where, sets in (("steps", asked.steps), ("exclude", asked.exclude)):
        if not all(one.events for one in sets):
            raise UserError(f"each of {where} names an event")
    found = {"funnel": asked.funnel, "window": asked.window, "order": asked.order or ""}
    found |= {"per": "session" if asked.per_session else ""}
    for prefix, sets in (("e", asked.steps), ("n", asked.exclude)):
        for k, one in enumerate(sets, 1):
            found |= write_events(f"{prefix}{k}", _events(one))
    return found


def _cell(asked: PeopleBehind) -> dict[str, str]:
    """The number of an answer that is meant."""
    found = {"n": str(asked.n), "at": asked.at, "lost": "1" if asked.lost else ""}
    return found | {f"is{k}": value for k, value in enumerate(asked.values, 1)}


def _filtered(asked: Filtered) -> dict[str, str]:
    if asked.segment and asked.segment_rules:
        raise UserError("a segment is one of the plan (segment), or made of segment_rules, not both")
    found = write_filters("", _filters(asked.filters))
    if asked.segment:
        if asked.segment.partition(":")[0] not in ("in", "out") or ":" not in asked.segment:
            raise UserError("segment is in:NAME or out:NAME of a segment of the plan")
        found["seg"] = asked.segment
    elif asked.segment_rules:
        found |= {"seg": "in", "g": "any" if asked.segment_any else "every"}
        for k, rule in enumerate(asked.segment_rules, 1):
            found |= _rule(f"g{k}", rule)
    return found


def _rule(prefix: str, rule: RuleArgument) -> dict[str, str]:
    where = _filters([rule.where] if rule.where is not None else [])
    if rule.rule == "has":
        if not where:
            raise UserError("a rule that people have an attribute says which in its `where`")
        return write_filters(prefix, where) | {prefix: "has", f"{prefix}f1": where[0].field.removeprefix(ATTRIBUTE)}
    if rule.rule == "did_not" and rule.model_fields_set & {"compared", "times"}:
        raise UserError("compared and times go with the rule did")
    found = {prefix: "did" if rule.rule == "did" else "not", f"{prefix}e": rule.event}
    found |= {f"{prefix}c": rule.compared, f"{prefix}n": str(rule.times), f"{prefix}d": str(rule.days or "")}
    return found | write_filters(prefix, where)


def _set(name: str, events: EventsArgument | None) -> dict[str, str]:
    return {} if events is None else write_events(name, _events(events))


def _events(events: EventsArgument) -> EventSet:
    if not all(name.strip() for name in events.events):
        raise UserError("the name of an event is empty: for any event leave the list empty")
    return EventSet(tuple(events.events), _filters(events.where))


def _filters(filters: Sequence[FilterArgument]) -> tuple[Filter, ...]:
    for one in filters:
        if not one.field.strip():
            raise UserError("a filter names a field")
    return tuple(Filter(one.field, one.operator, tuple(map(_text, one.values))) for one in filters)


def _text(value: Scalar) -> str:
    """A value as conditions compare it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
