"""What partitions tell each other, piece by piece: when it is told, what is closed by then, and what is not ours."""

from __future__ import annotations

from itertools import pairwise

import pytest
from persons.cluster import figures, held
from persons.test_answers import D0, D1, DAY, HOUR, MINUTE, TEXT, U0, U1, V0, V1, Log, T, by_home
from pydantic_core import to_json

from pipeline.ingest.links import read_links
from pipeline.measure.activity import OTHER
from schemas.plan_io import parse_plan

HOUR_OF_T = T // HOUR * HOUR
W0, X0 = by_home("w", 0), by_home("x", 0)


def by_value(log: Log, dimension: str = "platform", figure: str = "users") -> dict[str, int]:
    """A figure of the day by the values of a dimension, without nothing."""
    rows = log.cluster.measures().activity.items()
    found: dict[str, int] = {}
    for w, c in rows:
        if (w.grain, w.start, w.dimension) == ("day", DAY, dimension):
            found[" ".join(w.value)] = round(getattr(c, figure))
    return {value: count for value, count in found.items() if count}


# -- what was closed when the link came ---------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_closed_at_the_device_is_not_counted_again_at_the_user(at_once: bool) -> None:
    """The user's partition is behind: there the hour is open yet."""
    log = Log()
    log.send("look", T, device=D0, fold=not at_once)
    log.send("look", T + 3 * HOUR, user=W0, fold=not at_once)
    log.send("join", T + 50 * MINUTE, device=D0, user=U1, fold=not at_once)
    if at_once:
        log.cluster.fold(1, 10)  # the letter comes into the batch that closes the hour
    log.cluster.drain()
    assert log.users(HOUR_OF_T, "hour") == 1
    assert log.users() == 2


@pytest.mark.parametrize("at_once", [True, False])
def test_a_closed_hour_keeps_the_device_beside_its_user(at_once: bool) -> None:
    log = Log()
    log.send("look", T, user=U1)
    log.send("look", T, device=D0, fold=not at_once)
    log.send("look", T + 3 * HOUR, user=W0, fold=not at_once)
    log.send("join", T + 2 * HOUR, device=D0, user=U1, p=1, fold=not at_once)
    if at_once:
        log.cluster.fold(1, 10)
    log.cluster.drain()
    assert log.users(HOUR_OF_T, "hour") == 2  # as it was said when the hour closed
    assert log.users() == 2  # of the day, which is open: the user, and the one of later


def test_a_final_cohort_keeps_the_device_and_its_user_begins_none_there() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("look", T + 10 * 24 * HOUR, user=W0)
    log.send("join", T + HOUR, device=D0, user=U1)  # of a partition that is behind
    log.send("buy", T + 2 * HOUR, user=U1)
    assert log.funnel() == [1, 0, 0]


def test_a_day_later_the_device_is_still_known_where_the_day_is_open() -> None:
    log = Log()
    log.send("look", DAY, device=D0)
    log.send("look", DAY + 23 * HOUR, user=W0)
    for state in log.cluster.states:
        state.checkpoint()
        state.expire()
    log.send("join", DAY + 23 * HOUR, device=D0, user=U1)
    assert log.users() == 2


def test_of_many_minutes_those_that_are_closed_are_known_by_their_hour() -> None:
    log = Log()
    first = T // HOUR * HOUR
    for n in range(36):
        log.send("look", first + n * 5 * MINUTE, device=D0)
    for n in range(3):
        log.send("look", first + n * HOUR, user=U1)
    log.send("join", first + 3 * HOUR, device=D0, user=U1)
    assert [log.users(first + n * HOUR, "hour") for n in range(4)] == [2, 1, 1, 1]  # one had closed
    assert log.users() == 1


def test_a_long_timeline_is_handed_over_to_its_end() -> None:
    log = Log()
    for n in range(130):
        log.send("look", T + n, device=D0, fold=False)
    log.send("join", T + 200, device=D0)
    log.send("look", T + 300, device=D0, user=U1)
    log.send("buy", T + 400, user=U1)
    assert log.funnel() == [1, 1, 1]


# -- several in one ------------------------------------------------------------------------------------------------


