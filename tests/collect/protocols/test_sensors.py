"""Sensors' protocol, where its recordings are silent."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote

import pytest
from collect.protocols.recorded import plain, post, protocol_of, read, request

from pipeline.collect.model import Request

TRACK = {"type": "track", "event": "a", "time": 1795613398047, "distinct_id": "u1", "properties": {"n": 1}}


def told(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [plain(item) for item in read(post("/sa", [message]))]


@pytest.mark.parametrize(
    ("said", "user", "device"),
    [
        ({}, None, "u1"),
        ({"properties": {"$is_login_id": True}}, "u1", None),
        ({"login_id": "u1", "anonymous_id": "a1"}, "u1", "a1"),
        ({"identities": {"$identity_login_id": "u1", "$identity_cookie_id": "c1"}}, "u1", "c1"),
        ({"identities": {"$identity_mp_id": "m1"}}, None, "m1"),
        ({"distinct_id": 42}, None, "42"),
    ],
)
def test_whether_the_one_id_is_a_users_or_a_devices(said: dict[str, Any], user: Any, device: Any) -> None:
    (found,) = told(TRACK | said)
    assert (found.get("user_id"), found.get("anonymous_id")) == (user, device)


def test_a_signup_links_the_device_and_whoever_goes_on_to_send_the_login_id_alone() -> None:
    message = {"type": "track_signup", "event": "$SignUp", "time": 1, "distinct_id": "u1", "original_id": "a1"}
    assert told(message) == [
        {"event": "$SignUp", "ts": 1000, "user_id": "u1", "anonymous_id": "a1", "properties": {}},
        {"event": "$identify", "ts": 1000, "user_id": "u1", "anonymous_id": "u1"},
    ]


def test_presets_are_kept_and_become_fields_and_the_address_is_not() -> None:
    presets = {
        "$app_version": "4.2",
        "$os": "iOS",
        "$model": "iPhone17,1",
        "$country": "中国",
        "$province": "上海",
        "$city": "上海市",
        "$referrer": "https://www.baidu.com/",
        "$utm_campaign": "双十一",
        "$browser": "Safari",
        "$browser_language": "zh-cn",
        "$lib": "iOS",
        "$event_session_id": "s1",
    }
    (found,) = told(TRACK | {"properties": presets | {"$ip": "203.0.113.9"}})
    assert found == {
        "event": "a",
        "ts": 1795613398047,
        "anonymous_id": "u1",
        "session_id": "s1",
        "platform": "ios",
        "app_version": "4.2",
        "os": "iOS",
        "device": "iPhone17,1",
        "browser": "Safari",
        "language": "zh-cn",
        "country": "中国",
        "region": "上海",
        "city": "上海市",
        "campaign": "双十一",
        "referrer": "https://www.baidu.com/",
        "properties": presets,
        "@address": "203.0.113.9",
    }


def test_what_changes_when_a_library_sends_again_is_not_kept_and_what_tells_two_events_apart_is() -> None:
    again = [TRACK | {"_track_id": 7, "_flush_time": 1795613398050 + later} for later in (0, 60_000)]
    first, second = (told(message)[0] for message in again)
    assert (first.pop("@sent"), second.pop("@sent")) == (1795613398050, 1795613458050)
    assert first == second
    assert first["properties"] == {"_track_id": 7, "n": 1}


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        ("item_set", "item_set: things are not kept: import them as content"),
        ("item_delete", "item_delete: things are not kept: import them as content"),
        ("track_id_unbind", "track_id_unbind: a link is not taken back"),
    ],
)
def test_what_is_not_done_is_said(kind: str, detail: str) -> None:
    assert told(TRACK | {"type": kind}) == [{"refused": "unsupported", "detail": detail}]


@pytest.mark.parametrize(
    ("kind", "properties", "change"),
    [
        ("profile_increment", {"n": 2}, ["add", {"n": 2}]),
        ("profile_append", {"movies": ["a", "b"]}, ["append", {"movies": ["a", "b"]}]),
        ("profile_unset", {"n": True}, ["unset", {"n": True}]),
        ("profile_delete", {}, ["clear", {}]),
    ],
)
def test_profiles_are_changed(kind: str, properties: dict[str, Any], change: list[Any]) -> None:
    message = {"type": kind, "distinct_id": "u1", "login_id": "u1", "time": 1795613398000, "properties": properties}
    assert told(message) == [{"event": "$identify", "user_id": "u1", "ts": 1795613398000, "@changes": [change]}]


def test_seconds_are_seconds() -> None:
    assert told(TRACK | {"time": 1795613398})[0]["ts"] == 1795613398000


@pytest.mark.parametrize("word", ["直接打开", "url的domain解析失败", ""])
def test_what_a_library_writes_where_nobody_sent_the_person_is_no_referrer(word: str) -> None:
    (found,) = told(TRACK | {"properties": {"$referrer": word}})
    assert "referrer" not in found


TEXT = json.dumps(TRACK)
PLAIN = base64.b64encode(TEXT.encode())
PACKED = base64.b64encode(gzip.compress(TEXT.encode(), mtime=0))


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/sa.gif?project=default&token=k&data=" + quote(PLAIN) + "&ext=crc%3D1"),
        request("POST", "/sa?token=k", b"data=" + quote(PLAIN).encode() + b"&gzip=0"),
        request("POST", "/sa?token=k", b"data=" + quote(PACKED).encode() + b"&gzip=1"),
        request("POST", "/sa?token=k", b"data_list=" + quote(base64.b64encode(f"[{TEXT}]".encode())).encode()),
        request("POST", "/sa.gif?token=k", gzip.compress(b"data=" + quote(PLAIN).encode())),
        # Android's base64 has lines, and some forget to write its + as %2B.
        request("POST", "/sa?token=k", b"data=" + base64.encodebytes(TEXT.encode())),
        post("/sa", [TRACK | {"token": "k"}]),
    ],
)
def test_an_event_in_every_way_in_which_it_may_be_packed(sent: Request) -> None:
    (item,) = read(sent)
    assert plain(item) == {"event": "a", "ts": 1795613398047, "anonymous_id": "u1", "properties": {"n": 1}}
    assert protocol_of(sent).key(sent) == "k"
