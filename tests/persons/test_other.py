"""A dimension with more values than have places, and persons who come and go by links: who is counted where."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persons.cluster import Cluster
from persons.test_answers import D1, MINUTE, TEXT, U0, V0, V1, Log, T, by_home
from pydantic_core import to_json

from pipeline.measure.activity import OTHER
from pipeline.measure.windows import bounds, grains
from pipeline.state.disk import Disk
from schemas.plan import Plan
from schemas.plan_io import parse_plan

#: Two values of a window have places, and links bring to two.
PLAN = parse_plan(TEXT + "max_values: 2\n")
W0, X0, Y0 = (by_home(name, 0) for name in "wxy")

Counted = dict[tuple[int, str], int]


def look(log: Log, platform: str, minute: int = 0, **ids: str) -> None:
    """An event of that platform."""
    number = sum(map(len, log.cluster.logs))
    event = {"event_id": f"l{number}", "event": "look", "ts": T + minute * MINUTE, "platform": platform, **ids}
    log.cluster.send(event)
    log.cluster.drain()


def counted(log: Log, figure: str = "users") -> Counted:
    """By partition and value, a figure of the day."""
    return {
        (p, *key.value): number
        for p, state in enumerate(log.cluster.states)
        for key, found in state.activity.accumulators.items()
        if (key.grain, key.dimension) == ("day", "platform")
        if (number := round(found.figures()[0] if figure == "users" else found.events))
    }


def restarted(log: Log) -> None:
    for p in range(2):
        log.cluster.save(p)
        log.cluster.crash(p)


Between = pytest.mark.parametrize("between", [lambda log: None, restarted], ids=["", "restarted"])


@Between
def test_who_was_brought_to_a_value_leaves_that_value(between: Callable[[Log], None]) -> None:
    """And nobody of those who are counted together goes instead."""
    log = Log(PLAN)
    look(log, "c", anonymous_id=D1)
    for platform, user in (("a", W0), ("b", X0), ("d", Y0)):
        look(log, platform, user_id=user)
    look(log, "a", user_id=U0, anonymous_id=D1)
    assert counted(log) == {(0, "a"): 2, (0, "b"): 1, (0, "(other)"): 1, (0, "c"): 1}
    between(log)
    log.send("rename", T, user=V1, properties={"old": U0})  # ios
    assert counted(log) == {
        (0, "a"): 1, (0, "b"): 1, (0, "(other)"): 1, (1, "a"): 1, (1, "c"): 1, (1, "ios"): 1,
    }  # fmt: skip


@Between
def test_who_was_brought_where_no_place_was_left_leaves_those_that_are_counted_together(
    between: Callable[[Log], None],
) -> None:
    log = Log(PLAN)
    devices = {"a": by_home("a", 1), "b": by_home("b", 1), "c": by_home("c", 1)}
    for platform, device in devices.items():
        look(log, platform, anonymous_id=device)
    look(log, "c", user_id=W0)
    for device in devices.values():
        look(log, "c", user_id=U0, anonymous_id=device)
    assert counted(log) == {(0, "a"): 1, (0, "b"): 1, (0, "c"): 2, (0, "(other)"): 1}
    between(log)
    log.send("rename", T, user=V1, properties={"old": U0})
    assert {key: n for key, n in counted(log).items() if key[0] == 0} == {(0, "c"): 1}


@Between
def test_who_is_counted_by_a_value_and_together_leaves_both(between: Callable[[Log], None]) -> None:
    log = Log(PLAN)
    look(log, "c", anonymous_id=D1)
    for platform, user in (("a", W0), ("b", X0)):
        look(log, platform, user_id=user)
    look(log, "c", user_id=U0)
    look(log, "c", user_id=U0, anonymous_id=D1)
    assert counted(log) == {(0, "a"): 1, (0, "b"): 1, (0, "(other)"): 1, (0, "c"): 1}
    between(log)
    log.send("rename", T, user=V1, properties={"old": U0})
    assert counted(log) == {(0, "a"): 1, (0, "b"): 1, (1, "c"): 1, (1, "ios"): 1}
    assert counted(log, "events") == {(0, "a"): 1, (0, "b"): 1, (0, "(other)"): 2, (1, "c"): 1, (1, "ios"): 1}


def test_who_is_brought_to_a_value_of_a_minute_is_not_counted_with_the_others_of_its_hour() -> None:
    """A value may have a place in its minute and none in its hour, which takes in what the minute's events have."""
    log = Log(PLAN)
    look(log, "a", user_id=W0)
    look(log, "b", user_id=X0)
    look(log, "c", minute=1, user_id=V0)
    renamed = {"event_id": "r", "event": "rename", "ts": T, "platform": "a", "user_id": Y0, "properties": {"old": V0}}
    log.cluster.send(renamed)
    log.cluster.drain()
    assert counted(log) == {(0, "a"): 2, (0, "b"): 1, (0, "c"): 1}
    look(log, "c", minute=1, user_id=W0)
    assert counted(log) == {(0, "a"): 2, (0, "b"): 1, (0, "c"): 1, (0, "(other)"): 1}


