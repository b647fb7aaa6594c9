"""What becomes of requests that real SDKs sent: each event of each, literally."""

from __future__ import annotations

from typing import Any

import pytest
from collect.protocols.recorded import carefully, lines, plain, protocol_of, recorded, shared
from msgspec.structs import replace

from pipeline.collect.model import Answer
from pipeline.collect.protocols import protocols

#: Of server-sdks.jsonl, line by line: protocol, write key, events. What begins with @ is said beside the envelope.
TOLD: list[tuple[str, str, list[dict[str, Any]]]] = [
    (
        "segment",
        "wk",
        [
            {
                "event_id": "22f72c8e-6a66-4a15-b7ed-9fd0cdc02c04",
                "event": "$identify",
                "ts": 1795613397019,
                "user_id": "u1",
                "@sent": 1795613397519,
                "@attributes": {"plan": "pro"},
            },
            {
                "event_id": "0ba7a23a-0856-4eb4-98e2-013a9e341358",
                "event": "purchase",
                "ts": 1795613397019,
                "user_id": "u1",
                "properties": {
                    "amount": 19.9,
                    "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
                },
                "@sent": 1795613397519,
            },
            {
                "event_id": "f355afa5-6831-43f8-9659-3ee7bac0497f",
                "event": "$identify",
                "ts": 1795613397019,
                "user_id": "u1",
                "anonymous_id": "a1",
                "@sent": 1795613397519,
                "@alias": "a1",
            },
            {
                "event_id": "95721d09-c738-4137-b2ba-ec63583f7418",
                "event": "$identify",
                "ts": 1795613397019,
                "user_id": "u1",
                "@sent": 1795613397519,
                "@attributes": {"group": "org1", "group.n": 2},
            },
            {
                "event_id": "30d51ebc-4e1e-4cbf-b176-f230ba3d40c0",
                "event": "page",
                "ts": 1795613397019,
                "user_id": "u1",
                "properties": {
                    "name": "home",
                    "category": "cat",
                    "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
                },
                "@sent": 1795613397519,
            },
        ],
    ),
    (
        "segment",
        "wk",
        [
            {
                "event_id": "42dcaf6d-1704-4232-b373-db0597dff41c",
                "event": "purchase",
                "ts": 1795613397539,
                "user_id": "u1",
                "properties": {
                    "amount": 19.9,
                    "context": {"library": {"name": "analytics-python", "version": "2.1.9"}},
                },
                "@sent": 1795613398040,
            }
        ],
    ),
    (
        "sensors",
        "",
        [
            {
                "event": "view_item",
                "ts": 1795613398047,
                "anonymous_id": "a1",
                "properties": {
                    "$lib_method": "code",
                    "$lib_detail": "try: f##sa##py.py##17",
                    "$lib": "python",
                    "$lib_version": "1.11.0",
                    "price": 1.5,
                },
            },
            {
                "event": "$SignUp",
                "ts": 1795613398047,
                "user_id": "u1",
                "anonymous_id": "a1",
                "properties": {
                    "$lib_method": "code",
                    "$lib_detail": "try: f##sa##py.py##17",
                    "$lib": "python",
                    "$lib_version": "1.11.0",
                },
            },
            {"event": "$identify", "ts": 1795613398047, "user_id": "u1", "anonymous_id": "u1"},
        ],
    ),
    (
        "sensors",
        "",
        [
            {"event": "$identify", "ts": 1795613398049, "user_id": "u1", "@attributes": {"vip": True}},
            {
                "event": "purchase",
                "ts": 1795613398049,
                "user_id": "u1",
                "properties": {
                    "$lib_method": "code",
                    "$lib_detail": "try: f##sa##py.py##17",
                    "$lib": "python",
                    "$lib_version": "1.11.0",
                    "amount": 19.9,
                },
            },
        ],
    ),
    (
        "posthog",
        "phc_x",
        [
            {
                "event_id": "4297ec07-bb80-412b-ada0-944b18e6693b",
                "event": "purchase",
                "ts": 1795613398123,
                "user_id": "u1",
                "properties": {
                    "amount": 19.9,
                    "$python_runtime": "CPython",
                    "$python_version": "3.11.7",
                    "$os": "Linux",
                    "$os_version": "12",
                    "$os_distro": "Debian GNU/Linux",
                    "$lib": "posthog-python",
                    "$lib_version": "7.91.1",
                    "$geoip_disable": True,
                    "$is_server": True,
                },
                "@sent": 1795613398124,
                "@attributes": {"vip": True},
            },
            {
                "event_id": "082ee20c-2807-46af-9d5d-89c8537ac54c",
                "event": "$identify",
                "ts": 1795613398123,
                "user_id": "u1",
                "anonymous_id": "a1",
                "@sent": 1795613398124,
                "@alias": "a1",
            },
            {
                "refused": "unsupported",
                "detail": "properties of a group alone are not kept: send them of a user of the group",
            },
        ],
    ),
    (
        "snowplow",
        "shop",
        [
            {
                "event_id": "5478eaeb-b8ba-4810-a5e9-b370c1f1577e",
                "event": "purchase",
                "ts": 1795613398133,
                "user_id": "u1",
                "platform": "pc",
                "properties": {
                    "$v_tracker": "py-1.1.0",
                    "$name_tracker": "ns",
                    "$schema": "iglu:com.acme/purchase/jsonschema/1-0-0",
                    "amount": 19.9,
                },
                "@sent": 1795613398133,
            }
        ],
    ),
    (
        "amplitude",
        "key",
        [
            {
                "event_id": "05ab0fc4-c8af-4782-94bc-276e88442679",
                "event": "purchase",
                "ts": 1795613398157,
                "user_id": "u1",
                "properties": {"$library": "amplitude-python/1.3.0", "amount": 19.9},
            }
        ],
    ),
    (
        "segment",
        "wk",
        [
            {
                "event_id": "node-next-1795613410191-56f85bc4-0ead-47b7-b208-5666a8137101",
                "event": "purchase",
                "ts": 1795613410191,
                "user_id": "u1",
                "properties": {
                    "amount": 19.9,
                    "context": {"library": {"name": "@segment/analytics-node", "version": "3.1.0"}},
                },
                "@sent": 1795613410205,
            }
        ],
    ),
    (
        "segment",
        "wk",
        [
            {
                "event_id": "70fe289f-ce07-4dbf-b3ef-ed091d2ae33a",
                "event": "purchase",
                "ts": 1795613411027,
                "user_id": "u1",
                "properties": {"amount": 19.9, "context": {"library": {"name": "analytics-node", "version": "3.0.13"}}},
                "@sent": 1795613411027,
            }
        ],
    ),
    (
        "posthog",
        "phc_x",
        [
            {
                "event_id": "01a212e6-4d93-7771-8002-5f92ac969a75",
                "event": "purchase",
                "ts": 1795613412755,
                "user_id": "u1",
                "properties": {
                    "amount": 19.9,
                    "$lib": "posthog-node",
                    "$lib_version": "5.70.0",
                    "$is_server": True,
                    "$geoip_disable": True,
                },
                "@sent": 1795613412756,
            }
        ],
    ),
    (
        "sensors",
        "",
        [
            {
                "event": "purchase",
                "ts": 1795613413318,
                "anonymous_id": "u1",
                "properties": {
                    "_track_id": 3083644982,
                    "$lib_method": "code",
                    "$lib_detail": "undefined##undefined##file://n.mjs##6,167",
                    "$lib": "Node",
                    "$lib_version": "1.2.6",
                    "amount": 19.9,
                },
            }
        ],
    ),
    (
        "snowplow",
        "shop",
        [
            {
                "event_id": "9aa519eb-f8fc-417f-8954-7e2a9e117075",
                "event": "purchase",
                "ts": 1795613414856,
                "platform": "srv",
                "properties": {
                    "$v_tracker": "node-4.8.0",
                    "$name_tracker": "ns",
                    "$schema": "iglu:com.acme/purchase/jsonschema/1-0-0",
                    "amount": 19.9,
                },
                "@sent": 1795613414858,
            }
        ],
    ),
    (
        "mixpanel",
        "tok",
        [
            {
                "event": "purchase",
                "user_id": "u1",
                "properties": {"amount": 19.9, "mp_lib": "node", "$lib_version": "0.24.0"},
            }
        ],
    ),
]
FILES = ("python.jsonl", "node.jsonl", "browser.jsonl")


