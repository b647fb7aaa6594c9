"""PostHog's protocol, where its recordings are silent."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote

import pytest
from collect.protocols.recorded import plain, post, protocol_of, read, request

from pipeline.collect.model import Request

DEVICE = "01a21598-3d91-719d-a5e7-998c204b0f23"


def one(event: dict[str, Any], **outer: Any) -> dict[str, Any]:
    (item,) = read(post("/batch/", {"api_key": "k", "batch": [event], **outer}))
    return plain(item)


@pytest.mark.parametrize(
    ("properties", "user", "device"),
    [
        # The browser's: a device until it is identified, even where the user's own id is a UUID.
        ({"$lib": "web", "$device_id": DEVICE, "distinct_id": DEVICE, "$is_identified": False}, None, DEVICE),
        (
            {"$lib": "web", "$device_id": DEVICE, "distinct_id": DEVICE[::-1], "$is_identified": False},
            None,
            DEVICE[::-1],
        ),
        ({"$lib": "web", "$device_id": DEVICE, "distinct_id": "u1", "$user_id": "u1"}, "u1", DEVICE),
        (
            {
                "$lib": "web",
                "$device_id": DEVICE,
                "distinct_id": "11111111-2222-4333-8444-555555555555",
                "$user_id": "x",
            },
            "11111111-2222-4333-8444-555555555555",
            DEVICE,
        ),
        # Older ones say nothing but both ids.
        ({"$lib": "web", "$device_id": DEVICE, "distinct_id": "u1"}, "u1", DEVICE),
        # An app's.
        ({"$lib": "posthog-ios", "distinct_id": DEVICE}, None, DEVICE),
        ({"$lib": "posthog-ios", "distinct_id": "u1"}, "u1", None),
        # A server's: its ids are users', unless it says that the event has no person.
        ({"$lib": "posthog-go", "distinct_id": DEVICE}, DEVICE, None),
        ({"$lib": "posthog-go", "distinct_id": DEVICE, "$process_person_profile": False}, None, DEVICE),
    ],
)
def test_which_of_a_users_and_a_devices_the_one_id_is(properties: dict[str, Any], user: Any, device: Any) -> None:
    found = one({"event": "a", "properties": properties})
    assert (found.get("user_id"), found.get("anonymous_id")) == (user, device)


@pytest.mark.parametrize(
    ("library", "distinct", "alias", "user", "old"),
    [
        ("posthog-python", "a1", "u1", "u1", "a1"),
        ("web", "a1", "u1", "u1", "a1"),
        ("posthog-node", "u1", "a1", "u1", "a1"),
        ("posthog-go", "u1", "a1", "u1", "a1"),
    ],
)
def test_which_id_of_an_alias_is_the_old_one_depends_on_the_library(
    library: str, distinct: str, alias: str, user: str, old: str
) -> None:
    found = one({"event": "$create_alias", "distinct_id": distinct, "properties": {"$lib": library, "alias": alias}})
    said = (found["event"], found["user_id"], found["anonymous_id"], found["@alias"])
    assert said == ("$identify", user, old, old)


def test_a_group_of_nobody_is_said_and_one_of_a_user_is_an_attribute() -> None:
    group = {"$group_type": "company", "$group_key": "org1", "$group_set": {"n": 1}}
    event = {"event": "$groupidentify"}
    node = one({**event, "distinct_id": "$company_org1", "properties": {**group, "$lib": "posthog-node"}})
    python = one({**event, "distinct_id": DEVICE, "properties": {**group, "$lib": "posthog-python"}})
    assert node == python
    assert node == {
        "refused": "unsupported",
        "detail": "properties of a group alone are not kept: send them of a user of the group",
    }
    web = one({**event, "distinct_id": "u1", "properties": {**group, "$lib": "web", "$user_id": "u1"}})
    assert web == {
        "event": "$identify",
        "user_id": "u1",
        "platform": "web",
        "@address": "198.51.100.7",
        "@attributes": {"group.company": "org1", "group.company.n": 1},
    }


def test_attributes_of_a_user_may_be_set_set_once_and_taken_away() -> None:
    event = {
        "event": "$set",
        "distinct_id": "u1",
        "properties": {"$set": {"a": 1, "none": None}, "$set_once": {"b": 2}, "$unset": ["c"], "$lib": "posthog-go"},
    }
    told = [plain(item) for item in read(post("/batch/", {"batch": [event]}))]
    assert told == [
        {
            "event": "$identify",
            "user_id": "u1",
            "@attributes": {"a": 1},
            "@first_attributes": {"b": 2},
            "@changes": [["unset", {"c": None}]],
        },
    ]


@pytest.mark.parametrize(
    ("event", "outer", "ts", "sent"),
    [
        (
            {"timestamp": "2026-11-25T13:29:57Z"},
            {"sent_at": "2026-11-25T13:30:00Z"},
            1795613397000,
            1795613400000,
        ),
        ({"offset": 3000}, {"sent_at": "2026-11-25T13:30:00Z"}, 1795613397000, 1795613400000),
        # What is moved from elsewhere, or says that its clock is right, is not corrected.
        (
            {"timestamp": "2026-11-25T13:29:57Z"},
            {"sent_at": "2026-11-25T13:30:00Z", "historical_migration": True},
            1795613397000,
            None,
        ),
        (
            {"timestamp": "2026-11-25T13:29:57Z", "options": {"disable_skew_correction": True}},
            {"sent_at": "2026-11-25T13:30:00Z"},
            1795613397000,
            None,
        ),
        ({}, {}, None, None),
    ],
)
def test_when_it_happened_and_when_it_was_sent(
    event: dict[str, Any], outer: dict[str, Any], ts: int | None, sent: int | None
) -> None:
    found = one({"event": "a", "distinct_id": "u1", **event}, **outer)
    assert (found.get("ts"), found.get("@sent")) == (ts, sent)


EVENT = {"api_key": "k", "event": "a", "distinct_id": "u1", "properties": {"n": 1}}
TEXT = json.dumps(EVENT)
PACKED = gzip.compress(TEXT.encode(), mtime=0)


@pytest.mark.parametrize(
    "sent",
    [
        request("POST", "/capture/", TEXT.encode()),
        request("POST", "/i/v0/e", TEXT.encode()),
        request("POST", "/e/?compression=gzip-js", PACKED, {"content-type": "text/plain"}),
        request("POST", "/e/", b"data=" + quote(TEXT).encode()),
        request("POST", "/e/?compression=base64", b"data=" + quote(base64.b64encode(TEXT.encode())).encode()),
        # A form that forgets to write its + as %2B.
        request("POST", "/e/", b"data=" + base64.b64encode(TEXT.encode())),
        request("GET", "/e/?data=" + quote(base64.b64encode(TEXT.encode()))),
        request("POST", "/e/", json.dumps([EVENT]).encode()),
    ],
)
def test_a_single_event_in_every_way_in_which_it_may_be_packed(sent: Request) -> None:
    (item,) = read(sent)
    assert plain(item) == {"event": "a", "user_id": "u1", "properties": {"n": 1}}
    assert protocol_of(sent).key(sent) == "k"


def test_an_address_of_a_server_or_of_whom_it_is_not_to_be_known_is_not_used() -> None:
    web = {"$lib": "web", "$device_id": DEVICE}
    head = {"user-agent": "Mozilla/5.0"}
    told = [
        {"event": "a", "distinct_id": DEVICE, "properties": properties}
        for properties in (
            web,
            {**web, "$geoip_disable": True},
            {**web, "$ip": "203.0.113.9"},
            {"$is_server": True},
            {"$is_server": True, "$ip": "203.0.113.9"},
        )
    ]
    found = [plain(item) for item in read(post("/batch/", {"batch": told}, head))]
    assert [item.get("@address", "") for item in found] == ["198.51.100.7", "", "203.0.113.9", "", "203.0.113.9"]
    assert all("$ip" not in item["properties"] for item in found)


def test_a_servers_own_system_is_not_the_persons() -> None:
    found = one({"event": "a", "distinct_id": "u1", "properties": {"$lib": "posthog-python", "$os": "Linux"}})
    assert "os" not in found
    assert found["properties"]["$os"] == "Linux"


def test_a_recording_of_a_session_is_said_not_to_be_kept() -> None:
    (item,) = read(request("POST", "/s/", b"{}"))
    assert plain(item) == {"refused": "unsupported", "detail": "recordings of sessions are not kept"}


def test_a_batch_of_amplitudes_at_the_same_address_is_amplitudes() -> None:
    theirs = post("/batch", {"api_key": "k", "events": [{"event_type": "a", "user_id": "u"}]})
    ours = post("/batch", {"api_key": "k", "batch": []})
    assert (protocol_of(theirs).name, protocol_of(ours).name) == ("amplitude", "posthog")


def test_a_group_without_a_name_is_said() -> None:
    found = one({"event": "$groupidentify", "distinct_id": "u1", "properties": {"$group_type": "company"}})
    assert found == {"refused": "missing_field", "detail": "a group without $group_type and $group_key"}


def test_attributes_beside_the_properties_and_in_them_are_both_told() -> None:
    found = one(
        {"event": "$set", "distinct_id": "u1", "$set": {"a": 1}, "properties": {"$set": {"b": 2}, "$lib": "posthog-go"}}
    )
    assert found == {"event": "$identify", "user_id": "u1", "@attributes": {"a": 1, "b": 2}}
