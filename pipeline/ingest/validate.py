"""Bytes to a valid event, or a reason why not.

The quick way recognises an event that is surely one (`recognise.py`). Whatever isn't recognised goes to Pydantic, which
says what an event is, and whose mistakes are put into words here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Final, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from pipeline.errors import BrokenPromiseError
from pipeline.ingest.recognise import Recogniser
from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS, Event
from schemas.models import known_events, unknown_event
from schemas.nobody import any_nobody, is_nobody
from schemas.plan import Plan
from schemas.where import Predicate, predicate

#: A larger record is rejected unread: no event needs it, and it would cost every consumer.
MAX_RECORD_BYTES: Final = 1_000_000
_MICRO: Final = 1_000_000
#: Below it every integer is a float of its own.
_EXACT: Final = 2.0**53

#: Of so many records one is judged both ways.
COMPARED: Final = 1_024

#: So many records are read together: what is made of them fits into a processor's cache.
_PIECE: Final = 512

# An event name or property that a stranger chose is quoted in the reason, so its length has a bound.
_MAX_DETAIL: Final = 500


class Rejection(Exception):
    """Why a record is not an event of the plan.

    `reason` is a stable code, `detail` a sentence for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail[:_MAX_DETAIL]


class Validator:
    """Checks records against a plan. Pure: the same bytes always give the same answer.

    With `validation` "pydantic" Pydantic is asked of every record: slower, and the same answers.
    """

    def __init__(self, plan: Plan, validation: Literal["fast", "pydantic"] = "fast") -> None:
        self._recogniser = Recogniser(plan) if validation == "fast" else None
        self._known = known_events(plan).validator.validate_json
        self._unknown: Callable[[bytes], Any] | None = (
            unknown_event(plan).validator.validate_json if plan.unknown_events == "keep" else None
        )
        self._names = frozenset(plan.events)
        self._tagged = len(plan.events) > 1
        self._values = {name: spec.value for name, spec in plan.events.items() if spec.value}
        self._refunds = _refunds(plan)
        self._keeps_nobody = plan.nobody_ids == "keep"
        self._keeps_bots = plan.bots == "keep"

    def parse(self, value: bytes | None, number: int = 1) -> Event:
        """Return the event in `value`; raises Rejection. As `parse_all`, for one."""
        if not value or len(value) > MAX_RECORD_BYTES:
            raise _no_payload(value)
        event = self._recogniser.recognise_one(value) if self._recogniser is not None else None
        if event is None:
            return self._judged_event(value)
        if not number % COMPARED:
            self._compare(value, event.fields)
        self._settle(event)
        return event

    def sure(self, value: bytes, number: int = 1) -> Event | None:
        """An event that `parse` surely accepts, whose actor isn't known yet; None where `parse` has to be asked."""
        if self._recogniser is None or len(value) > MAX_RECORD_BYTES:
            return None
        event = self._recogniser.recognise_one(value)
        if event is None or event.bot:
            return None
        one = event.user_id or event.anonymous_id
        if not one or one[0] == "$" or is_nobody(one):
            return None
        if not number % COMPARED:
            self._compare(value, event.fields)
        return event

    def parse_all(
        self, values: Sequence[bytes | None], numbers: Sequence[int]
    ) -> tuple[list[Event | None], dict[int, Rejection]]:
        """The event in each of `values`, and why others are none, by their index.

        Of every `COMPARED`th of `numbers` (offsets, or a count) both ways are asked; raises BrokenPromiseError if they
        differ.
        """
        rejections: dict[int, Rejection] = {}
        events: list[Event | None] = []
        for start in range(0, len(values), _PIECE):
            found = self._recognised(values[start : start + _PIECE])
            for i, number in enumerate(numbers[start : start + _PIECE]):
                if not number % COMPARED and (event := found[i]) is not None:
                    self._compare(values[start + i] or b"", event.fields)
            others = [i for i, event in enumerate(found) if event is None]
            if not self._settled(found):
                for i, event in enumerate(found):
                    if event is not None and (why := _reason(self._settle, event)) is not None:
                        found[i], rejections[start + i] = None, why
            for i in others:
                try:
                    found[i] = self._judged_event(values[start + i])
                except Rejection as exc:
                    rejections[start + i] = exc
            events += found
        return events, rejections

    def _recognised(self, values: Sequence[bytes | None]) -> list[Event | None]:
        if self._recogniser is None:
            return [None] * len(values)
        readable = [value for value in values if value and len(value) <= MAX_RECORD_BYTES]
        found = self._recogniser.recognise(readable)
        if len(found) < len(values):
            each = iter(found)
            found = [next(each) if value and len(value) <= MAX_RECORD_BYTES else None for value in values]
        return found

    def _judged_event(self, value: bytes | None) -> Event:
        """The event in `value`, by Pydantic."""
        if not value or len(value) > MAX_RECORD_BYTES:
            raise _no_payload(value)
        event = Event.of(self._judged(value))
        self._settle(event)
        _check_numbers(event.properties or None, value)
        return event

    def _judged(self, value: bytes) -> dict[str, Any]:
        """The fields, by Pydantic."""
        try:
            return self._known(value)  # type: ignore[no-any-return]
        except ValidationError as exc:
            return self._second_look(value, exc)  # type: ignore[no-any-return]

    def _compare(self, value: bytes, fields: dict[str, Any]) -> None:
        """Raise BrokenPromiseError unless Pydantic says of a recognised record what was recognised."""
        try:
            judged = self._judged(value)
            _check_numbers(judged.get("properties"), value)
        except Rejection as why:
            found = f"{why.reason}: {why.detail}"
        else:
            # As text: 1, 1.0 and true are equal, and so are two objects of another order.
            if repr(judged) == repr(fields):
                return
            found = "other values"
        raise BrokenPromiseError(
            f"an event {fields['event']!r:.60} of {len(value)} bytes was recognised, and Pydantic finds {found:.300}: "
            f"report it, and set PIPELINE_VALIDATION=pydantic until it is mended"
        )

    def _settled(self, events: Sequence[Event | None]) -> bool:
        """Settle recognised events all at once; False if some of them may be rejected: nothing is done then."""
        found = [event for event in events if event is not None]
        users: list[Any] = [event.user_id for event in found]
        whose = users
        if not all(users):
            whose = [user or event.anonymous_id for user, event in zip(users, found, strict=True)]
            if not all(whose):
                return False
        if not self._keeps_nobody and any_nobody(whose):
            return False
        bots = [] if self._keeps_bots else [event.bot for event in found]
        if any(bots) or "$" in [one[0] for one in whose]:
            return False
        values = self._values
        for user, event in zip(users, found, strict=True):
            event.actor = user or f"{DEVICE}{event.anonymous_id}"
            if event.name in values:
                event.value = self._micro(event)
        return True

    def _settle(self, event: Event) -> None:
        """Find whose a valid event is and what it is worth; raises Rejection if it can't be counted."""
        user = event.user_id
        one = user or event.anonymous_id
        if not one:
            raise Rejection("missing_actor", "user_id or anonymous_id is needed: whose event is it?")
        if is_nobody(one) and not self._keeps_nobody:
            raise _nobody(event)
        if event.bot and not self._keeps_bots:
            raise Rejection("bot", f"{event.bot}: a program that crawls, and no person")
        if not user:
            event.actor = DEVICE + one
        elif user.startswith(DEVICE):
            raise Rejection("bad_value", f"user_id: no user's id begins with {DEVICE}, which stands for a device")
        else:
            event.actor = user
        ts = event.ts
        if ts < EARLIEST_TS:
            hint = " (seconds? send milliseconds)" if 946_684_800 <= ts < 10_000_000_000 else ""
            raise Rejection("time_too_old", f"ts {ts} lies before the year 2000{hint}")
        if ts > LATEST_TS:
            raise Rejection("time_in_future", f"ts {str(ts)[:30]} lies after the year 2200 (microseconds?)")
        if event.name in self._values:
            event.value = self._micro(event)

    def _micro(self, event: Event) -> int:
        """What an event is worth: a refund takes off, whatever the sign that was sent."""
        name = event.name
        micro = round(((event.properties or {}).get(self._values[name]) or 0) * _MICRO)
        refund = micro > 0 and name in self._refunds and any(given(event.fields) for given in self._refunds[name])
        return -micro if refund else micro

    def _second_look(self, value: bytes, exc: ValidationError) -> Any:
        errors = exc.errors(include_url=False)
        if self._tagged:
            for error in errors:
                error["loc"] = error["loc"][1:]  # the name of the event, by which Pydantic tells them apart
        if self._unknown is not None and _is_unknown_event(errors[0]):
            try:
                return self._unknown(value)
            except ValidationError as again:
                errors = again.errors(include_url=False)
        raise explain(value, errors, self._names)


