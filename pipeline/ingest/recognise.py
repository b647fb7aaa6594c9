"""Events recognised without Pydantic: quickly, and only where there is no doubt.

Pydantic's models of the plan (`schemas.models`) say what an event is, and nothing else does. A recogniser made of the
same plan accepts what Pydantic accepts, with equal values, of the types and in the order that it gives; of everything
else it says nothing: not recognised is not rejected. What decides is in `tests/ingest/test_recognise.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from pydantic import TypeAdapter

from schemas.event import EARLIEST_TS, LATEST_TS, Event, EventDict, is_time, milliseconds_of
from schemas.models import MAX_STRING, bounds_of, property_type
from schemas.plan import EventSpec, Plan, PropertySpec, Scalar

#: From here on a float may not hold the integer that was sent: Pydantic's way looks again.
_EXACT: Final = 2.0**53 - 1
#: Levels of lists and objects within a property: far fewer than Pydantic reads (200 in all).
_LEVELS: Final = 5
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: What may become one of them when JSON is read.
_ESCAPED: Final = re.compile(rb"\\(?:[bfnrt]|u00[01][0-9a-fA-F]|u007[fF])|\x7f")
#: As numbers: to look for a byte takes a tenth of looking for a text.
_BACKSLASH: Final = 0x5C
_DELETE: Final = 0x7F
#: Shapes remembered of an event, and characters of the names of one: a stranger chooses them.
_SHAPES: Final = 256
_NAMES: Final = 2_048
_NO_BOUND: Final = 1 << 62
_REQUIRED: Final = ("event_id", "event", "ts")


class _Rule(NamedTuple):
    """What a property must be. `low` and `high` bound a number, or the length of a text."""

    name: str
    low: float
    high: float
    required: bool
    kind: type
    also: Callable[[Any], bool] | None = None

    def broken(self, column: list[Any], sent: Sequence[dict[str, Any]]) -> list[int]:
        """Which of a column of values are not surely what the rule says; of which properties each is, is in `sent`.

        An integer where the plan has a number becomes one.
        """
        kind, kinds = self.kind, set(map(type, column))
        if kinds == {kind}:
            if self.also is not None:
                whole = all(map(self.also, column))
            elif kind is str:
                whole = max(map(len, column)) <= self.high
            elif kind is int or kind is float:
                whole = self.low <= min(column) and max(column) <= self.high
            else:
                whole = True
            if whole:
                return []
        return [j for j, one in enumerate(column) if not self.holds(one, sent[j])]

    def holds(self, one: Any, sent: dict[str, Any]) -> bool:
        """Whether a value, of the properties `sent`, is surely what the rule says; `broken` for one."""
        kind: Any = self.kind
        if one is None:
            return not self.required
        if kind is float and type(one) is int and -_EXACT <= one <= _EXACT:
            one = sent[self.name] = float(one)
        if type(one) is not kind:
            return False
        value: Any = one
        if self.also is not None:
            return self.also(value)
        if kind is str:
            return len(value) <= self.high
        return kind not in (int, float) or self.low <= value <= self.high


class _Shape(NamedTuple):
    """Properties that are sent with just these names, in this order: what those of the plan must be."""

    rules: tuple[_Rule, ...]
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
        rules = tuple([rule for rule in self._rules.values() if rule.name in sent])
        order = (*[rule.name for rule in rules], *others)
        return _Shape(rules, None if order == names else order)


def _anything() -> Any:
    """A property of any kind, as far as it is read without doubt: its levels, and a float at the first of them."""
    within: Any = str | int | float | bool | None
    for _ in range(_LEVELS - 1):
        within = str | int | float | bool | None | list[within] | dict[str, within]
    number: Any = Annotated[float, msgspec.Meta(ge=-_EXACT, le=_EXACT)]
    return str | int | number | bool | None | list[within] | dict[str, within]


def _envelope() -> type[Event]:
    text: Any = Annotated[str, msgspec.Meta(max_length=256)]
    identifier: Any = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    optional: Any = text | None | UnsetType
    properties: Any = dict.__class_getitem__((str, _anything()))
    #: Nothing in JSON is one: what follows from an event is not to be sent.
    never: Any = Annotated[int, msgspec.Meta(ge=1, le=0)]
    fields: list[Any] = []
    for name in EventDict.__annotations__:
        if name == "ts":
            fields.append((name, int | float | str))  # a float is no time; as an integer alone `1.0` would be one
        elif name == "event":
            fields.append(("name", identifier, msgspec.field(name=name)))
        elif name in _REQUIRED:
            fields.append((name, identifier))
        elif name == "properties":
            fields.append((name, properties | None | UnsetType, UNSET))
        else:
            fields.append((name, optional, UNSET))
    fields += [("actor", never, ""), ("value", never, 0)]
    made: Any = msgspec.defstruct("Event", fields, bases=(Event,), forbid_unknown_fields=True, gc=False)
    return made  # type: ignore[no-any-return]


class Recogniser:
    """Recognises the events of a plan. Pure."""

    def __init__(self, plan: Plan) -> None:
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(_envelope()).decode
        self._specs = {name: _Spec(spec, plan) for name, spec in plan.events.items()}
        unknown = EventSpec(unknown_properties="keep")
        self._unknown = _Spec(unknown, plan) if plan.unknown_events == "keep" else None

    def recognise(self, values: Sequence[bytes]) -> list[Event | None]:
        """The event in each of `values`, its time in epoch ms; None where Pydantic has to be asked.

        `actor` and `value` are not known yet.
        """
        found = self._decoded(values)
        _check_times(found)
        # Unless it is escaped, JSON has but one control character in a text.
        for i, value in enumerate(values):
            if (_BACKSLASH in value or _DELETE in value) and _ESCAPED.search(value):
                event = found[i]
                if event is not None and _has_control(event):
                    found[i] = None
        by_name: dict[str, list[int]] = {}
        for i, event in enumerate(found):
            if event is not None:
                same = by_name.get(event.name)
                if same is None:
                    by_name[event.name] = [i]
                else:
                    same.append(i)
        for name, at in by_name.items():
            self._check_properties(self._specs.get(name, self._unknown), found, at)
        return found

    def recognise_one(self, value: bytes) -> Event | None:
        """As `recognise`, of one event."""
        try:
            event: Event = self._decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        ts = event.ts
        if (type(ts) is not int or not EARLIEST_TS <= ts <= LATEST_TS) and not _has_time(event):
            return None
        if (_BACKSLASH in value or _DELETE in value) and _ESCAPED.search(value) and _has_control(event):
            return None
        spec = self._specs.get(event.name, self._unknown)
        if spec is None:
            return None
        sent = event.properties
        if not sent:
            return None if spec.needed else event
        names = tuple(sent)
        shape = spec.shapes.get(names) or spec.shape(names)
        if shape is None:
            return None
        for rule in shape.rules:
            if not rule.holds(sent[rule.name], sent):
                return None
        if shape.order is not None:
            event.properties = {name: sent[name] for name in shape.order}
        return event

    def _decoded(self, values: Sequence[bytes]) -> list[Event | None]:
        found: list[Event | None] = []
        left = map(self._decode, values)
        while len(found) < len(values):
            try:
                # What has been decoded before one that is no event stays in the list.
                found.extend(left)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                found.append(None)
        return found

    def _check_properties(self, spec: _Spec | None, found: list[Event | None], at: list[int]) -> None:
        """Take out of `found` the events (of one name, at `at`) of whose properties the plan may say otherwise."""
        if spec is None:
            for i in at:
                found[i] = None
            return
        by_names: dict[tuple[str, ...], list[int]] = {}
        sent: Any = [found[i].properties or () for i in at]  # type: ignore[union-attr]
        for i, names in zip(at, map(tuple, sent), strict=True):
            same = by_names.get(names)
            if same is None:
                by_names[names] = [i]
            else:
                same.append(i)
        for names, same in by_names.items():
            if not names:
                if spec.needed:
                    for i in same:
                        found[i] = None
                continue
            shape = spec.shapes.get(names) or spec.shape(names)
            if shape is None:
                for i in same:
                    found[i] = None
                continue
            together: Any = [found[i].properties for i in same]  # type: ignore[union-attr]
            for rule in shape.rules:
                for j in rule.broken([properties[rule.name] for properties in together], together):
                    found[same[j]] = None
            if shape.order is not None:
                for i in same:
                    event: Any = found[i]
                    if event is not None:
                        event.properties = {name: event.properties[name] for name in shape.order}


def _check_times(found: list[Event | None]) -> None:
    """Take out of `found` what has no time, or none that is allowed; texts become epoch ms."""
    times = [event.ts for event in found if event is not None]
    if set(map(type, times)) == {int} and min(times) >= EARLIEST_TS and max(times) <= LATEST_TS:
        return
    for i, event in enumerate(found):
        if event is not None and not _has_time(event):
            found[i] = None


def _has_time(event: Event) -> bool:
    """Whether an event has a time that is allowed; a text becomes epoch ms."""
    ts: object = event.ts
    if type(ts) is str:
        try:
            ts = event.ts = milliseconds_of(ts)
        except ValueError:
            return False
    return type(ts) is int and EARLIEST_TS <= ts <= LATEST_TS


def _has_control(event: Event) -> bool:
    return any(_CONTROL.search(text) for text in event.fields.values() if type(text) is str)


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
