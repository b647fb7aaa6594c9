"""Each way in which ids meet has one answer (docs/identity.md): literal logs, and who is counted."""

from __future__ import annotations

from typing import Any

import pytest
from persons.cluster import Cluster, held, home_of
from pydantic_core import to_json

from pipeline.measure.funnels import CounterKey
from schemas.plan import Plan
from schemas.plan_io import parse_plan

T = 1_790_000_000_000  # 2026-09-21 14:13:20 UTC
DAY = 1_789_948_800_000
MINUTE, HOUR = 60_000, 3_600_000

TEXT = """
product: Test
lateness: 1h
dedupe: 1d
registration: join
dimensions: [platform]
identity: {shared_device: 3, alias: {event: rename, previous: properties.old}}
events: {look: {}, join: {}, buy: {}, rename: {properties: {old: string}}}
funnels:
  joining: {steps: [look, join, buy], window: 7d}
"""
PLAN = parse_plan(TEXT)


def by_home(prefix: str, partition: int, partitions: int = 2) -> str:
    """An id that lives in a partition."""
    return next(f"{prefix}{n}" for n in range(99) if home_of(f"{prefix}{n}", partitions) == partition)


D0, D1 = by_home("d", 0), by_home("d", 1)
U0, U1 = by_home("u", 0), by_home("u", 1)
V0, V1 = by_home("v", 0), by_home("v", 1)


class Log:
    """A cluster to send events to; every event is folded at once, unless told otherwise."""

    def __init__(self, plan: Plan = PLAN, partitions: int = 2) -> None:
        self.cluster = Cluster(plan, partitions)
        self._sent = 0

    def send(
        self, name: str, ts: int, *, fold: bool = True, event_id: str = "", p: int | None = None, **fields: Any
    ) -> None:
        """An event; `user` and `device` for short."""
        self._sent += 1
        event = {"event_id": event_id or f"e{self._sent}", "event": name, "ts": ts, "platform": "ios"}
        for short, field in (("user", "user_id"), ("device", "anonymous_id"), ("properties", "properties")):
            if short in fields:
                event[field] = fields[short]
        self.cluster.send(event, p)
        if fold:
            self.cluster.drain()

    def users(self, start: int = DAY, grain: str = "day") -> int:
        """Persons of a window."""
        rows = self.cluster.measures().activity.items()
        return round(sum(c.users for w, c in rows if (w.grain, w.start, w.dimension) == (grain, start, "")))

    def registrations(self) -> int:
        """Persons who registered on the day."""
        rows = self.cluster.measures().activity.items()
        return round(sum(c.registrations for w, c in rows if (w.grain, w.start, w.dimension) == ("day", DAY, "")))

    def funnel(self, start: int = DAY) -> list[int]:
        """Users at each step of the funnel, of the cohort of a day."""
        cohorts = self.cluster.measures().funnels.items()
        return next((cell.users for c, cell in cohorts if (c.start, c.breakdown) == (start, "")), [0, 0, 0])

    def outcomes(self) -> dict[str, int]:
        """Records by what became of them."""
        return self.cluster.outcomes()


