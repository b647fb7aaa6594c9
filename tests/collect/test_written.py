"""Law: an event that its protocol writes without looking closely is the event that is read with care."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from collect.protocols.recorded import carefully
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from pipeline.collect import native
from pipeline.collect.enrich.additions import Additions
from pipeline.collect.model import Protocol, Request, Told, Written
from pipeline.collect.native import Native
from pipeline.collect.protocols import segment
from pipeline.collect.protocols.segment import SegmentProtocol
from pipeline.collect.reception import Reception
from schemas.plan_io import parse_plan

NOW = 1_795_613_400_000
PLAN = parse_plan(
    """
product: Written
unknown_properties: keep
lateness: 1d
collect: {}
events:
  look: {properties: {item: string, n: integer}}
  buy: {value: amount, properties: {amount: number!}}
"""
)
ADDITIONS = Additions(["agent", "channel"])
RECEPTION = Reception(PLAN, 8, ADDITIONS.add)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 "
    "Safari/604.1"
)


def becomes(theirs: Protocol, told: Sequence[Told]) -> Any:
    """All that becomes of the events of a request: records as JSON, and results."""
    taken = RECEPTION.take(theirs.name, told, "web", NOW)
    records = [
        (r.partition, r.key, r.headers, r.value if r.headers else json.dumps(from_json(r.value), sort_keys=True))
        for r in taken.records
    ]
    return records, taken.results


def both(theirs: Protocol, body: bytes, agent: str = "", query: Sequence[tuple[str, str]] = ()) -> int:
    """Check the law; returns how many events were written."""
    path = "/v1/events" if isinstance(theirs, Native) else "/v1/batch"
    request = Request("POST", path, query, {"user-agent": agent} if agent else {}, body, NOW)
    told = theirs.read(request)
    assert isinstance(told, Sequence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "_items", lambda _: None)
        patch.setattr(segment, "written", lambda *_: None)
        close = theirs.read(request)
    assert isinstance(close, Sequence)
    assert not any(isinstance(item, Written) for item in close)
    wanted = becomes(theirs, close)
    assert becomes(theirs, told) == wanted
    assert becomes(theirs, carefully(theirs.read(request))) == wanted  # type: ignore[arg-type]
    return sum(isinstance(item, Written) for item in told)


def plain(more: str = "") -> bytes:
    return b'{"event_id": "e1", "event": "look", "user_id": "u1", "ts": %d%s}' % (NOW, more.encode())


@pytest.mark.parametrize("agent", ["", PHONE, "Googlebot/2.1", "python-requests/2"])
@pytest.mark.parametrize(
    "more",
    [
        "",
        ', "properties": {"item": "ü\\u00e9\\u4e2d", "n": 3, "x": 1.50}',
        ', "os": "Plan 9"',
        ', "os": null',
        ', "os": ""',
        ', "source": "bank"',
        ', "\\u0073ource": "bank"',
        ', "source": null',
        ', "bot": "x"',
        ', "user_id": null',
        ', "user_id": "", "anonymous_id": "d"',
        ', "user_id": "null"',
        ', "user_id": "$device:x"',
        ', "ts": 9',
        f', "ts": {NOW + 10**8}',
        f', "ts": {NOW - 10**9}',
        ', "ts": "2026-11-25T13:29:57Z"',
        ', "ts": null',
        ', "event_id": null',
        ', "event": "$identify"',
        ', "event": "nothing"',
        ', "event": "buy"',
        ', "event_id": 7',
        ', "event": "buy", "properties": {"amount": 19.99}',
        ', "event": "buy", "properties": {"amount": "19.99"}',
        ', "$attributes": {"a": 1}',
        ', "$alias": "old"',
        ', "referrer": "https://www.baidu.com/s"',
        ', "properties": {"page_url": "https://a.b/?utm_source=xhs"}',
        ', "properties": {"utm_source": "bing"}',
        ', "properties": {"context": {"page": {"url": "https://a.b"}}}',
        ', "city": "a\\u0000b"',
        ', "city": "a\\nb"',
        ', "city": "a\\\\nb"',
        ', "city": "a\x7fb"',
        ', "properties": {"n": 1e400}',
        ', "properties": {"n": 12345678901234567890}',
        ', "properties": {"a": "\\ud83d\\ude00"}',
        ', "platform": "a", "platform": "b"',
        ', "nonsense": 1',
        ', "properties": null',
        ', "properties": []',
        ', "channel": "ads"',
        ', "user_id": "' + "u" * 300 + '"',
    ],
)
def test_a_native_event_is_what_it_is_when_it_is_looked_at_closely(more: str, agent: str) -> None:
    one = plain(more)
    for body in (
        one,
        b" " + one + b"\r\n",
        b"[%s]" % one,
        b"[ %s , %s ]" % (one, plain()),
        one + b"\n" + plain() + b"\n",
    ):
        for query in ((), (("sent", str(NOW)),), (("sent", str(NOW - 60_000)),), (("sent", str(NOW + 10**8)),)):
            both(Native(), body, agent, query)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"[{}]",
        b"17",
        b"[17]",
        b"null",
        b'[{"a":"\\ud800"}]',
        b'{"a":"\xff"}',
        b"[{},]",
        b"{}\n{}",
        b"\xef\xbb\xbf" + plain(),
        plain() + b"\nnonsense",
        plain() + plain(),
        b"[" + plain() + b",17]",
        plain()[:-1],
        json.dumps(json.loads(plain()), indent=1).encode(),
        b"[" * 300,
        b"NaN",
        b"[NaN]",
        b'{"a":\n{"b":1}\n}',
    ],
)
def test_a_native_body_is_what_it_is_when_it_is_looked_at_closely(body: bytes) -> None:
    both(Native(), body)


def test_a_usual_native_event_is_sent_as_it_came() -> None:
    body = plain(', "properties": {"x":  1.50}')
    (item,) = Native().read(Request("POST", "/v1/events", (), {}, body, NOW))
    (record,) = Reception(PLAN, 1).take("native", [item], "web", NOW).records
    assert record.value == body[:-1] + b',"source":"web"}'
    with_labels = Reception(PLAN, 1, ADDITIONS.add)
    (item,) = Native().read(Request("POST", "/v1/events", (), {"user-agent": PHONE}, body, NOW))
    (record,) = with_labels.take("native", [item], "web", NOW).records
    assert record.value == body[:-1] + b',"device":"iPhone","os":"iOS","browser":"Mobile Safari","source":"web"}'


def track(more: str = "", context: str = '{"library": {"name": "analytics-python"}}', properties: str = "{}") -> str:
    return (
        '{"type": "track", "event": "look", "messageId": "m1", "userId": "u1", "timestamp": "2026-11-25T13:29:57.019Z",'
        f' "context": {context}, "properties": {properties}{more}}}'
    )


LONG = "x" * 3_000
PAGE = (
    '{"page": {"url": "https://a.b/?utm_source=xhs", "referrer": "$direct"}, "locale": "de", "library": {"name": "x"}}'
)
TRACKS = [
    track(),
    track(properties='{"item": "\\u4e2d", "n": 1, "x": [1.50, {"a": null}]}'),
    track(properties="{ }"),
    track(properties='{"context": 1}'),
    track(properties='{"\\u0063ontext": 1}'),
    track(properties="null"),
    track(properties='{"referrer": "https://t.co"}'),
    track(properties='{"\\u0072eferrer": "https://t.co"}'),
    track(properties="[]"),
    track(properties='"text"'),
    track(properties='{"item": 7}'),
    track(properties='{"n": 1e400}'),
    track(context="{}"),
    track(context="{ }"),
    track(context="null"),
    track(context="[]"),
    track(context='"x"'),
    track(context=PAGE),
    track(context='{"ip": "203.0.113.9"}'),
    track(context=f'{{"userAgent": "{PHONE}"}}'),
    track(context='{"sessionId": {}}'),
    track(context='{"userAgent": "Googlebot/2.1", "library": {"name": "analytics.js"}}'),
    track(context='{"a": "\\ud800"}'),
    track(context='{"os": {"name": "iOS"}, "device": {"type": "ios", "model": "x"}, "app": {"version": "4"}}'),
    track(context='{"os": {"name": "iOS"}, "sessionId": 7}'),
    track(context='{"traits": {"a": 1}, "library": {"name": "analytics-ios"}}'),
    track(context=f'{{"a": "{LONG}"}}'),
    track(', "userId": 42'),
    track(', "userId": null, "anonymousId": "d"'),
    track(', "userId": ""'),
    track(', "userId": "null"'),
    track(', "messageId": ""'),
    track(', "messageId": null'),
    track(', "event": "nothing"'),
    track(', "event": null'),
    track(', "timestamp": 1795613397019'),
    track(', "timestamp": "2026-11-25T13:29:57"'),
    track(', "timestamp": null'),
    track(', "timestamp": "2026-11-25T21:29:57.9999999+08:00"'),
    track(', "timestamp": "1795613397019"'),
    track(', "timestamp": "2020-01-01T00:00:00Z"'),
    track(', "originalTimestamp": "2026-11-25T13:29:57Z"'),
    track(', "sentAt": "2026-11-25T13:00:00Z"'),
    track(', "channel": "web"'),
    track(', "integrations": {"All": true}, "_metadata": {}'),
    track(', "category": "shoes"'),
    track(', "writeKey": "k"'),
    track(', "type": "page"'),
    track(', "type": null'),
    track(', "batch": []'),
    '{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}, "messageId": "m2"}',
    "17",
    "{}",
]


@pytest.mark.parametrize("message", TRACKS)
def test_a_track_message_is_what_it_is_when_it_is_looked_at_closely(message: str) -> None:
    sent = ('"2026-11-25T13:30:00Z"', '"2026-11-25T13:29:00Z"', '"2026-11-25T10:00:00Z"', "null", "7", '"x"')
    for when in sent:
        for batch in (f"[{message}]", f"[{track()}, {message}, {track()}]"):
            both(SegmentProtocol(), f'{{"batch": {batch}, "sentAt": {when}}}'.encode(), PHONE)
    both(SegmentProtocol(), f'{{"batch": [{message}], "context": {{"locale": "de"}}}}'.encode())
    request = Request("POST", "/v1/track", (), {}, message.encode(), NOW)
    told = SegmentProtocol().read(request)
    assert isinstance(told, Sequence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "written", lambda *_: None)
        close = SegmentProtocol().read(request)
    assert isinstance(close, Sequence)
    assert becomes(SegmentProtocol(), told) == becomes(SegmentProtocol(), close)


def test_a_usual_track_message_is_written() -> None:
    body = b'{"batch": [%s]}' % track(properties='{"x":  1.50}').encode()
    (item,) = SegmentProtocol().read(Request("POST", "/v1/batch", (), {}, body, NOW))
    assert isinstance(item, Written)
    assert item.value == (
        b'{"event_id":"m1","event":"look","ts":1795613397019,"user_id":"u1",'
        b'"properties":{"x":  1.50,"context":{"library": {"name": "analytics-python"}}}}'
    )


words = st.sampled_from(
    ["item", "n", "context", "referrer", "page", "url", "utm_source", "library", "name", "userAgent", "os"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | words
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4))
objects = st.dictionaries(words, values, max_size=4)
fields = st.dictionaries(
    st.sampled_from(
        ["event_id", "event", "user_id", "anonymous_id", "ts", "os", "source", "city", "properties", "$alias"]
    ),
    values | st.just(NOW) | objects,
    max_size=3,
)
messages = st.dictionaries(
    st.sampled_from(
        ["userId", "anonymousId", "messageId", "timestamp", "sentAt", "channel", "type", "event", "context", "traits"]
    ),
    values | objects | st.sampled_from(["track", "2026-11-25T13:29:57.5+01:00"]),
    max_size=3,
)


@given(st.lists(fields, min_size=1, max_size=3), st.booleans(), st.sampled_from(["", PHONE]))
def test_native_events_at_random(each: list[dict[str, Any]], ascii_only: bool, agent: str) -> None:
    events = [json.loads(plain()) | one for one in each]
    body = json.dumps(events, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    both(Native(), body, agent)


@given(st.lists(st.tuples(messages, objects, objects), min_size=1, max_size=3), st.booleans())
def test_track_messages_at_random(each: list[tuple[dict[str, Any], dict[str, Any], Any]], ascii_only: bool) -> None:
    batch = [json.loads(track()) | {"properties": p, "context": c} | m for m, p, c in each]
    body = json.dumps({"batch": batch, "sentAt": "2026-11-25T13:29:58Z"}, ensure_ascii=ascii_only)
    both(SegmentProtocol(), body.encode("utf-8", "surrogatepass"))
