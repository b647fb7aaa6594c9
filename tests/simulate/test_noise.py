"""Noise: every kind comes, is counted, and becomes what its truth says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import pytest

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.simulate import Logged, Noise, Population, Sent, add_noise, delivered, expected
from pipeline.simulate.malformed import MALFORMED
from pipeline.simulate.recount import home_of
from schemas.plan import Plan
from schemas.plan_io import load_plan

T0 = 1_790_812_800_000
SHOP = load_plan("shop")
PARTITIONS = 3


@cache
def clean(count: int = 12_000, rate: float = 100.0) -> tuple[Sent, ...]:
    return tuple(islice(Population(3, start_ms=T0, rate=rate, users=2_000).events(), count))


def dirty(noise: Noise, plan: Plan = SHOP, **more: Any) -> list[Sent]:
    return list(add_noise(clean(**more), noise, plan, seed=5, partitions=PARTITIONS))


@pytest.fixture(scope="module")
def sample() -> list[Sent]:
    """Ten times the usual noise."""
    return dirty(Noise().times(10))


def classified(logs: dict[int, list[Logged]], plan: Plan) -> dict[int, list[str]]:
    """What the classifier of the worker says."""
    validator = Validator(plan)
    out = {}
    for partition, log in logs.items():
        state = PartitionClassifier(plan, validator, partition, len(logs))
        records = [Record(offset, r.timestamp, None, r.value, r.headers) for offset, r in enumerate(log)]
        out[partition] = [
            outcome.name.lower()
            for start in range(0, len(records), 700)
            for outcome in state.classify(records[start : start + 700]).outcomes
        ]
    return out


def totals(outcomes: dict[int, list[str]]) -> Counter[str]:
    return Counter(outcome for part in outcomes.values() for outcome in part)


def test_the_same_seed_gives_the_same_noise(sample: list[Sent]) -> None:
    assert dirty(Noise().times(10)) == sample
    assert list(add_noise(clean(), Noise().times(10), SHOP, seed=6, partitions=PARTITIONS)) != sample


def test_no_dirt_changes_nothing() -> None:
    assert dirty(Noise.none()) == list(clean())


def test_every_kind_comes_as_often_as_asked(sample: list[Sent]) -> None:
    noise = Noise().times(10)
    counts = Counter("malformed" if s.why in MALFORMED else s.why for s in sample)
    for kind in fields_of(noise):
        asked = getattr(noise, kind.name) * 12_000
        assert counts[kind.name] == pytest.approx(asked, rel=0.3), kind.name
    assert {s.why for s in sample} >= set(MALFORMED)
    assert len(sample) == pytest.approx(12_000 * noise.records_per_event, rel=0.02)


def test_records_are_sent_in_time_order(sample: list[Sent]) -> None:
    assert [s.at for s in sample] == sorted(s.at for s in sample)


def test_what_is_accepted_is_the_same_with_dirt_as_without(sample: list[Sent]) -> None:
    accepted = {s.value for s in sample if s.truth == "accepted"}
    assert accepted == {s.value for s in clean()}


def test_truth_recount_and_classifier_agree(sample: list[Sent]) -> None:
    logs = delivered(sample, PARTITIONS, forward_for=SHOP)
    recounted = expected(logs, SHOP, PARTITIONS)
    found = classified(logs, SHOP)
    assert found == recounted
    counts = totals(found)
    forwarded = counts.pop("forwarded")
    assert counts == Counter(s.truth for s in sample)
    in_wrong_place = sum(s.why == "wrong_partition" or (s.why in ("no_key", "wrong_key")) for s in sample)
    assert 0.6 * in_wrong_place < forwarded <= in_wrong_place  # any key is right by chance sometimes


@pytest.mark.parametrize("plan", ["content", "ecom"])
def test_they_agree_on_other_plans(plan: str) -> None:
    """Of the shop's events those plans know few: most of it is rejected, by all three."""
    other = load_plan(plan)
    logs = delivered(dirty(Noise().times(10), count=3_000), PARTITIONS)
    assert classified(logs, other) == expected(logs, other, PARTITIONS)


def test_they_agree_where_little_is_remembered_and_all_is_late() -> None:
    hasty = SHOP.model_copy(update={"lateness": 500, "dedupe": 2_000, "max_future": 0})
    sent = dirty(Noise().times(10), rate=300.0)  # noise for another plan: its truth doesn't hold, the recount does
    logs = delivered(sent, PARTITIONS, forward_for=hasty)
    recounted = expected(logs, hasty, PARTITIONS)
    assert classified(logs, hasty) == recounted
    counts = totals(recounted)
    assert min(counts["late"], counts["duplicate"], counts["rejected"], counts["forwarded"]) > 50