@pytest.mark.parametrize(("device", "user"), [(D0, U0), (D0, U1), (D1, U0)])
def test_a_visitor_who_logs_in_is_one_person(device: str, user: str) -> None:
    log = Log()
    log.send("look", T, device=device)
    assert (log.users(), log.funnel()) == (1, [1, 0, 0])
    log.send("join", T + MINUTE, device=device, user=user)
    assert (log.users(), log.registrations(), log.funnel()) == (1, 1, [1, 1, 0])
    log.send("buy", T + 2 * MINUTE, user=user)
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])
    assert (log.users(T // MINUTE * MINUTE, "minute"), log.users(T // HOUR * HOUR, "hour")) == (1, 1)


def test_a_visitor_who_registers_without_an_account_registers_once() -> None:
    log = Log()
    log.send("join", T, device=D0)
    log.send("join", T + 1, device=D0, user=U1)
    assert (log.users(), log.registrations()) == (1, 1)


@pytest.mark.parametrize(("victim", "thief"), [(U0, V0), (U0, V1)])
def test_a_device_of_the_same_name_as_a_user_is_not_that_user(victim: str, thief: str) -> None:
    """Who sends another's user id as the id of a device gets nothing of what that user did."""
    log = Log()
    log.send("look", T, user=victim)
    log.send("look", T, device=victim)
    assert (log.users(), log.funnel()) == (2, [2, 0, 0])
    log.send("join", T + MINUTE, device=victim, user=thief)
    assert (log.users(), log.registrations(), log.funnel()) == (2, 1, [2, 1, 0])
    log.send("join", T + 2 * MINUTE, user=victim)
    log.send("buy", T + 3 * MINUTE, user=thief)
    assert (log.users(), log.registrations(), log.funnel()) == (2, 2, [2, 2, 1])


def test_a_device_that_is_called_as_its_user_is_that_users() -> None:
    log = Log()
    log.send("look", T, device=U0)
    log.send("join", T + MINUTE, device=U0, user=U0)
    log.send("look", T + 2 * MINUTE, device=U0)
    assert (log.users(), log.funnel()) == (1, [1, 1, 0])


def test_after_logging_out_the_device_is_still_the_users() -> None:
    log = Log()
    log.send("join", T, device=D0, user=U1)
    log.send("look", T + MINUTE, device=D0)
    log.send("join", T + 2 * MINUTE, device=D0, user=U1)
    assert (log.users(), log.funnel()) == (1, [1, 1, 0])
    assert log.outcomes() == {"accepted": 3, "forwarded": 1, "link": 1}


def test_a_shared_device_never_makes_two_users_one() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("join", T + 1, device=D0, user=U1)
    log.send("join", T + 2, device=D0, user=V1)
    log.send("look", T + 3, device=D0)  # the first user's, whoever it was
    assert (log.users(), log.registrations()) == (2, 2)
    assert log.funnel() == [1, 1, 0]


@pytest.mark.parametrize("first", [U1, V1])
def test_of_two_first_logins_the_one_whose_link_comes_first_has_the_device(first: str) -> None:
    """Into the partition of the device, whatever the events say of their times."""
    log = Log(partitions=3)
    log.send("look", T, device=D0)
    for n, user in enumerate((U1, V1)):
        log.send("join", T + 1 + n, device=D0, user=user, fold=False)
    log.cluster.fold(home_of(first, 3), 10)
    log.cluster.drain()
    log.send("buy", T + 3, user=first)
    assert (log.users(), log.funnel()) == (2, [1, 1, 1])


def test_a_device_of_too_many_users_is_nobodys_from_then_on() -> None:
    log = Log()
    log.send("look", T, device=D0)
    users = [f"{U1}-{n}" for n in range(4)]
    for n, user in enumerate(users):
        log.send("join", T + 1 + n, device=D0, user=user)
        expected = n + 1
        assert log.users() == expected
    log.send("look", T + 10, device=D0)
    log.send("look", T + 11, device=D0)
    assert log.users() == 5  # four users, and the device
    log.send("join", T + 12, device=D0, user=U1)
    assert log.users() == 6


def test_two_devices_of_one_user_are_one_person() -> None:
    log = Log()
    for device in (D0, D1):
        log.send("look", T, device=device)
    assert log.users() == 2
    for device in (D0, D1):
        log.send("join", T + 1, device=device, user=U0)
    assert (log.users(), log.funnel()) == (1, [1, 1, 0])


@pytest.mark.parametrize("user", [U0, U1])
def test_the_last_minutes_have_a_person_once_as_soon_as_the_link_is_known(user: str) -> None:
    """The event that links may be of before them: then nobody but the device was seen in them."""
    log = Log()
    log.send("look", T + 5 * MINUTE, device=D0)
    log.send("join", T, device=D0, user=user)
    for since, persons in ((T, 1), (T + 4 * MINUTE, 1), (T + 6 * MINUTE, 0)):
        active = [state.active_users(since // MINUTE * MINUTE) for state in log.cluster.states]
        assert round(sum(active)) == persons
        assert round(active[1]) == (persons if user == U1 else 0)


def test_a_login_before_any_anonymous_event() -> None:
    log = Log()
    log.send("join", T, device=D0, user=U1)
    log.send("look", T + 1, device=D0)
    log.send("join", T + 2, user=U1)
    assert (log.users(), log.funnel()) == (1, [1, 1, 0])


def test_a_link_that_arrives_days_later_changes_the_funnel_and_the_windows_that_are_open() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("join", T + MINUTE, user=U1)
    assert (log.users(), log.funnel()) == (2, [1, 0, 0])
    later = T + 5 * 24 * HOUR
    log.send("look", later, device=D0)
    log.send("buy", later + 1, device=D0, user=U1)
    assert log.users() == 2  # the day was over: it keeps what it said
    assert log.users(DAY + 5 * 24 * HOUR) == 1
    assert (log.funnel(), log.funnel(DAY + 5 * 24 * HOUR)) == ([1, 1, 1], [1, 0, 0])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("at_once", [True, False])
def test_in_any_order_and_twice(order: tuple[int, int, int], at_once: bool) -> None:
    log = Log()
    events: list[dict[str, Any]] = [
        {"name": "look", "ts": T, "device": D0, "event_id": "a"},
        {"name": "join", "ts": T + 1, "device": D0, "user": U1, "event_id": "b"},
        {"name": "buy", "ts": T + 2, "device": D0, "event_id": "c"},
    ]
    for n in (*order, *order):
        log.send(**events[n], fold=not at_once)
    log.cluster.drain()
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])
    assert log.outcomes()["accepted"] == 3


def test_a_link_in_a_record_that_is_late_or_a_duplicate_or_astray_links() -> None:
    for how in ("late", "duplicate", "astray"):
        log = Log()
        log.send("look", T, device=D0)
        log.send("look", T, device=D1)
        if how == "late":
            log.send("buy", T + 3 * HOUR, user=U1)
            log.send("join", T, device=D0, user=U1)
            assert log.outcomes()["late"] == 1
        elif how == "duplicate":
            log.send("join", T + 1, user=U1, event_id="same")
            log.send("join", T + 1, device=D0, user=U1, event_id="same")
            assert log.outcomes()["duplicate"] == 1
        else:
            log.send("join", T + 1, device=D0, user=U1, p=0)
            assert log.outcomes()["forwarded"] == 1
        assert log.users() == 2, how


def test_a_rejected_record_and_an_id_that_means_nobody_link_nothing() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("nothing", T + 1, device=D0, user=U1)
    log.send("join", T + 2, device="null", user=U1)
    assert (log.users(), log.outcomes()) == (2, {"accepted": 2, "rejected": 1})


def test_an_alias_makes_an_old_user_and_a_new_one_one_person() -> None:
    log = Log()
    log.send("look", T, device=D1)
    log.send("look", T + 1, device=D1, user=U0)  # the old id
    log.send("look", T + 2, user=U0)
    assert log.users() == 1
    log.send("rename", T + 3, user=V1, properties={"old": U0})
    assert log.users() == 1
    log.send("join", T + 4, user=U0)
    log.send("buy", T + 5, device=D1)  # by the device to the old id to the new one
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])


