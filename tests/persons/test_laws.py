"""Whatever the order, the batches, the crashes and the partitions: what is counted is the rule applied to the whole
log."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from persons.cluster import Cluster, figures, oracle_of
from persons.oracle import Oracle

from pipeline.state.disk import Disk
from schemas.plan_io import parse_plan

START = 1_790_000_000_000
HOUR = 3_600_000
PLAN = parse_plan(
    """
product: Test
timezone: Asia/Shanghai
lateness: 90d
dedupe: 90d
registration: join
dimensions: [event, platform]
identity: {shared_device: 2, alias: {event: rename, previous: properties.old}}
events:
  join: {}
  look: {}
  buy: {}
  rename: {properties: {old: string}}
funnels:
  joining: {steps: [look, join, buy], window: 2d, breakdown: [platform]}
  buying: {steps: [look, buy], window: 3h, bucket: hour, attribution: last, breakdown: [platform]}
  strict: {steps: [look, look, buy], window: 1d, modes: [strict_order]}
  once: {steps: [look, join, buy], window: 1d, modes: [strict_deduplication], exclude: [rename]}
  session: {steps: [look, join], window: 1h, per: session}
"""
)

numbers = st.integers(0, 60)
# One string is a user and a device: two who have nothing to do with each other.
ids = {"user": st.sampled_from([None, None, "u1", "u2", "u3"]), "device": st.sampled_from([None, "d1", "d2", "u2"])}


@st.composite
def events(draw: Any) -> list[dict[str, Any]]:
    """Events of a few people on a few devices, who come and go; some twice, in any order."""
    found = []
    for number in range(draw(st.integers(1, 24))):
        user, device = draw(ids["user"]), draw(ids["device"])
        if user is None and device is None:
            device = "d1"
        name = draw(st.sampled_from(["look", "look", "join", "buy"]))
        event = {"event_id": f"e{number}", "event": name, "ts": START + draw(st.integers(0, 40)) * HOUR // 2}
        event |= {k: v for k, v in (("user_id", user), ("anonymous_id", device)) if v is not None}
        event |= {"platform": draw(st.sampled_from(["ios", "web"])), "session_id": draw(st.sampled_from(["s1", "s2"]))}
        if user is not None and draw(st.integers(0, 9)) == 0:
            event |= {"event": "rename", "properties": {"old": draw(st.sampled_from(["u3", "d1"]))}}
            if event["user_id"] == "u3":
                event["user_id"] = "u1"
        found.append(event)
        if draw(st.integers(0, 7)) == 0:
            found.append(event)
    return found


steps = st.tuples(
    st.integers(0, 2), st.integers(1, 8), st.sampled_from(["fold", "fold", "save", "crash", "rewrite", "publish"])
)


def run(cluster: Cluster, log: list[dict[str, Any]], plan: list[tuple[int, int, str]], astray: set[int]) -> None:
    """Send the events, a few to a wrong partition, while partitions fold, save and crash; then fold what is left."""
    turns = iter(plan)
    for number, event in enumerate(log):
        cluster.send(event, number % cluster.partitions if number in astray else None)
        for p, count, what in [turn for turn in [next(turns, None)] if turn is not None]:
            p %= cluster.partitions
            if what == "fold":
                cluster.fold(p, count)
            elif what in ("save", "rewrite"):
                if what == "rewrite":
                    cluster.rewrite(p)
                cluster.save(p)
            elif what == "publish":
                cluster.publish(p)
            else:
                cluster.crash(p)
    cluster.drain()


def agreed(cluster: Cluster) -> Oracle:
    """The rule applied to the whole log, which says what the partitions have counted and published."""
    oracle = oracle_of(PLAN, cluster.logs)
    assert oracle.unsent() == []
    assert cluster.outcomes() == oracle.outcomes()
    assert figures(cluster.measures()) == oracle.figures()
    assert cluster.published() == oracle.figures()
    return oracle


@settings(deadline=None, max_examples=settings.default.max_examples)
@given(
    events(), st.integers(1, 3), st.lists(steps, max_size=30), st.sets(st.integers(0, 30), max_size=4), st.booleans()
)
def test_live_is_the_rule_applied_to_the_whole_log(
    log: list[dict[str, Any]], partitions: int, plan: list[tuple[int, int, str]], astray: set[int], on_disk: bool
) -> None:
    with TemporaryDirectory() as folder:
        cluster = Cluster(PLAN, partitions, (lambda p: Disk(Path(folder) / str(p))) if on_disk else None)
        run(cluster, log, plan, astray)
        agreed(cluster)
        for disk in cluster.disks:
            if disk is not None:
                disk.close()
