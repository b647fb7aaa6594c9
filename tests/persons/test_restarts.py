"""What partitions have told each other, after a restart; and what is published of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from persons.cluster import held, home_of
from persons.test_answers import D0, D1, DAY, HOUR, MINUTE, TEXT, U0, U1, V0, V1, Log, T, in_funnels
from pydantic_core import to_json

from schemas.plan_io import parse_plan

DEDUPLICATED = parse_plan(TEXT.replace("window: 7d", "window: 7d, modes: [strict_deduplication]"))


def saved(log: Log) -> None:
    for p in range(2):
        log.cluster.save(p)


def rewritten(log: Log) -> None:
    saved(log)
    for p in range(2):
        log.cluster.rewrite(p)
        log.cluster.save(p)


Save = Callable[[Log], None]


def restart(log: Log, save: Save) -> None:
    save(log)
    for p in range(2):
        log.cluster.crash(p)


@pytest.mark.parametrize("save", [saved, rewritten])
@pytest.mark.parametrize("user", [U0, U1])
def test_after_a_restart_a_device_is_still_its_users(save: Save, user: str) -> None:
    log = Log()
    log.send("join", T, device=D0)
    log.send("look", T + 1, device=D0, user=user)
    restart(log, save)
    assert (log.users(), log.registrations(), log.funnel()) == (1, 1, [1, 0, 0])
    log.send("look", T + MINUTE, device=D0)
    log.send("look", T + MINUTE, user=user)
    assert (log.users(), log.users(T // MINUTE * MINUTE + MINUTE, "minute")) == (1, 1)
    log.send("join", T + 2 * MINUTE, device=D0, user=V1)
    log.send("look", T + 3 * MINUTE, device=D0)
    assert (log.users(), log.registrations()) == (2, 2)


@pytest.mark.parametrize("save", [saved, rewritten])
def test_after_a_restart_a_device_that_was_counted_can_still_be_linked(save: Save) -> None:
    log = Log()
    log.send("look", T, device=D0)
    restart(log, save)
    log.send("join", T + 1, device=D0, user=U1)
    assert (log.users(), log.funnel()) == (1, [1, 1, 0])
    restart(log, save)
    log.send("buy", T + 1, user=U1)
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])
    log.send("rename", T + 2, user=V0, properties={"old": U1})
    restart(log, save)
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])


@pytest.mark.parametrize("save", [saved, rewritten])
def test_after_a_restart_a_handover_is_known_again(save: Save) -> None:
    log = Log(DEDUPLICATED)
    log.send("look", T, device=D0)
    log.send("join", T + 1, device=D0)
    log.send("look", T + 2, user=U1, device=D0)
    restart(log, save)
    handed = next(r for r in log.cluster.logs[1] if r.headers and r.headers[0][0] == "streamgauge-handover")
    log.cluster.write(1, handed.value or b"", handed.headers)
    log.cluster.drain()
    log.send("buy", T + 3, user=U1)
    assert log.funnel() == [1, 1, 1]


@pytest.mark.parametrize("save", [saved, rewritten])
def test_what_a_device_has_left_does_not_come_back_with_a_restart(save: Save) -> None:
    """Else a crash, and the link again, would hand the same over twice, or it would be kept for nobody."""
    log = Log()
    log.send("look", T, device=D0)
    save(log)
    log.send("join", T + 1, device=D0, user=U1)
    restart(log, saved)
    trails: dict[str, Any] = held(log.cluster.states[0].persons.trails.entries)
    assert f"$device:{D0}" not in trails
    assert in_funnels(log) == set()


def test_marks_of_handovers_are_forgotten_with_their_horizon() -> None:
    log = Log()
    for n in range(12):
        log.send("look", T + n * 24 * HOUR, user=U0)
        value = to_json({"id": "$device:d", "person": U0, "hops": 1, "watermark": 0, "fields": [], "visits": [],
                         "steps": []})  # fmt: skip
        log.cluster.write(0, value, [("streamgauge-handover", b"1:%d:0" % n)])
        log.cluster.drain()
    assert len(log.cluster.states[0].persons.taken) <= 4


def test_what_was_handed_over_is_saved_though_nothing_else_has_changed() -> None:
    log = Log()
    log.send("look", T, device=D1)
    log.send("look", T, user=V1)
    log.send("join", T + 10 * MINUTE, device=D1, user=U0, fold=False)
    log.cluster.fold(0, 10)
    log.cluster.save(0)
    log.cluster.fold(1, 10)
    log.cluster.fold(0, 10)
    log.cluster.save(0)
    log.cluster.crash(0)
    log.send("buy", T + 11 * MINUTE, user=U0)
    assert log.funnel() == [2, 1, 1]
    log.send("rename", T + 20 * MINUTE, user=V1, properties={"old": U0})
    assert log.users(T // MINUTE * MINUTE, "minute") == 1


def test_sessions_go_from_the_device_to_the_old_id_and_on_to_the_new_one() -> None:
    funnel = "  visits: {steps: [look, join], window: 1h, per: session}\n"
    log = Log(parse_plan(TEXT.replace("  joining:", f"{funnel}  joining:")))

    def send(number: int, name: str, session: str, **ids: str) -> None:
        log.cluster.send({"event_id": f"s{number}", "event": name, "ts": T + number, "session_id": session, **ids})
        log.cluster.drain()

    send(0, "look", "s1", anonymous_id=D1)
    send(1, "look", "s2", user_id=U0)
    send(2, "look", "s3", user_id=U0, anonymous_id=D1)
    log.send("rename", T + 3, user=V1, properties={"old": U0})
    send(4, "join", "s1", user_id=V1)
    send(5, "join", "s2", anonymous_id=D1)
    cohorts = log.cluster.measures().funnels.items()
    assert [cell.users for c, cell in cohorts if c.funnel == "visits" and any(cell.users)] == [[3, 2]]


# -- what is published ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [U0, U1])
def test_a_link_publishes_what_it_changes(user: str) -> None:
    log = Log()
    log.send("join", T, device=D0)
    log.send("look", T, device=D0)
    log.cluster.published()
    log.send("look", T + HOUR, device=D0, user=user)
    for p, state in enumerate(log.cluster.states):
        activity, _, _ = state.changed_rows(T)
        versions = {row.version for row in activity if (row.grain, row.start) == ("minute", T // MINUTE * MINUTE)}
        assert versions == ({state.position} if p in (0, home_of(user, 2)) else set())
        state.publish_again()
    found = log.cluster.published()
    windows = {key: figures for key, figures in found.items() if key[0] == "day" and key[2] == ""}
    assert list(windows.values()) == [(3, 1, 1)]
    assert found["joining", DAY, "", ""][0] == [1, 1, 0]


def test_a_row_that_was_published_before_a_crash_is_overtaken_by_other_batches() -> None:
    """One batch has the handover to a user and the alias of that user, where there were two before the crash."""
    log = Log()
    log.send("look", T, device=D0)
    log.send("look", T, user=V0)
    log.send("join", T + MINUTE, device=D0, user=U1, fold=False)
    log.cluster.fold(1, 10)
    log.cluster.fold(0, 10)  # hands over to the user
    log.send("rename", T + 2 * MINUTE, user=V0, properties={"old": U1}, fold=False)
    log.cluster.fold(0, 10)  # tells of the alias
    log.cluster.save(1)
    log.cluster.fold(1, 1)
    log.cluster.publish(1)
    log.cluster.crash(1)
    log.cluster.drain()
    found = log.cluster.published()
    minutes = {key[1]: figures[1] for key, figures in found.items() if key[0] == "minute" and key[2] == ""}
    first = T // MINUTE * MINUTE
    assert minutes == {first: 1, first + MINUTE: 1, first + 2 * MINUTE: 1}