def test_an_alias_tells_a_device_and_an_old_user_in_one_record() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("look", T, user=V0)
    assert log.users() == 2
    log.send("rename", T + 3, user=U1, device=D0, properties={"old": V0})
    assert (log.users(), log.funnel()) == (1, [1, 0, 0])


def test_an_old_id_stays_the_first_new_ids_however_many_claim_it() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("look", T, user=V0)
    users = [f"{U1}-{n}" for n in range(6)]
    for n, user in enumerate(users):
        log.send("rename", T + MINUTE + n, user=user, properties={"old": V0})
    log.send("join", T + 2 * MINUTE, user=V0, device=D0)
    assert log.users(T // MINUTE * MINUTE, "minute") == 1
    assert log.users() == 6
    assert log.funnel() == [1, 1, 0]


def test_a_forged_person_keeps_no_later_login_from_linking() -> None:
    log = Log()
    log.send("look", T, device=D0)
    forged = {"event_id": "f", "event": "look", "ts": T, "user_id": U1, "anonymous_id": D0}
    log.cluster.write(1, to_json(forged), [("streamgauge-person", b"1:" + U1.encode())])
    log.cluster.drain()
    assert log.users() == 2
    log.send("join", T + 1, user=U1, device=D0)
    assert log.users() == 1


def test_a_forged_alias_links_nothing_where_the_plan_has_none() -> None:
    """A query would follow it, and nobody else: the events of users are not looked up there."""
    log = Log(parse_plan(TEXT.replace(", alias: {event: rename, previous: properties.old}", "")))
    alias = {"id": U0, "person": V1, "kind": "alias", "ts": T}
    log.cluster.write(0, to_json(alias), [("streamgauge-link", b"1")])
    log.cluster.drain()
    assert log.outcomes() == {"rejected": 1}


def test_a_circle_of_aliases_ends() -> None:
    log = Log()
    log.send("rename", T, user=U0, properties={"old": V1})
    log.send("rename", T + 1, user=V1, properties={"old": U0})
    for n in range(4):
        log.send("look", T + 2 + n, user=(U0, V1)[n % 2])
    assert log.outcomes()["accepted"] == 6


@pytest.mark.parametrize("at_once", [True, False])
def test_a_handover_that_is_written_twice_counts_once(at_once: bool) -> None:
    plan = parse_plan(TEXT.replace("window: 7d", "window: 7d, modes: [strict_deduplication]"))
    log = Log(plan)
    log.send("look", T, device=D0)
    log.send("join", T + 1, device=D0)
    log.cluster.save(0)
    log.send("look", T + 2, user=U1, device=D0, fold=False)
    log.cluster.fold(1, 10)
    log.cluster.fold(0, 10)
    if not at_once:
        log.cluster.drain()
    log.cluster.crash(0)  # it has handed over, and will again
    log.cluster.fold(0, 10)
    log.cluster.drain()
    handed = [r for r in log.cluster.logs[1] if r.headers and r.headers[0][0] == "streamgauge-handover"]
    assert len(handed) == 2
    log.send("buy", T + 3, user=U1)
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])  # a second `join` would have ended the chain


