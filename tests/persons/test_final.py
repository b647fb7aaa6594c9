"""What is final when a link comes, here or there; and what was counted before there were persons."""

from __future__ import annotations

from typing import Any

import pytest
from persons.cluster import home_of
from persons.test_answers import D0, DAY, HOUR, MINUTE, TEXT, U0, U1, V0, V1, Log, T, by_home
from pydantic_core import to_json

from pipeline.measure.funnels import definition_of
from pipeline.state.partition import PartitionState
from schemas.plan_io import parse_plan

#: A cohort of an hour is final two hours after its end.
HOURLY = parse_plan(TEXT.replace("window: 7d", "window: 1h, bucket: hour"))
FIRST = T // HOUR * HOUR
W0, X1 = by_home("w", 0), by_home("x", 1)


def cohorts(log: Log) -> dict[int, list[int]]:
    """By hour since the first: users at the steps."""
    found = log.cluster.measures().funnels.items()
    return {(c.start - FIRST) // HOUR: cell.users for c, cell in found if c.breakdown == "" and any(cell.users)}


@pytest.mark.parametrize("user", [U0, U1])
def test_of_a_device_with_final_and_open_cohorts_the_open_ones_become_the_users(user: str) -> None:
    log = Log(HOURLY)
    log.send("look", T, device=D0)
    log.send("look", T + 6 * HOUR, device=D0)
    assert cohorts(log) == {0: [1, 0, 0], 6: [1, 0, 0]}
    log.send("look", T + 6 * HOUR + 1, user=user)
    log.send("join", T + 6 * HOUR + 2, user=user, device=D0)
    assert cohorts(log) == {0: [1, 0, 0], 6: [1, 1, 0]}


def test_what_is_final_where_the_user_lives_is_not_counted_there() -> None:
    """The device's partition is behind: there the cohort was open, so the device is not counted in it any more."""
    log = Log(HOURLY)
    log.send("look", T, device=D0)
    log.send("look", T + 2 * HOUR, device=D0)
    log.send("look", T + 4 * HOUR, user=U1)
    log.send("join", T + 2 * HOUR + MINUTE, user=U1, device=D0, p=1)  # late: it counts nothing, and links
    assert log.outcomes()["late"] == 1
    assert cohorts(log) == {2: [1, 0, 0], 4: [1, 0, 0]}


@pytest.mark.parametrize("ahead", [0, 3, 300])
def test_a_device_from_a_partition_that_is_ahead_ends_no_cohort_of_its_user(ahead: int) -> None:
    """There the cohort would be final by now; where the user lives it goes on."""
    log = Log(HOURLY)
    log.send("look", T, user=U1)
    log.send("look", T + ahead * HOUR, device=D0)
    log.send("rename", T + MINUTE, user=U1, device=D0)
    log.send("join", T + 2 * MINUTE, user=U1)
    log.send("buy", T + 3 * MINUTE, user=U1)
    assert cohorts(log) == ({0: [1, 1, 1]} if ahead == 0 else {0: [1, 1, 1], ahead: [1, 0, 0]})


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("new", [V0, V1])
def test_what_came_from_where_an_hour_was_over_is_not_taken_off_it(new: str, restarted: bool) -> None:
    """The device's partition is ahead: there the hour was over, so it counts the device; the day goes to the user."""
    log = Log()
    log.send("look", FIRST, device=D0)
    log.send("look", FIRST, user=X1)
    log.send("look", FIRST + 3 * HOUR, user=W0)
    log.send("join", FIRST + HOUR + MINUTE, user=U1, device=D0)
    assert (log.users(FIRST, "hour"), log.users()) == (2, 3)
    if restarted:
        for p in range(2):
            log.cluster.save(p)
            log.cluster.crash(p)
    log.send("rename", FIRST + HOUR + 2 * MINUTE, user=new, properties={"old": U1}, p=1)
    assert (log.users(FIRST, "hour"), log.users()) == (2, 3)
    assert log.users(FIRST + HOUR, "hour") == (1 if new == V1 else 0)  # nobody's, where that is over for the new id


@pytest.mark.parametrize(("lateness", "ahead"), [("1h", "5m"), ("1m", "5m"), ("1h", "3h"), ("1m", "1d")])
def test_as_long_as_a_minute_is_open_for_links_it_is_known_who_was_in_it(lateness: str, ahead: str) -> None:
    """However long after its day that is; a link finds the same whether what is over was forgotten or not yet."""
    plan = parse_plan(TEXT.replace("lateness: 1h", f"lateness: {lateness}\nmax_future: {ahead}"))
    end = DAY + 24 * HOUR
    over = end + max(plan.lateness, plan.max_future + 30 * MINUTE)
    for now, persons in ((over - 1, 1), (over, 2)):
        log = Log(plan)
        log.send("look", end - 1, device=D0)
        log.send("look", end - 1, user=U1)
        log.send("look", now, user=W0)
        for p, state in enumerate(log.cluster.states):
            log.cluster.save(p)
            log.cluster.publish(p)
            state.expire()
        log.send("join", now, user=U1, device=D0)
        assert log.cluster.published()["minute", end - MINUTE, "", ()] == (2, persons, 0)


@pytest.mark.parametrize(("session", "per"), [("s1", ""), ("", ", per: session")])
def test_a_step_for_a_funnel_of_the_other_kind_counts_nothing(session: str, per: str) -> None:
    plan = parse_plan(TEXT.replace("window: 7d", f"window: 7d{per}"))
    log = Log(plan)
    steps = [["joining", definition_of(plan.funnels["joining"], plan), "", session, [[T, 1, ""]]]]
    share = {"watermark": 0, "fields": [], "visits": [], "steps": steps}
    value = to_json({"id": "$device:d", "person": U0, "hops": 1, **share})
    log.cluster.write(0, value, [("streamgauge-handover", b"1:0:0")])
    log.cluster.drain()
    assert (log.outcomes(), log.funnel()) == ({"link": 1}, [0, 0, 0])


def test_a_state_of_before_there_were_persons_goes_on() -> None:
    """What it has counted of devices stays where a window counted it; a funnel has their steps, and hands them over."""
    log = Log(parse_plan(TEXT.replace("identity: {", "identity: {link: never, ")))
    log.send("look", T, device=D0)
    log.send("look", T, user=U1)
    for p in range(2):
        log.cluster.save(p)
        meta: dict[str, Any] = log.cluster.restorers[p].snapshot.meta
        # Outcomes that came later, and what only later versions note.
        meta["totals"] = meta["totals"][:6]
        del meta["gaps"], meta["clock"], meta["topic"]
    log.cluster.plan = parse_plan(TEXT)
    for p in range(2):
        log.cluster.crash(p)
    assert [type(state) for state in log.cluster.states] == [PartitionState] * 2
    assert (log.users(), log.funnel()) == (2, [2, 0, 0])
    log.send("join", T + MINUTE, user=U1, device=D0)
    assert (log.users(), log.funnel()) == (2, [1, 1, 0])
    log.send("look", T + 2 * MINUTE, device=D0)
    assert (log.users(T // MINUTE * MINUTE + 2 * MINUTE, "minute"), home_of(U1, 2)) == (1, 1)
    assert log.outcomes() == {"accepted": 4, "forwarded": 1, "link": 2}
