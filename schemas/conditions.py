"""Can a condition hold? One check for every place of a plan that has conditions: funnels, alerts, meanings.

Pure: a field's specification and a condition go in, what is wrong with it comes out. What a condition means is
`schemas.where.holds`; what a value may be is the type that the validator of events uses (`schemas.models`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from schemas.event import CONTEXT_FIELDS
from schemas.models import property_type
from schemas.names import shown
from schemas.plan import EventSpec, PropertySpec
from schemas.translatable import Foreign, Sentence
from schemas.where import Condition, Scalar, holds

_BOUNDS: Final = ("gt", "gte", "lt", "lte")
_WORDS: Final = {
    "string": Sentence("a text"),
    "integer": Sentence("a whole number"),
    "number": Sentence("a number"),
    "boolean": Sentence("true or false"),
    "timestamp": Sentence("a time, as text"),
    "array": Sentence("a list"),
    "object": Sentence("an object"),
}
#: A field of the envelope: see `schemas.event.Label`.
_CONTEXT: Final = PropertySpec(type="string", max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")


class Mistake(NamedTuple):
    """What is wrong with a condition: at which of its parts, in words; whether it may be a text without quotes."""

    place: tuple[str | int, ...]
    message: str
    unquoted: bool = False


def spec_of(event: str, spec: EventSpec | None, field: str) -> PropertySpec | None:
    """What values a field of an event can have; None if the plan doesn't declare it, or doesn't know the event."""
    if field == "event":
        return PropertySpec(type="string", enum=(event,))
    if field in CONTEXT_FIELDS:
        return _CONTEXT
    return None if spec is None else spec.properties.get(field.removeprefix("properties."))


def mistakes(field: str, spec: PropertySpec | None, condition: Condition) -> list[Mistake]:
    """Why `condition` can't hold for a field of that specification (None: of any type), or says nothing."""
    found = [] if spec is None else list(_of_values(field, spec, condition))
    if not found and not satisfiable(spec, [condition]):
        found.append(
            Mistake((), Sentence("no value of {field} is {condition}", field=field, condition=_said(condition)))
        )
    return found


def _of_values(field: str, spec: PropertySpec, condition: Condition) -> Iterator[Mistake]:
    type_ = _WORDS[spec.type]
    if spec.type in ("array", "object"):
        said = Sentence("{field} is {type}: conditions compare texts, numbers, true and false", field=field, type=type_)
        yield Mistake((), said)
        return
    for place, value in _values(condition):
        if not _is_of(spec.type, value):
            message = Sentence(
                "{field} is {type}, {value} is {kind}",
                field=field, type=type_, value=shown_value(value), kind=kind_of(value),
            )  # fmt: skip
            yield Mistake(place, message, unquoted=spec.type in ("string", "timestamp") or isinstance(value, str))
        elif value == "" and spec is _CONTEXT:
            yield Mistake(
                place,
                Sentence("an empty {field} counts as missing, and what is missing fulfils no condition", field=field),
            )
        elif why := _impossible(spec, value):
            yield Mistake(
                place, Sentence("{field} can't be {value}: {why}", field=field, value=shown_value(value), why=why)
            )
    for name in _BOUNDS:
        if getattr(condition, name) is not None and spec.type not in ("integer", "number"):
            yield Mistake(
                (name,), Sentence("{field} is {type}: {name} compares numbers", field=field, type=type_, name=name)
            )


def _values(condition: Condition) -> Iterator[tuple[tuple[str | int, ...], Scalar]]:
    for name in ("eq", "ne"):
        value = getattr(condition, name)
        if value is not None:
            yield (name,), value
    for i, value in enumerate(condition.one_of or ()):
        yield ("in", i), value


def _is_of(kind: str, value: Scalar) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, bool):
        return Sentence("true or false")
    if isinstance(value, int | float):
        return Sentence("a number")
    return Sentence("a text" if isinstance(value, str) else "none of them")


def shown_value(value: Any) -> str:
    """A value within a message."""
    if isinstance(value, bool):
        return str(value).lower()
    return shown(value) if isinstance(value, str) else f"{value!r:.60}"


def _impossible(spec: PropertySpec, value: Scalar) -> str:
    """Why an event whose property has this value would be rejected; "" if it wouldn't."""
    if spec.type == "integer" and isinstance(value, float):
        if not value.is_integer():
            return Sentence("it has to be a whole number")
        value = int(value)  # 1 equals 1.0
    if spec.enum is not None:
        if any(value == allowed for allowed in spec.enum):
            return ""
        return Sentence("it has to be one of {values}", values=", ".join(map(str, spec.enum)))
    try:
        _validator(spec).validate_json(to_json(value))
    except ValidationError as exc:
        message: str = exc.errors(include_url=False)[0]["msg"]
        for long, short in (("Input should be", "it has to be"), ("String should", "it has to")):
            message = message.replace(long, short)
        return Foreign(message)
    except ValueError:  # a text that no JSON can hold
        return Sentence("no text holds half of a character")
    return ""


@lru_cache(maxsize=1000)
def _validator(spec: PropertySpec) -> TypeAdapter[Any]:
    return TypeAdapter(property_type(spec), config={"strict": True, "allow_inf_nan": False})


def satisfiable(spec: PropertySpec | None, conditions: Sequence[Condition]) -> bool:
    """Whether one value fulfils all of the conditions (each of which alone has no mistake)."""
    return any(all(holds(c, value) for c in conditions) for value in _candidates(spec, conditions))


def _candidates(spec: PropertySpec | None, conditions: Sequence[Condition]) -> Iterable[Any]:
    """Values of which one fulfils the conditions if any value does."""
    if spec is not None and spec.enum is not None:
        return spec.enum
    if spec is not None and spec.type == "boolean":
        return (True, False)
    named = [value for c in conditions for _, value in _values(c)]
    texts = [value for value in named if isinstance(value, str | bool)]
    if spec is not None and spec.type not in ("integer", "number"):
        return (*texts, "another " + "".join(map(str, texts)))
    numbers = _numbers(spec, [float(v) for v in named if not isinstance(v, str | bool)], conditions)
    return numbers if spec is not None else (*texts, *numbers)


def _numbers(spec: PropertySpec | None, named: list[float], conditions: Sequence[Condition]) -> list[float]:
    """Every number at which a condition changes, and one from each interval between them, within min and max."""
    low = -math.inf if spec is None or spec.min is None else spec.min
    high = math.inf if spec is None or spec.max is None else spec.max
    edges = {*named, *(b for c in conditions for b in (c.gt, c.gte, c.lt, c.lte) if b is not None), low, high}
    points = sorted(edge for edge in edges if math.isfinite(edge)) or [0.0]
    if spec is not None and spec.type == "integer":
        points = [n + step for p in points for n in (math.floor(p), math.ceil(p)) for step in (-1, 0, 1)]
    else:
        points = [points[0] - 1 - abs(points[0]), *points, *((a + b) / 2 for a, b in pairwise(points))]
        points.append(max(points) + 1 + abs(max(points)))
    return [point for point in points if low <= point <= high]


def _said(condition: Condition) -> str:
    given = condition.model_dump(by_alias=True, exclude_none=True)
    return " and ".join(f"{name} {_part(value)}" for name, value in given.items())


def _part(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown_value, value))}]"
    return f"{value:.15g}" if isinstance(value, float) else shown_value(value)