def test_truth_holds_for_a_plan_of_seconds() -> None:
    hasty = SHOP.model_copy(update={"lateness": 8_000, "dedupe": 8_000})
    sent = dirty(Noise().times(10), hasty, rate=300.0)
    counts = totals(classified(delivered(sent, PARTITIONS, forward_for=hasty), hasty))
    del counts["forwarded"]
    assert counts == Counter(s.truth for s in sent)


def test_retries_are_the_same_bytes_later(sample: list[Sent]) -> None:
    first = {s.value: s.at for s in sample if s.truth == "accepted"}
    delays: dict[str, list[int]] = {"retry": [], "slow_retry": []}
    for sent in sample:
        if sent.truth == "duplicate":
            delays[sent.why].append(sent.at - first[sent.value])
    assert 0 <= min(delays["retry"]) < max(delays["retry"]) <= 2_000
    assert max(delays["slow_retry"]) > 60_000


def test_late_events_are_older_than_the_lateness_and_new(sample: list[Sent]) -> None:
    ids = Counter(json.loads(s.value)["event_id"] for s in sample if s.truth in ("accepted", "late") and s.value)
    assert max(ids.values()) == 1
    for sent in sample:
        if sent.why == "late":
            assert json.loads(sent.value or b"")["ts"] < sent.at - SHOP.lateness


def test_out_of_order_events_are_sent_after_their_time(sample: list[Sent]) -> None:
    for sent in sample:
        behind = sent.at - json.loads(sent.value or b"")["ts"] if sent.why == "out_of_order" else 0
        assert 0 <= behind <= 60_000


def test_records_in_the_wrong_place(sample: list[Sent]) -> None:
    for sent in sample:
        if sent.why == "no_key":
            assert sent.key is None
        elif sent.why == "wrong_key":
            assert sent.key is not None
            assert sent.key.startswith(b"device-")
        elif sent.why == "wrong_partition":
            assert sent.key is not None
            assert sent.partition not in (None, home_of(sent.key.decode(), PARTITIONS))
        else:
            assert sent.partition is None


def test_oversize_records_come_when_asked_for() -> None:
    sent = [s for s in dirty(Noise(oversize=0.01), count=500) if s.why == "oversize"]
    assert 1 <= len(sent) <= 20
    assert all(1_000_000 < len(s.value or b"") < 1_048_000 and s.truth == "rejected" for s in sent)


def test_a_topic_of_one_partition_has_no_wrong_one() -> None:
    only = list(add_noise(clean(500), Noise(wrong_partition=0.5), SHOP, seed=1, partitions=1))
    assert {s.partition for s in only} == {None}


def test_more_dirt_than_events_is_refused() -> None:
    with pytest.raises(ValueError, match=r"add up to 1\.5: at most 1"):
        list(add_noise(clean(1), replace(Noise.none(), late=1.5), SHOP, seed=1))


# -- the recount itself, against literal logs --------------------------------------------------


def log(*events: tuple[str, int] | None) -> Sequence[Logged]:
    """Records of (event_id, ts), written at their time; None is a broken one."""
    return [
        Logged(T0, b"{")
        if e is None
        else Logged(e[1], json.dumps({"event_id": e[0], "event": "share", "user_id": "u", "ts": e[1]}).encode())
        for e in events
    ]


def test_the_recount_says_what_the_words_mean() -> None:
    hour = 3_600_000
    events = [
        ("a", T0),
        None,
        ("a", T0),
        ("b", T0 + 2 * hour),
        ("c", T0 + hour - 1),
        ("d", T0 + hour),
        ("a", T0),
    ]
    assert expected({0: log(*events)}, SHOP, 1) == {
        0: ["accepted", "rejected", "duplicate", "accepted", "late", "accepted", "duplicate"]
    }


def test_the_recount_forgets_after_one_and_a_half_horizons() -> None:
    minute = 60_000
    for gap, outcome in ((89, "duplicate"), (90, "late")):
        steady = [(f"b{i}", T0 + i * minute) for i in range(1, gap + 1)]
        assert expected({0: log(("a", T0), *steady, ("a", T0))}, SHOP, 1)[0][-1] == outcome


def test_forwarded_records_stand_at_home_with_their_origin() -> None:
    value = json.dumps({"event_id": "a", "event": "share", "user_id": "u1", "ts": T0}).encode()
    home = home_of("u1", 2)
    logs = delivered([Sent(T0, b"x", value, 1 - home)], 2, forward_for=SHOP)
    assert logs[1 - home] == [Logged(T0, value)]
    assert logs[home] == [Logged(T0, value, (("streamgauge-origin", b"%d:0" % (1 - home)),))]
    assert expected(logs, SHOP, 2) == {home: ["accepted"], 1 - home: ["forwarded"]}