def test_a_duplicate_of_an_event_that_was_counted_before_the_link_is_one_after_it() -> None:
    log = Log()
    log.send("look", T, device=D0, event_id="once")
    log.send("join", T + 1, device=D0, user=U1)
    log.send("look", T, device=D0, event_id="once")
    log.send("look", T + 2, device=D0, event_id="again")
    log.send("look", T + 2, device=D0, event_id="again")
    assert log.outcomes() == {"accepted": 3, "duplicate": 2, "forwarded": 2, "link": 2}


def test_a_forged_origin_turns_no_event_of_a_linked_device_into_a_copy() -> None:
    log = Log()
    log.send("join", T, device=D0, user=U1)
    for n in range(3):
        event = {"event_id": f"f{n}", "event": "look", "ts": T + n, "anonymous_id": D0}
        log.cluster.write(0, to_json(event), [("streamgauge-origin", b"7:7")])
    log.cluster.drain()
    assert log.outcomes() == {"accepted": 4, "forwarded": 3, "link": 1}


@pytest.mark.parametrize("at_once", [True, False])
def test_of_what_was_sent_on_nothing_is_remembered_that_the_archive_does_not_hold(at_once: bool) -> None:
    """Who takes the partition over reads in the archive which origins came: records that were sent on are not there."""
    log = Log()
    log.send("look", T, device=D0, event_id="before")
    log.send("join", T, device=D0, user=U1)
    for event_id in ("sent on", "before"):
        event = {"event_id": event_id, "event": "look", "ts": T, "anonymous_id": D0}
        log.cluster.write(0, to_json(event), [("streamgauge-origin", b"7:7")])
        if not at_once:
            log.cluster.drain()
    log.cluster.drain()
    assert log.outcomes() == {"accepted": 3, "duplicate": 1, "forwarded": 1, "link": 2}


def in_funnels(log: Log) -> set[str]:
    """Of whom the funnels of the first partition keep something."""
    return {actor for _, entries in log.cluster.states[0].funnels.all_actors() for actor in held(entries)}


def test_what_a_device_has_left_is_forgotten_with_its_windows_and_with_a_link() -> None:
    log = Log()
    trails = log.cluster.states[0].persons.trails
    other = by_home("o", 0)
    log.send("look", T, device=D0)
    log.send("look", T, device=other)
    assert held(trails.entries).keys() == {f"$device:{D0}", f"$device:{other}"}
    assert in_funnels(log) == {f"$device:{D0}", f"$device:{other}"}
    log.send("join", T + 1, device=D0, user=U1)
    assert held(trails.entries).keys() == in_funnels(log) == {f"$device:{other}"}
    log.send("look", T + 72 * HOUR, user=U0)
    log.cluster.states[0].checkpoint()
    log.cluster.states[0].expire()
    assert held(trails.entries).keys() == {U0}  # with aliases, a user may turn out to be another


@pytest.mark.parametrize("user", [U0, U1])
def test_ids_are_somebody_each_where_the_plan_says_so(user: str) -> None:
    log = Log(parse_plan(TEXT.replace("identity: {", "identity: {link: never, ")))
    log.send("join", T, device=D0, user=user)
    log.send("look", T + 1, device=D0)
    log.send("join", T + 2, device=D0, user=user)
    assert (log.users(), log.funnel(), log.outcomes()) == (2, [1, 0, 0], {"accepted": 3})


def test_counters_of_somebody_who_moved_away_go_down() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("join", T + 1, device=D0, user=U1)
    rows = {row.value: row.users for row in log.cluster.states[0].funnels.rows(
        [CounterKey("joining", key.definition, "", key.bucket, key.value)
         for key in log.cluster.states[0].funnels.counter_keys()], 0)}  # fmt: skip
    assert rows == {"": (0, 0, 0)}
