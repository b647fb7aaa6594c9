"""Hostile records between partitions: links, handovers and persons as somebody forges them, for the fuzz.

Most are nearly right: what is plainly wrong is rejected early, and proves less.
"""

from __future__ import annotations

import json
import random
from typing import Any, Final

from pipeline.ingest.partitioner import partitions_of
from pipeline.measure.funnels import definition_of
from schemas.plan import Plan

from .raw import Raw

#: Few, so that claims meet: shared devices, second owners, circles.
_USERS: Final = tuple(f"u{n}" for n in range(40))
_DEVICES: Final = (*(f"d{n}" for n in range(40)), "u1", "u2")
_ODD_IDS: Final[tuple[Any, ...]] = (
    "", "$device:", "$device:d1", "$device:u1", "$device:$device:d1", "null", "0", "x" * 256, "x" * 257, "\x00",
    "a\x1fb", "\ud800", "é" * 256, None, 0, -1, 1e308, True, [], ["u1"], {}, {"id": "u1"}, "u1 ", " u1", "U1",
)  # fmt: skip
_ODD_NUMBERS: Final[tuple[Any, ...]] = (
    -1, 0, 1, 5, 1 << 31, 1 << 63, 1 << 64, 10**400, 1.5, 1e308, -0.0, "1", None, True, [], {}, 7_258_118_400_000,
    7_258_118_400_001, 946_684_800_000, 946_684_799_999,
)  # fmt: skip
_MARKS: Final = (
    b"0:0:0", b"0:1:0", b"3:77:999999", b"0:1:1000000", b"00:1:0", b"0:1", b"0:1:2:3", b"", None, b"\xff", b"-1:1:1",
    b"9999999999:9223372036854775807:0", b"x" * 9000,
)  # fmt: skip
_PERSONS: Final = (
    b"1:u1", b"1:u2", b"2:u3", b"3:u1", b"4:u2", b"9:u1", b"0:u1", b"10:u1", b"1:", b"u1", b"1:$device:d1", b"1:null",
    b"1:\xff\xfe", b"1:" + b"x" * 1024, b"1:" + b"x" * 1025, b"1:a\x00b", "1:é".encode(), b"", None, b"1:u1:u2",
)  # fmt: skip


def anonymous(rng: random.Random, event: dict[str, Any]) -> str:
    """Let an event be of a device, before or after a login, perhaps of one that is called as a user; its actor."""
    luck = rng.random()
    if luck < 0.4:
        return str(event["user_id"])
    user, device = rng.choice(_USERS), rng.choice(_DEVICES)
    del event["user_id"]
    event["anonymous_id"] = device
    if luck < 0.7:
        return device
    event["user_id"] = user
    if luck > 0.95:
        event |= {"event": "account_merged", "properties": {"old_user_id": rng.choice((*_USERS, *_ODD_IDS))}}
    elif luck > 0.93:
        event["user_id"] = rng.choice(("$device:d1", "$device:", "$device:u1"))
    return user


def person(rng: random.Random) -> tuple[bytes, bytes | None]:
    """A header that says as whom a record counts."""
    return b"streamgauge-person", rng.choice(_PERSONS)


def letter(rng: random.Random, now: int, plan: Plan, partitions: int) -> tuple[int, Raw]:
    """A record that says it comes from another partition, and the partition that it is sent to."""
    luck = rng.random()
    body, home = _link(rng, now) if luck < 0.5 else _handover(rng, now, plan)
    for name in list(body):
        if rng.random() < 0.04:
            body[name] = rng.choice((*_ODD_IDS, *_ODD_NUMBERS))
    if rng.random() < 0.03:
        body[rng.choice(("more", "id ", "hops"))] = rng.choice(_ODD_NUMBERS)
    if rng.random() < 0.03:
        del body[rng.choice(list(body))]
    value: bytes | None = json.dumps(body).encode()
    assert value is not None
    if rng.random() < 0.04:
        damaged = bytearray(value)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        value = bytes(damaged)
    elif rng.random() < 0.02:
        value = rng.choice((None, b"", b"null", b"[]", b'{"id":' * 4000, value + b"x", b" " * 5000 + value, value[:-1]))
    if luck < 0.5:
        headers = [(b"streamgauge-link", rng.choice((b"1", b"decided", b"", None, b"\xff", b"2")))]
    else:
        mark = b"%d:%d:0" % (rng.randrange(partitions), rng.randrange(10**6))
        headers = [(b"streamgauge-handover", mark if rng.random() < 0.8 else rng.choice(_MARKS))]
    if rng.random() < 0.05:
        headers.append(rng.choice([(b"streamgauge-link", b"1"), (b"streamgauge-handover", b"0:1:0"), person(rng)]))
    place = int(partitions_of([home.encode()], partitions)[0])
    return place if rng.random() < 0.95 else rng.randrange(partitions), Raw(value, home.encode(), headers, now)


def _link(rng: random.Random, now: int) -> tuple[dict[str, Any], str]:
    kind = rng.choice(("login", "login", "alias", "import", rng.choice(("Login", "", None, 1, ["login"]))))
    one = rng.choice(_USERS if kind == "alias" else _DEVICES)
    return {"id": one, "person": rng.choice(_USERS), "kind": kind, "ts": now}, one


def _handover(rng: random.Random, now: int, plan: Plan) -> tuple[dict[str, Any], str]:
    home = rng.choice(_USERS)
    fields = rng.choice((["channel", "event", "platform"], [], ["platform"], ["no_such"], ["platform"] * 3))
    many = rng.choice((0, 1, 1, 3, 3, 40, 2000 if rng.random() < 0.02 else 3))
    visits = [
        [_time(rng, now) // 60_000, [rng.choice(("ios", "", "é", "x" * 600)) for _ in fields], rng.random() < 0.3]
        for _ in range(many)
    ]
    steps = []
    for name, funnel in plan.funnels.items():
        if rng.random() < 0.3:
            definition = definition_of(funnel, plan) if rng.random() < 0.9 else "0" * 12
            breakdown = rng.choice((*funnel.breakdown, "")) if rng.random() < 0.9 else "no_such"
            session = rng.choice(("s1", "")) if funnel.per == "session" or rng.random() < 0.1 else ""
            codes = (1, 2, 3, 4, 0, 1 << rng.randrange(17), (1 << 17) - 1)
            events = [[_time(rng, now), rng.choice(codes), rng.choice(("ios", "", "x" * 600))] for _ in range(many)]
            steps.append([name, definition, breakdown, session, events])
    if visits and rng.random() < 0.05:
        rng.choice(visits)[rng.randrange(3)] = rng.choice((*_ODD_IDS, *_ODD_NUMBERS))
    if steps and rng.random() < 0.05:
        rng.choice(steps)[rng.randrange(5)] = rng.choice((*_ODD_IDS, *_ODD_NUMBERS))
    watermark = rng.choice((now, now, now - 3_600_000, 0, 7_258_118_400_000))
    one = "$device:" + rng.choice(_DEVICES) if rng.random() < 0.8 else rng.choice(_USERS)
    return {
        "id": one, "person": home, "hops": rng.choice((1, 1, 2, 3, 4)), "watermark": watermark, "fields": fields,
        "visits": visits, "steps": steps,
    }, home  # fmt: skip


def _time(rng: random.Random, now: int) -> int:
    return now - rng.randrange(600_000) if rng.random() < 0.97 else rng.choice((946_684_800_000, 7_258_118_399_999))
