"""What the validator accepts and refuses: literal bytes, the exact reason, and that nothing else escapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest.records import HOUR, T0, classifier, record

from pipeline.ingest.validate import MAX_RECORD_BYTES, Rejection, Validator
from pipeline.simulate.malformed import MALFORMED, oversize
from pipeline.simulate.rules import event_of
from schemas.plan_io import load_plan, parse_plan

SHOP = load_plan("shop")
SHOP_VALIDATOR = Validator(SHOP)
GOOD: dict[str, Any] = {
    "event_id": "e1",
    "event": "purchase",
    "user_id": "u1",
    "ts": T0,
    "platform": "ios",
    "properties": {"order_id": "o1", "amount": 19.99},
}


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def without(*names: str) -> bytes:
    return json.dumps({k: v for k, v in GOOD.items() if k not in names}).encode()


def bought(**properties: Any) -> bytes:
    return changed(properties={**GOOD["properties"], **properties})


def raw(properties: bytes) -> bytes:
    return b'{"event_id":"e1","event":"share","user_id":"u1","ts":%d,"properties":%s}' % (T0, properties)


REFUSED = {
    "not JSON": (b"hello", "invalid_json", "expected value at line 1 column 1"),
    "half of it": (changed()[:-3], "invalid_json", "EOF while parsing"),
    "two objects": (changed() + changed(), "invalid_json", "trailing characters"),
    "blank": (b"  ", "invalid_json", "EOF while parsing"),
    "byte order mark": (b"\xef\xbb\xbf" + changed(), "invalid_json", "expected value"),
    "not UTF-8": (raw(b'{"target":"M\xfcller"}'), "not_utf8", "byte 92 is not UTF-8"),
    "not UTF-8 in a key": (raw(b'{"\xff":1}'), "not_utf8", "is not UTF-8"),
    "half a character": (raw(b'{"target":"\\ud83d"}'), "invalid_json", "hex escape"),
    "empty": (b"", "empty", "the record is empty"),
    "tombstone": (None, "empty", "without a value"),
    "5 MB": (b"x" * 5_000_000, "too_large", "5000000 bytes"),
    "1 byte too large": (b" " * (MAX_RECORD_BYTES + 1), "too_large", "1000001 bytes"),
    "deep nesting": (raw(b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"), "too_deep", "nesting"),
    "deeper than the stack": (b"[" * 900_000, "too_deep", "nesting"),
    "an array": (b"[]", "not_an_object", "an event is a JSON object"),
    "a number": (b"17", "not_an_object", "an event is a JSON object"),
    "null": (b"null", "not_an_object", "an event is a JSON object"),
    "no event": (without("event"), "missing_field", "event: the name of the event is missing"),
    "event is a number": (changed(event=5), "unknown_event", "the plan has no event '5'"),
    "unknown event": (changed(event="teleport"), "unknown_event", "the plan has no event 'teleport'; it has"),
    "no event_id": (without("event_id"), "missing_field", "event_id: is missing"),
    "no ts": (without("ts"), "missing_field", "ts: is missing"),
    "nothing at all": (b"{}", "missing_field", "event: the name"),
    "event_id is a number": (changed(event_id=1), "wrong_type", "valid string, found 1"),
    "event_id is empty": (changed(event_id=""), "bad_value", "should have at least 1 character"),
    "event_id is too long": (changed(event_id="x" * 257), "bad_value", "should have at most 256"),
    "no actor": (without("user_id"), "missing_actor", "user_id or anonymous_id is needed"),
    "actor is null": (changed(user_id=None), "missing_actor", "user_id or anonymous_id is needed"),
    "actor is empty": (changed(user_id=""), "missing_actor", "user_id or anonymous_id is needed"),
    "actor is a number": (changed(user_id=42), "wrong_type", "valid string, found 42"),
    "control character": (changed(user_id="a\x00b"), "bad_value", "user_id: has characters that"),
    "newline": (changed(platform="ios\n"), "bad_value", "platform: has characters that are not allowed"),
    "delete character": (changed(channel="\x7f"), "bad_value", "channel: has characters"),
    "raw control character": (raw(b'{"target":"a\x01"}'), "invalid_json", "control character"),
    "unknown field": (changed(userId="u"), "unknown_field", "userId: is not in the plan"),
    "ts is a float": (changed(ts=T0 + 0.5), "wrong_type", "ts: must be epoch milliseconds"),
    "ts is true": (changed(ts=True), "wrong_type", "ts: must be epoch milliseconds"),
    "ts is null": (changed(ts=None), "wrong_type", "ts: must be epoch milliseconds"),
    "ts is a word": (changed(ts="now"), "wrong_type", "ts: must be epoch milliseconds"),
    "ts without zone": (changed(ts="2026-10-01T00:00:00"), "wrong_type", "an RFC 3339 time with a zone"),
    "ts is a date": (changed(ts="2026-10-01"), "wrong_type", "an RFC 3339 time with a zone"),
    "ts in seconds": (changed(ts=T0 // 1000), "time_too_old", "(seconds? send milliseconds)"),
    "ts in 1970": (changed(ts="1970-01-01T00:00:00Z"), "time_too_old", "ts 0 lies before the year 2000"),
    "ts is negative": (changed(ts=-1), "time_too_old", "ts -1 lies before the year 2000"),
    "ts in year 1": (changed(ts="0001-01-01T00:00:00+14:00"), "time_too_old", "before the year 2000"),
    "ts in microseconds": (changed(ts=T0 * 1000), "time_in_future", "after the year 2200"),
    "ts beyond 64 bits": (changed(ts=2**64), "time_in_future", "after the year 2200"),
    "NaN": (raw(b'{"load":NaN}'), "not_finite", "NaN and infinite numbers are not data"),
    "nested -Infinity": (raw(b'{"load":[{"a":-Infinity}]}'), "not_finite", "NaN and infinite numbers"),
    "1e999": (raw(b'{"load":1e999}'), "not_finite", "NaN and infinite numbers"),
    "nested 1e999": (raw(b'{"load":{"a":[-1e999]}}'), "not_finite", "NaN and infinite numbers"),
    "NaN for a number": (
        changed().replace(b"19.99", b"NaN"),
        "not_finite",
        "properties.amount: input should be a finite number, found nan",
    ),
    "1e999 for a number": (changed().replace(b"19.99", b"1e999"), "not_finite", "properties.amount: input"),
    "5,000 digits": (raw(b'{"a":' + b"9" * 5000 + b"}"), "invalid_json", "number out of range"),
    "properties null": (changed(properties=None), "missing_field", "properties: is missing"),
    "properties a list": (changed(properties=[]), "wrong_type", "properties: input should be an object"),
    "properties missing": (without("properties"), "missing_field", "properties: is missing"),
    "property missing": (changed(properties={"amount": 1}), "missing_field", "order_id: is missing"),
    "property null": (bought(amount=None), "wrong_type", "amount: "),
    "number as text": (bought(amount="19.99"), "wrong_type", "amount: "),
    "number as true": (bought(amount=True), "wrong_type", "amount: "),
    "float for integer": (bought(items=1.0), "wrong_type", "items: "),
    "below the minimum": (bought(items=0), "bad_value", "items: input should be greater"),
    "negative amount": (bought(amount=-1), "bad_value", "amount: input should be greater"),
    "amount too large": (bought(amount=1_000_000_001), "bad_value", "amount: input should be less"),
    "integer beyond 64 bits": (bought(items=2**63), "bad_value", "properties.items: input should be less"),
    "not in the enum": (
        changed(event="pay", properties={"method": "gold"}),
        "bad_value",
        "properties.method: input should be 'card', 'wallet' or 'cod', found 'gold'",
    ),
    "text too long": (changed(event="search", properties={"query": "x" * 201}), "bad_value", "at most 200"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    value, reason, words = REFUSED[name]
    with pytest.raises(Rejection) as caught:
        SHOP_VALIDATOR.parse(value)
    assert (caught.value.reason, words in caught.value.detail) == (reason, True), caught.value.detail
    assert len(caught.value.detail) <= 500


@pytest.mark.parametrize("name", REFUSED)
def test_refused_records_are_rejected_and_change_nothing(name: str) -> None:
    value, reason, _ = REFUSED[name]
    state = classifier(SHOP)
    found = state.classify([record(0, value), record(1, changed())])
    assert [o.name for o in found.outcomes] == ["REJECTED", "ACCEPTED"]
    assert found.rejections[0].reason == reason
    assert state.watermark == T0
    assert len(state.seen) == 1


def test_next_year_is_rejected_by_the_time_of_the_record() -> None:
    next_year = T0 + 365 * 24 * HOUR
    state = classifier(SHOP)
    found = state.classify([record(0, changed(ts=next_year), timestamp=T0), record(1, changed())])
    assert [o.name for o in found.outcomes] == ["REJECTED", "ACCEPTED"]
    assert found.rejections[0].reason == "time_in_future"
    assert found.rejections[0].detail == f"ts {next_year} is 31536000 s after it was written to Kafka"


@pytest.mark.parametrize("timestamp", [-1, 0, 2**63 - 1])
def test_any_time_of_a_record_is_survived(timestamp: int) -> None:
    state = classifier(SHOP)
    state.classify([record(0, changed(ts=ts), timestamp=timestamp) for ts in (0, T0, 2**63 - 1, 2**70)])
    assert state.watermark in (0, T0)


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (T0, T0),
        ("2026-10-01T00:00:00Z", T0),
        ("2026-10-01T08:00:00.123456+08:00", T0 + 123),
        ("2026-10-01 00:00:00.9999Z", T0 + 999),
        ("2000-01-01T00:00:00Z", 946_684_800_000),
    ],
)
def test_time_is_milliseconds(ts: int | str, expected: int) -> None:
    assert SHOP_VALIDATOR.parse(changed(ts=ts)).ts == expected


@pytest.mark.parametrize(
    ("amount", "micro"),
    [
        ("19.99", 19_990_000),
        ("0.1", 100_000),
        ("0.0000014", 1),
        ("1000000000", 10**15),
        ("-0.0", 0),
        ("5", 5_000_000),
    ],
)
def test_a_value_is_exact_to_a_millionth(amount: str, micro: int) -> None:
    assert SHOP_VALIDATOR.parse(changed().replace(b"19.99", amount.encode())).value == micro


def test_an_event_without_its_value_is_worth_nothing() -> None:
    plan = parse_plan("product: x\nevents:\n  buy:\n    value: amount\n    properties:\n      amount: number\n  x:\n")
    validator = Validator(plan)
    for properties in ({}, {"amount": None}):
        fields = {"event_id": "e", "event": "buy", "user_id": "u", "ts": T0, "properties": properties}
        assert validator.parse(json.dumps(fields).encode()).value == 0


def test_the_user_is_the_actor_and_else_the_anonymous_visitor() -> None:
    assert SHOP_VALIDATOR.parse(changed(anonymous_id="a1")).actor == "u1"
    assert SHOP_VALIDATOR.parse(changed(anonymous_id="a1", user_id=None)).actor == "$device:a1"


def test_an_event_keeps_its_fields() -> None:
    event = SHOP_VALIDATOR.parse(bought(note="unknown to the plan", tags=["a", {"b": None}]))
    assert event.name == "purchase"
    assert event.event_id == "e1"
    assert event.fields["properties"]["tags"] == ["a", {"b": None}]
    assert event.fields["platform"] == "ios"


ONE_EVENT = "product: x\nunknown_events: {}\nevents:\n  look:\n    properties: {{shade: {{enum: [red, blue]}}}}\n"
TWO_EVENTS = ONE_EVENT + "  buy:\n"


@pytest.mark.parametrize("events", [ONE_EVENT, TWO_EVENTS])
def test_unknown_events_are_rejected_or_kept(events: str) -> None:
    other = b'{"event_id":"e","event":"other","user_id":"u","ts":%d,"properties":{"shade":5}}' % T0
    bad = b'{"event_id":"","event":"other","user_id":"u","ts":%d}' % T0
    rejecting, keeping = (Validator(parse_plan(events.format(mode))) for mode in ("reject", "keep"))
    with pytest.raises(Rejection) as caught:
        rejecting.parse(other)
    assert caught.value.reason == "unknown_event"
    assert keeping.parse(other).fields["properties"] == {"shade": 5}
    with pytest.raises(Rejection) as caught:
        keeping.parse(bad)  # the envelope holds for unknown events too
    assert (caught.value.reason, caught.value.detail.split(":")[0]) == ("bad_value", "event_id")
    with pytest.raises(Rejection) as caught:
        keeping.parse(other.replace(b"other", b"look"))  # a known event keeps its own rules
    assert caught.value.reason == "bad_value"


def test_unknown_properties_are_kept_or_refused() -> None:
    text = "product: x\nunknown_properties: reject\nevents:\n  a:\n  b:\n    unknown_properties: keep\n"
    validator = Validator(parse_plan(text))
    fields = {"event_id": "e", "event": "b", "user_id": "u", "ts": T0, "properties": {"x": 1}}
    assert validator.parse(json.dumps(fields).encode()).fields["properties"] == {"x": 1}
    with pytest.raises(Rejection) as caught:
        validator.parse(json.dumps({**fields, "event": "a"}).encode())
    assert (caught.value.reason, caught.value.detail[:13]) == ("unknown_field", "properties.x:")


@pytest.mark.parametrize("kind", MALFORMED)
def test_every_kind_the_simulator_spoils_is_rejected_for_its_reason(kind: str) -> None:
    malformation = MALFORMED[kind]
    value = malformation.make(json.loads(changed(anonymous_id="a")))
    found = classifier(SHOP).classify([record(0, value)])
    assert {i: why.reason for i, why in found.rejections.items()} == {0: malformation.reason}


def test_an_oversize_event_is_refused_for_its_size_alone() -> None:
    value = oversize(json.loads(changed()))
    assert MAX_RECORD_BYTES < len(value) < 1_048_000  # and Kafka's own limit lets it pass
    with pytest.raises(Rejection, match="bytes; an event may have"):
        SHOP_VALIDATOR.parse(value)


# -- laws ----------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
#: Mostly right, so that the interesting mistakes come alone.
EVENT_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "event_id": st.just("e"),
    "event": st.sampled_from(["purchase", "app_open", "add_to_cart", "pay", "nope"]),
    "ts": st.sampled_from([T0, T0 + 1, 0, "2026-10-01T00:00:00Z", "2026-10-01T00:00:00", 7_258_118_400_001]),
    "user_id": st.sampled_from(["u1", None, "ü", "a\x7f"]),
    "anonymous_id": st.sampled_from(["a", None]),
    "platform": st.sampled_from(["ios", "", None, "x" * 257]),
}
PROPERTIES: dict[str, st.SearchStrategy[Any]] = {
    "order_id": st.just("o"),
    "item_id": st.just("i"),
    "amount": st.sampled_from([0, 1.5, -1, 1e9, 1e9 + 1, True]),
    "quantity": st.sampled_from([1, 1000, 1001, 1.0]),
    "method": st.sampled_from(["card", "gold"]),
}
properties = st.fixed_dictionaries({}, optional={k: v | json_values for k, v in PROPERTIES.items()})
events = st.fixed_dictionaries(
    {k: v for k, v in EVENT_FIELDS.items() if k != "anonymous_id"},
    optional={"anonymous_id": EVENT_FIELDS["anonymous_id"], "properties": properties | json_values},
)


def check(validator: Validator, value: bytes) -> None:
    """The validator answers, and the independent rules answer the same."""
    try:
        event = validator.parse(value)
    except Rejection as why:
        why.detail.encode()  # it goes into a header: it must be text
        found = None
    else:
        found = (event.event_id, event.actor, event.ts)
        json.dumps(event.fields.get("properties", {}), allow_nan=False)  # it is stored as JSON
    right = event_of(value, SHOP)
    assert found == (None if right is None else (right.event_id, right.actor, right.ts))


@given(st.binary(max_size=80))
def test_arbitrary_bytes_never_raise_anything_but_rejection(value: bytes) -> None:
    check(SHOP_VALIDATOR, value)


@given(json_values)
def test_arbitrary_json_never_raises_anything_but_rejection(data: Any) -> None:
    check(SHOP_VALIDATOR, json.dumps(data).encode())


@given(events)
def test_the_validator_agrees_with_the_independent_rules(fields: dict[str, Any]) -> None:
    check(SHOP_VALIDATOR, json.dumps(fields).encode())


@given(events, st.sampled_from(sorted(GOOD)), json_values)
def test_any_field_of_any_kind(fields: dict[str, Any], name: str, value: Any) -> None:
    check(SHOP_VALIDATOR, json.dumps({**fields, name: value}).encode())


@given(st.data())
def test_a_damaged_event_never_raises_anything_but_rejection(data: st.DataObject) -> None:
    value = bytearray(changed())
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    check(SHOP_VALIDATOR, bytes(value))
