"""The recogniser accepts what Pydantic accepts, with equal values, and says nothing of all else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import BrokenPromiseError
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.recognise import Recogniser
from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import COMPARED, Rejection, Validator
from schemas.event import Event
from schemas.plan import EventSpec, Plan
from schemas.plan_io import load_plan, parse_plan

T0 = 1_790_812_800_000

PLAN = parse_plan(
    """
product: Tests
unknown_properties: keep
events:
  look:
  closed:
    unknown_properties: reject
    properties:
      name: string
  buy:
    value: amount
    properties:
      amount: {type: number, required: true, min: 0}
      items: {type: integer, min: 1, max: 10}
      method: {type: string, enum: [card, cash]}
      code: {type: string, pattern: "^[A-Z]+$", max_length: 3}
      gift: boolean
      due: timestamp
      tags: array
      more: object
      rate: {type: number, enum: [1, 2.5]}
      count: {type: integer, enum: [1, 2]}
"""
)


def said(validator: Validator, value: bytes) -> tuple[str, ...]:
    """All that a validator says of a record."""
    try:
        return (repr(validator.parse(value, COMPARED)),)
    except Rejection as why:
        return why.reason, why.detail


def buy(properties: str, **more: Any) -> bytes:
    head = json.dumps({"event_id": "e1", "event": "buy", "user_id": "u1", "ts": T0, **more})
    return f'{head[:-1]}, "properties": {properties}}}'.encode()


def look(more: str) -> bytes:
    return f'{{"event_id":"e1","event":"look","user_id":"u1","ts":{T0}{more}}}'.encode()


@pytest.mark.parametrize(
    ("value", "properties"),
    [
        (buy('{"amount": 1.5}'), "{'amount': 1.5}"),
        (buy('{"amount": 2}'), "{'amount': 2.0}"),
        (buy('{"amount": -0.0}'), "{'amount': -0.0}"),
        (buy('{"amount": 1, "items": 10, "gift": true}'), "{'amount': 1.0, 'items': 10, 'gift': True}"),
        # In the plan's order, and then what it doesn't name.
        (buy('{"z": 1, "items": 2, "amount": 3, "a": null}'), "{'amount': 3.0, 'items': 2, 'z': 1, 'a': None}"),
        (buy('{"amount": 1, "amount": 2, "z": 1, "y": 2, "z": 3}'), "{'amount': 2.0, 'z': 3, 'y': 2}"),
        (buy('{"amount": "x", "z": 1e9, "amount": 1}'), "{'amount': 1.0, 'z': 1000000000.0}"),
        (buy('{"amount": 1, "items": null, "method": "card"}'), "{'amount': 1.0, 'items': None, 'method': 'card'}"),
        (buy('{"amount": 1, "code": "ABC"}'), "{'amount': 1.0, 'code': 'ABC'}"),
        (buy('{"amount": 1, "due": "2026-10-01T00:00Z"}'), "{'amount': 1.0, 'due': '2026-10-01T00:00Z'}"),
        (buy('{"amount": 1, "tags": [1, [2.5, {"x": []}]]}'), "{'amount': 1.0, 'tags': [1, [2.5, {'x': []}]]}"),
        (buy('{"amount": 1, "rate": 1, "count": 2}'), "{'amount': 1.0, 'rate': 1.0, 'count': 2}"),
        (buy('{"amount": 1, "big": 123456789012345678901234567890}'),
         "{'amount': 1.0, 'big': 123456789012345678901234567890}"),
        (buy('{"amount": 1, "text": "\\u4f60\\n\\u0000 \\ud83d\\ude00"}'), "{'amount': 1.0, 'text': '你\\n\\x00 😀'}"),
    ],
)  # fmt: skip
def test_a_usual_event_is_recognised_as_pydantic_reads_it(value: bytes, properties: str) -> None:
    (found,) = Recogniser(PLAN).recognise([value])
    assert found is not None
    assert repr(found.properties) == properties
    assert said(Validator(PLAN), value) == said(Validator(PLAN, "pydantic"), value)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (look(""), {"event_id": "e1", "event": "look", "ts": T0, "user_id": "u1"}),
        (look(',"properties":null'),
         {"event_id": "e1", "event": "look", "ts": T0, "user_id": "u1", "properties": None}),
        (look(',"platform":"","country":null'),
         {"event_id": "e1", "event": "look", "ts": T0, "user_id": "u1", "platform": "", "country": None}),
        (b' {"ts":"2026-10-01T08:00:00.5+08:00", "event" : "look","anonymous_id":"\\u0064", "event_id":"e\\/1"}\n',
         {"event_id": "e/1", "event": "look", "ts": T0 + 500, "anonymous_id": "d"}),
        (look(',"\\u0063ity":"x","user_id":"u2"'),
         {"event_id": "e1", "event": "look", "ts": T0, "user_id": "u2", "city": "x"}),
    ],
)  # fmt: skip
def test_the_envelope_comes_in_its_own_order(value: bytes, fields: dict[str, Any]) -> None:
    (found,) = Recogniser(PLAN).recognise([value])
    assert found is not None
    assert list(found.fields.items()) == list(fields.items())
    assert said(Validator(PLAN), value) == said(Validator(PLAN, "pydantic"), value)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\xff", b"\xef\xbb\xbf" + look(""), look("") + b"x",
        look(',"ts":1.0'), look(f',"ts":{T0}.0'), look(',"ts":"1790812800000"'), look(',"ts":true'), look(',"ts":null'),
        look(',"ts":9999999999999999999'), look(',"ts":-1'), look(',"ts":"2026-10-01T00:00:00"'),
        look(',"user_id":5'), look(f',"user_id":"{"u" * 257}"'), look(',"user_id":"a\\u0007"'),
        look(',"user_id":"a\x7f"'), look(',"city":"a\\n"'), look(',"city":"\\ud800"'), look(',"city":["x"]'),
        look(',"event_id":""'), look(',"event_id":null'), look(',"colour":"red"'), look(',"event":"fly"'),
        look(',"event":["look"]'), look(',"properties":[]'), look(',"properties":{"x":NaN}'),
        look(',"properties":{"x":-Infinity}'), look(',"properties":{"x":1e999}'), look(',"properties":{"x":[1e999]}'),
        look(',"properties":{"x":9007199254740993.0}'), look(',"properties":{"x":' + "[" * 300 + "]" * 300 + "}"),
        look(',"properties":{"x":' + "[" * 2000 + "]" * 2000 + "}"), look(',"properties":{"x":"\\udc00"}'),
        buy("null"), buy("{}"), buy('{"amount": null}'), buy('{"amount": "1"}'), buy('{"amount": true}'),
        buy('{"amount": -1}'), buy('{"amount": 1e10}'), buy('{"amount": 1, "items": 1.0}'),
        buy('{"amount": 1, "items": 11}'), buy('{"amount": 1, "items": true}'), buy('{"amount": 1, "method": "Card"}'),
        buy('{"amount": 1, "code": "ABCD"}'), buy('{"amount": 1, "code": "abc"}'), buy('{"amount": 1, "gift": 1}'),
        buy('{"amount": 1, "due": "today"}'), buy('{"amount": 1, "due": 5}'), buy('{"amount": 1, "tags": {}}'),
        buy('{"amount": 1, "more": []}'), buy('{"amount": 1, "rate": 3}'), buy('{"amount": 1, "rate": true}'),
        buy('{"amount": 1, "count": 1.0}'), buy('{"amount": 1, "count": true}'),
        buy('{"amount": 1, "amount": "x"}'),
        b'{"event_id":"e","event":"closed","user_id":"u","ts":%d,"properties":{"name":"n","x":1}}' % T0,
    ],
)  # fmt: skip
def test_of_all_else_it_says_nothing_and_pydantic_judges(value: bytes) -> None:
    assert Recogniser(PLAN).recognise([value]) == [None]
    assert said(Validator(PLAN), value) == said(Validator(PLAN, "pydantic"), value)


def test_it_keeps_no_more_shapes_than_it_may() -> None:
    """Whoever sends events chooses their names."""
    recogniser = Recogniser(PLAN)
    for number in range(2_000):
        value = look(f',"properties":{{"x{number}":1,"{"long" * 300}{number}":2}}')
        assert recogniser.recognise([value]) != [None]
    assert len(recogniser._specs["look"].shapes) <= 256


def test_what_differs_stops_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """One record in 1,024, by its offset, is judged both ways: here the recogniser has a mistake."""
    right = Recogniser.recognise_one

    def mistaken(self: Recogniser, value: bytes) -> Event | None:
        event = right(self, value)
        if event is not None and event.city == "x":
            event.city = "y"
        return event

    def all_mistaken(self: Recogniser, values: Sequence[bytes]) -> list[Event | None]:
        return [mistaken(self, value) for value in values]

    monkeypatch.setattr(Recogniser, "recognise_one", mistaken)
    monkeypatch.setattr(Recogniser, "recognise", all_mistaken)
    validator = Validator(PLAN)
    assert validator.parse(look(',"city":"x"'), 1_023).city == "y"
    with pytest.raises(BrokenPromiseError, match=r"event 'look' of .* bytes was recognised, and Pydantic finds other"):
        validator.parse(look(',"city":"x"'), 1_024)
    assert validator.parse(look(',"city":"z"'), 2_048).city == "z"
    assert Validator(PLAN, "pydantic").parse(look(',"city":"x"'), 1_024).city == "x"
    # It says nothing of the record: no worker sets it aside.
    with pytest.raises(BrokenPromiseError):
        PartitionClassifier(PLAN, validator, 0, 1).classify([Record(2_048, T0, None, look(',"city":"x"'))])


def test_what_is_recognised_and_rejected_by_pydantic_stops_the_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    event = Event("e1", "look", T0, user_id="u1")
    monkeypatch.setattr(Recogniser, "recognise_one", lambda self, value: event)
    with pytest.raises(BrokenPromiseError, match="Pydantic finds missing_field: ts: is missing"):
        Validator(PLAN).parse(b'{"event_id":"e1","event":"look","user_id":"u1"}', 0)


def test_nearly_all_of_the_shop_is_recognised() -> None:
    """What the speed depends on."""
    plan = load_plan("shop")
    recogniser = Recogniser(plan)
    values = [
        {"event": "app_open", "platform": "ios", "session_id": "s"},
        {"event": "search", "properties": {"query": "鞋 \n", "results": 24, "page": "/"}},
        {"event": "view_item", "properties": {"item_id": "i1", "price": 20, "screen": {"width": 3}}},
        {"event": "purchase", "properties": {"order_id": "o", "amount": 9.5, "items": 2, "coupon": None}},
    ]
    for value in values:
        whole = {"event_id": "e", "anonymous_id": "d", "ts": T0, **value}
        assert recogniser.recognise([json.dumps(whole).encode()]) != [None]
        assert recogniser.recognise([json.dumps(whole, ensure_ascii=False).encode()]) != [None]


# -- laws ------------------------------------------------------------------------------------------------------------

NAMES = ["a", "b", "price", "ts", "event", "é"]
TEXTS = [
    "",
    "a",
    "ABC",
    "card",
    "x" * 300,
    "\x00",
    "\x7f",
    "a\nb",
    "null",
    "-",
    "你",
    "2026-10-01T00:00:00Z",
    "$device:x",
]
NUMBERS = [
    "0", "-0", "1", "-1", "2", "1.0", "-0.0", "2.5", "1e0", "1E2", "1e-7", "1e400", "-1e400", "1e16",
    "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993.0", "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809", "123456789012345678901234567890", "1000000001", "0.1", "0.30000000000000004", "01", "1.",
    ".5", "+1", "NaN", "Infinity", "-Infinity", "1_0",
]  # fmt: skip


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "timestamp", "array", "object"]))
    spec: dict[str, Any] = {"type": kind, "required": draw(st.booleans())}
    if kind in ("integer", "number"):
        if draw(st.booleans()):
            spec["min"] = draw(st.sampled_from([-1, 0, 1]))
        if draw(st.booleans()):
            spec["max"] = draw(st.sampled_from([1, 2, 9007199254740991]))
    if kind == "string":
        spec["max_length"] = draw(st.sampled_from([None, 1, 3]))
        spec["pattern"] = draw(st.sampled_from([None, "^[A-Z]*$", "a"]))
    enums: dict[str, list[list[Any]]] = {
        "string": [["a", "ABC"], ["card"]], "integer": [[1, 2], [1]], "number": [[1, 2], [1]],
        "boolean": [[True], [True, False]],
    }  # fmt: skip
    if kind in enums and draw(st.booleans()):
        spec["enum"] = draw(st.sampled_from(enums[kind]))
        spec.pop("min", None)
        spec.pop("max", None)
        if kind == "string":
            spec.pop("max_length")
            spec.pop("pattern")
    return spec


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    events: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["look", "buy", "a"]), min_size=1, max_size=3, unique=True)):
        properties = draw(st.dictionaries(st.sampled_from(NAMES), specs(), max_size=4))
        numbers = [one for one, spec in properties.items() if spec["type"] in ("integer", "number")]
        value = draw(st.sampled_from([None, *numbers]))
        keeps = draw(st.sampled_from([None, "keep", "reject"]))
        events[name] = {"properties": properties, "value": value, "unknown_properties": keeps}
    return Plan.model_validate(
        {
            "product": "Law", "events": events, "dimensions": ["platform"],
            "unknown_events": draw(st.sampled_from(["keep", "reject"])),
            "unknown_properties": draw(st.sampled_from(["keep", "reject"])),
        }
    )  # fmt: skip


def quoted(text: str, escaped: bool) -> str:
    if not escaped:
        return json.dumps(text, ensure_ascii=False)
    return '"' + "".join(f"\\u{unit:04x}" for unit in map(ord, text) if unit < 0x10000) + '"'


texts = st.builds(quoted, st.sampled_from(TEXTS) | st.text(max_size=4), st.booleans())
numbers = st.sampled_from(NUMBERS) | st.floats().map(repr) | st.integers().map(str)
scalars = texts | numbers | st.sampled_from(["null", "true", "false"])


def an_object(items: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}:{value}" for name, value in items) + "}"


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: "[" + ",".join(found) + "]")
        | st.lists(st.tuples(texts, inner), max_size=3).map(an_object)
    ),
    max_leaves=6,
)


USUAL = {
    "string": ['"a"', '"A"', '"ABC"', '"card"'], "integer": ["0", "1", "2"], "number": ["0", "1", "1.0", "2.5", "-0.0"],
    "boolean": ["true", "false"], "timestamp": ['"2026-10-01T00:00:00Z"', '"2026-10-01t08:00+08:00"'],
    "array": ["[]", '[1, [2.5, {"x": null}]]'], "object": ["{}", '{"x": [9007199254740993, 1e300]}'],
}  # fmt: skip


@st.composite
def properties_of(draw: st.DrawFn, spec: EventSpec) -> str:
    """Mostly what the plan says, in any order, with others between."""
    items: list[tuple[str, str]] = []
    for name, one in spec.properties.items():
        if one.required or draw(st.booleans()):
            usual = st.sampled_from([json.dumps(value) for value in one.enum] if one.enum else USUAL[one.type])
            items.append(
                (quoted(name, draw(st.integers(0, 9)) == 0), draw(usual) if draw(st.integers(0, 9)) else draw(values))
            )
    if draw(st.integers(0, 2)) == 0:
        items += draw(
            st.lists(st.tuples(st.builds(quoted, st.sampled_from([*NAMES, "x"]), st.booleans()), values), max_size=3)
        )
    return an_object(draw(st.permutations(items)))


@st.composite
def records(draw: st.DrawFn, plan: Plan) -> bytes:
    """Mostly nearly right: what decides is what is wrong in one place, or only looks so."""
    rarely = st.integers(0, 9).map(lambda drawn: drawn == 0)
    name = draw(st.sampled_from([*plan.events, *plan.events, "a", "fly"]))
    spec = plan.events.get(name, EventSpec())
    fields = [
        ('"event_id"', draw(st.sampled_from(['""', "null", '"\\u0001"', '"e\\u0031"'])) if draw(rarely) else '"e1"'),
        ('"event"', draw(st.sampled_from(["1", "null"])) if draw(rarely) else quoted(name, draw(rarely))),
        (
            '"ts"',
            draw(st.sampled_from([f"{T0}.0", "1", '"2026-10-01T00:00:00Z"', "true"])) if draw(rarely) else str(T0),
        ),
        ('"user_id"', draw(scalars) if draw(rarely) else '"u1"'),
    ]
    if draw(st.integers(0, 3)) == 0:
        more = ['"anonymous_id"', '"city"', '"platform"', '"bot"', '"ts"', '"event"', '"x"', '"\\u0063ity"']
        fields += draw(st.lists(st.tuples(st.sampled_from(more), texts | scalars), max_size=2))
    if draw(st.integers(0, 4)):
        fields.append(('"properties"', draw(values) if draw(rarely) else draw(properties_of(spec))))
    text = an_object(draw(st.permutations(fields)) if draw(st.booleans()) else fields)
    raw = text.encode("utf-8", "surrogatepass")
    if draw(rarely):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 2)) :]
    return raw


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_recognised_pydantic_accepts_with_equal_values(data: st.DataObject) -> None:
    plan = data.draw(plans())
    fast, slow, recogniser = Validator(plan), Validator(plan, "pydantic"), Recogniser(plan)
    values = data.draw(st.lists(records(plan), min_size=1, max_size=20))
    recognised = recogniser.recognise(values)
    # All at once as one by one.
    events, rejections = fast.parse_all(values, [COMPARED] * len(values))
    for i, (value, found) in enumerate(zip(values, recognised, strict=True)):
        expected = said(slow, value)
        assert said(fast, value) == expected
        why = rejections.get(i)
        assert ((repr(events[i]),) if why is None else (why.reason, why.detail)) == expected
        if found is not None and len(expected) == 1:
            # With its types, and in its order.
            assert repr(slow.parse(value).fields) == repr(found.fields)


@settings(deadline=None)
@given(st.lists(records(PLAN), min_size=1, max_size=30))
def test_the_outcomes_of_a_log_are_the_same_without_it(logged: list[bytes]) -> None:
    log = [Record(1_020 + n, T0, None, value) for n, value in enumerate(logged)]
    fast, slow = (PartitionClassifier(PLAN, Validator(PLAN, way), 0, 1) for way in ("fast", "pydantic"))  # type: ignore[arg-type]
    found, expected = fast.classify(log), slow.classify(log)
    assert found.outcomes == expected.outcomes
    assert repr(found.events) == repr(expected.events)
    assert {i: (why.reason, why.detail) for i, why in found.rejections.items()} == {
        i: (why.reason, why.detail) for i, why in expected.rejections.items()
    }
    assert Outcome.LATE not in found.outcomes
