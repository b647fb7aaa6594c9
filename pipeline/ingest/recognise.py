"""Events recognised without Pydantic: quickly, and only where there is no doubt.

Pydantic's models of the plan (`schemas.models`) say what an event is, and nothing else does. A recogniser made of the
same plan accepts what Pydantic accepts, with equal values, of the types and in the order that it gives; of everything
else it says nothing: not recognised is not rejected. What decides is in `tests/ingest/test_recognise.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from pydantic import TypeAdapter

from schemas.event import EARLIEST_TS, LATEST_TS, EventDict, is_time, milliseconds_of
from schemas.models import MAX_STRING, bounds_of, property_type
from schemas.plan import EventSpec, Plan, PropertySpec, Scalar

#: From here on a float may not hold the integer that was sent: Pydantic's way looks again.
_EXACT: Final = 2.0**53 - 1
#: Levels of lists and objects within a property: far fewer than Pydantic reads (200 in all).
_LEVELS: Final = 5
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: What in JSON may mean a control character: an escape, or the one that needs none.
_MAY_CONTROL: Final = re.compile(rb"\\(?:[bfnrt]|u00[01][0-9a-fA-F]|u007[fF])|\x7f")
#: As numbers: to look for a byte takes a tenth of looking for a text.
_BACKSLASH: Final = 0x5C
_DELETE: Final = 0x7F
#: Shapes remembered of an event, and characters of the names of one: a stranger chooses them.
_SHAPES: Final = 256
_NAMES: Final = 2_048
_NO_BOUND: Final = 1 << 62
_REQUIRED: Final = ("event_id", "event", "ts")

Recognised = dict[str, Any]


class _Rule(NamedTuple):
    """What a property must be. `low` and `high` bound a number, or the length of a text."""

    name: str
    low: float
    high: float
    required: bool
    kind: type
    also: Callable[[Any], bool] | None = None


class _Shape(NamedTuple):
    """Properties that are sent with just these names, in this order: what those of the plan must be."""

    texts: tuple[_Rule, ...]
    numbers: tuple[_Rule, ...]
    rest: tuple[_Rule, ...]
    #: The order in which Pydantic gives them, None if that is how they came.
    order: tuple[str, ...] | None


class _Spec:
    """The properties of an event. Most events of a name come in few shapes: each is thought through once."""

    def __init__(self, spec: EventSpec, plan: Plan) -> None:
        rules = [_rule(name, one, name == spec.value) for name, one in spec.properties.items()]
        self._rules = {rule.name: rule for rule in rules}
        self._required = {rule.name for rule in rules if rule.required}
        self._keeps = (spec.unknown_properties or plan.unknown_properties) == "keep"
        #: By the names that were sent.
        self.shapes: dict[tuple[str, ...], _Shape] = {}
        self.needed = bool(self._required)

    def shape(self, names: tuple[str, ...]) -> _Shape | None:
        """What properties of these names must be; None if they aren't recognised, whatever they are."""
        made = self._made(names)
        if made is not None and sum(map(len, names)) <= _NAMES:
            if len(self.shapes) >= _SHAPES:
                self.shapes.clear()
            self.shapes[names] = made
        return made

    def _made(self, names: tuple[str, ...]) -> _Shape | None:
        others = tuple([name for name in names if name not in self._rules])
        if not self._required.issubset(names) or (others and not self._keeps):
            return None
        sent = set(names)
        rules = [rule for rule in self._rules.values() if rule.name in sent]
        order = (*[rule.name for rule in rules], *others)
        texts = tuple([rule for rule in rules if rule.kind is str and rule.also is None])
        numbers = tuple([rule for rule in rules if rule.kind in (int, float) and rule.also is None])
        rest = tuple([rule for rule in rules if rule not in texts and rule not in numbers])
        return _Shape(texts, numbers, rest, None if order == names else order)


def _anything() -> Any:
    """A property of any kind, as far as it is read without doubt: its levels, and a float at the first of them."""
    within: Any = str | int | float | bool | None
    for _ in range(_LEVELS - 1):
        within = str | int | float | bool | None | list[within] | dict[str, within]
    number: Any = Annotated[float, msgspec.Meta(ge=-_EXACT, le=_EXACT)]
    return str | int | number | bool | None | list[within] | dict[str, within]


def _envelope() -> type[msgspec.Struct]:
    text: Any = Annotated[str, msgspec.Meta(max_length=256)]
    identifier: Any = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    optional: Any = text | None | UnsetType
    properties: Any = dict.__class_getitem__((str, _anything()))
    fields: list[Any] = []
    for name in EventDict.__annotations__:
        if name == "ts":
            fields.append((name, int | float | str))  # a float is no time; as an integer alone `1.0` would be one
        elif name in _REQUIRED:
            fields.append((name, identifier))
        elif name == "properties":
            fields.append((name, properties | None | UnsetType, UNSET))
        else:
            fields.append((name, optional, UNSET))
    return msgspec.defstruct("Envelope", fields, forbid_unknown_fields=True, gc=False)


