"""`window_funnel` gives the level that ClickHouse's windowFunnel gives, in every mode and with every tie."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.funnel_reference import Reference, conditions, modes, table

from pipeline.measure.funnel import FunnelSpec, window_chain, window_funnel

Cases = list[list[tuple[int, int]]]


@pytest.fixture(scope="module")
def clickhouse(needs_embedded: None) -> Iterator[Reference]:
    with Reference() as reference:
        yield reference


def events(text: str) -> list[tuple[int, int]]:
    """`a1 bc2 -3`: a at 1, one event that is both b and c at 2, an event without a step at 3."""
    return [
        (int(word.lstrip("abcdefgh-")), sum(1 << "abcdefgh".index(c) for c in word if c in "abcdefgh"))
        for word in text.split()
    ]


@pytest.mark.parametrize(
    ("steps", "window", "mode", "text", "chain"),
    [
        (3, 10, "", "", ()),
        (3, 10, "", "b1 c2", ()),
        (3, 10, "", "c1 b2 a3", (3,)),
        (3, 10, "", "a1 b2 c3", (1, 2, 3)),
        (3, 10, "", "a1 c2 b3", (1, 3)),  # c came too early and does not count
        (3, 10, "", "a1 -2 b3 -4 c5", (1, 3, 5)),
        # The window includes its end, and runs from the first step.
        (2, 10, "", "a1 b11", (1, 11)),
        (2, 10, "", "a1 b12", (1,)),
        (3, 10, "", "a1 b9 c12", (1, 9)),
        # A later start takes over, and gives more time.
        (3, 10, "", "a1 a5 b9 c14", (5, 9, 14)),
        (3, 10, "", "a1 b2 a8 b9 c15", (8, 9, 15)),
        # The chain is the one that got to the level first: a later c changes nothing.
        (3, 10, "", "a1 b2 c3 a4 b5 c6", (1, 2, 3)),
        (3, 10, "", "a1 b2 b3 c4", (1, 3, 4)),
        # Equal times are taken in the order of the steps, and one event can be several steps.
        (3, 10, "", "c1 b1 a1", (1, 1, 1)),
        (3, 10, "", "abc1", (1, 1, 1)),
        (3, 10, "strict_increase", "c1 b1 a1", (1,)),
        (3, 10, "strict_increase", "a1 b2 c2", (1, 2)),
        (2, 10, "strict_increase", "a1 a2 b2", (1,)),  # the later start hides the earlier one
        (2, 10, "strict_increase strict_once", "a1 a2 b2", (1, 2)),  # with strict_once both are kept
        (3, 10, "strict_once", "abc1", (1,)),
        (3, 10, "strict_once", "abc1 abc1", (1, 1)),
        (3, 10, "strict_once", "ab1 bc1 ac1", (1, 1, 1)),
        (3, 10, "strict_once", "a1 bc2 bc3", (1, 2, 3)),
        (3, 10, "strict_once", "a1 b2 bc3", (1, 2, 3)),
        # strict_order: nothing in between. An event without a step comes first among equal times.
        (3, 10, "strict_order", "a1 b2 c3", (1, 2, 3)),
        (3, 10, "strict_order", "a1 -2 b3", (1,)),
        (3, 10, "strict_order", "a1 b2 -2", (1,)),
        (3, 10, "strict_order", "-1 a1 b2", (1, 2)),
        (3, 10, "strict_order", "a1 c2 b3 c4", (1,)),
        (3, 10, "strict_order", "b1 a2 a3 b4 c5", (3, 4, 5)),
        # strict_deduplication: a step that comes again ends it, but the first may.
        (3, 10, "strict_deduplication", "a1 a2 b3 c4", (2, 3, 4)),
        (3, 10, "strict_deduplication", "a1 b2 b3 c4", (1, 2)),
        (3, 10, "strict_deduplication", "b1 a2 b3 c4", (2, 3, 4)),
    ],
)
def test_chain(steps: int, window: int, mode: str, text: str, chain: tuple[int, ...]) -> None:
    assert window_chain(events(text), steps, window, mode.split()) == chain
    assert window_chain(events(text)[::-1], steps, window, mode.split()) == chain


def test_many_events_of_one_millisecond_do_not_explode() -> None:
    rng = random.Random(1)
    crowd = [(5, rng.getrandbits(16)) for _ in range(2000)]
    assert window_funnel(crowd, 16, 10, ["strict_once"]) == 16
    assert window_funnel([(5, 0xFFFF)] * 2000, 16, 10, ["strict_once"]) == 16
    assert window_funnel([(t, 0xFFFF) for t in range(2000)], 16, 10, ["strict_once"]) == 11


def random_cases(seed: int, steps: int, count: int) -> Cases:
    rng = random.Random(seed)
    cases: Cases = []
    for _ in range(count):
        span, several, none = (
            rng.choice([1, 3, 8, 20]),
            rng.choice([0, 0, 0.3, 0.7]),
            rng.choice([0, 0.1, 0.3]),
        )
        case = []
        for _ in range(rng.randint(1, 10)):
            mask = sum(1 << k for k in range(steps) if rng.random() < several)
            if not several:
                mask = 1 << min(rng.randrange(steps), rng.randrange(steps))
            case.append((rng.randint(0, span), 0 if rng.random() < none else mask))
        cases.append(case)
    return cases


def reference_levels(clickhouse: Reference, cases: Cases, steps: int, window: int, mode: list[str]) -> list[int]:
    rows = table((number, ts, mask, "") for number, case in enumerate(cases) for ts, mask in case)
    parameters = ", ".join([str(window), *(f"'{m}'" for m in mode)])
    if {"strict_once", "strict_deduplication"} <= set(mode):
        # The only combination in which ClickHouse depends on the order of the rows: give them in ours.
        quoted = parameters.replace("'", "''")
        masks = ", ".join(f"arrayMap(r -> bitTest(r.2, {k}), rows)" for k in range(steps))
        level = f"arrayReduce('windowFunnel({quoted})', arrayMap(r -> r.1, rows), {masks})"
        sorted_rows = f"SELECT actor, arraySort(groupArray((ts, code))) AS rows FROM {rows} GROUP BY actor"
        sql = f"SELECT {level} FROM ({sorted_rows})"
    else:
        level = f"windowFunnel({parameters})(ts, {', '.join(conditions(steps))})"
        sql = f"SELECT {level} FROM {rows} GROUP BY actor"
    return [int(level) for (level,) in clickhouse.query(f"{sql} ORDER BY toUInt32(actor)")]


@settings(max_examples=settings.default.max_examples // 4, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    steps=st.sampled_from([1, 2, 2, 3, 3, 4, 5, 8, 16]),
    window=st.integers(0, 12),
    mode=modes,
)
def test_level_is_that_of_clickhouse(
    clickhouse: Reference, seed: int, steps: int, window: int, mode: frozenset[str]
) -> None:
    cases = random_cases(seed, steps, 300)
    levels = reference_levels(clickhouse, cases, steps, window, sorted(mode))
    differences = [
        (case, level, window_funnel(case, steps, window, mode))
        for case, level in zip(cases, levels, strict=True)
        if window_funnel(case, steps, window, mode) != level
    ]
    assert min(differences, key=lambda d: len(d[0]), default=None) is None


@settings(max_examples=settings.default.max_examples // 4, deadline=None)
@given(seed=st.integers(0, 1 << 32), steps=st.integers(2, 5), window=st.integers(0, 12), mode=modes)
def test_chain_is_made_of_the_events(seed: int, steps: int, window: int, mode: frozenset[str]) -> None:
    for case in random_cases(seed, steps, 30):
        chain = window_chain(case, steps, window, mode)
        for k, ts in enumerate(chain):
            assert any(at == ts and mask >> k & 1 for at, mask in case)
        assert all(a < b if "strict_increase" in mode else a <= b for a, b in pairwise(chain))
        assert not chain or chain[-1] - chain[0] <= window
        if "strict_once" in mode:
            assert all(chain.count(ts) <= sum(at == ts for at, _ in case) for ts in chain)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "a funnel has 1 to 16 steps, not 0"),
        ({"steps": 17}, "a funnel has 1 to 16 steps, not 17"),
        ({"window_ms": 0}, "the conversion window must be longer than 0 and at most 100 years"),
        ({"modes": frozenset({"strict"})}, "unknown funnel mode 'strict'"),
        ({"attribution": "middle"}, "unknown attribution 'middle': use first, last or any"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FunnelSpec(**({"steps": 3, "window_ms": 10, "bounds": lambda ts: (0, 1)} | fields))  # type: ignore[arg-type]
