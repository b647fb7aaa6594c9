"""What a valid plan still gets wrong: mistakes (what can never be) and warnings (what is surely not meant).

`Plan` itself refuses what it can't be made of. Here its parts are held against each other: conditions against the
events that they are about, dimensions against properties, figures against what they count.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from schemas.alerts import Alert
from schemas.conditions import mistakes, satisfiable, spec_of
from schemas.duration import format_duration
from schemas.funnel import Funnel
from schemas.meanings import NUMBER_FIELDS, Meaning
from schemas.names import shown
from schemas.plan import Plan, PropertySpec
from schemas.translatable import Sentence
from schemas.where import Condition, Step, Where

Place = tuple[str | int, ...]


class Remark(NamedTuple):
    """Something about a plan: where it stands, in words; a mistake or a warning."""

    place: Place
    message: str
    warning: bool = False
    #: Perhaps a text that YAML read as something else: whoever knows the file says so.
    unquoted: bool = False


def remarks(plan: Plan) -> list[Remark]:
    """Everything there is to say of a plan, in the order of its parts."""
    return [
        *_names(plan),
        *_dimensions(plan),
        *_times(plan),
        *(r for name, funnel in plan.funnels.items() for r in _funnel(plan, ("funnels", name), funnel)),
        *_meanings(plan),
        *_refunds(plan),
        *_revenue(plan),
        *(r for name, alert in plan.alerting.alerts.items() for r in alert_remarks(plan, name, alert)),
    ]


# -- names ---------------------------------------------------------------------------------------------------------


def _names(plan: Plan) -> Iterator[Remark]:
    places: list[tuple[Place, Iterable[str]]] = [(("events",), plan.events), (("funnels",), plan.funnels)]
    places += [(("events", name, "properties"), spec.properties) for name, spec in plan.events.items()]
    for place, names in places:
        composed: dict[str, str] = {}
        for name in names:
            normal = unicodedata.normalize("NFC", name)
            if normal in composed:
                said = Sentence(
                    "{name} looks like another name here but is written with other characters: keep one of the two",
                    name=shown(name),
                )
                yield Remark((*place, name), said)
            elif normal != name:
                said = Sentence(
                    "{name} is written with combining characters (not NFC), and names are compared exactly: is that "
                    "what the producer sends?",
                    name=shown(name),
                )
                yield Remark((*place, name), said, warning=True)
            composed[normal] = name


def _similar(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return Sentence(" (did you mean {close}?)", close=close[0]) if close else ""


# -- fields --------------------------------------------------------------------------------------------------------


def _declared(plan: Plan, field: str) -> dict[str, PropertySpec]:
    """The events of the plan that have this property."""
    name = field.removeprefix("properties.")
    return {event: spec.properties[name] for event, spec in plan.events.items() if name in spec.properties}


def _undeclared(plan: Plan, place: Place, events: Iterable[str], field: str) -> Iterator[Remark]:
    """A remark if none of the events declares the property `field`.

    A mistake, unless they declare no properties at all (or are no events of the plan): then nobody said what they have.
    """
    specs = {event: plan.events.get(event) for event in events}
    own = field.removeprefix("properties.")
    if not field.startswith("properties.") or any(spec and own in spec.properties for spec in specs.values()):
        return
    unknown = [event for event, spec in specs.items() if spec is None or _open(plan, event)]
    elsewhere = [event for event in _declared(plan, field) if event not in specs]
    which = ", ".join(specs)
    if elsewhere:
        hint: str = Sentence(", which {events} has", events=", ".join(elsewhere[:3]))
    else:
        hint = _similar(own, [name for spec in specs.values() if spec for name in spec.properties])
    message = Sentence(
        "the plan gives {events} no property {name}{hint}: declare it under {place}, or mend the name",
        events=which, name=shown(own), hint=hint, place=f"events.{next(iter(specs))}.properties",
    )  # fmt: skip
    yield Remark(place, message, warning=bool(unknown) and not elsewhere)


def _open(plan: Plan, event: str) -> bool:
    """Whether an event may have properties and declares none."""
    spec = plan.events[event]
    return not spec.properties and (spec.unknown_properties or plan.unknown_properties) == "keep"


def _dimensions(plan: Plan) -> Iterator[Remark]:
    written = [",".join(dimension) for dimension in plan.dimensions]
    for i, name in enumerate(written):
        if name in written[:i]:
            said = Sentence("{name} is how another dimension is written, too: leave one of them out", name=name)
            yield Remark(("dimensions", i), said)
    for i, dimension in enumerate(plan.dimensions):
        for field in dimension:
            place = ("dimensions", i)
            spec = next(iter(_declared(plan, field).values()), None)
            if spec is not None and spec.type in ("array", "object"):
                said = Sentence(
                    "{field} is {type}: only texts, numbers, true and false can be counted by",
                    field=field,
                    type=spec.type,
                )
                yield Remark(place, said)
            elif field.startswith("properties.") and spec is None:
                own = field.removeprefix("properties.")
                names = {name for event in plan.events.values() for name in event.properties}
                keep = plan.unknown_events == "keep" or any(_open(plan, event) for event in plan.events)
                message = Sentence(
                    "no event of the plan has the property {name}{hint}: declare it, or mend the name",
                    name=shown(own), hint=_similar(own, names),
                )  # fmt: skip
                yield Remark(place, message, warning=keep and not names)


def _conditions(plan: Plan, place: Place, event: str, where: Where) -> Iterator[Remark]:
    spec = plan.events.get(event)
    for field, condition in where.items():
        at = (*place, field)
        found = list(_undeclared(plan, at, [event], field))
        yield from found
        if not any(not remark.warning for remark in found):
            for mistake in mistakes(field, spec_of(event, spec, field), condition):
                yield Remark((*at, *mistake.place), mistake.message, unquoted=mistake.unquoted)


# -- times ---------------------------------------------------------------------------------------------------------


def _times(plan: Plan) -> Iterator[Remark]:
    if plan.dedupe < plan.lateness:
        dedupe, lateness = format_duration(plan.dedupe), format_duration(plan.lateness)
        yield Remark(
            ("dedupe",),
            Sentence(
                "ids are remembered for {dedupe} and events count for {lateness}: one that is sent again in between "
                "counts twice; make dedupe at least {lateness}",
                dedupe=dedupe,
                lateness=lateness,
            ),
            warning=True,
        )


# -- funnels -------------------------------------------------------------------------------------------------------


def _funnel(plan: Plan, place: Place, funnel: Funnel) -> Iterator[Remark]:
    wrong = []
    for part, steps in (("steps", funnel.steps), ("exclude", funnel.exclude)):
        for i, step in enumerate(steps):
            at = (*place, part, i)
            if step.event not in plan.events:  # else `Plan` has refused it
                said = Sentence(
                    "the plan doesn't declare the event {event}{hint}: nothing checks what it is",
                    event=shown(step.event), hint=_similar(step.event, plan.events),
                )  # fmt: skip
                yield Remark(at, said, warning=True)
            wrong += list(_conditions(plan, (*at, "where"), step.event, step.where))
    for i, field in enumerate(funnel.breakdown):
        wrong += list(_undeclared(plan, (*place, "breakdown", i), dict.fromkeys(s.event for s in funnel.steps), field))
    yield from wrong
    if any(not remark.warning for remark in wrong):
        return
    yield from _served_twice(plan, place, funnel)
    yield from _cut_off(place, funnel)


def _served_twice(plan: Plan, place: Place, funnel: Funnel) -> Iterator[Remark]:
    if "strict_once" in funnel.modes:
        return
    for i, (step, after) in enumerate(zip(funnel.steps, funnel.steps[1:], strict=False), 1):
        at = (*place, "steps", i)
        if step.event != after.event or not _overlap(plan, step, after):
            continue
        if "strict_increase" not in funnel.modes:
            said = Sentence(
                "one {event} can be step {n} and step {next} at once; to ask for two of them say modes: [strict_once]",
                event=step.event, n=i, next=i + 1,
            )  # fmt: skip
            yield Remark(at, said, warning=True)
        elif step.where.items() <= after.where.items():
            # As ClickHouse counts: the event is step i first, anew, and no time has gone by since.
            said = Sentence(
                "with strict_increase nobody gets to step {next}, as each {event} of it begins step {n} anew; to ask "
                "for two of them say modes: [strict_once]",
                event=step.event, n=i, next=i + 1,
            )  # fmt: skip
            yield Remark(at, said, warning=True)


def _overlap(plan: Plan, one: Step, other: Step) -> bool:
    spec = plan.events.get(one.event)
    both = one.where.keys() & other.where.keys()
    return all(satisfiable(spec_of(one.event, spec, f), [one.where[f], other.where[f]]) for f in both)


def _cut_off(place: Place, funnel: Funnel) -> Iterator[Remark]:
    for i, step in enumerate(funnel.steps[:-1], 1):
        for n, excluded in enumerate(funnel.exclude):
            if excluded.event == step.event and excluded.where.items() <= step.where.items():
                yield Remark(
                    (*place, "exclude", n),
                    Sentence(
                        "every event that is step {n} ({title}) also ends the way: hardly anybody gets to step {next}; "
                        "exclude another event, or fewer of these by where",
                        n=i,
                        next=i + 1,
                        title=step.title,
                    ),
                    warning=True,
                )


# -- meanings ------------------------------------------------------------------------------------------------------


def _meanings(plan: Plan) -> Iterator[Remark]:
    for name in type(plan.meanings).model_fields:
        if name == "thresholds":
            continue
        for i, meaning in enumerate(getattr(plan.meanings, name)):
            place = ("meanings", name, i)
            yield from _conditions(plan, (*place, "where"), meaning.event, meaning.where)
            if isinstance(meaning, Meaning):
                for column, field in meaning.fields().items():
                    yield from _source(plan, (*place, column), meaning.event, column, field)


def _source(plan: Plan, place: Place, event: str, column: str, field: str) -> Iterator[Remark]:
    if not field.startswith("properties."):
        return
    spec = spec_of(event, plan.events.get(event), field)
    if spec is None:
        yield from _undeclared(plan, place, [event], field)
        return
    said = {"column": column, "field": field, "event": event, "type": spec.type}
    if column in NUMBER_FIELDS and spec.type not in ("integer", "number"):
        yield Remark(
            place, Sentence("{column} is a number, and {field} of {event} is {type}: name another property", **said)
        )
    elif spec.type in ("array", "object"):
        yield Remark(
            place, Sentence("{column} is one value, and {field} of {event} is {type}: name another property", **said)
        )


def _refunds(plan: Plan) -> Iterator[Remark]:
    for event in dict.fromkeys(meaning.event for meaning in plan.meanings.refund):
        spec = plan.events.get(event)
        if spec is None or spec.value is None:
            continue
        top = spec.properties[spec.value].max
        if top is None or top > 0:
            yield Remark(
                ("events", event, "properties", spec.value),
                Sentence(
                    "{event} is a refund and its {value} may be positive: it is taken off the revenue whatever its "
                    "sign; say max: 0 and send it negative, so that everybody who reads the events sees the same",
                    event=event,
                    value=spec.value,
                ),
                warning=True,
            )


def _revenue(plan: Plan) -> Iterator[Remark]:
    """Where the live revenue (the sum of all values) and the metrics' (payments and refunds) would differ."""
    if not plan.meanings.payment:
        return
    money = [*plan.meanings.payment, *plan.meanings.refund]
    for event, spec in plan.events.items():
        meant = [meaning for meaning in money if meaning.event == event]
        if spec.value is None:
            amounts = [meaning.amount for meaning in meant if meaning.amount is not None]
        else:
            amounts = [m.amount for m in meant if m.amount not in (None, f"properties.{spec.value}")]
            if all(meaning.where for meaning in meant):
                yield Remark(
                    ("events", event, "value"),
                    Sentence(
                        "the live revenue adds up the {value} of {event}, which is only in part a payment or refund in "
                        "meanings: the metrics of revenue leave the rest out"
                        if meant
                        else "the live revenue adds up the {value} of {event}, which is not a payment or refund in "
                        "meanings: the metrics of revenue leave the rest out",
                        value=spec.value, event=event,
                    ),
                    warning=True,
                )  # fmt: skip
        for amount in amounts[:1]:
            yield Remark(
                ("events", event),
                Sentence(
                    "the metrics read what {event} is worth from {amount}, the live revenue from its value ({value}): "
                    "say value: {own}",
                    event=event,
                    amount=amount,
                    value=spec.value or Sentence("none"),
                    own=amount.removeprefix("properties."),
                ),
                warning=True,
            )


