"""Snowplow's, Amplitude's, Mixpanel's and Google's protocols, where their recordings are silent."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from collect.protocols.recorded import plain, post, protocol_of, read, request


def encoded(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def snowplow(**payload: Any) -> dict[str, Any]:
    (item,) = read(post("/com.snowplowanalytics.snowplow/tp2", {"schema": "x", "data": [payload]}))
    return plain(item)


PURCHASE = {
    "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
    "data": {"schema": "iglu:com.acme/purchase/jsonschema/1-0-0", "data": {"amount": 19.9}},
}


@pytest.mark.parametrize("field", [{"ue_pr": json.dumps(PURCHASE)}, {"ue_px": encoded(PURCHASE)}])
def test_snowplows_self_describing_event_has_the_name_of_its_schema(field: dict[str, str]) -> None:
    assert snowplow(e="ue", uid="u1", eid="i", **field) == {
        "event_id": "i",
        "event": "purchase",
        "user_id": "u1",
        "properties": {"$schema": "iglu:com.acme/purchase/jsonschema/1-0-0", "amount": 19.9},
    }


def test_snowplows_structured_event_has_its_action_as_name_and_its_value_as_number() -> None:
    assert snowplow(e="se", uid="u1", se_ca="shop", se_ac="add", se_la="", se_va="1e3") == {
        "event": "add",
        "user_id": "u1",
        "properties": {"category": "shop", "action": "add", "label": "", "value": 1000.0},
    }


@pytest.mark.parametrize(
    ("said", "ts", "sent"),
    [
        ({"dtm": "1795613398133", "stm": "1795613399000"}, 1795613398133, 1795613399000),
        # Python's tracker cuts it to seconds: nothing is sent before it happens.
        ({"dtm": "1795613398133", "stm": "1795613398000"}, 1795613398133, 1795613398133),
        # A true time is right.
        ({"ttm": "1795613398133", "dtm": "1", "stm": "1795613399000"}, 1795613398133, None),
    ],
)
def test_snowplows_times(said: dict[str, str], ts: int, sent: int | None) -> None:
    found = snowplow(e="pv", uid="u1", **said)
    assert (found["ts"], found.get("@sent")) == (ts, sent)


def test_snowplows_apps_tell_the_device_in_a_context() -> None:
    session = {"schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
               "data": {"userId": "d1", "sessionId": "s1"}}  # fmt: skip
    mobile = {"schema": "iglu:com.snowplowanalytics.snowplow/mobile_context/jsonschema/1-0-3",
              "data": {"osType": "ios", "deviceModel": "iPhone17,1"}}  # fmt: skip
    contexts = {"schema": "x", "data": [session, mobile]}
    found = snowplow(e="pv", tv="ios-6.0", p="mob", cx=encoded(contexts), ip="203.0.113.9")
    assert found == {
        "event": "page_view",
        "anonymous_id": "d1",
        "session_id": "s1",
        "platform": "mob",
        "os": "ios",
        "device": "iPhone17,1",
        "properties": {
            "$v_tracker": "ios-6.0",
            "$contexts": {"client_session": session["data"], "mobile_context": mobile["data"]},
        },
        "@address": "203.0.113.9",
    }


@pytest.mark.parametrize(
    ("payload", "reason"),
    [({"e": "xx"}, "unknown_type"), ({"e": "ue"}, "missing_field"), ({"e": "ue", "ue_px": "%"}, "unreadable")],
)
def test_what_snowplow_cant_mean_is_said(payload: dict[str, str], reason: str) -> None:
    assert snowplow(**payload)["refused"] == reason


def amplitude(event: dict[str, Any], **outer: Any) -> list[dict[str, Any]]:
    return [plain(item) for item in read(post("/2/httpapi", {"api_key": "k", "events": [event], **outer}))]


def test_amplitudes_insert_id_is_of_one_device_and_two_devices_are_two_events() -> None:
    ids = [amplitude({"event_type": "a", "device_id": device, "insert_id": "1"})[0]["event_id"] for device in "ab"]
    assert ids == ["a/1", "b/1"]
    uuid = "05ab0fc4-c8af-4782-94bc-276e88442679"
    assert amplitude({"event_type": "a", "device_id": "a", "insert_id": uuid})[0]["event_id"] == uuid


def test_amplitudes_session_of_none_is_none_and_its_sale_is_a_property() -> None:
    (found,) = amplitude(
        {"event_type": "a", "user_id": "u", "session_id": -1, "price": 3.5, "quantity": 2, "carrier": "x"}
    )
    assert found == {"event": "a", "user_id": "u", "properties": {"price": 3.5, "quantity": 2, "$carrier": "x"}}


def test_amplitudes_user_properties_come_plain_or_as_operations() -> None:
    plain_ones = amplitude({"event_type": "a", "user_id": "u", "user_properties": {"plan": "pro"}})
    assert plain_ones == [{"event": "a", "user_id": "u", "properties": {}, "@attributes": {"plan": "pro"}}]
    operations = {
        "$set": {"a": 1}, "$setOnce": {"b": 2}, "$add": {"c": 3}, "$append": {"d": "x"}, "$prepend": {"e": ["y"]},
        "$preInsert": {"f": 1}, "$postInsert": {"g": 1}, "$remove": {"h": 1}, "$unset": {"i": "-"}, "$clearAll": "-",
    }  # fmt: skip
    told = amplitude(
        {"event_type": "$identify", "user_id": "u", "groups": {"company": "o"}, "user_properties": operations}
    )
    assert told == [
        {
            "event": "$identify",
            "user_id": "u",
            "@attributes": {"a": 1, "group.company": "o"},
            "@first_attributes": {"b": 2},
            "@changes": [
                ["clear", {}], ["unset", {"i": "-"}], ["add", {"c": 3}], ["append", {"d": "x"}],
                ["prepend", {"e": ["y"]}], ["union_first", {"f": 1}], ["union", {"g": 1}], ["remove", {"h": 1}],
            ],
        },
    ]  # fmt: skip


def test_amplitudes_upload_time_is_the_clients_clock() -> None:
    (found,) = amplitude(
        {"event_type": "a", "user_id": "u", "time": 1795613397000}, client_upload_time="2026-11-25T13:30:00Z"
    )
    assert (found["ts"], found["@sent"]) == (1795613397000, 1795613400000)


def mixpanel(target: str, *items: Any, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return [plain(item) for item in read(post(target, list(items), headers))]


@pytest.mark.parametrize(
    ("properties", "user", "device"),
    [
        ({"distinct_id": "$device:d1"}, None, "d1"),
        ({"distinct_id": "d1", "$device_id": "d1"}, None, "d1"),
        ({"distinct_id": "u1", "$device_id": "d1", "$user_id": "u1"}, "u1", "d1"),
        ({"distinct_id": "u1"}, "u1", None),
        ({"distinct_id": 7}, "7", None),
        ({"distinct_id": ""}, None, None),
    ],
)
def test_mixpanels_ids(properties: dict[str, Any], user: Any, device: Any) -> None:
    (found,) = mixpanel("/track", {"event": "a", "properties": properties})
    assert (found.get("user_id"), found.get("anonymous_id")) == (user, device)


@pytest.mark.parametrize("time", [1795613398, 1795613398.0, 1795613398000, "1795613398"])
def test_mixpanels_time_may_be_seconds_or_milliseconds(time: Any) -> None:
    (found,) = mixpanel("/track", {"event": "a", "properties": {"distinct_id": "u", "time": time}})
    assert found["ts"] == 1795613398000


@pytest.mark.parametrize(
    ("event", "user", "device", "alias"),
    [
        ({"event": "$create_alias", "properties": {"distinct_id": "a1", "alias": "u1"}}, "u1", "a1", "a1"),
        ({"event": "$identify", "properties": {"$identified_id": "u1", "$anon_id": "a1"}}, "u1", "a1", "a1"),
        (
            {"event": "$identify", "properties": {"distinct_id": "u1", "$anon_distinct_id": "$device:d"}},
            "u1",
            "d",
            None,
        ),
        ({"event": "$merge", "properties": {"$distinct_ids": ["u1", "a1"]}}, "u1", "a1", "a1"),
    ],
)
def test_mixpanels_links(event: dict[str, Any], user: str, device: str, alias: str | None) -> None:
    (found,) = mixpanel("/track", event)
    assert (found["event"], found["user_id"], found["anonymous_id"]) == ("$identify", user, device)
    assert found.get("@alias") == alias


@pytest.mark.parametrize(
    ("update", "changes"),
    [
        ({"$add": {"n": -1}}, [["add", {"n": -1}]]),
        ({"$append": {"l": "x"}, "$remove": {"m": "y"}}, [["append", {"l": "x"}], ["remove", {"m": "y"}]]),
        ({"$union": {"l": ["x", "y"]}}, [["union", {"l": ["x", "y"]}]]),
        ({"$unset": ["a", 7, "b"]}, [["unset", {"a": None, "b": None}]]),
        ({"$delete": ""}, [["clear", {}]]),
    ],
)
def test_mixpanels_profiles_are_changed(update: dict[str, Any], changes: list[Any]) -> None:
    told = {"event": "$identify", "user_id": "u", "@attributes": {"a": 1}, "@changes": changes}
    assert mixpanel("/engage", {"$token": "k", "$distinct_id": "u", "$set": {"a": 1}, **update}) == [told]
    del told["@attributes"]
    assert mixpanel("/engage", {"$token": "k", "$distinct_id": "u", **update}) == [told]


def test_mixpanels_profile_that_changes_nothing_is_said() -> None:
    assert mixpanel("/engage", {"$token": "k", "$distinct_id": "u", "$transactions": 1}) == [
        {
            "refused": "unsupported",
            "detail": "nothing that is done to an attribute: $set, $set_once, $add, $append, …",
        },
    ]


def test_mixpanels_import_takes_a_line_an_event() -> None:
    body = b'{"event": "a", "properties": {"distinct_id": "u"}}\n\n{"event": "b", "properties": {"distinct_id": "u"}}\n'
    sent = request(
        "POST", "/import?strict=1", body, {"content-type": "application/x-ndjson", "authorization": "Basic d2s6"}
    )
    assert [plain(item)["event"] for item in read(sent)] == ["a", "b"]
    assert protocol_of(sent).key(sent) == "wk"


def test_mixpanels_ip_0_means_that_the_request_comes_from_elsewhere() -> None:
    event = {"event": "a", "properties": {"distinct_id": "u", "mp_lib": "web"}}
    head = {"user-agent": "Mozilla/5.0"}
    assert mixpanel("/track?ip=1", event, headers=head)[0]["@address"] == "198.51.100.7"
    assert "@address" not in mixpanel("/track?ip=0", event, headers=head)[0]


def ga4(**outer: Any) -> list[dict[str, Any]]:
    return [plain(item) for item in read(post("/mp/collect?measurement_id=G-1&api_secret=k", outer))]


def test_googles_events_have_the_time_in_microseconds_and_their_parameters_as_properties() -> None:
    assert ga4(
        client_id="c1",
        user_id="u1",
        timestamp_micros="1795613398047123",
        user_properties={"plan": {"value": "pro"}},
        user_location={"city": "Shanghai", "region_id": "CN-SH", "country_id": "CN"},
        ip_override="203.0.113.9",
        user_agent="Mozilla/5.0",
        events=[
            {"name": "purchase", "params": {"value": 19.9, "session_id": "s1", "page_referrer": "https://a.example/"}},
            {"name": "share", "timestamp_micros": 1795613399000000},
        ],
    ) == [
        {
            "event": "purchase",
            "ts": 1795613398047,
            "user_id": "u1",
            "anonymous_id": "c1",
            "session_id": "s1",
            "platform": "web",
            "referrer": "https://a.example/",
            "country": "CN",
            "region": "CN-SH",
            "city": "Shanghai",
            "properties": {"value": 19.9, "session_id": "s1", "page_referrer": "https://a.example/"},
            "@attributes": {"plan": "pro"},
            "@address": "203.0.113.9",
            "@user_agent": "Mozilla/5.0",
        },
        {
            "event": "share",
            "ts": 1795613399000,
            "user_id": "u1",
            "anonymous_id": "c1",
            "platform": "web",
            "country": "CN",
            "region": "CN-SH",
            "city": "Shanghai",
            "properties": {},
            "@attributes": {"plan": "pro"},
            "@address": "203.0.113.9",
            "@user_agent": "Mozilla/5.0",
        },
    ]


def test_each_protocols_key_stands_where_its_libraries_put_it() -> None:
    purchase = quote(json.dumps({"event": "a", "properties": {"token": "k"}}))
    sent = [
        post("/com.snowplowanalytics.snowplow/tp2", {"data": [{"aid": "k"}]}),
        request("GET", "/i?e=pv&aid=k"),
        post("/2/httpapi", {"api_key": "k", "events": []}),
        request("GET", f"/track?data={purchase}"),
        post("/engage", [{"$token": "k"}]),
        post("/mp/collect?api_secret=k", {}),
    ]
    assert [protocol_of(one).key(one) for one in sent] == ["k"] * len(sent)