@pytest.mark.parametrize("at", range(len(TOLD)))
def test_a_servers_request_is_read_to_exactly_these_events(at: int) -> None:
    protocol, key, told = TOLD[at]
    request = shared(list(lines("server-sdks.jsonl"))[at])
    theirs = protocol_of(request)
    found = theirs.read(request)
    assert not isinstance(found, Answer)
    assert (theirs.name, theirs.key(request), [plain(item) for item in carefully(found)]) == (protocol, key, told)


@pytest.mark.parametrize("name", FILES)
def test_every_recorded_request_is_read_to_what_stands_beside_it(name: str) -> None:
    for line in lines(name):
        request = recorded(line)
        theirs = protocol_of(request)
        found = theirs.read(request)
        assert (theirs.name, theirs.key(request)) == (line["protocol"], line["key"])
        if isinstance(found, Answer):
            assert [found.status, found.content_type, found.body.decode()] == line["answer"]
        else:
            assert [plain(item) for item in carefully(found)] == line["told"]


def test_the_same_request_again_at_another_time_from_another_place_tells_the_same() -> None:
    for name in FILES:
        for line in lines(name):
            request = recorded(line)
            again = replace(request, received=request.received + 3_600_000, address="192.0.2.1")
            theirs = protocol_of(request)
            first, second = theirs.read(request), theirs.read(again)
            if isinstance(first, Answer) or isinstance(second, Answer):
                continue
            # Ids are made of this where there are none: else a retry would be another event.
            assert [getattr(item, "fields", item) for item in carefully(first)] == [
                getattr(item, "fields", item) for item in carefully(second)
            ]


