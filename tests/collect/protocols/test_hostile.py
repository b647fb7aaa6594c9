"""Whatever a stranger sends is read to something, within bounds: no exception, no memory, no time beyond them."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
import zlib
from typing import Any
from urllib.parse import quote

import pytest
from collect.protocols.recorded import carefully, lines, post, protocol_of, read, recorded, request
from cost import cpu_seconds
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.collect.model import Answer, Incoming, Protocol, Refused, Request, Result
from pipeline.collect.protocols import protocols

LIMIT = 100_000
SMALL = protocols(LIMIT)
PATHS = [
    "/v1/batch", "/v1/t", "/v1/identify", "/v1/a", "/v1/g", "/v1/pixel/track", "/beacon/v1/batch", "/v1/m",
    "/sourceConfig", "/v1/projects/x/settings", "/batch", "/batch/", "/e/", "/i/v0/e", "/capture/",
    "/i/v1/analytics/events", "/s/", "/flags/", "/array/x/config", "/array/x/config.js", "/sa", "/sa.gif", "/debug",
    "/com.snowplowanalytics.snowplow/tp2", "/i", "/2/httpapi", "/track", "/engage", "/groups", "/import",
    "/mp/collect", "/debug/mp/collect",
]  # fmt: skip
#: Words that the protocols look for, so that what is made up gets beyond their first look.
WORDS = [
    "batch", "events", "data", "type", "track", "identify", "alias", "group", "event", "properties", "context",
    "traits", "userId", "anonymousId", "previousId", "distinct_id", "timestamp", "sentAt", "sent_at", "offset",
    "$set", "$set_once", "$unset", "$identify", "$create_alias", "$groupidentify", "$groups", "alias", "uuid",
    "identities", "lib", "time", "track_signup", "profile_set", "original_id", "_flush_time", "e", "ue", "ue_px",
    "ue_pr", "co", "se", "se_va", "dtm", "stm", "ttm", "event_type", "user_properties", "$setOnce", "groups",
    "insert_id", "$merge", "$distinct_ids", "schema", "$insert_id", "$token", "params", "user_properties",
    "timestamp_micros", "client_id", "device", "os", "app", "page", "library", "campaign", "name", "value", "ip",
    "options", "api_key", "writeKey", "messageId", "token", "session_id", "iglu:a/b/jsonschema/1-0-0",
    "2026-11-25T13:29:57Z", "0001-01-01T00:00:00+23:59", "1e400", "$remote", "",
]  # fmt: skip

words = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words
datas = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6), max_leaves=40
)
bodies = st.one_of(
    st.binary(max_size=200),
    datas.map(lambda data: json.dumps(data).encode()),
    datas.map(lambda data: gzip.compress(json.dumps(data).encode(), mtime=0)),
    datas.map(lambda data: b"data=" + quote(base64.b64encode(json.dumps(data).encode())).encode()),
    datas.map(lambda data: b"data_list=" + quote(base64.b64encode(gzip.compress(json.dumps(data).encode()))).encode()),
)
pairs = st.lists(
    st.tuples(words | st.sampled_from(["data", "img", "_", "verbose", "token"]), st.text(max_size=40)), max_size=4
)
headers = st.dictionaries(
    st.sampled_from(["authorization", "content-type", "user-agent", "posthog-sdk-info", "posthog-request-timestamp"]),
    st.text(max_size=30) | st.sampled_from(["Basic d2s6", "Basic !", "Bearer x", "application/x-ndjson"]),
)


def told_of(theirs: Protocol, sent: Request) -> list[Incoming | Refused] | Answer:
    """All that a protocol does with a request; what it gives must fit its interface."""
    assert isinstance(theirs.key(sent), str)
    told = theirs.read(sent)
    if isinstance(told, Answer):
        return told
    told = carefully(told)
    for item in told:
        if isinstance(item, Incoming):
            assert None not in item.fields.values()
            assert item.sent is None or type(item.sent) is int
            assert isinstance(item.alias, str)
            assert isinstance(item.address, str)
            assert isinstance(item.user_agent, str)
            assert all(value is not None for value in (item.attributes | item.first_attributes).values())
        else:
            assert item.reason
            assert item.detail
            assert isinstance(item.raw, bytes)
    for results in ([Result()] * len(told), [Result("bad_value", "x")] * len(told)):
        assert isinstance(theirs.answer(sent, told, results), Answer)
    return told


@given(st.sampled_from(PATHS), st.sampled_from(["GET", "POST"]), bodies, pairs, headers)
def test_any_request_is_read_to_something(
    path: str, method: str, body: bytes, query: list[tuple[str, str]], head: dict[str, str]
) -> None:
    sent = Request(method, path, query, head, body, 1795613400000, "198.51.100.7")
    for theirs in SMALL:
        if theirs.matches(sent):
            told_of(theirs, sent)


RECORDED = [recorded(line) for name in ("python.jsonl", "node.jsonl", "browser.jsonl") for line in lines(name)]


@given(st.sampled_from(RECORDED), st.integers(0, 100_000), st.integers(0, 40), st.binary(max_size=12))
def test_a_recorded_request_is_read_whatever_was_changed_in_it(sent: Request, at: int, cut: int, put: bytes) -> None:
    at %= len(sent.body) + 1
    changed = replace(sent, body=sent.body[:at] + put + sent.body[at + cut :])
    for theirs in SMALL:
        if theirs.matches(changed):
            told_of(theirs, changed)


@given(st.sampled_from(SMALL), st.binary(max_size=100), st.text(max_size=50), st.sampled_from(["GET", "POST", "PUT"]))
def test_any_path_is_somebodys_or_nobodys(theirs: Protocol, body: bytes, path: str, method: str) -> None:
    assert theirs.matches(Request(method, "/" + path, [], {}, body, 0)) in (True, False)


def bomb(size: int, layers: int = 1) -> bytes:
    data = zlib.compressobj(9, wbits=31)
    packed = b"".join([data.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)] + [data.flush()])
    for _ in range(layers - 1):
        packed = gzip.compress(packed, mtime=0)
    return packed


BOMB = bomb(200_000_000)
BOMBS = {
    "a gzip of 200 MB": BOMB,
    "a gzip in a gzip": bomb(50_000_000, layers=2),
    "a gzip in base64": b"data_list=" + quote(base64.b64encode(BOMB)).encode(),
    "2,000 lists": b"[" * 2_000,
    "nothing but brackets": b"[" + b"[]," * 30_000 + b"[]]",
    "a form of 50,000 fields": b"&".join([b"a=1"] * 50_000),
    "a number of 90,000 digits": b'{"batch": [{"type": "track", "event": "a", "timestamp": ' + b"9" * 90_000 + b"}]}",
    "90,000 events of nothing": b'{"batch": [' + b"1," * 45_000 + b"1]}",
    "an id of 90,000 characters": b'{"batch": [{"type": "track", "event": "a", "userId": "' + b"u" * 90_000 + b'"}]}',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_no_more_than_its_bound(name: str) -> None:
    for path in (
        "/v1/batch",
        "/batch/",
        "/sa",
        "/com.snowplowanalytics.snowplow/tp2",
        "/2/httpapi",
        "/track",
        "/mp/collect",
    ):
        sent = request("POST", path, BOMBS[name])
        theirs = next(one for one in SMALL if one.matches(sent))
        tracemalloc.start()
        took = cpu_seconds(lambda theirs=theirs, sent=sent: told_of(theirs, sent))  # type: ignore[misc]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Measured: 15 MB and 0.3 s for the worst of them.
        assert peak < 60_000_000 + len(BOMBS[name])
        assert took < 10


def test_more_events_than_any_library_sends_are_refused_whole() -> None:
    sent = post("/v1/batch", {"batch": [{}] * 10_001})
    (item,) = read(sent)
    assert isinstance(item, Refused)
    assert (item.reason, item.detail, item.raw) == (
        "too_large",
        "10001 events; a request may have 10000",
        sent.body,
    )


def test_one_bad_event_of_a_batch_costs_only_itself() -> None:
    good = {"type": "track", "event": "a", "userId": "u1"}
    told = read(post("/v1/batch", {"batch": [good, 7, {"type": "dance"}, None, good]}))
    assert [item.reason if isinstance(item, Refused) else item.fields["event"] for item in told] == [
        "a",
        "not_an_object",
        "unknown_type",
        "not_an_object",
        "a",
    ]


def test_half_an_emoji_costs_no_batch() -> None:
    body = rb'{"batch": [{"type": "track", "event": "a", "properties": {"t": "\ud83d", "p": "\\ud83d \ud83d\ude00"}}]}'
    (item,) = read(request("POST", "/v1/batch", body))
    assert isinstance(item, Incoming)
    assert item.fields["properties"] == {"t": "\ufffd", "p": "\\ud83d 😀"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "image/png"])
def test_json_is_read_whatever_type_it_claims_to_be(kind: str) -> None:
    line: dict[str, Any] = {
        "method": "POST",
        "target": "/v1/t",
        "headers": {"content-type": kind},
        "gzip": True,
        "body": '{"event": "a", "userId": "u1"}',
    }
    (item,) = read(recorded(line))
    assert isinstance(item, Incoming)
    assert item.fields == {"event": "a", "user_id": "u1", "properties": {}}
    assert protocol_of(recorded(line)).name == "segment"
