"""SQL counts the same persons as the fold: every window and funnel, over partitions that write to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persons.cluster import Cluster, figures, oracle_of
from persons.test_answers import D0, D1, DAY, HOUR, U1, Log, T
from persons.test_laws import PLAN, events, run, steps
from replay.live_and_sql import in_sql

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.validate import Validator
from pipeline.measure.windows import grains
from pipeline.replay import sql
from pipeline.replay.measures import Measures


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[sql.Archive]:
    archive = sql.Archive()
    yield archive
    archive.close()


@pytest.mark.parametrize("how", ["late", "duplicate", "astray", "rejected"])
def test_a_record_that_is_not_counted_links_as_it_does_live(archive: sql.Archive, how: str) -> None:
    log = Log()
    log.send("look", T, device=D0)
    log.send("look", T, device=D1)
    log.send("buy", T + (3 * HOUR if how == "late" else 1), user=U1, event_id="once")
    event_id, name = "once" if how == "duplicate" else "", "nothing" if how == "rejected" else "join"
    log.send(name, T, device=D0, user=U1, event_id=event_id, p=0 if how == "astray" else None)
    outcome = {"astray": "forwarded"}.get(how, how)
    assert log.outcomes()[outcome] == 1
    found = in_sql(log.cluster.plan, log.cluster.logs, archive).activity.items()
    (users,) = [c.users for w, c in found if (w.grain, w.start, w.dimension) == ("day", DAY, "")]
    assert (users, log.users()) == ((3, 3) if how == "rejected" else (2, 2))


@settings(deadline=None, max_examples=settings.default.max_examples // 10)
@given(events(), st.integers(1, 3), st.lists(steps, max_size=20), st.sets(st.integers(0, 30), max_size=3))
def test_sql_is_the_rule_applied_to_the_whole_log(
    archive: sql.Archive,
    log: list[dict[str, Any]],
    partitions: int,
    plan: list[tuple[int, int, str]],
    astray: set[int],
) -> None:
    cluster = Cluster(PLAN, partitions)
    run(cluster, log, plan, astray)
    archive.clear()
    for p, records in enumerate(cluster.logs):
        classifier = PartitionClassifier(PLAN, Validator(PLAN), p, partitions)
        for start in range(0, len(records), 5):  # in other batches than the worker
            archive.add(p, classifier.classify(records[start : start + 5]))
    found = Measures(PLAN)
    archive.measure(found, grains(PLAN.zone))
    assert figures(found) == oracle_of(PLAN, cluster.logs).figures()