def test_every_recorded_request_is_one_protocols_alone() -> None:
    requests = [recorded(line) for name in FILES for line in lines(name)]
    requests += [shared(line) for line in lines("server-sdks.jsonl")]
    doubtful = {
        (request.path, tuple(one.name for one in protocols() if one.matches(request)))
        for request in requests
        if sum(one.matches(request) for one in protocols()) != 1
    }
    # Amplitude takes /batch from whom PostHog leaves it to; PostHog is asked first.
    assert doubtful == {("/batch/", ("posthog", "amplitude"))}


def test_every_browsers_request_of_the_first_recording_has_a_protocol_and_a_key() -> None:
    # Its bodies are cut off, so that their events can't be read; `recorded` has whole ones of the same libraries.
    found = []
    for line in lines("browser-sdks.jsonl"):
        if line["p"] == "/favicon.ico":
            continue
        body = line["body"] if line["ct"] else ""
        request = recorded({"method": line["m"], "target": line["p"], "headers": {}, "gzip": False, "body": body})
        found.append((protocol_of(request).name, request.path))
    assert found == [
        *[("sensors", "/sa.gif")] * 5,
        ("posthog", "/array/phc_x/config.js"),
        ("segment", "/sourceConfig/"),
        ("segment", "/v1/projects/wk/settings"),
        ("snowplow", "/com.snowplowanalytics.snowplow/tp2"),
        ("posthog", "/e/"),
        ("posthog", "/array/phc_x/config"),
        ("segment", "/v1/t"),
        ("posthog", "/e/"),
        ("posthog", "/e/"),
        ("posthog", "/flags/"),
        ("posthog", "/e/"),
    ]


def test_no_recorded_request_leaves_its_key_or_an_address_in_what_is_kept() -> None:
    for name in FILES:
        for line in lines(name):
            for item in line.get("told", ()):
                kept = str(item.get("properties", {}))
                assert "'wk'" not in kept
                assert "203.0.113.9" not in kept