def _refunds(plan: Plan) -> dict[str, list[Predicate]]:
    """The events that are refunds, and when: what they took is taken off, whatever the sign that was sent."""
    found: dict[str, list[Predicate]] = {}
    for meaning in plan.meanings.refund:
        found.setdefault(meaning.event, []).append(predicate(meaning.where) or (lambda _: True))
    return found


def _reason(check: Callable[[Event], None], event: Event) -> Rejection | None:
    """Why an event is rejected, None if it isn't."""
    try:
        check(event)
    except Rejection as why:
        return why
    return None


def _nobody(event: Event) -> Rejection:
    name, one = ("user_id", event.user_id) if event.user_id else ("anonymous_id", event.anonymous_id)
    return Rejection("nobody_id", f"{name} {one!r:.60} is nobody's: leave it out where there is no id")


def _no_payload(value: bytes | None) -> Rejection:
    if value is None:
        return Rejection("empty", "a record without a value (a tombstone) is not an event")
    if not value:
        return Rejection("empty", "the record is empty")
    return Rejection("too_large", f"{len(value)} bytes; an event may have {MAX_RECORD_BYTES}")


def _large(value: bytes, key: str, found: float) -> int | float:
    """A property that a float may not hold exactly: the integer that was sent, if it was one of 64 bits."""
    if not isfinite(found):
        raise _not_finite()
    properties = from_json(value)["properties"]
    sent = properties.get(key) if type(properties) is dict else None
    # Equal to what was validated: in a record that names its properties twice it could be another one.
    return sent if type(sent) is int and -(2**63) <= sent < 2**64 and float(sent) == found else found


