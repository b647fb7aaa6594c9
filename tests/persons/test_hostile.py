"""Whatever somebody forges between partitions, or says of the time: nobody ends, and others are counted as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from chaos.fuzz import PARTITIONS, drawn
from chaos.plan import with_persons
from cost import cpu_seconds
from persons.cluster import Cluster
from persons.test_answers import D0, DAY, MINUTE, PLAN, TEXT, U0, U1, Log, T, by_home
from pydantic_core import to_json

from pipeline.ingest.records import Record
from pipeline.measure.activity import MOST_AHEAD
from pipeline.measure.funnels import definition_of
from pipeline.state.disk import Disk
from schemas.plan_io import load_plan, parse_plan

FAR = 7_258_000_000_000  # 2199-12-30: the last hours that a time may be of
LONG_AGO = 946_684_800_000
W0 = by_home("w", 0)


@pytest.fixture(params=["memory", "disk"])
def new_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Disk] | None:
    if request.param == "memory":
        return None
    return lambda p: Disk(tmp_path / str(p))


@pytest.mark.parametrize("link", ["login", "never"])
@pytest.mark.parametrize("times", [(FAR, T, T + 1), (T, FAR, T + 1), (LONG_AGO, FAR, T), (FAR, LONG_AGO, T)])
def test_an_actor_whose_events_lie_centuries_apart_ends_nobody(
    link: str, times: tuple[int, ...], new_disk: Callable[[int], Disk] | None
) -> None:
    plan = parse_plan(TEXT.replace("identity: {", f"identity: {{link: {link}, "))
    cluster = Cluster(plan, 2, new_disk)
    for number, ts in enumerate(times):
        event = {"event_id": f"e{number}", "event": "look", "ts": ts, "anonymous_id": D0}
        cluster.logs[0].append(Record(number, ts, None, to_json(event), (), 0))
        cluster.drain()
        cluster.save(0)
    cluster.crash(0)
    login = {"event_id": "e9", "event": "join", "ts": T + MINUTE, "anonymous_id": D0, "user_id": U1}
    cluster.write(1, to_json(login))
    cluster.drain()
    assert sum(cluster.outcomes().values()) == len(cluster.logs[0]) + len(cluster.logs[1])


def handover(person: str = U0, **changes: Any) -> bytes:
    """The value of a forged handover."""
    whole = {"id": "$device:d", "person": person, "hops": 1, "watermark": T, "fields": ["platform"], "visits": [],
             "steps": []}  # fmt: skip
    return to_json(whole | changes)


@pytest.mark.parametrize("code", [16, 17, 255, 256, (1 << 17) - 1])
def test_a_handover_of_steps_that_the_funnel_does_not_have_counts_nothing(code: int) -> None:
    log = Log()
    log.send("look", T, user=U0)
    definition = definition_of(PLAN.funnels["joining"], PLAN)
    events = [(T + 1, code, ""), (T + 2, 2, "")]
    forged = handover(steps=[("joining", definition, "", "", events)])
    log.cluster.write(0, forged, [("streamgauge-handover", b"1:0:0")])
    log.cluster.drain()
    log.send("buy", T + 3, user=U0)
    assert log.funnel() == [1, 1, 1]


@pytest.mark.parametrize("device", [None, D0])
def test_a_handover_of_visits_centuries_apart_ends_nobody(device: str | None) -> None:
    log = Log()
    if device is not None:
        log.send("look", T, device=device)
    visits = [(LONG_AGO // MINUTE, ("ios",), True), (FAR // MINUTE, ("web",), False)]
    for number, watermark in enumerate((0, T, FAR)):
        forged = handover(visits=visits, watermark=watermark)
        log.cluster.write(0, forged, [("streamgauge-handover", b"1:0:%d" % number)])
        log.cluster.drain()
        log.cluster.save(0)
    log.cluster.crash(0)
    log.send("look", T, user=U0)
    log.send("rename", T + 1, user=U1, properties={"old": U0})
    assert log.users(DAY) == 1 + (device is not None)


def test_handovers_of_any_number_of_hours_to_come_fill_no_memory() -> None:
    """Windows of the next centuries are never over: who writes to the topic must not make ever more of them."""
    log = Log()
    state = log.cluster.states[0]
    for number in range(4):
        visits = [(T // MINUTE + 1_000 + 10_000 * number + n, ("ios",), False) for n in range(10_000)]
        forged = handover(visits=visits)
        log.cluster.write(0, forged, [("streamgauge-handover", b"1:%d:0" % number)])
        log.cluster.drain()
    assert log.outcomes() == {"link": 4}
    assert len(state.activity.accumulators) <= MOST_AHEAD + 1
    # What lies before them, and everybody else's, is counted as ever.
    log.send("look", T, device=D0)
    log.send("look", T, user=W0)
    log.send("join", T + MINUTE, device=D0, user=U0)
    assert (log.users(), log.registrations(), log.funnel()) == (2, 1, [2, 1, 0])


def test_one_record_of_many_handovers_for_one_user_costs_as_much_as_they_are_long() -> None:
    """Not as much as all that the user was handed before, for each of them."""
    costs = []
    for before in (0, 8_000):
        log = Log()
        for number in range(2):
            visits = [(T // MINUTE - n, ("ios" + str(number),), False) for n in range(before // 2)]
            log.cluster.write(0, handover(visits=visits, watermark=0), [("streamgauge-handover", b"1:%d:0" % number)])
            log.cluster.drain()
        one = json.loads(handover(visits=[(T // MINUTE, ("web",), False)]))
        many = to_json([one | {"mark": f"2:{number}:0"} for number in range(1_000)])
        log.cluster.write(0, many, [("streamgauge-handover", b"2:0:0")])
        costs.append(cpu_seconds(log.cluster.drain))
        assert log.outcomes() == {"link": 3}
    assert costs[1] < costs[0] + 1.0  # 1,000 times what one takes would be 20 s


@pytest.mark.parametrize("seed", range(4))
def test_whole_records_at_random_end_nobody(seed: int, new_disk: Callable[[int], Disk] | None) -> None:
    text = load_plan("shop").model_dump(mode="json", exclude={"alerting", "meanings"})
    plan = parse_plan(yaml.safe_dump(with_persons(text)))
    cluster, rng = Cluster(plan, PARTITIONS, new_disk), Random(seed)
    for _ in range(1500):
        p, raw = drawn(rng, T, plan)
        headers = [(name.decode("utf-8", "backslashreplace"), value) for name, value in raw.headers]
        number = len(cluster.logs[p])
        cluster.logs[p].append(Record(number, raw.timestamp, raw.key, raw.value, tuple(headers), 0))
        if rng.random() < 0.02:
            cluster.fold(p, 100)
            cluster.save(p)
        if rng.random() < 0.005:
            cluster.crash(p)
    cluster.drain()
    assert sum(cluster.outcomes().values()) == sum(map(len, cluster.logs))
    assert cluster.states[0].reasons.get("unforeseen") is None
