"""Each protocol's own words for what became of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from collect.protocols.recorded import carefully, post, protocol_of, read, request

from pipeline.collect.model import Answer, Request, Result

STORED = Result()
REFUSED = Result("unknown_event", "the plan has no event 'buy'")
SAID = {"reason": "unknown_event", "detail": "the plan has no event 'buy'"}


def answer(sent: Request, *results: Result) -> tuple[int, str, Any]:
    theirs = protocol_of(sent)
    told = theirs.read(sent)
    assert not isinstance(told, Answer)
    found = theirs.answer(sent, carefully(told), results)
    body = json.loads(found.body) if found.content_type == "application/json" and found.body else found.body
    return found.status, found.content_type, body


SEGMENT = post(
    "/v1/batch", {"batch": [{"type": "track", "event": e, "userId": "u", "messageId": e} for e in ("a", "b")]}
)
POSTHOG = post("/batch/", {"api_key": "k", "batch": [{"event": e, "distinct_id": "u", "uuid": e} for e in ("a", "b")]})
POSTHOG_V1 = post(
    "/i/v1/analytics/events", {"batch": [{"event": e, "distinct_id": "u", "uuid": e} for e in ("a", "b")]}
)
SENSORS = post("/sa", [{"type": "track", "event": e, "distinct_id": "u", "properties": {}} for e in ("a", "b")])
SNOWPLOW = post(
    "/com.snowplowanalytics.snowplow/tp2", {"data": [{"e": "se", "se_ac": e, "eid": e} for e in ("a", "b")]}
)
AMPLITUDE = post("/2/httpapi", {"api_key": "k", "events": [{"event_type": e, "user_id": "u"} for e in ("a", "b")]})
TRACK = post("/track", [{"event": e, "properties": {"distinct_id": "u"}} for e in ("a", "b")])
IMPORT = post(
    "/import",
    [{"event": e, "properties": {"distinct_id": "u", "$insert_id": e, "time": 1795613398}} for e in ("a", "b")],
)
GA4 = post("/mp/collect", {"client_id": "c", "events": [{"name": "a"}, {"name": "b"}]})
JSON = "application/json"


@pytest.mark.parametrize(
    ("sent", "results", "expected"),
    [
        (SEGMENT, (STORED, STORED), (200, JSON, {"success": True})),
        (
            SEGMENT,
            (STORED, REFUSED),
            (200, JSON, {"success": True, "refused": [{"index": 1, "event_id": "b", **SAID}]}),
        ),
        (
            SEGMENT,
            (REFUSED, REFUSED),
            (
                400,
                JSON,
                {
                    "success": False,
                    "refused": [{"index": 0, "event_id": "a", **SAID}, {"index": 1, "event_id": "b", **SAID}],
                },
            ),
        ),
        (POSTHOG, (STORED, STORED), (200, JSON, {"status": "Ok"})),
        (
            POSTHOG,
            (STORED, REFUSED),
            (200, JSON, {"status": "Ok", "refused": [{"index": 1, "event_id": "b", **SAID}]}),
        ),
        (
            POSTHOG_V1,
            (STORED, REFUSED),
            (
                200,
                JSON,
                {
                    "results": {
                        "a": {"result": "ok"},
                        "b": {"result": "drop", "details": "unknown_event: the plan has no event 'buy'"},
                    }
                },
            ),
        ),
        (SENSORS, (STORED, STORED), (200, JSON, {})),
        # A library that gets anything but 200 sends the same events again before all others.
        (SENSORS, (REFUSED, REFUSED), (200, JSON, {"refused": [{"index": 0, **SAID}, {"index": 1, **SAID}]})),
        (SNOWPLOW, (STORED, STORED), (200, "text/plain; charset=utf-8", b"ok")),
        (SNOWPLOW, (STORED, REFUSED), (200, JSON, {"refused": [{"index": 1, "event_id": "b", **SAID}]})),
        (
            AMPLITUDE,
            (STORED, STORED),
            (
                200,
                JSON,
                {
                    "code": 200,
                    "events_ingested": 2,
                    "payload_size_bytes": len(AMPLITUDE.body),
                    "server_upload_time": 1795613400000,
                },
            ),
        ),
        (
            AMPLITUDE,
            (REFUSED, REFUSED),
            (
                400,
                JSON,
                {
                    "code": 400,
                    "error": "unknown_event: the plan has no event 'buy'; unknown_event: the plan has no event 'buy'",
                    "events_with_invalid_fields": {"event_type": [0, 1]},
                    "refused": [{"index": 0, **SAID}, {"index": 1, **SAID}],
                },
            ),
        ),
        (TRACK, (STORED, STORED), (200, JSON, 1)),
        # Its library for Python makes an exception of a 0, and then sends the same again before all others.
        (
            TRACK,
            (REFUSED, REFUSED),
            (
                200,
                JSON,
                {"status": 1, "error": None, "refused": [{"index": 0, **SAID}, {"index": 1, **SAID}]},
            ),
        ),
        (
            IMPORT,
            (STORED, REFUSED),
            (
                400,
                JSON,
                {
                    "code": 400,
                    "error": "some data points in the request failed validation",
                    "failed_records": [
                        {
                            "index": 1,
                            "insert_id": "u/b",
                            "field": "unknown_event",
                            "message": "the plan has no event 'buy'",
                        }
                    ],
                    "num_records_imported": 1,
                    "status": "Bad Request",
                },
            ),
        ),
        (IMPORT, (STORED, STORED), (200, JSON, {"code": 200, "num_records_imported": 2, "status": "OK"})),
        (GA4, (STORED, STORED), (204, JSON, b"")),
        (GA4, (STORED, REFUSED), (200, JSON, {"refused": [{"index": 1, **SAID}]})),
    ],
)
def test_what_became_of_each_event_is_said_as_the_protocol_says_it(
    sent: Request, results: tuple[Result, ...], expected: tuple[int, str, Any]
) -> None:
    assert answer(sent, *results) == expected


@pytest.mark.parametrize(
    "target",
    [
        "/sa.gif?data=eyJ0eXBlIjoidHJhY2sifQ",
        "/i?e=pv&uid=u1",
        "/v1/pixel/track?data=eyJldmVudCI6ImEifQ",
        "/track?img=1&data=eyJldmVudCI6ImEifQ",
    ],
)
def test_an_address_in_an_image_is_answered_by_a_picture_of_one_pixel(target: str) -> None:
    status, kind, body = answer(request("GET", target), STORED)
    assert (status, kind, body[:6], len(body)) == (200, "image/gif", b"GIF89a", 43)


@pytest.mark.parametrize("sent", [SEGMENT, POSTHOG, SNOWPLOW, AMPLITUDE, GA4])
def test_a_request_of_which_nothing_is_stored_is_a_bad_one(sent: Request) -> None:
    assert answer(sent, REFUSED, REFUSED)[0] == 400


@pytest.mark.parametrize(
    ("target", "body", "reason"),
    [
        ("/v1/batch", b"{", "invalid_json"),
        ("/v1/batch", b"", "empty"),
        ("/v1/t", b"\xff\xfe", "not_utf8"),
        ("/batch/", b"[" * 1000, "too_deep"),
        ("/sa", b"data=%%%", "unreadable"),
        ("/2/httpapi", b'{"api_key": "k"}', "not_an_object"),
        ("/track", b"data=e30x-", "unreadable"),
        ("/mp/collect", b'{"events": 1}', "not_an_object"),
    ],
)
def test_what_cant_be_read_is_kept_whole_and_said(target: str, body: bytes, reason: str) -> None:
    sent = request("POST", target, body)
    (item,) = read(sent)
    assert (item.reason, item.raw) == (reason, body)  # type: ignore[union-attr]
    assert answer(sent, Result(reason, "x"))[0] == 400


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (
            "GET",
            "/v1/projects/wk/settings",
            {"integrations": {"Segment.io": {"apiKey": "wk"}}, "plan": {}, "edgeFunction": {}},
        ),
        ("POST", "/v1/m", {"success": True}),
        ("POST", "/rsaMetrics", {"success": True}),
    ],
)
def test_a_configuration_is_answered_at_once(method: str, target: str, expected: dict[str, Any]) -> None:
    sent = request(method, target, b'{"series": []}')
    found = protocol_of(sent).read(sent)
    assert isinstance(found, Answer)
    assert (found.status, json.loads(found.body)) == (200, expected)


@pytest.mark.parametrize("target", ["/flags/?v=2", "/decide/?v=3", "/flags"])
def test_there_are_no_flags_and_no_library_of_posthog_asks_in_vain(target: str) -> None:
    sent = post(target, {"token": "phc", "distinct_id": "u"})
    found = protocol_of(sent).read(sent)
    assert isinstance(found, Answer)
    body = json.loads(found.body)
    assert (found.status, body["featureFlags"], body["flags"], body["errorsWhileComputingFlags"]) == (
        200,
        {},
        {},
        False,
    )
    assert protocol_of(sent).key(sent) == "phc"


def test_posthogs_configuration_as_a_script_names_the_key_and_nothing_that_a_stranger_wrote() -> None:
    sent = request("GET", "/array/phc_x/config.js")
    found = protocol_of(sent).read(sent)
    assert isinstance(found, Answer)
    assert found.content_type == "text/javascript; charset=utf-8"
    assert b'w._POSTHOG_REMOTE_CONFIG["phc_x"]={config:{"token":"phc_x"' in found.body
    hostile = request("GET", "/array/%22%5D%3Balert(1)%2F%2F/config.js")
    with pytest.raises(StopIteration):
        protocol_of(hostile)


def test_googles_address_that_validates_stores_nothing() -> None:
    sent = post("/debug/mp/collect?api_secret=s", {"client_id": "c", "events": [{"name": "a"}, 7]})
    found = protocol_of(sent).read(sent)
    assert isinstance(found, Answer)
    assert json.loads(found.body) == {
        "validationMessages": [
            {
                "fieldPath": "events",
                "description": "an event is a JSON object",
                "validationCode": "VALUE_INVALID",
            }
        ]
    }
