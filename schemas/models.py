"""Validation models built from a plan: one TypedDict per event, so that its own properties are checked too.

TypedDicts rather than models: they validate straight from JSON bytes and leave plain dictionaries.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter
from typing_extensions import NotRequired, Required, TypedDict

from schemas.event import MAX_VALUE, EventDict
from schemas.plan import EventSpec, Plan, PropertySpec

# Strict: a number is not a string. `extra=forbid`: a misspelt field is a mistake that its producer should see.
_ENVELOPE = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def property_type(spec: PropertySpec, *, is_value: bool = False) -> Any:
    """The Python type that a property's specification means."""
    if spec.enum is not None:
        return Literal[spec.enum]  # type: ignore[valid-type]
    low, high = spec.min, spec.max
    if is_value:
        low = -MAX_VALUE if low is None else low
        high = MAX_VALUE if high is None else high
    match spec.type:
        case "string":
            return Annotated[str, Field(max_length=spec.max_length or 10_000, pattern=spec.pattern)]
        case "integer":
            return Annotated[int, Field(ge=low, le=high)]
        case "number":
            return Annotated[float, Field(ge=low, le=high)]
        case "boolean":
            return bool
        case "timestamp":
            return AwareDatetime
        case "array":
            return list[Any]
        case "object":
            return dict[str, Any]


def event_type(name: str | None, spec: EventSpec, plan: Plan) -> Any:
    """The TypedDict of one event; `name` None makes the model of events that the plan doesn't know."""
    extra = spec.unknown_properties or plan.unknown_properties
    fields: dict[str, Any] = {}
    for prop, prop_spec in spec.properties.items():
        inner = property_type(prop_spec, is_value=prop == spec.value)
        fields[prop] = Required[inner] if prop_spec.required else NotRequired[inner | None]
    properties: Any = TypedDict("properties", fields)  # type: ignore[misc]
    properties.__pydantic_config__ = ConfigDict(
        extra="allow" if extra == "keep" else "forbid", strict=True, allow_inf_nan=False
    )
    needed = any(p.required for p in spec.properties.values())
    envelope = dict(EventDict.__annotations__)
    hints: dict[str, Any] = {**_resolved(envelope), "properties": Required[properties] if needed else NotRequired[properties]}
    if name is not None:
        hints["event"] = Required[Literal[name]]  # type: ignore[valid-type]
    made: Any = TypedDict(name or "unknown_event", hints)  # type: ignore[misc]
    made.__pydantic_config__ = _ENVELOPE
    return made


def _resolved(hints: dict[str, Any]) -> dict[str, Any]:
    from typing import get_type_hints

    full = get_type_hints(EventDict, include_extras=True)
    required = EventDict.__required_keys__
    return {k: (Required[full[k]] if k in required else NotRequired[full[k]]) for k in hints}


def known_events(plan: Plan) -> TypeAdapter[Any]:
    """The validator of all events that the plan knows, told apart by their name."""
    types = [event_type(name, spec, plan) for name, spec in plan.events.items()]
    if len(types) == 1:
        return TypeAdapter(types[0])
    return TypeAdapter(Annotated[Union[tuple(types)], Field(discriminator="event")])


def unknown_event(plan: Plan) -> TypeAdapter[Any]:
    """The validator of the envelope alone, for events that the plan doesn't know but keeps."""
    return TypeAdapter(event_type(None, EventSpec(unknown_properties="keep"), plan))