# -- alerts --------------------------------------------------------------------------------------------------------


def alert_remarks(plan: Plan, name: str, alert: Alert) -> Iterator[Remark]:
    place = ("alerting", "alerts", name)
    events: Mapping[str, object] = plan.events if alert.event is None else {alert.event: None}
    for field, value in alert.where.items():
        condition, at = Condition(eq=value), (*place, "where", field)
        specs = [spec_of(event, plan.events.get(event), field) for event in events]
        if alert.event is not None:
            yield from _undeclared(plan, at, [alert.event], field)
        elif field.startswith("properties.") and any(specs):
            specs = [spec for spec in specs if spec is not None]  # of the events that have it
        elif field == "event":
            specs = [PropertySpec(enum=tuple(plan.events))] if plan.unknown_events == "reject" else [None]
        found = [mistakes(field, spec, condition) for spec in specs]
        if found and all(found):
            for mistake in found[0]:
                yield Remark(at, mistake.message, unquoted=mistake.unquoted)
    values = [event for event, spec in plan.events.items() if spec.value is not None]
    if alert.metric == "registrations" and plan.registration is None:
        yield Remark(
            place, Sentence("there are no registrations to watch: say which event is one, registration: EVENT")
        )
    elif alert.metric == "registrations" and alert.event not in (None, plan.registration):
        yield Remark(
            place, Sentence("{event} is no registration: only {own} is", event=alert.event, own=plan.registration)
        )
    elif alert.metric == "revenue" and alert.event is not None and alert.event in plan.events:
        if alert.event not in values:
            yield Remark(
                place,
                Sentence("{event} has no value to sum up: say which property is, value: PROPERTY", event=alert.event),
            )
    elif alert.metric == "revenue" and not values and plan.unknown_events == "reject":
        yield Remark(
            place, Sentence("no event of the plan has a value to sum up: say which property is one, value: PROPERTY")
        )