# -- any of them ---------------------------------------------------------------------------------------------------


class Places:
    """Who is counted where in one partition, said as sets: no sketches, one record at a time, nobody's batches."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        #: By window: the values that have places of their own, by events and by links.
        self.values: dict[tuple[bool, str, int], list[str]] = {}
        #: Where an id is counted now, and where its events were by value.
        self.where: dict[str, set[tuple[str, int, str]]] = {}
        self.visits: dict[str, list[tuple[int, str]]] = {}

    def put(self, one: str, ts: int, value: str, *, by_link: bool) -> None:
        """Count an id by an event of its own, or by a link."""
        for grain in grains(self.plan.zone):
            start, _ = bounds(grain, ts, self.plan.zone)
            placed = self.values.setdefault((by_link, grain, start), [])
            if value not in placed and len(placed) < self.plan.max_values:
                placed.append(value)
            self.where.setdefault(one, set()).add((grain, start, value if value in placed else OTHER[0]))
        self.visits.setdefault(one, []).append((ts, value))

    def link(self, one: str, person: str) -> None:
        """Count an id as somebody else."""
        self.where.pop(one, None)
        visits = dict.fromkeys((ts // MINUTE * MINUTE, value) for ts, value in sorted(self.visits.pop(one, ())))
        for visit in visits:
            self.put(person, *visit, by_link=True)

    def users(self) -> dict[tuple[str, int, str], int]:
        """Persons by window and value."""
        found: dict[tuple[str, int, str], int] = {}
        for places in self.where.values():
            for place in places:
                found[place] = found.get(place, 0) + 1
        return found


ALL = parse_plan(TEXT.replace("lateness: 1h", "lateness: 90d") + "max_values: 2\n")
_PEOPLE = ["u0", "u1", "u2", "u3", "$device:d0", "$device:d1", "$device:d2"]


@st.composite
def stories(draw: Any) -> list[tuple[str, int, str, str]]:
    """Somebody looks (id, minute, platform, ""), or belongs to a user from now on (id, 0, "", user); no circles."""
    found = []
    for _ in range(draw(st.integers(4, 30))):
        one = draw(st.sampled_from(_PEOPLE))
        users = [user for user in _PEOPLE[:4] if user < one or one.startswith("$")]
        if users and draw(st.integers(0, 2)) == 0:
            found.append((one, 0, "", draw(st.sampled_from(users))))
        else:
            found.append((one, draw(st.sampled_from([0, 1, 50])), draw(st.sampled_from("abcd")), ""))
    return found


@pytest.mark.parametrize("store", ["memory", "disk"])
@settings(max_examples=settings.default.max_examples // 2)
@given(stories(), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.sets(st.integers(0, 8)))
def test_whoever_comes_and_goes_is_counted_where_the_rule_says(
    store: str, story: list[tuple[str, int, str, str]], batches: list[int], crashes: set[int]
) -> None:
    with TemporaryDirectory() as folder:
        cluster = Cluster(ALL, 1, (lambda p: Disk(Path(folder) / "state")) if store == "disk" else None)
        rule, owners = Places(ALL), dict[str, str]()

        def person(one: str) -> str:
            return person(owners[one]) if one in owners else one

        for number, (one, minute, platform, user) in enumerate(story):
            plain = one.removeprefix("$device:")
            if user:
                claim = {"id": plain, "person": user, "kind": "alias" if plain == one else "login", "ts": T}
                cluster.write(0, to_json(claim), [("streamgauge-link", b"1")])
                if one not in owners:
                    owners[one] = user
                    rule.link(one, person(user))
                continue
            event = {"event_id": f"e{number}", "event": "look", "ts": T + minute * MINUTE, "platform": platform}
            cluster.write(0, to_json(event | {"user_id" if plain == one else "anonymous_id": plain}))
            rule.put(person(one), T + minute * MINUTE, platform, by_link=False)
        turns = cycle(batches)
        for number in count():
            if cluster.states[0].position == len(story):
                break
            cluster.fold(0, next(turns))
            if number in crashes:
                cluster.save(0)
                cluster.crash(0)
        accumulators = cluster.states[0].activity.accumulators
        found = {
            (key.grain, key.start, *key.value): users
            for key, accumulator in accumulators.items()
            if key.dimension and (users := round(accumulator.figures()[0]))
        }
        cluster.states[0].activity.close()
    assert found == rule.users()
