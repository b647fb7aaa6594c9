"""What partitions tell each other goes together in few records, and counts as if each came by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from persons.cluster import home_of
from persons.test_answers import HOUR, MINUTE, Log, T
from pydantic_core import to_json

#: Devices that live in partition 0, and users that live in partition 1.
DEVICES = [one for one in (f"d{n}" for n in range(99)) if home_of(one, 2) == 0][:6]
USERS = [one for one in (f"u{n}" for n in range(99)) if home_of(one, 2) == 1][:6]


def visited() -> Log:
    """Six visits, and six logins that nobody has folded yet."""
    log = Log()
    for number, device in enumerate(DEVICES):
        log.send("look", T + number, device=device)
    for number, (device, user) in enumerate(zip(DEVICES, USERS, strict=True)):
        log.send("join", T + MINUTE + number, device=device, user=user, fold=False)
    return log


def letters(log: Log, name: str) -> list[Any]:
    """The values of the records with that header, of all partitions."""
    records = [record for each in log.cluster.logs for record in each]
    return [json.loads(r.value or b"") for r in records if any(header == name for header, _ in r.headers)]


def test_what_a_batch_tells_a_partition_goes_in_one_record() -> None:
    log = visited()
    log.cluster.drain()
    (links,), (handovers,) = letters(log, "streamgauge-link"), letters(log, "streamgauge-handover")
    assert [(claim["id"], claim["person"]) for claim in links] == list(zip(DEVICES, USERS, strict=True))
    assert [handover["person"] for handover in handovers] == USERS
    assert len({handover["mark"] for handover in handovers}) == 6
    assert (log.users(), log.registrations(), log.funnel()) == (6, 6, [6, 6, 0])


def test_first_logins_of_thousands_with_long_ids_are_told_in_several_records() -> None:
    log = Log()
    pairs = [(f"{number}-{'d' * 240}", f"{number}-{'u' * 240}") for number in range(4_000)]
    for number, (device, user) in enumerate(pairs):
        log.send("join", T + number, device=device, user=user, fold=False)
    for p in range(2):
        log.cluster.fold(p, 4_000)
    told = [record for each in log.cluster.logs for record in each if ("streamgauge-link", b"1") in record.headers]
    claims = [(claim["id"], claim["person"]) for record in told for claim in json.loads(record.value or b"")]
    assert sorted(claims) == sorted(pair for pair in pairs if home_of(pair[0], 2) != home_of(pair[1], 2))
    assert max(len(record.value or b"") for record in told) < 400_000


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_what_is_handed_over_again_in_other_company_counts_once(at_once: int) -> None:
    """After a crash the batches are others, and so is what goes together."""
    log = visited()
    for p in range(2):
        log.cluster.save(p)
    log.cluster.fold(1, 100)  # tells of the links
    log.cluster.fold(0, 100)  # hands over
    log.cluster.fold(1, 100)
    for p in range(2):
        log.cluster.crash(p)
    for _ in range(50):
        log.cluster.fold(1, at_once)
        log.cluster.fold(0, at_once)
    log.cluster.drain()
    log.send("buy", T + 2 * MINUTE, user=USERS[0])
    assert (log.users(), log.registrations(), log.funnel()) == (6, 6, [6, 6, 1])


@pytest.mark.parametrize("kind", ["link", "handover"])
def test_of_several_one_that_is_wrong_or_astray_lets_none_count(kind: str) -> None:
    log = Log()
    log.send("look", T, device=DEVICES[0])
    good: dict[str, Any] = {"id": DEVICES[0], "person": USERS[0], "kind": "login", "ts": T}
    wrong = [good | {"ts": 1}, good | {"id": USERS[0]}, good | {"person": "null"}, {}]
    p, header = 0, (f"streamgauge-{kind}", b"1")
    if kind == "handover":
        share = {"watermark": T, "fields": [], "visits": [[T // MINUTE, [], False]], "steps": []}
        good = {"id": DEVICES[0], "person": USERS[0], "hops": 1, "mark": "0:1:0", **share}
        wrong = [good | {"mark": "0:1"}, good | {"person": DEVICES[0]}, good | {"hops": 0}, {}]
        p, header = 1, ("streamgauge-handover", b"0:1:0")
    for one in wrong:
        log.cluster.write(p, to_json([good, one]), [header])
    log.cluster.write(p, b"[]", [header])
    log.cluster.drain()
    assert log.outcomes() == {"accepted": 1, "rejected": 5}
    log.cluster.write(p, b" " + to_json([good]), [header])
    log.cluster.drain()
    assert log.outcomes() == {"accepted": 1, "rejected": 5, "link": 1 if kind == "handover" else 2}
    assert log.users() == (1 if kind == "link" else 2)


def test_two_users_who_claim_a_device_in_one_record_are_taken_in_its_order() -> None:
    log = Log()
    log.send("look", T, device=DEVICES[0])
    claims = [{"id": DEVICES[0], "person": user, "kind": "login", "ts": T} for user in (USERS[1], USERS[0])]
    log.cluster.write(0, to_json(claims), [("streamgauge-link", b"1")])
    log.send("look", T + HOUR, user=USERS[1])
    assert log.users() == 1
