"""Validation models built from a plan: one TypedDict per event, so that its own properties are checked too.

TypedDicts rather than models: they validate straight from JSON bytes and leave plain dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, NotRequired, Required, get_origin, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from schemas.event import MAX_VALUE, EventDict, TimeText
from schemas.plan import EventSpec, Plan, PropertySpec, Scalar
from schemas.translatable import Foreign

# Strict: a number is not a string. `extra=forbid`: a misspelt field is a mistake its producer should see.
_ENVELOPE = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


#: Characters that a string property may have where the plan doesn't say.
MAX_STRING = 10_000


def _one_of(allowed: tuple[Scalar, ...]) -> Callable[[Scalar], Scalar]:
    def check(value: Scalar) -> Scalar:
        if value not in allowed:
            raise PydanticCustomError(
                "enum", "input should be one of {allowed}", {"allowed": ", ".join(map(str, allowed))}
            )
        return value

    return check


def bounds_of(spec: PropertySpec, *, is_value: bool = False) -> tuple[float | None, float | None]:
    """The smallest and the largest number that a property may be, None for no bound; an integer's are integers."""
    low, high = spec.min, spec.max
    if is_value:
        low = -MAX_VALUE if low is None else max(low, -MAX_VALUE)
        high = MAX_VALUE if high is None else min(high, MAX_VALUE)
    if spec.type == "integer":
        return -(2**63) if low is None else int(low), 2**63 - 1 if high is None else int(high)
    return low, high


def property_type(spec: PropertySpec, *, is_value: bool = False) -> Any:
    """The Python type that a property's specification means."""
    if spec.enum is not None and spec.type == "string":
        return Literal[spec.enum]
    if spec.enum is not None:
        # Not a Literal: 1 equals true and 1.0, so it would let those pass for an integer.
        bare = property_type(spec.model_copy(update={"enum": None}), is_value=is_value)
        return Annotated[bare, AfterValidator(_one_of(spec.enum))]
    low, high = bounds_of(spec, is_value=is_value)
    match spec.type:
        case "string":
            return Annotated[str, Field(max_length=spec.max_length or MAX_STRING, pattern=spec.pattern)]
        case "integer":
            return Annotated[int, Field(ge=low, le=high)]
        case "number":
            return Annotated[float, Field(ge=low, le=high)]
        case "boolean":
            return bool
        case "timestamp":
            return TimeText
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
    config = ConfigDict(extra="allow" if extra == "keep" else "forbid", strict=True, allow_inf_nan=False)
    properties = _typed_dict("properties", fields, config)
    needed = any(p.required for p in spec.properties.values())
    hints = _envelope_fields()
    hints["properties"] = Required[properties] if needed else NotRequired[properties | None]
    if name is not None:
        hints["event"] = Required[Literal[name]]
    return _typed_dict(name or "unknown_event", hints, _ENVELOPE)


def _typed_dict(name: str, hints: dict[str, Any], config: ConfigDict) -> Any:
    make: Any = TypedDict  # made at run time: nothing that a type checker could know
    made = make(name, hints)
    made.__pydantic_config__ = config
    return made


def _envelope_fields() -> dict[str, Any]:
    """The fields of `EventDict`, each marked as required or not.

    Its own `__required_keys__` is empty: the annotations are strings when the class is made (PEP 563).
    """
    hints = get_type_hints(EventDict, include_extras=True)
    marks = (Required, NotRequired)
    return {name: hint if get_origin(hint) in marks else NotRequired[hint] for name, hint in hints.items()}


def known_events(plan: Plan) -> TypeAdapter[Any]:
    """The validator of all events that the plan knows, told apart by their name."""
    types = [event_type(name, spec, plan) for name, spec in plan.events.items()]
    if len(types) == 1:
        return TypeAdapter(types[0])
    union: Any = Annotated[reduce(or_, types), Field(discriminator="event")]
    return TypeAdapter(union)


def unknown_event(plan: Plan) -> TypeAdapter[Any]:
    """The validator of the envelope alone, for events that the plan doesn't know but keeps."""
    return TypeAdapter(event_type(None, EventSpec(unknown_properties="keep"), plan))


def mistake(spec: EventSpec, name: str, value: Any) -> str | None:
    """What is wrong with a property's value, in a few words; None if it is right, or not in the plan."""
    found = spec.properties.get(name)
    if found is None or (value is None and not found.required):
        return None
    try:
        _adapter(found.model_dump_json(), is_value=name == spec.value).validate_python(value)
    except ValidationError as exc:
        said = exc.errors(include_url=False)[0]["msg"]
        return Foreign(said[:1].lower() + said[1:])
    return None


@lru_cache(maxsize=1_000)
def _adapter(spec: str, *, is_value: bool) -> TypeAdapter[Any]:
    inner = property_type(PropertySpec.model_validate_json(spec), is_value=is_value)
    return TypeAdapter(inner, config=ConfigDict(strict=True, allow_inf_nan=False))