class Recogniser:
    """Recognises the events of a plan. Pure."""

    def __init__(self, plan: Plan) -> None:
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(_envelope()).decode
        self._specs = {name: _Spec(spec, plan) for name, spec in plan.events.items()}
        unknown = EventSpec(unknown_properties="keep")
        self._unknown = _Spec(unknown, plan) if plan.unknown_events == "keep" else None

    def recognise(self, value: bytes) -> Recognised | None:
        """The fields of the event in `value`, its time in epoch ms; None where Pydantic has to be asked."""
        found = self.sure(value)
        if found is None:
            return None
        properties, found.properties = found.properties, UNSET
        fields: Recognised = msgspec.to_builtins(found)
        if properties is not UNSET:
            fields["properties"] = properties
        return fields

    def sure(self, value: bytes) -> Any:
        """The same as a struct of the envelope's fields, UNSET where one was not sent; None for no event."""
        try:
            found = self._decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        spec = self._specs.get(found.event, self._unknown)
        if spec is None:
            return None
        ts = found.ts
        if type(ts) is str:
            try:
                ts = found.ts = milliseconds_of(ts)
            except ValueError:
                return None
        if type(ts) is not int or not EARLIEST_TS <= ts <= LATEST_TS:
            return None
        # Unless it is escaped, JSON has but one control character in a text.
        if (_BACKSLASH in value or _DELETE in value) and _MAY_CONTROL.search(value) and _has_control(found):
            return None
        sent = found.properties
        if not sent or sent is UNSET:
            return None if spec.needed else found
        names = tuple(sent)
        shape = spec.shapes.get(names) or spec.shape(names)
        if shape is None or not _hold(sent, shape):
            return None
        if shape.order is not None:
            found.properties = {name: sent[name] for name in shape.order}
        return found


def _has_control(found: msgspec.Struct) -> bool:
    texts = [getattr(found, name) for name in found.__struct_fields__]
    return any(type(text) is str and _CONTROL.search(text) for text in texts)


def _hold(sent: dict[str, Any], shape: _Shape) -> bool:
    """Whether properties are what their rules say. An integer where the plan has a number becomes one."""
    one: Any
    texts, numbers, rest, _ = shape
    for name, _, high, required, _, _ in texts:
        one = sent[name]
        if type(one) is str:
            if len(one) > high:
                return False
        elif one is not None or required:
            return False
    for name, low, high, required, kind, _ in numbers:
        one = sent[name]
        if type(one) is not kind:
            if one is None and not required:
                continue
            if kind is not float or type(one) is not int or not -_EXACT <= one <= _EXACT:
                return False
            one = sent[name] = float(one)
        if not low <= one <= high:
            return False
    for name, _, _, required, kind, also in rest:
        one = sent[name]
        if one is None and not required:
            continue
        if kind is float and type(one) is int and -_EXACT <= one <= _EXACT:
            one = sent[name] = float(one)
        if type(one) is not kind or (also is not None and not also(one)):
            return False
    return True


def _rule(name: str, spec: PropertySpec, is_value: bool) -> _Rule:
    low, high = bounds_of(spec, is_value=is_value)
    allowed = _within(spec.enum, low, high) if spec.enum is not None else None
    match spec.type:
        case "string":
            if allowed is not None:
                return _Rule(name, 0, _NO_BOUND, spec.required, str, allowed)
            matches = None
            if spec.pattern is not None:
                # Rust's regular expressions are not Python's.
                matches = TypeAdapter(property_type(spec)).validator.isinstance_python
            return _Rule(name, 0, spec.max_length or MAX_STRING, spec.required, str, matches)
        case "integer":
            assert low is not None
            assert high is not None
            return _Rule(name, low, high, spec.required, int, allowed)
        case "number":
            low = -_EXACT if low is None else max(low, -_EXACT)
            high = _EXACT if high is None else min(high, _EXACT)
            return _Rule(name, low, high, spec.required, float, allowed)
        case "boolean":
            return _Rule(name, 0, 1, spec.required, bool, allowed)
        case "timestamp":
            return _Rule(name, 0, _NO_BOUND, spec.required, str, is_time)
        case "array":
            return _Rule(name, 0, 0, spec.required, list)
        case "object":
            return _Rule(name, 0, 0, spec.required, dict)


def _within(enum: tuple[Scalar, ...], low: float | None, high: float | None) -> Callable[[Any], bool]:
    """Whether a value is one of the plan's; a number that is out of bounds is none."""
    return frozenset(
        [one for one in enum if isinstance(one, str) or ((low is None or one >= low) and (high is None or one <= high))]
    ).__contains__
