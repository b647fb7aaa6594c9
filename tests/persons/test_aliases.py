"""Aliases in any order, in circles and long chains: what holds, what is refused; live, SQL and the rule agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persons.cluster import Cluster, figures, home_of, oracle_of
from persons.test_answers import D0, U0, U1, V0, V1, Log, T
from persons.test_laws import PLAN, START, agreed, run, steps
from pydantic_core import to_json

from pipeline.archiver.rows import ArchiveBatch
from pipeline.ingest.aliases import ALIASES, Aliases
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.validate import Validator
from pipeline.measure.windows import grains
from pipeline.replay import sql
from pipeline.replay.measures import Measures
from pipeline.state.disk import Disk

R = home_of(ALIASES, 2)


def renamed(*pairs: tuple[str, str]) -> Log:
    """A log in which each old id tells its new one, and then everybody looks once."""
    log = Log()
    for number, (old, new) in enumerate(pairs):
        log.send("rename", T + number, user=new, properties={"old": old})
    for number, user in enumerate(sorted({user for pair in pairs for user in pair})):
        log.send("look", T + 100 + number, user=user)
    return log


def told(log: Log) -> list[tuple[str, str, str]]:
    """What is stored of the aliases: old id, new id, what became of it."""
    found: list[tuple[str, str, str]] = []
    for p, records in enumerate(log.cluster.logs):
        classifier = PartitionClassifier(log.cluster.plan, Validator(log.cluster.plan), p, len(log.cluster.logs))
        batch = ArchiveBatch("s")
        if records:
            batch.add(p, classifier.classify(records))
        rows = zip(*batch.links, strict=True)
        found += [(one, person, outcome) for _, _, _, one, person, _, outcome, *_ in rows if outcome != "decided"]
    return sorted(found)


@pytest.mark.parametrize(
    ("pairs", "persons", "refused"),
    [
        ([("a", "b"), ("b", "a")], 1, [("b", "a")]),
        ([("a", "b"), ("b", "c"), ("c", "a")], 1, [("c", "a")]),
        ([("a", "b"), ("c", "d"), ("b", "c"), ("d", "a")], 1, [("d", "a")]),
        # An id may follow three others.
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")], 2, [("d", "e")]),
        ([("d", "e"), ("c", "d"), ("b", "c"), ("a", "b")], 2, [("a", "b")]),
        ([("a", "b"), ("c", "d"), ("d", "e"), ("b", "c")], 2, [("b", "c")]),
        ([("a", "b"), ("c", "d"), ("b", "c"), ("d", "e"), ("x", "b"), ("y", "x")], 3, [("d", "e"), ("y", "x")]),
        # A refused one stands in nobody's way.
        ([("a", "b"), ("b", "a"), ("b", "c")], 1, [("b", "a")]),
        ([("a", "b"), ("a", "c")], 2, [("a", "c")]),
        # Told again, it is the same.
        ([("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")], 1, [("b", "a")]),
        # Many old ids of one new one are no chain.
        ([("a", "f"), ("b", "f"), ("c", "f"), ("d", "f"), ("e", "f")], 1, []),
    ],
)
def test_an_alias_that_would_make_a_circle_or_too_long_a_chain_is_refused(
    pairs: list[tuple[str, str]], persons: int, refused: list[tuple[str, str]]
) -> None:
    log = renamed(*pairs)
    assert log.users() == persons
    linked = [pair for pair in dict.fromkeys(pairs) if pair not in refused]
    assert told(log) == sorted([(*pair, "linked") for pair in linked] + [(*pair, "refused") for pair in refused])


def test_a_device_before_three_aliases_belongs_to_the_last() -> None:
    log = renamed(("a", "b"), ("b", "c"), ("c", "d"))
    log.send("look", T + 200, user="a", device=D0)
    log.send("join", T + 201, device=D0)
    log.send("buy", T + 202, user="d")
    assert (log.users(), log.funnel()) == (1, [1, 1, 1])


@pytest.mark.parametrize("other", [0, 1])
def test_aliases_that_meet_at_the_same_moment_are_decided_in_one_order(other: int) -> None:
    """Each is right by itself where its old id lives, and neither home knows of the other yet."""
    log = Log()
    pairs = [(U0, U1), (U1, U0)]
    for user, old in pairs[:: 1 if other else -1]:
        log.send("rename", T, user=user, properties={"old": old}, fold=False)
    log.cluster.drain()
    log.send("look", T + 1, user=U0)
    log.send("look", T + 1, user=U1)
    assert log.users() == 1
    assert sorted(outcome for *_, outcome in told(log)) == ["linked", "refused"]


@pytest.mark.parametrize("old", [V0, V1])
@pytest.mark.parametrize("new", [U0, U1])
def test_an_alias_that_comes_as_a_record_to_its_old_id_is_decided_like_any_other(old: str, new: str) -> None:
    """As from the front door: it writes to where the old id lives."""
    log = Log()
    log.send("look", T, user=old)
    log.send("look", T, user=new)
    for one, other in ((old, new), (new, old)):
        alias = {"id": one, "person": other, "kind": "alias", "ts": T}
        log.cluster.write(home_of(one, 2), to_json(alias), [("streamgauge-link", b"1")])
        log.cluster.drain()
    assert log.users() == 1
    assert told(log) == sorted([(old, new, "linked"), (new, old, "refused")])


def test_an_alias_that_was_told_in_neither_place_is_rejected() -> None:
    old = V0 if R else V1
    log = Log()
    alias = {"id": old, "person": U0, "kind": "alias", "ts": T}
    log.cluster.write(R, to_json(alias), [("streamgauge-link", b"decided")])
    log.cluster.drain()
    assert log.outcomes() == {"rejected": 1}


def test_who_decides_forgets_nothing_in_a_crash() -> None:
    log = Log()
    log.send("rename", T, user="b", properties={"old": "a"})
    log.send("rename", T, user="c", properties={"old": "b"})
    for changed in (False, True):
        log.cluster.save(R)
        log.cluster.crash(R)
        log.cluster.rewrite(R)
        log.cluster.save(R)
        log.cluster.crash(R)
        if not changed:
            log.send("rename", T + 1, user="a", properties={"old": "c"})
    log.send("rename", T + 2, user="d", properties={"old": "c"})
    log.send("rename", T + 3, user="e", properties={"old": "d"})
    for number, user in enumerate("abcde"):
        log.send("look", T + 4 + number, user=user)
    assert log.users() == 2
    assert told(log) == [
        ("a", "b", "linked"), ("b", "c", "linked"), ("c", "a", "refused"), ("c", "d", "linked"), ("d", "e", "refused")
    ]  # fmt: skip


def test_of_one_old_id_so_many_refusals_are_noted_as_of_a_device() -> None:
    aliases = Aliases(limit=3)
    assert [aliases.claim("a", new) for new in ("b", "c", "d", "e", "c")] == [
        "linked",
        "refused",
        "refused",
        None,
        None,
    ]
    assert [aliases.claim("b", "a"), aliases.claim("b", "a")] == ["refused", None]


users = st.sampled_from(["u1", "u2", "u3", "u4", "u5", "u6", "u7"])


@st.composite
def renames(draw: Any) -> list[dict[str, Any]]:
    """People who rename each other in any direction, on a few devices: circles, stars, long chains."""
    found = []
    for number in range(draw(st.integers(2, 22))):
        user, device = draw(users), draw(st.sampled_from([None, None, "d1", "d2"]))
        event = {"event_id": f"e{number}", "event": "look", "ts": START + draw(st.integers(0, 20)) * 1_800_000}
        event |= {"user_id": user, "platform": draw(st.sampled_from(["ios", "web"])), "session_id": "s1"}
        if device is not None:
            event["anonymous_id"] = device
        kind = draw(st.integers(0, 9))
        if kind < 6:
            event |= {"event": "rename", "properties": {"old": draw(users)}}
        elif kind < 8:
            event["event"] = draw(st.sampled_from(["join", "buy"]))
        elif device is not None:
            del event["user_id"]
        found.append(event)
    return found


@settings(deadline=None, max_examples=settings.default.max_examples // 2)
@given(
    renames(), st.integers(1, 4), st.lists(steps, max_size=30), st.sets(st.integers(0, 30), max_size=3), st.booleans()
)
def test_live_is_the_rule_for_any_graph_of_aliases(
    log: list[dict[str, Any]], partitions: int, plan: list[tuple[int, int, str]], astray: set[int], on_disk: bool
) -> None:
    with TemporaryDirectory() as folder:
        cluster = Cluster(PLAN, partitions, (lambda p: Disk(Path(folder) / str(p))) if on_disk else None)
        run(cluster, log, plan, astray)
        oracle = agreed(cluster)
        # Nobody's way ends in the middle.
        assert all(nobodys or oracle.owners.get(one) is None for one, nobodys in {e.person for e in oracle.events})
        for disk in cluster.disks:
            if disk is not None:
                disk.close()


@settings(max_examples=settings.default.max_examples // 4)
@given(renames(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_who_takes_over_from_what_is_stored_decides_as_before(
    log: list[dict[str, Any]], partitions: int, rng: Any
) -> None:
    """An archiver reads the claims by offset, and of one record those that were linked first: many stand in one."""
    cluster = Cluster(PLAN, partitions)
    run(cluster, log, [], set())
    for p, records in enumerate(cluster.logs):
        going_on, restored = (PartitionClassifier(PLAN, Validator(PLAN), p, partitions) for _ in range(2))
        batch = ArchiveBatch("s")
        if records:
            batch.add(p, going_on.classify(records))
        rows = [(row[2], row[6], row[3], row[4], row[5]) for row in zip(*batch.links, strict=True)]
        rng.shuffle(rows)
        restored.restore_links([row[2:] for row in sorted(rows, key=lambda row: row[:2])])
        ids = [f"u{n}" for n in range(1, 8)]
        for one, other in product([*ids, "$device:d1", "$device:d2"], ids):
            assert restored.owners.of(one) == going_on.owners.of(one)
            assert restored.owners.is_shared(one) == going_on.owners.is_shared(one)
            assert restored.aliases.claim(one, other) == going_on.aliases.claim(one, other)
            assert restored.owners.claim(one, other) == going_on.owners.claim(one, other)


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[sql.Archive]:
    archive = sql.Archive()
    yield archive
    archive.close()


@settings(deadline=None, max_examples=settings.default.max_examples // 10)
@given(renames(), st.integers(1, 3), st.lists(steps, max_size=20))
def test_sql_is_the_rule_for_any_graph_of_aliases(
    archive: sql.Archive, log: list[dict[str, Any]], partitions: int, plan: list[tuple[int, int, str]]
) -> None:
    cluster = Cluster(PLAN, partitions)
    run(cluster, log, plan, set())
    archive.clear()
    for p, records in enumerate(cluster.logs):
        classifier = PartitionClassifier(PLAN, Validator(PLAN), p, partitions)
        for start in range(0, len(records), 5):
            archive.add(p, classifier.classify(records[start : start + 5]))
    found = Measures(PLAN)
    archive.measure(found, grains(PLAN.zone))
    assert figures(found) == oracle_of(PLAN, cluster.logs).figures()
