"""A published case of another tool with people who are merged, live and in SQL, whenever the link comes.

The events and the counts are those of `test_funnel_events` in posthog/hogql_queries/insights/funnels/test/
test_funnel.py (and before it posthog/queries/test/test_funnel.py) of github.com/PostHog/posthog, MIT licence: who
signed up, paid, watched are 4, 2, 1; one of them signed up before the login. The metric `funnel` is asked the same in
`test_the_published_funnel_with_merged_people`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from persons.test_answers import MINUTE, PLAN, Log, T
from replay.live_and_sql import in_sql

from pipeline.replay import sql

#: Who did what, in the order of the times: `look` signed up, `join` paid, `buy` watched.
DID = (
    ("stopped_after_signup", ("look",)), ("stopped_after_pay", ("look", "join")), ("had_anonymous_id", ("look",)),
    ("completed_movie", ("join", "buy")), ("just_did_movie", ("buy",)), ("wrong_order", ("join", "look", "buy")),
)  # fmt: skip


@pytest.fixture(scope="module")
def archive(needs_embedded: None) -> Iterator[sql.Archive]:
    archive = sql.Archive()
    yield archive
    archive.close()


@pytest.mark.parametrize("linked_before", [0, 4, 10])
@pytest.mark.parametrize("partitions", [1, 3])
def test_the_ordered_funnel_with_merged_people(archive: sql.Archive, partitions: int, linked_before: int) -> None:
    log = Log(PLAN, partitions)
    did = [(who, name) for who, names in DID for name in names]
    did.insert(linked_before, ("", "rename"))
    for number, (who, name) in enumerate(did):
        ids = {"device" if who == "had_anonymous_id" else "user": who}
        ids = ids if who else {"user": "completed_movie", "device": "had_anonymous_id"}
        log.send(name, T + number * MINUTE, **ids)
    assert log.funnel() == [4, 2, 1]
    found = in_sql(PLAN, log.cluster.logs, archive)
    assert [cell.users for cohort, cell in found.cohorts() if cohort.breakdown == ""] == [[4, 2, 1]]
