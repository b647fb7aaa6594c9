"""Which segment explains a change: parts that add up to it, the one that is named, and nobody for what is chance."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.insight.contribution import (
    Amount,
    Counts,
    SegmentChange,
    counted,
    segment_of_share,
    segment_of_sum,
    share_parts,
    sum_parts,
)


def counts(**numbers: float) -> dict[str, Amount]:
    return {value: counted(number) for value, number in numbers.items()}


def named(found: SegmentChange | None) -> tuple[str, str] | None:
    return (found.dimension, found.value) if found else None


def test_the_parts_of_a_sum() -> None:
    # 1000 became 800: ads lost 250 of it, search gained 50, a new channel came with nothing before.
    parts = sum_parts("channel", counts(ads=400, search=600), counts(ads=150, search=650, mail=0))
    assert parts == [
        SegmentChange("channel", "ads", 400, 150, 1.25, 0.4, pytest.approx(-250 / 550**0.5)),
        SegmentChange("channel", "mail", 0, 0, 0.0, 0.0, 0.0),
        SegmentChange("channel", "search", 600, 650, -0.25, 0.6, pytest.approx(50 / 1250**0.5)),
    ]
    assert sum_parts("channel", counts(ads=3, mail=1), counts(ads=2, mail=2)) == []


def test_the_parts_of_a_share() -> None:
    # Of 100 each 61 went on; on android it is 27 since, elsewhere the same: the whole fell from 61 % to 44 %.
    before, after = {"android": (61, 100), "ios": (61, 100)}, {"android": (27, 100), "ios": (61, 100)}
    (android, ios) = share_parts("platform", before, after)
    # By hand: pooled 0.44, standard error sqrt(0.44 * 0.56 * (1/100 + 1/100)) = 0.0702; -0.34 / 0.0702 = -4.84.
    z = pytest.approx(-4.8434, abs=1e-4)
    assert android == SegmentChange("platform", "android", 0.61, 0.27, pytest.approx(1.0), 0.5, z, 100, 100)
    assert ios.explained == 0.0
    assert segment_of_share({"platform": (before, after)}) == android


def test_a_change_of_the_mix_is_no_segments_own() -> None:
    # Nobody converts worse: there are more of those who always did.
    before, after = {"ads": (10, 100), "organic": (50, 100)}, {"ads": (300, 3000), "organic": (500, 1000)}
    parts = share_parts("channel", before, after)
    assert [part.explained for part in parts] == [0.0, 0.0]
    assert mix_effect(before, after) == pytest.approx(800 / 4000 - 60 / 200)
    assert segment_of_share({"channel": (before, after)}) is None


def test_half_as_many_users_who_go_on_as_before_are_not_what_broke() -> None:
    before = {"ios": (50, 100), "android": (50, 100)}
    after = {"ios": (20, 100), "android": (25, 50)}
    found = segment_of_share({"platform": (before, after)})
    assert found is not None
    assert (found.value, found.before, found.after) == ("ios", 0.5, 0.2)
    assert found.explained == pytest.approx(0.875)  # the rest is the mix


def test_the_smallest_segment_that_explains_it_is_named() -> None:
    # 1000 users; of 200 on android 5.2 nobody goes on any more.
    changes: dict[str, tuple[Counts, Counts]] = {
        "country": ({"CN": (594, 990), "US": (6, 10)}, {"CN": (474, 990), "US": (6, 10)}),
        "platform": ({"android": (300, 500), "ios": (300, 500)}, {"android": (180, 500), "ios": (300, 500)}),
        "version": ({"5.2": (120, 200), "5.1": (480, 800)}, {"5.2": (0, 200), "5.1": (480, 800)}),
    }
    assert named(segment_of_share(changes)) == ("version", "5.2")
    # Nearly everybody is from CN, so CN explains nearly everything, and that says nothing.
    assert named(segment_of_share({"country": changes["country"]})) is None


def test_if_all_changed_alike_nobody_is_named() -> None:
    assert segment_of_sum({"f": (counts(a=1000, b=500), counts(a=500, b=250))}) is None
    half = {"a": (500, 1000), "b": (250, 500)}, {"a": (250, 1000), "b": (125, 500)}
    assert segment_of_share({"f": half}) is None


def test_what_nobody_stated_names_nobody() -> None:
    assert (
        segment_of_sum({"campaign": ({"": counted(900), "x": counted(100)}, {"": counted(100), "x": counted(100)})})
        is None
    )


def test_a_change_within_chance_has_no_reason() -> None:
    # 60 of 100 became 56: android alone makes it up, by luck.
    before, after = {"android": (30, 50), "ios": (30, 50)}, {"android": (26, 50), "ios": (30, 50)}
    assert segment_of_share({"platform": (before, after)}) is None
    assert segment_of_sum({"platform": (counts(android=50, ios=50), counts(android=40, ios=50))}) is None


def test_a_few_large_orders_are_no_change_of_revenue() -> None:
    # 1,000 became 5,000, by one order of 4,000: as likely as not. By 400 orders of 10 it is none.
    before = {"ads": Amount(500, 5_000), "organic": Amount(500, 5_000)}
    one = {"ads": Amount(4_500, 16_005_000), "organic": Amount(500, 5_000)}
    many = {"ads": Amount(4_500, 45_000), "organic": Amount(500, 5_000)}
    assert segment_of_sum({"channel": (before, one)}) is None
    assert named(segment_of_sum({"channel": (before, many)})) == ("channel", "ads")


def test_without_anything_before_there_is_no_change() -> None:
    assert segment_of_share({"platform": ({}, {"ios": (80, 100), "android": (0, 100)})}) is None
    assert segment_of_share({}) is None
    assert segment_of_sum({"platform": ({}, {})}) is None


#: How users are spread over the values of five dimensions.
SPREAD = ([50, 30, 20], [40, 20, 20, 10, 10], [30, 25, 20, 15, 10], [90, 5, 5], [60, 20, 10, 5, 5])


def drawn(rng: Random, users: int, *, broken: bool) -> dict[str, tuple[Counts, Counts]]:
    """Users twice, of whom 60 of 100 go on; if it is broken, none of the second value of the first dimension later."""
    found: list[tuple[dict[str, list[int]], dict[str, list[int]]]] = [({}, {}) for _ in SPREAD]
    for time in (0, 1):
        for _ in range(users):
            values = [rng.choices(range(len(sizes)), sizes)[0] for sizes in SPREAD]
            goes_on = rng.random() < 0.6 and not (broken and time and values[0] == 1)
            for spans, value in zip(found, values, strict=True):
                cell = spans[time].setdefault(str(value), [0, 0])
                cell[0] += goes_on
                cell[1] += 1
    pairs = [tuple({v: (float(k), float(n)) for v, (k, n) in span.items()} for span in spans) for spans in found]
    return {str(k): (before, after) for k, (before, after) in enumerate(pairs)}


@pytest.mark.parametrize("users", [60, 115, 400])
def test_noise_names_a_segment_in_one_of_a_hundred_changes_at_most(users: int) -> None:
    rng = Random(1)
    named_by_noise = sum(segment_of_share(drawn(rng, users, broken=False)) is not None for _ in range(300))
    assert named_by_noise <= 3


def test_what_broke_is_named() -> None:
    rng = Random(1)
    found = [named(segment_of_share(drawn(rng, 400, broken=True))) for _ in range(100)]
    assert found == [("0", "1")] * 100


numbers = st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda t: (float(min(t)), float(max(t))))
segments = st.dictionaries(st.sampled_from("abcd"), numbers, min_size=1)


def mix_effect(before: Counts, after: Counts) -> float:
    """How much of a change of a share comes from the mix of segments: with the parts of `share_parts`, all of it."""
    n0, n1 = sum(n for _, n in before.values()), sum(n for _, n in after.values())
    r0, r1 = sum(k for k, _ in before.values()) / n0, sum(k for k, _ in after.values()) / n1
    effect = 0.0
    for value in {**before, **after}:
        (k0, m0), (k1, m1) = before.get(value, (0.0, 0.0)), after.get(value, (0.0, 0.0))
        own = [k / m for k, m in ((k0, m0), (k1, m1)) if m]
        level = sum(own) / len(own) if own else 0.0
        effect += (m1 / n1 - m0 / n0) * (level - (r0 + r1) / 2)
    return effect


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


amounts = st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e6).map(counted))


@given(amounts, amounts)
def test_the_parts_of_a_sum_add_up(before: dict[str, Amount], after: dict[str, Amount]) -> None:
    whole = sum(a.total for a in after.values()) - sum(a.total for a in before.values())
    parts = sum_parts("d", before, after)
    if abs(whole) > 1:
        assert sum(part.explained for part in parts) == pytest.approx(1.0)
