"""Which segment explains a change: parts that add up to it, and the one that is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.insight.contribution import Part, best, mix_effect, share_parts, sum_parts, z_of_shares


def test_the_parts_of_a_sum() -> None:
    # 1000 became 800: ads lost 250 of it, search gained 50, a new channel came with nothing before.
    parts = sum_parts("channel", {"ads": 400, "search": 600}, {"ads": 150, "search": 650, "mail": 0})
    assert parts == [
        Part("channel", "ads", 400, 150, 1.25, 0.4),
        Part("channel", "mail", 0, 0, 0.0, 0.0),
        Part("channel", "search", 600, 650, -0.25, 0.6),
    ]
    assert sum_parts("channel", {"ads": 3, "mail": 1}, {"ads": 2, "mail": 2}) == []


def test_the_parts_of_a_share() -> None:
    # Of 100 each 61 went on; on android it is 27 since, elsewhere the same: the whole fell from 61 % to 44 %.
    before, after = {"android": (61, 100), "ios": (61, 100)}, {"android": (27, 100), "ios": (61, 100)}
    (android, ios) = share_parts("platform", before, after)
    assert android == Part("platform", "android", 0.61, 0.27, pytest.approx(1.0), 0.5, 100, 100)
    assert ios.explained == 0.0
    assert best([android, ios]) == android


def test_a_change_of_the_mix_is_no_segments_own() -> None:
    # Nobody converts worse: there are more of those who always did.
    before, after = {"ads": (10, 100), "organic": (50, 100)}, {"ads": (30, 300), "organic": (50, 100)}
    parts = share_parts("channel", before, after)
    assert [part.explained for part in parts] == [0.0, 0.0]
    assert mix_effect(before, after) == pytest.approx(80 / 400 - 60 / 200)
    assert best(parts) is None


def test_the_smallest_segment_that_explains_it_is_named() -> None:
    android = Part("platform", "android", 0.6, 0.4, 0.98, 0.5)
    version = Part("platform,app_version", "android / 5.2", 0.6, 0.1, 0.97, 0.2)
    everybody = Part("country", "CN", 0.6, 0.45, 1.0, 0.99)
    assert best([everybody, android, version]) == version
    assert best([everybody]) is None  # nearly all users: nothing special about them
    assert best([Part("channel", "ads", 0.6, 0.5, 0.4, 0.1)]) is None  # less than half of it


counts = st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda t: (float(min(t)), float(max(t))))
segments = st.dictionaries(st.sampled_from("abcd"), counts, min_size=1)


@given(segments, segments)
def test_own_changes_and_the_mix_add_up_to_the_whole(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> None:
    n0, n1 = sum(n for _, n in before.values()), sum(n for _, n in after.values())
    if not n0 or not n1:
        assert share_parts("d", before, after) == []
        return
    whole = sum(k for k, _ in after.values()) / n1 - sum(k for k, _ in before.values()) / n0
    parts = share_parts("d", before, after)
    if not whole:  # nothing to explain, though segments and mix may have moved against each other
        assert parts == []
        return
    own = sum(part.explained for part in parts) * whole
    assert own + mix_effect(before, after) == pytest.approx(whole, abs=1e-9)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e6)),
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e6)),
)
def test_the_parts_of_a_sum_add_up(before: dict[str, float], after: dict[str, float]) -> None:
    whole = sum(after.values()) - sum(before.values())
    parts = sum_parts("d", before, after)
    if abs(whole) > 1:
        assert sum(part.explained for part in parts) == pytest.approx(1.0)


def test_z_of_two_shares() -> None:
    # By hand: pooled 0.5, standard error sqrt(0.25 * (1/100 + 1/100)) = 0.0707; 0.2 / 0.0707 = 2.83.
    assert z_of_shares(40, 100, 60, 100) == pytest.approx(2.8284, abs=1e-4)
    assert z_of_shares(0, 0, 5, 10) == 0.0
    assert z_of_shares(5, 5, 9, 9) == 0.0
