"""Which segment explains a change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.segments import Contribution, Part, contributions, most_telling


def shares(found: list[Contribution]) -> dict[str, float]:
    return {c.value: round(c.share, 3) for c in found}


def test_a_count_splits_by_difference() -> None:
    now = {"ios": Part(95), "android": Part(20), "web": Part(60)}
    then = {"ios": Part(100), "android": Part(100), "web": Part(50)}
    found = contributions("platform", now, then)
    assert [(c.value, c.change) for c in found] == [("android", -80), ("ios", -5), ("web", 10)]
    assert shares(found) == {"android": 1.067, "ios": 0.067, "web": -0.133}
    assert [c.weight for c in found] == [0.4, 0.4, 0.2]


def test_a_rate_splits_into_users_who_did_not_come() -> None:
    # Half as many Android users as before: fewer orders, but no worse a rate. iOS is what broke.
    now = {"ios": Part(20, 100), "android": Part(25, 50)}
    then = {"ios": Part(50, 100), "android": Part(50, 100)}
    found = contributions("platform", now, then)
    assert [(c.value, c.change) for c in found] == [("ios", -30.0), ("android", 0.0)]
    assert shares(found) == {"ios": 1.0, "android": 0.0}


def test_without_history_a_rate_is_compared_with_that_of_all() -> None:
    now = {"ios": Part(80, 100), "android": Part(0, 100), "web": Part(70, 100)}
    found = contributions("platform", now, {})
    assert [(c.value, c.change, c.share) for c in found] == [
        ("android", -50.0, 1.0), ("web", 20.0, -0.4), ("ios", 30.0, -0.6)
    ]  # fmt: skip


def test_a_segment_that_is_new_or_gone_counts() -> None:
    assert shares(contributions("v", {"new": Part(5)}, {"old": Part(15)})) == {"old": 1.5, "new": -0.5}
    assert contributions("v", {"a": Part(3)}, {"a": Part(3)}) == []
    assert contributions("v", {}, {}) == []


def test_the_field_that_says_more_than_size_is_told() -> None:
    fields = {
        # Nearly everybody is from CN, so CN explains nearly everything, and that says nothing.
        "country": ({"CN": Part(50), "US": Part(5)}, {"CN": Part(95), "US": Part(10)}),
        "platform": ({"ios": Part(48), "android": Part(7)}, {"ios": Part(50), "android": Part(55)}),
    }
    best = most_telling(fields)
    assert best is not None
    assert (best.field, best.value, round(best.share, 2)) == ("platform", "android", 0.96)


def test_if_all_changed_alike_nobody_is_named() -> None:
    now, then = {"a": Part(50), "b": Part(25)}, {"a": Part(100), "b": Part(50)}
    assert most_telling({"f": (now, then)}) is None


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50), min_size=1),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50), min_size=1),
)
def test_contributions_add_up_to_the_change(now: dict[str, int], then: dict[str, int]) -> None:
    found = contributions("f", {k: Part(v) for k, v in now.items()}, {k: Part(v) for k, v in then.items()})
    if found:
        assert sum(c.change for c in found) == sum(now.values()) - sum(then.values())
        assert sum(c.share for c in found) == pytest.approx(1)
