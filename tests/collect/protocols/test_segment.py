"""Segment's and RudderStack's spec, where its recordings are silent."""

from __future__ import annotations

from typing import Any

import pytest
from collect.protocols.recorded import plain, post, protocol_of, read, request


def one(message: dict[str, Any], target: str = "/v1/batch") -> dict[str, Any]:
    (item,) = read(post(target, {"batch": [message]} if target == "/v1/batch" else message))
    return plain(item)


def test_properties_are_kept_as_they_are_with_their_types() -> None:
    sent = {"n": 1, "x": 1.0, "t": "1", "none": None, "list": [1, "a"], "deep": {"a": {"b": [None]}}, "big": 2**60}
    assert one({"type": "track", "event": "a", "userId": "u1", "properties": sent})["properties"] == sent


@pytest.mark.parametrize("nobody", ["null", "undefined", "0", "00000000-0000-0000-0000-000000000000"])
def test_an_id_that_means_nobody_is_left_for_the_validator(nobody: str) -> None:
    assert one({"type": "track", "event": "a", "userId": nobody}) == {
        "event": "a",
        "user_id": nobody,
        "properties": {},
    }


@pytest.mark.parametrize("nothing", [{}, {"userId": None}, {"userId": "", "anonymousId": None}])
def test_an_id_that_is_nothing_is_left_out(nothing: dict[str, Any]) -> None:
    assert one({"type": "track", "event": "a", **nothing}) == {"event": "a", "properties": {}}


def test_an_id_that_is_a_number_is_its_digits() -> None:
    assert one({"type": "track", "event": "a", "userId": 42})["user_id"] == "42"


@pytest.mark.parametrize(
    ("said", "ts", "sent"),
    [
        ({"timestamp": "2026-11-25T13:29:57.019Z", "sentAt": "2026-11-25T13:30:00Z"}, 1795613397019, 1795613400000),
        (
            {"originalTimestamp": "2026-11-25T21:29:57+08:00", "sentAt": "2026-11-25T13:30:00Z"},
            1795613397000,
            1795613400000,
        ),
        # Both: it has been corrected already.
        (
            {
                "timestamp": "2026-11-25T13:29:57Z",
                "originalTimestamp": "2020-01-01T00:00:00Z",
                "sentAt": "2020-01-01T00:00:03Z",
            },
            1795613397000,
            None,
        ),
        ({"timestamp": 1795613397019}, 1795613397019, None),
        # Without a zone nobody knows when that was: the validator says so.
        ({"timestamp": "2026-11-25T13:29:57"}, "2026-11-25T13:29:57", None),
        ({}, None, None),
    ],
)
def test_when_it_happened_and_when_it_was_sent(said: dict[str, Any], ts: Any, sent: int | None) -> None:
    found = one({"type": "track", "event": "a", "userId": "u", **said})
    assert (found.get("ts"), found.get("@sent")) == (ts, sent)


def test_the_channel_of_rudderstacks_transport_is_not_the_channel_of_a_visit() -> None:
    found = one({"type": "track", "event": "a", "userId": "u", "channel": "server", "integrations": {"All": True}})
    assert found == {"event": "a", "user_id": "u", "properties": {}}


def test_the_version_of_rudderstacks_library_is_not_the_version_of_an_app() -> None:
    context = {"app": {"name": "RudderLabs JavaScript SDK", "version": "3.34.1"}, "page": {"referrer": "$direct"}}
    found = one({"type": "track", "event": "a", "userId": "u", "channel": "web", "context": context})
    assert "app_version" not in found
    assert "referrer" not in found
    assert found["platform"] == "web"


def test_context_becomes_fields_and_is_kept_without_the_address() -> None:
    context = {
        "ip": "203.0.113.9",
        "userAgent": "Mozilla/5.0",
        "app": {"version": "4.2"},
        "os": {"name": "Android", "version": "16"},
        "device": {"type": "android", "model": "Pixel 9"},
        "locale": "zh-CN",
        "page": {"referrer": "https://www.baidu.com/"},
        "campaign": {"name": "autumn"},
        "location": {"country": "CN"},
        "sessionId": 1795613397,
        "library": {"name": "analytics-android"},
    }
    assert one({"type": "track", "event": "a", "anonymousId": "d", "context": context}) == {
        "event": "a",
        "anonymous_id": "d",
        "session_id": "1795613397",
        "platform": "android",
        "app_version": "4.2",
        "os": "Android",
        "device": "Pixel 9",
        "language": "zh-CN",
        "country": "CN",
        "campaign": "autumn",
        "referrer": "https://www.baidu.com/",
        "properties": {"context": {name: value for name, value in context.items() if name != "ip"}},
        "@address": "203.0.113.9",
        "@user_agent": "Mozilla/5.0",
    }