def _check_numbers(properties: dict[str, Any] | None, value: bytes) -> None:
    """Refuse what is no number, and put integers back that a float can't hold.

    The parser lets the words NaN and Infinity pass where the plan says nothing, and 1e999 too.
    """
    for key, item in (properties or {}).items():
        kind = type(item)
        if kind is float:
            if not -_EXACT < item < _EXACT:
                assert properties is not None
                properties[key] = _large(value, key, item)
        elif kind is list or kind is dict:
            _refuse_non_finite(item)


def _refuse_non_finite(data: Any) -> None:
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, float) and not isfinite(item):
            raise _not_finite()


def _not_finite() -> Rejection:
    return Rejection("not_finite", "NaN and infinite numbers are not data: leave the property out or send null")


def _is_unknown_event(error: ErrorDetails) -> bool:
    """Whether a Pydantic error says that the plan has no such event (a plan of one event has no tag)."""
    if error["type"] == "union_tag_invalid":
        return True
    return error["type"] == "literal_error" and error["loc"] == ("event",)


_REASONS: Final = {
    "json_invalid": "invalid_json",
    "union_tag_invalid": "unknown_event",
    "union_tag_not_found": "missing_field",
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "finite_number": "not_finite",
}


def explain(value: bytes, errors: list[ErrorDetails], names: frozenset[str]) -> Rejection:
    """Put the first mistakes of a failed validation into words that its producer can act on."""
    first = errors[0]
    if first["type"] == "dict_type" and first["loc"] == ("properties",) and first["input"] is None:
        first["type"] = "missing"  # null is nothing, and this event needs properties
    kind = first["type"]
    if kind == "json_invalid":
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as bad:
            return Rejection("not_utf8", f"byte {bad.start} is not UTF-8")
        if "recursion limit" in first["msg"]:
            return Rejection("too_deep", "more than 200 levels of nesting")
        return Rejection("invalid_json", first["msg"].removeprefix("Invalid JSON: "))
    if kind == "dict_type" and not first["loc"]:
        return Rejection("not_an_object", "an event is a JSON object")
    if _is_unknown_event(first):
        found = first.get("ctx", {}).get("tag", first.get("input"))
        has = ", ".join(sorted(names))
        return Rejection("unknown_event", f"the plan has no event {repr(found)[:100]}; it has {has}")
    if kind == "union_tag_not_found":
        return Rejection("missing_field", "event: the name of the event is missing or not a string")
    # A record can have as many mistakes as bytes: the first ones say enough.
    parts = [f"{path}: {message}" for path, message in _by_field(errors[:50]).items()]
    reason = _REASONS.get(kind, "wrong_type" if kind.endswith(("_type", "_parsing")) else "bad_value")
    return Rejection(reason, "; ".join(parts[:5]))


def _by_field(errors: list[ErrorDetails]) -> dict[str, str]:
    """One message a field, the branches of `ts` left out."""
    out: dict[str, str] = {}
    for error in errors:
        loc = [str(part) for part in error["loc"]]
        if loc[:1] == ["ts"] and error["type"] != "missing":
            out["ts"] = "must be epoch milliseconds (an integer) or an RFC 3339 time with a zone"
            continue
        path = ".".join(loc)
        if path not in out:
            out[path] = _words(error)
    return out


def _words(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not in the plan (own data goes under properties, declared in the plan)"
        case "string_pattern_mismatch":
            if "properties" in error["loc"]:
                return f"does not match the plan's pattern {error['ctx']['pattern']}"
            return "has characters that are not allowed here (control characters?)"
        case _:
            found = repr(error.get("input"))
            found = found if len(found) <= 60 else found[:57] + "..."
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}, found {found}"