def test_one_record_that_links_two_ids_hands_both_over() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("look", T + MINUTE, user=V0)
    log.send("rename", T + 2 * MINUTE, user=U1, properties={"old": U0})
    assert log.users() == 3
    log.send("rename", T + 3 * MINUTE, user=U0, device=D0, properties={"old": V0})
    assert log.users() == 1
    assert [log.users(T // MINUTE * MINUTE + n * MINUTE, "minute") for n in range(4)] == [1, 1, 1, 1]
    assert log.funnel() == [1, 0, 0]


def test_devices_that_become_shared_within_one_batch() -> None:
    log = Log()
    log.send("look", T, device=D0, fold=False)
    for n, user in enumerate((U0, V0, W0, X0)):
        log.send("join", T + 1 + n, device=D0, user=user, fold=False)
    log.send("look", T + 10, device=D0, fold=False)
    log.cluster.fold(0, 100)
    log.cluster.drain()
    assert log.users() == 5
    state = log.cluster.states[0]
    assert not [one for one in held(state.persons.trails.entries) if one.startswith("$device:")]


@pytest.mark.parametrize("at_once", [True, False])
def test_an_event_that_is_sent_on_makes_no_other_a_duplicate(at_once: bool) -> None:
    log = Log()
    log.send("join", T, device=D0, user=U1)
    for event_id, device in (("a", D0), ("a", W0), ("b", W0), ("b", D0)):
        log.send("look", T, device=device, event_id=event_id, p=0, fold=not at_once)
    log.cluster.drain()
    assert log.outcomes() == {"accepted": 4, "duplicate": 1, "forwarded": 1, "link": 1}


def test_a_long_history_comes_in_parts_and_whole() -> None:
    log = Log(parse_plan(TEXT.replace("lateness: 1h", "lateness: 30d")))
    platforms = [f"{n}-{'x' * 200}" for n in range(2000)]
    for n, platform in enumerate(platforms):
        event = {"event_id": f"p{n}", "event": "rename", "ts": T + n * MINUTE, "anonymous_id": D0, "platform": platform}
        log.cluster.write(0, to_json(event | {"properties": {"old": "-1"}}))
    log.cluster.drain()
    log.send("join", T, device=D0, user=U1)
    letters = [r for r in log.cluster.logs[1] if r.headers and r.headers[0][0] == "streamgauge-handover"]
    assert len(letters) > 1
    assert max(len(letter.value or b"") for letter in letters) < 500_000
    found = log.cluster.measures().activity
    minutes = [c for w, c in found.items() if (w.grain, w.dimension) == ("minute", "")]
    assert (len(minutes), {round(c.users) for c in minutes}) == (2000, {1})


def test_many_steps_of_long_values_come_in_parts_and_whole() -> None:
    funnel = "window: 7d, attribution: last, breakdown: [platform]"
    log = Log(parse_plan(TEXT.replace("window: 7d", funnel).replace("dimensions: [platform]", "")))
    log.send("look", T, device=D0)
    for n in range(450):
        event = {"event_id": f"p{n}", "event": "look", "ts": T + 1 + n, "anonymous_id": D0}
        log.cluster.write(0, to_json(event | {"platform": f"{n:03}{'🙂' * 250}"}))
    log.send("join", T + 1000, device=D0, user=U1)
    letters = [r for r in log.cluster.logs[1] if r.headers and r.headers[0][0] == "streamgauge-handover"]
    assert len(letters) > 1
    assert max(len(letter.value or b"") for letter in letters) < 450_000
    log.send("buy", T + 2000, user=U1)
    assert log.funnel() == [1, 1, 1]


def test_what_is_handed_to_an_old_id_goes_on_to_the_new_one() -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("rename", T + MINUTE, user=V0, properties={"old": U1})
    log.send("join", T + 2 * MINUTE, device=D0, user=U1)
    assert (log.users(), log.funnel()) == (1, [1, 1, 0])


# -- registrations and values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [U0, U1])
def test_who_registered_before_the_login_has_registered(user: str) -> None:
    log = Log()
    log.send("join", T, device=D0)
    log.send("look", T + 1, device=D0)
    log.send("look", T + MINUTE, device=D0, user=user)
    assert (log.users(), log.registrations(), by_value(log, figure="registrations")) == (1, 1, {"ios": 1})
    log.send("join", T + 2 * MINUTE, user=user)
    assert log.registrations() == 1


def test_a_registration_stays_one_by_an_alias() -> None:
    log = Log()
    log.send("join", T, user=U0)
    log.send("look", T + 1, device=D1)
    log.send("look", T + 2, device=D1, user=U0)
    log.send("join", T + 3, user=V1)
    log.send("rename", T + 4, user=V1, properties={"old": U0})
    assert (log.users(), log.registrations()) == (1, 1)


@pytest.mark.parametrize("restarted", [False, True])
def test_what_an_old_id_took_over_goes_on_with_it(restarted: bool) -> None:
    log = Log()
    log.send("look", T, device=D1)
    log.send("look", T, user=V1)
    log.send("join", T + 10 * MINUTE, device=D1, user=U0)
    if restarted:
        log.cluster.save(0)
        log.cluster.crash(0)
    log.send("rename", T + 20 * MINUTE, user=V1, properties={"old": U0})
    assert log.users(T // MINUTE * MINUTE, "minute") == 1


def test_values_beyond_the_most_are_counted_together_for_the_device_and_by_themselves_for_the_user() -> None:
    log = Log(parse_plan(TEXT + "max_values: 2\n"))

    def look(number: int, platform: str, p: int, **ids: str) -> None:
        event = {"event_id": f"m{number}", "event": "look", "ts": T, "platform": platform, **ids}
        log.cluster.write(p, to_json(event))
        log.cluster.drain()

    look(0, "a", 0, anonymous_id=W0)
    look(1, "b", 0, anonymous_id=X0)
    look(2, "c", 0, anonymous_id=D0)
    assert by_value(log) == {"a": 1, "b": 1, OTHER[0]: 1}
    log.send("look", T, device=D0, user=U1)  # ios
    assert by_value(log) == {"a": 1, "b": 1, "c": 1, "ios": 1}
    look(3, "d", 1, user_id=U1)
    look(4, "c", 1, user_id=V1)  # a value that a link has brought has no place of its own
    assert by_value(log, figure="events") == {"a": 1, "b": 1, "d": 1, "ios": 1, OTHER[0]: 2}


@pytest.mark.parametrize("restarted", [False, True])
def test_links_bring_to_as_many_values_as_may_be_and_the_others_together(restarted: bool) -> None:
    """Devices of a dimension with ever new values, or a forged handover: no window outgrows what it may hold."""
    log = Log(parse_plan(TEXT.replace("dimensions: [platform]", "dimensions: [platform]\nmax_values: 2")))
    for number, user in enumerate([U0, U0, V0, U0, V0]):
        share = {"fields": ["platform"], "visits": [[T // MINUTE, [f"p{number}"], False]], "steps": []}
        value = to_json({"id": f"$device:d{number}", "person": user, "hops": 1, "watermark": 0, **share})
        log.cluster.write(0, value, [("streamgauge-handover", b"1:%d:0" % number)])
        log.cluster.drain()
        if restarted:
            log.cluster.save(0)
            log.cluster.crash(0)
    assert by_value(log) == {"p0": 1, "p1": 1, OTHER[0]: 2}
    log.send("look", T, user=V0)  # events have their own places
    assert by_value(log) == {"p0": 1, "p1": 1, "ios": 1, OTHER[0]: 2}


def test_which_values_links_bring_to_does_not_depend_on_batches() -> None:
    """Minutes have place where their hour has none, and events of the same values come in between."""
    found = []
    for at_once in (1, 2, 3, 100):
        log = Log(parse_plan(TEXT.replace("dimensions: [platform]", "dimensions: [platform]\nmax_values: 2")))
        for number in range(12):
            user, platform, minute = (U0, V0)[number % 2], f"p{number % 5}", T // MINUTE + number % 4
            share = {"fields": ["platform"], "visits": [[minute, [platform], number % 3 == 0]], "steps": []}
            value = to_json({"id": f"$device:d{number}", "person": user, "hops": 1, "watermark": 0, **share})
            log.cluster.write(0, value, [("streamgauge-handover", b"1:%d:0" % number)])
            event = {"event_id": f"e{number}", "event": "look", "ts": minute * MINUTE, "user_id": (V0, U0)[number % 2]}
            log.cluster.write(0, to_json(event | {"platform": f"p{number * 2 % 5}"}))
        while log.cluster.states[0].position < len(log.cluster.logs[0]):
            log.cluster.fold(0, at_once)
            log.cluster.publish(0)
        found.append(figures(log.cluster.measures()))
    assert found[1:] == found[:1] * 3
    hours = {key[3]: figure[1] for key, figure in found[0].items() if key[0] == "hour" and key[2] == "platform"}
    assert hours.keys() == {("p0",), ("p1",), ("p2",), OTHER}


def test_values_of_a_plan_with_other_dimensions() -> None:
    log = Log()
    share = {"fields": ["channel", "platform"], "visits": [(T // MINUTE, ["mail", "web"], False)], "steps": []}
    value = to_json({"id": "$device:d", "person": U0, "hops": 1, "watermark": 0, **share})
    log.cluster.write(0, value, [("streamgauge-handover", b"1:0:0")])
    log.cluster.drain()
    assert by_value(log) == {"web": 1}


# -- what is not ours ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "header", "outcome"),
    [
        (0, b"1:0:0", "link"),
        (1, b"1:0:0", "rejected"),
        (0, b"1:0", "rejected"),
        (0, b"", "rejected"),
        (0, None, "rejected"),
        (0, b"01:0:0", "rejected"),
    ],
)
def test_a_handover_counts_where_its_person_lives_and_by_its_header(p: int, header: bytes | None, outcome: str) -> None:
    log = Log()
    share = {"fields": ["platform"], "visits": [(T // MINUTE, ["web"], False)], "steps": []}
    value = to_json({"id": "$device:d", "person": U0, "hops": 1, "watermark": 0, **share})
    log.cluster.write(p, value, [("streamgauge-handover", header)])
    log.cluster.drain()
    assert (log.outcomes(), log.users()) == ({outcome: 1}, int(outcome == "link"))


@pytest.mark.parametrize(("p", "outcome"), [(0, "link"), (1, "rejected")])
def test_a_link_counts_where_its_device_lives(p: int, outcome: str) -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.cluster.write(p, to_json({"id": D0, "person": U1, "kind": "login", "ts": T}), [("streamgauge-link", b"1")])
    log.cluster.drain()
    log.send("look", T, user=U1)
    assert log.outcomes()[outcome] == 1 + (outcome == "link")
    assert log.users() == (1 if outcome == "link" else 2)


@pytest.mark.parametrize(("links", "people"), [(4, 1), (5, 2)])
def test_four_links_are_followed(links: int, people: int) -> None:
    log = Log()
    users = [by_home(name, n % 2) for n, name in enumerate(("e", "f", "g", "h", "k")[:links])]
    log.send("join", T, device=D0, user=users[0])
    for old, new in pairwise(users):
        log.send("rename", T, user=new, properties={"old": old})
    log.send("look", T + 9 * HOUR, device=D0)
    log.send("look", T + 9 * HOUR, user=users[-1])
    assert log.users((T + 9 * HOUR) // HOUR * HOUR, "hour") == people


# -- how often it is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_a_link_is_told_once_however_many_events_say_it(at_once: bool) -> None:
    log = Log()
    for n in range(5):
        log.send("look", T + n, device=D0, user=U1, p=1, fold=not at_once)
    for n in range(5):
        log.send("look", T + 10 + n, device=X0, user=U1, p=1, fold=not at_once)
        log.send("look", T + 20 + n, device=D0, user=U1, p=1, fold=not at_once)
    log.cluster.drain()
    found = [claim for record in log.cluster.logs[0] for claim in read_links(record.value, aliases=False)]
    assert [claim.id for claim in found] == [f"$device:{D0}", f"$device:{X0}"]
    assert len(log.cluster.logs[0]) == (1 if at_once else 2)  # those of one batch go together


@pytest.mark.parametrize("at_once", [True, False])
def test_a_link_is_told_where_its_user_lives_though_it_came_elsewhere_before(at_once: bool) -> None:
    log = Log()
    log.send("look", T, device=D0, user=U1, p=0, fold=not at_once)
    log.send("look", T + 1, device=D0, fold=not at_once)
    log.cluster.drain()
    log.send("look", T + 2, device=D0, user=U1, p=1, fold=not at_once)
    log.cluster.drain()
    assert log.users() == 1
    headers = [name for record in log.cluster.logs[0] for name, _ in record.headers]
    assert headers == ["streamgauge-link"]
