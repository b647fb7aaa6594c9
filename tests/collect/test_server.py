"""The front door on a real broker: what goes in comes out of Kafka, and whoever may not, is told so."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from collect.doors import PARTITIONS, Door

from pipeline.codings import zstd
from pipeline.collect.sources import add_source, revoke_source
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.records import Outcome

pytestmark = pytest.mark.usefixtures("needs_embedded")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("door"), collect_timeout_s=2, collect_max_body=1_000_000)
    try:
        made.start()
        yield made
    finally:
        made.close()


def look(**more: Any) -> dict[str, Any]:
    return {"event": "look", "user_id": "u1", "ts": int(time.time() * 1000) - 5_000} | more


@pytest.fixture
def before(door: Door) -> dict[int, int]:
    return door.ends()


def gz(data: bytes) -> bytes:
    return gzip.compress(data)


def test_one_event_is_in_kafka_by_the_time_of_the_answer(door: Door, before: dict[int, int]) -> None:
    event = look(event_id="one", properties={"item": "ü", "n": 2**60, "deep": [{"x": None}]})
    said = door.send(event)
    assert (said.status, said.data) == (200, {"accepted": 1, "rejected": 0, "errors": [], "notes": []})
    (record,) = door.new(before)
    assert json.loads(record.value) == event | {"source": "web"}
    assert (record.key, record.partition) == (b"u1", int(partitions_of([b"u1"], PARTITIONS)[0]))
    assert abs(record.timestamp - time.time() * 1000) < 30_000


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gz), ("x-gzip", gz), ("zstd", zstd.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_many_events_come_as_array_or_lines_and_packed(
    door: Door, before: dict[int, int], coding: str, pack: Any
) -> None:
    events = [look(event_id=f"{coding}{n}", anonymous_id=f"d{n}") for n in range(5)]
    lines = "\r\n".join(json.dumps(event) for event in events[:3]).encode()
    assert door.send(pack(lines), Content_Encoding=coding).data["accepted"] == 3
    assert door.send(pack(json.dumps(events[3:]).encode()), Content_Encoding=coding).data["accepted"] == 2
    assert sorted(json.loads(record.value)["event_id"] for record in door.new(before)) == [
        f"{coding}{n}" for n in range(5)
    ]


def test_what_the_plan_rejects_is_said_with_its_place_and_kept_whole(door: Door, before: dict[int, int]) -> None:
    good, bad = look(event_id="good"), look(event="buy", event_id="bad", properties={"amount": "19.9"})
    said = door.send([good, bad, 17])
    assert said.status == 200
    assert said.data == {
        "accepted": 1, "rejected": 2, "notes": [],
        "errors": [
            {"index": 1, "event_id": "bad", "reason": "wrong_type",
             "detail": "properties.amount: input should be a valid number, found '19.9'"},
            {"index": 2, "reason": "not_an_object", "detail": "an event is a JSON object"},
        ],
    }  # fmt: skip
    values = [record.value for record in door.new(before)]
    assert sorted(values) == sorted(
        [json.dumps(e | {"source": "web"}, separators=(",", ":")).encode() for e in (good, bad)] + [b"17"]
    )
    found = door.judged()
    reasons = {why.reason for one in found.values() for why in one.rejections.values()}
    assert {"wrong_type", "not_an_object"} <= reasons
    assert door.send(bad).status == 400


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        (b'{"event": "look"', "invalid_json", "EOF while parsing an object at line 1 column 16"),
        (b"", "empty", "the request has no body"),
        (b"\xff{}", "not_utf8", "byte 0 is not UTF-8"),
        (b"[" * 300, "too_deep", "more than 200 levels of nesting"),
        (b"null", "not_an_object", "an event is a JSON object"),
    ],
)
def test_what_is_no_event_is_kept(door: Door, before: dict[int, int], body: bytes, reason: str, detail: str) -> None:
    said = door.send(body)
    assert said.status == 400
    assert said.data["errors"] == [{"index": 0, "reason": reason, "detail": detail}]
    (record,) = door.new(before)
    assert record.value == body
    assert dict(record.headers)["streamgauge-source"] == b"web"
    why = door.judged()[record.partition].rejections[record.offset]
    assert (why.reason, why.detail) == (reason, detail)


def test_an_event_that_is_too_large_is_cut_and_the_others_pass(door: Door, before: dict[int, int]) -> None:
    said = door.send(gz(json.dumps([look(event_id="s"), look(properties={"item": "x" * 1_100_000})]).encode()),
                     Content_Encoding="gzip")  # fmt: skip
    assert (said.data["accepted"], said.data["errors"][0]["reason"]) == (1, "too_large")
    assert sorted(len(record.value) > 900_000 for record in door.new(before)) == [False, True]


def test_a_dry_run_says_what_would_become_of_events_and_sends_none(door: Door, before: dict[int, int]) -> None:
    said = door.send([look(), look(event="nothing")], "?dry_run=1")
    assert (said.status, said.data["accepted"], said.data["errors"][0]["reason"]) == (200, 1, "unknown_event")
    assert door.new(before) == []


def test_ids_come_of_the_content_and_a_wrong_clock_is_corrected_and_said(door: Door, before: dict[int, int]) -> None:
    now = int(time.time() * 1000)
    hour = 3_600_000
    request = [look(ts=now + 48 * hour), look(ts=now + 48 * hour)]
    query = f"?sent={now + 48 * hour + 5_000}"
    first, again = door.send(request, query), door.send(request, query)
    assert first.data["notes"][0]["detail"] == "the client's clock is 2 days ahead: corrected"
    assert (first.status, again.status) == (200, 200)
    events = [json.loads(record.value) for record in door.new(before)]
    ids = [event["event_id"] for event in events]
    assert len(ids) == 4
    assert len(set(ids)) == 2
    assert all(abs(event["ts"] - now) < 30_000 for event in events)
    assert door.send(look(ts=now + hour)).data["errors"][0]["reason"] == "time_in_future"
    assert door.send(look(ts=now - 48 * hour)).data["notes"][0]["detail"] == "late: stored, and not counted live"


def test_a_client_can_not_say_that_it_is_another_source(door: Door, before: dict[int, int]) -> None:
    door.send(look(source="bank"))
    assert json.loads(door.new(before)[0].value)["source"] == "web"


def test_identify_links_and_tells_and_is_no_event(door: Door, before: dict[int, int]) -> None:
    said = door.send([
        {"user_id": "ida", "anonymous_id": "tablet", "$attributes": {"plan": "pro", "seats": 3}},
        {"user_id": "new-ida", "$alias": "ida"},
        {"event": "$identify", "user_id": "ida"},
        {"event": "$identify"},
    ])  # fmt: skip
    assert said.data["accepted"] == 3
    assert said.data["notes"][0]["detail"].endswith("there is nothing to keep")
    assert said.data["errors"] == [
        {"index": 3, "reason": "missing_actor", "detail": "user_id or anonymous_id is needed: whose is it?"}
    ]
    assert len(door.new(before)) == 4
    found = door.judged()
    links = {(link.claim.id, link.claim.person, link.claim.kind) for one in found.values() for link in one.links}
    assert {("$device:tablet", "ida", "login"), ("ida", "new-ida", "alias")} <= links
    told = [(t.id, t.values) for one in found.values() for t in one.attributes.values()]
    assert ("ida", {"plan": "pro", "seats": "3"}) in told
    assert not any(f["user_id"] == "ida" for f in door.accepted())


def test_without_a_good_key_nothing_is_taken(door: Door, before: dict[int, int]) -> None:
    gone = add_source(door.sources, "gone")
    deadline = time.monotonic() + 10
    while door.send(look(), "?dry_run=1", key=gone).status != 200:
        assert time.monotonic() < deadline
    revoke_source(door.sources, "gone")
    while door.send(look(), "?dry_run=1", key=gone).status == 200:
        assert time.monotonic() < deadline
    assert [
        (said.status, said.data["error"])
        for said in (door.send(look(), key=""), door.send(look(), key="0" * 32), door.send(look(), key=gone))
    ] == [(401, "no_key"), (401, "unknown_key"), (403, "revoked_key")]
    said = door.send(b"\x1f\x8b broken", key="0" * 32, Content_Encoding="gzip")
    assert (said.status, said.headers["www-authenticate"]) == (401, 'Bearer realm="events"')
    assert door.new(before) == []


def test_the_key_may_stand_in_a_header_or_in_the_query(door: Door) -> None:
    assert door.ask("POST", f"/v1/events?key={door.key}&dry_run=1", json.dumps(look()).encode()).status == 200
    assert (
        door.ask("POST", "/v1/events?dry_run=1", json.dumps(look()).encode(), {"X-Write-Key": door.key}).status == 200
    )


@pytest.fixture(scope="module")
def shop(door: Door) -> str:
    """A key of a source with limits, which pages of one origin may use."""
    key = add_source(door.sources, "shop", origins=("https://shop.example",), rate=1, max_bytes=2_000, max_events=10)
    deadline = time.monotonic() + 10
    while door.send(look(), "?dry_run=1", key=key).status != 200:
        assert time.monotonic() < deadline
    return key


def test_pages_send_where_their_origin_is_a_source_s(door: Door, shop: str, before: dict[int, int]) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization,content-type",
             "Access-Control-Request-Private-Network": "true"}  # fmt: skip
    preflight = door.ask("OPTIONS", "/v1/events", None, asked)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "https://shop.example")
    assert preflight.headers["access-control-allow-private-network"] == "true"
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    own = door.send(look(), key=shop, Origin="https://shop.example")
    assert (own.status, own.headers["access-control-allow-origin"], own.headers["vary"]) == (
        200, "https://shop.example", "Origin",
    )  # fmt: skip
    other = door.send(look(), key=shop, Origin="https://evil.example")
    assert (other.status, other.data["error"]) == (403, "origin_not_allowed")
    assert door.send(look(), key=shop, Origin="null").status == 403
    assert len(door.new(before)) == 1


def test_a_source_has_limits(door: Door, shop: str, before: dict[int, int]) -> None:
    assert door.send(look(properties={"item": "x" * 2_000}), key=shop).status == 413
    assert door.send([{}] * 11, key=shop).data == {
        "error": "too_many", "detail": "a request of shop may have 10 events",
    }  # fmt: skip
    assert door.new(before) == []
    told = [door.send([look()] * 5, key=shop) for _ in range(4)]
    slow = told[-1]
    assert (slow.status, slow.data["error"]) == (429, "too_fast")
    assert 1 <= int(slow.headers["retry-after"]) <= 5
    assert door.send(look()).status == 200  # others are not held up


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]) + packer.flush()


def test_a_bomb_is_told_so_and_costs_no_memory(door: Door, before: dict[int, int]) -> None:
    door.send(b"[]")
    memory = door.memory
    body = bomb(100 << 20)
    assert len(body) < 1_000_000
    started = time.monotonic()
    assert [door.send(body, Content_Encoding="gzip").status for _ in range(5)] == [413] * 5
    assert door.send(zstd.compress(bytes(100 << 20)), Content_Encoding="zstd").status == 413
    assert time.monotonic() - started < 20
    assert door.memory - memory < 60 << 20
    assert door.new(before) == []


@pytest.mark.parametrize(
    ("coding", "body", "status", "error"),
    [
        ("br", b"x", 415, "unsupported"),
        ("gzip, gzip", gz(gz(b"[]")), 415, "unsupported"),
        ("gzip", b"not packed", 400, "unreadable"),
        ("gzip", gz(b"[]")[:-4], 400, "unreadable"),
        ("zstd", b"(\xb5/\xfd\xff\xff", 400, "unreadable"),
    ],
)
def test_a_wrong_packing_is_told(door: Door, coding: str, body: bytes, status: int, error: str) -> None:
    said = door.send(body, Content_Encoding=coding)
    assert (said.status, said.data["error"]) == (status, error)


def test_a_body_that_is_too_large_is_not_read(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.port), 10) as wire:
        wire.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", door.port), 10) as wire:
        wire.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = b""
        try:
            for _ in range(40):
                wire.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
        except OSError:
            pass
        answer = wire.recv(100)
        assert answer.startswith(b"HTTP/1.1 413 ")


def test_operators_pages_are_for_who_calls_the_server_by_its_name(door: Door) -> None:
    health = door.ask("GET", "/health")
    assert (health.status, health.data["role"], health.data["ready"]) == (200, "collect", True)
    assert door.ask("GET", "/health", None, {"Host": "evil.example"}).status == 403
    assert door.ask("GET", "/metrics", None, {"Origin": "https://evil.example"}).status == 403
    figures = door.ask("GET", "/metrics").body.decode()
    assert 'streamgauge_collect_events_total{outcome="stored",protocol="native",source="web"}' in figures
    assert 'streamgauge_collect_requests_total{protocol="native",status="200"}' in figures
    assert "streamgauge_collect_request_seconds_bucket" in figures
    assert door.ask("GET", "/").status == 404
    assert door.ask("GET", "/v1/events").status == 404


def test_kafka_away_is_503_and_the_same_request_again_counts_once(door: Door) -> None:
    request = look(event_id="away")
    door.freeze()
    try:
        said = door.send(request)
        assert (said.status, said.data["error"], said.headers["retry-after"]) == (503, "kafka_away", "2")
    finally:
        door.thaw()
    deadline = time.monotonic() + 40
    while door.send(request).status != 200:
        assert time.monotonic() < deadline, door.log
    assert [event["event_id"] for event in door.accepted()].count("away") == 1


def test_a_door_that_nobody_asks_notices_that_kafka_is_back(door: Door) -> None:
    """A load balancer sends nothing to a door that is not ready."""
    door.freeze()
    try:
        assert door.send(look()).status == 503
        deadline = time.monotonic() + 30
        while door.ask("GET", "/health").status == 200:
            assert time.monotonic() < deadline
        began = time.monotonic()
        assert door.send(look()).status == 503
        assert time.monotonic() - began < 1  # at once, while it is known
    finally:
        door.thaw()
    while door.ask("GET", "/health").status != 200:
        assert time.monotonic() < deadline
    assert door.send(look()).status == 200
    assert door.ask("GET", "/health").status == 200


def test_no_traceback_was_logged(door: Door) -> None:
    assert "Traceback" not in door.log
    assert Outcome.ACCEPTED.name in door.outcomes()