def test_a_servers_address_and_user_agent_are_not_the_persons() -> None:
    message = {"event": "a", "userId": "u", "context": {"library": {"name": "analytics-python"}}}
    browser = {"event": "a", "userId": "u", "context": {"library": {"name": "analytics.js"}}}
    agents = {"user-agent": "Mozilla/5.0 (X11)"}
    (server,) = read(post("/v1/t", message, {"user-agent": "python-requests/2.34"}))
    (person,) = read(post("/v1/t", browser, agents))
    (unknown,) = read(post("/v1/t", {"event": "a", "userId": "u"}, agents))
    (curl,) = read(post("/v1/t", {"event": "a", "userId": "u"}, {"user-agent": "curl/8.5"}))
    assert "@address" not in plain(server)
    assert "@user_agent" not in plain(server)
    assert plain(person)["@address"] == plain(unknown)["@address"] == "198.51.100.7"
    assert "@address" not in plain(curl)


def test_a_long_referrer_costs_no_event() -> None:
    long = "https://shop.example/?" + "q" * 1000
    found = one({"type": "page", "userId": "u", "properties": {"referrer": long}})
    assert found["referrer"] == long[:256]
    assert found["properties"]["referrer"] == long


def test_an_alias_names_a_user_or_a_device_so_both_are_linked() -> None:
    found = one({"type": "alias", "userId": "u1", "previousId": "a1", "messageId": "m"})
    assert found == {"event_id": "m", "event": "$identify", "user_id": "u1", "anonymous_id": "a1", "@alias": "a1"}


def test_traits_of_rudderstack_stand_in_the_context() -> None:
    found = one({"type": "identify", "userId": "u1", "context": {"traits": {"plan": "pro", "gone": None}}})
    assert found == {"event": "$identify", "user_id": "u1", "@attributes": {"plan": "pro"}}


@pytest.mark.parametrize("path", ["/v1/t", "/v1/track", "/v1/track/"])
def test_the_path_says_the_type_where_the_message_does_not(path: str) -> None:
    assert one({"event": "a", "userId": "u"}, path) == {"event": "a", "user_id": "u", "properties": {}}


def test_unknown_fields_of_a_message_are_kept() -> None:
    found = one({"type": "track", "event": "a", "userId": "u", "rudderId": "r1", "properties": {"a": 1}})
    assert found["properties"] == {"a": 1, "rudderId": "r1"}


def test_properties_that_are_no_object_are_left_for_the_validator() -> None:
    assert one({"type": "track", "event": "a", "userId": "u", "properties": "x"})["properties"] == "x"


def test_a_page_may_say_where_its_write_key_stands() -> None:
    basic = request("POST", "/v1/t", b'{"event": "a"}', {"authorization": "Basic d2s6"})
    inside = post("/v1/t", {"event": "a", "writeKey": "wk"})
    batched = post("/v1/batch", {"batch": [{"type": "track", "writeKey": "wk"}]})
    asked = request("POST", "/beacon/v1/batch?writeKey=wk", b'{"batch": []}')
    assert [protocol_of(one).key(one) for one in (basic, inside, batched, asked)] == ["wk"] * 4
    none = request("POST", "/v1/t", b"{", {"authorization": "Basic !!!"})
    assert protocol_of(none).key(none) == ""


def test_a_pixel_carries_its_message_in_the_query() -> None:
    # {"event": "a", "userId": "u1"}
    (item,) = read(request("GET", "/v1/pixel/track?data=eyJldmVudCI6ICJhIiwgInVzZXJJZCI6ICJ1MSJ9"))
    assert plain(item) == {"event": "a", "user_id": "u1", "properties": {}}


def test_the_context_of_a_batch_is_that_of_each_message_that_says_nothing_else() -> None:
    batch = [
        {"type": "track", "event": "a", "userId": "u"},
        {"type": "track", "event": "b", "userId": "u", "context": {"locale": "de"}},
    ]
    told = [
        plain(item)
        for item in read(post("/v1/batch", {"batch": batch, "context": {"locale": "en", "ip": "203.0.113.9"}}))
    ]
    assert [item["language"] for item in told] == ["en", "de"]
    assert [item["properties"] for item in told] == [{"context": {"locale": "en"}}, {"context": {"locale": "de"}}]
    assert {item["@address"] for item in told} == {"203.0.113.9"}


def test_what_a_message_says_beside_its_properties_never_replaces_them() -> None:
    found = one(
        {
            "type": "track",
            "event": "a",
            "userId": "u",
            "category": "x",
            "traits": {"n": 1},
            "properties": {"category": "y"},
        }
    )
    assert found["properties"] == {"category": "y", "traits": {"n": 1}}


@pytest.mark.parametrize("context", ["x", 7, ["x"]])
def test_a_context_that_is_no_object_is_kept_as_it_is(context: Any) -> None:
    assert one({"type": "track", "event": "a", "userId": "u", "context": context})["properties"] == {"context": context}


def test_a_context_of_nothing_but_an_address_leaves_nothing() -> None:
    found = one({"type": "track", "event": "a", "userId": "u", "context": {"ip": "203.0.113.9"}})
    assert "203.0.113.9" not in str(found["properties"])


def test_json_after_a_byte_order_mark_is_json() -> None:
    (item,) = read(request("POST", "/v1/t", b'\xef\xbb\xbf{"event": "a", "userId": "u1"}'))
    assert plain(item) == {"event": "a", "user_id": "u1", "properties": {}}
