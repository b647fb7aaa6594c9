"""Step times within 1 %, and counters that add up, go back, and survive as bytes."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.measure.funnel import FunnelSpec
from pipeline.measure.funnel_counts import ZERO_BIN, FunnelCell, FunnelCounters, StepTimes, bin_of, middle
from pipeline.measure.funnel_extend import Change

SPEC = FunnelSpec(3, 1000, lambda ts: (0, 1000))
waits = st.integers(0, 400 * 86_400_000)


def times_of(*values: int) -> StepTimes:
    times = StepTimes()
    for value in values:
        times.add(value)
    return times


@given(waits)
def test_a_bin_holds_what_lies_between_powers_of_gamma(ms: int) -> None:
    index = bin_of(ms)
    if ms == 0:
        assert index == ZERO_BIN
    else:
        assert Fraction(101, 99) ** (index - 1) < ms <= Fraction(101, 99) ** index
    assert middle(index) == pytest.approx(ms, rel=0.0101)


def test_quantiles_and_mean() -> None:
    times = times_of(0, 1000, 2000, 3000, 60_000)
    assert times.mean == 13_200
    assert times.median == pytest.approx(2000, rel=0.01)
    assert times.quantile(0) == 0
    assert times.quantile(1) == pytest.approx(60_000, rel=0.01)
    assert times.quantile(0.875) == pytest.approx((3000 + 60_000) / 2, rel=0.01)
    # Of an even number the mean of the two in the middle.
    assert times_of(1000, 5000).median == pytest.approx(3000, rel=0.01)
    assert times_of(7).median == pytest.approx(7, rel=0.01)
    assert (StepTimes().mean, StepTimes().median) == (None, None)
    with pytest.raises(ValueError, match="a quantile lies between 0 and 1, not at 50"):
        times.quantile(50)


@given(st.lists(waits, min_size=1), st.floats(0, 1))
def test_quantile_is_within_one_percent(values: list[int], q: float) -> None:
    rank, ordered = q * (len(values) - 1), sorted(values)
    low, high = ordered[floor(rank)], ordered[ceil(rank)]
    exact = low + (rank - floor(rank)) * (high - low)
    assert times_of(*values).quantile(q) == pytest.approx(exact, rel=0.0101, abs=1e-6)


@given(st.lists(waits), st.lists(waits))
def test_times_go_back_and_add_up(kept: list[int], taken_back: list[int]) -> None:
    times = times_of(*kept, *taken_back)
    for value in taken_back:
        times.remove(value)
    assert times == times_of(*kept)
    times.merge(times_of(*taken_back))
    assert times == times_of(*taken_back, *kept)
    assert times.count == len(kept) + len(taken_back)


def test_a_time_that_was_not_counted_can_not_be_taken_back() -> None:
    with pytest.raises(KeyError):
        times_of(1000).remove(2000)


CHANGES: list[Change] = [
    ((0, "ios"), (), (5,)),
    ((0, "ios"), (5,), (5, 9)),
    ((0, "ios"), (), (100, 160, 400)),
    ((0, "web"), (), (1, 2)),
    ((0, "ios"), (5, 9), (6, 9)),
    ((0, "web"), (1, 2), ()),
]


def test_counters_follow_the_changes() -> None:
    counters = FunnelCounters(SPEC)
    assert counters.apply(CHANGES) == {(0, "ios"), (0, "web")}
    ios = counters.summary([(0, "ios")])
    assert ios is not None
    assert (ios.counts, ios.users) == ([0, 0, 1, 1], [2, 2, 1])
    assert ios.times == [times_of(60, 3), times_of(240)]
    # An accumulator that nobody is in any more is still there: its zeros have to be told.
    web = counters.summary([(0, "web")])
    assert web == FunnelCell(3)
    assert counters.summary([(0, "ios"), (0, "web"), (0, "tv")]) == ios
    assert counters.summary([(0, "tv")]) is None
    counters.drop((0, "web"))
    assert list(counters.keys()) == [(0, "ios")]


def test_summary_adds_cells() -> None:
    counters = FunnelCounters(SPEC)
    counters.apply([((0, "ios"), (), (0, 10)), ((0, "web"), (), (0, 10, 30)), ((7, "web"), (), (8,))])
    total = counters.summary(counters.keys())
    assert total is not None
    assert (total.users, total.times) == ([3, 2, 1], [times_of(10, 10), times_of(20)])
    assert counters.summary([(0, "ios")]) == counters.summary([(0, "ios")])  # adding up changes no accumulator


@given(st.lists(st.tuples(waits, waits), max_size=20), st.integers(0, 1 << 40))
def test_a_cell_survives_as_bytes(chains: list[tuple[int, int]], many: int) -> None:
    counters = FunnelCounters(SPEC)
    key = (0, "a")
    counters.apply([(key, (), (0,)), *((key, (), (0, a, a + b)) for a, b in chains)])
    accumulator = counters.summary([key])
    data = counters.dump(key)
    assert accumulator is not None
    assert data is not None
    other = FunnelCounters(SPEC)
    other.load(key, data)
    assert other.summary([key]) == accumulator
    assert other.dump(key) == data
    assert other.dump((0, "b")) is None
    accumulator.times[0].bins[5] = 1 + many  # more than 32 bits hold
    assert FunnelCell.load(accumulator.dump()).times[0].bins == accumulator.times[0].bins
