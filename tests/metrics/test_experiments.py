"""Experiments, worked out by hand; figures of tests and intervals as SciPy 1.x gives them."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from metrics.world import World, event

NOVEMBER = {"from_": "2026-11-01", "to": "2026-11-30"}


def met(actor: str, variant: str, at: str = "2026-11-02 10:00", experiment: str = "page") -> dict[str, Any]:
    return event(actor, "see", at, {"experiment": experiment, "variant": variant})


def bought(actor: str, amount: float, at: str = "2026-11-03 10:00") -> dict[str, Any]:
    return event(actor, "buy", at, {"amount": amount})


#: Control pays 0, 0, 0, 10, 20 and the new page 0, 12, 15, 30: 2 of 5 convert, and 3 of 4.
EVENTS = [
    *(met(actor, "control") for actor in ("c1", "c2", "c3", "c4", "c5")),
    *(met(actor, "new") for actor in ("n1", "n2", "n3", "n4")),
    bought("c4", 10),
    bought("c5", 25),
    event("c5", "refund", "2026-11-05 10:00", {"amount": -5}),
    bought("c1", 99, "2026-11-02 09:59"),  # before the exposure
    bought("c2", 99, "2026-12-01 00:00"),  # after the period
    bought("n2", 12),
    bought("n3", 7.5),
    bought("n3", 7.5, "2026-11-30 23:59"),
    bought("n4", 30, "2026-11-02 10:00"),  # at the very moment
    # Met both: in no variant, but not hidden.
    met("s1", "new"),
    met("s1", "control", "2026-11-04 10:00"),
    bought("s1", 40),
    bought("nobody", 50),
    met("old", "control", "2026-10-31 23:59"),
    met("young", "new", "2026-12-01 00:00"),
]


async def test_variants_against_the_control(world: World) -> None:
    await world.tell(EVENTS)
    columns = "experiment variant users converted conversion mean_value"
    assert await world.ask("experiment_results", columns, **NOVEMBER) == [
        ("page", "control", 5, 2, 0.4, 6.0),
        ("page", "new", 4, 3, 0.75, 14.25),
        ("page", "(several)", 1, 1, 1.0, 40.0),
    ]
    # Pooled: 5 of 9, so z = 0.35 / sqrt(5/9 * 4/9 * (1/5 + 1/4)) = 1.05.
    columns = "variant difference difference_low difference_high z p_value mde"
    assert await world.ask("experiment_results", columns, **NOVEMBER) == [
        ("control", None, None, None, None, None, None),
        ("new", 0.35, -0.280995, 0.764284, 1.05, 0.293718, 0.920695),
        ("(several)", None, None, None, None, None, None),
    ]
    # Variances 80 and 152.25: t = 8.25 / sqrt(80 / 5 + 152.25 / 4), 5.34 degrees of freedom.
    columns = "variant value_difference value_difference_low value_difference_high t t_p_value"
    assert await world.ask("experiment_results", columns, **NOVEMBER) == [
        ("control", None, None, None, None, None),
        ("new", 8.25, -10.290578, 26.790578, 1.122034, 0.309716),
        ("(several)", None, None, None, None, None),
    ]


async def test_the_z_test_of_larger_groups_equals_clickhouses_own(world: World) -> None:
    """10 of 100 against 20 of 100."""
    events = [met(f"c{n}", "control") for n in range(100)] + [met(f"n{n}", "new") for n in range(100)]
    events += [bought(f"c{n}", 1) for n in range(10)] + [bought(f"n{n}", 1) for n in range(20)]
    await world.tell(events)
    columns = "z p_value difference_low difference_high mde"
    found = (await world.ask("experiment_results", columns, **NOVEMBER))[1]
    assert found == (1.980295, 0.04767, 0.001066, 0.201501, 0.118861)
    own = await world.sql(
        "SELECT round(-z.1, 6), round(z.2, 6) FROM (SELECT proportionsZTest(10, 20, 100, 100, 0.95, 'pooled') AS z)"
    )
    assert own == [found[:2]]


def score_interval(k: int, n: int, control_k: int, control_n: int) -> tuple[float, float]:
    """The differences that the score test does not reject, by trying them: the likelihood is searched, not solved."""

    def log_likelihood(r: float, d: float) -> float:
        shares = ((k, n, r), (control_k, control_n, r - d))
        parts = [(a, p) for hits, of, s in shares for a, p in ((hits, s), (of - hits, 1 - s)) if a]
        return sum(a * log(max(p, 1e-300)) for a, p in parts)

    def kept(d: float) -> bool:
        low, high = max(0.0, d), min(1.0, 1.0 + d)
        for _ in range(120):
            a, b = low + (high - low) / 3, high - (high - low) / 3
            low, high = (a, high) if log_likelihood(a, d) < log_likelihood(b, d) else (low, b)
        variance = low * (1 - low) / n + (low - d) * (1 - low + d) / control_n
        return (k / n - control_k / control_n - d) ** 2 <= 1.959963985**2 * variance

    ends = []
    for far in (-1.0, 1.0):
        out, inner = far, k / n - control_k / control_n
        for _ in range(40):
            middle = (out + inner) / 2
            out, inner = (out, middle) if kept(middle) else (middle, inner)
        ends.append(round(inner, 5))
    return ends[0], ends[1]


@pytest.mark.parametrize(
    ("k", "n", "control_k", "control_n"),
    [(0, 1, 12, 60), (1, 1, 12, 60), (0, 1, 0, 1), (1, 1, 1, 1), (1, 1, 0, 1),
     (3, 40, 9, 40), (9, 40, 3, 40), (30, 60, 20, 60)],
)  # fmt: skip
async def test_p_and_interval_are_of_one_test(world: World, k: int, n: int, control_k: int, control_n: int) -> None:
    """Of 0 of 1 against 12 of 60 an interval of Wald left out 0 beside p = 0.62."""
    await world.tell(
        [
            *(met(f"c{i}", "control") for i in range(control_n)), *(met(f"n{i}", "new") for i in range(n)),
            *(bought(f"c{i}", 1) for i in range(control_k)), *(bought(f"n{i}", 1) for i in range(k)),
        ]
    )  # fmt: skip
    columns = "difference_low difference_high p_value too_few"
    low, high, p_value, too_few = (await world.ask("experiment_results", columns, **NOVEMBER))[1]
    assert (round(low, 5), round(high, 5)) == pytest.approx(score_interval(k, n, control_k, control_n), abs=2e-5)
    assert (p_value is not None and p_value < 0.05) == (not low <= 0 <= high)
    assert -1 <= low < high <= 1
    assert too_few == (min(k + control_k, n + control_n - k - control_k) / (n + control_n) * min(n, control_n) < 5)


async def test_an_exposure_that_names_no_variant_is_none(world: World) -> None:
    """Half of 20 met each variant; five more events say nothing of a variant, or of an experiment."""
    await world.tell(
        [
            *(met(f"c{n}", "control") for n in range(10)),
            *(met(f"n{n}", "new") for n in range(10)),
            met("empty", ""),
            met("blank", " \t"),
            met("nowhere at all", "new", experiment=" "),
            met("nowhere", "new", experiment=""),
            event("lost", "see", "2026-11-02 10:00", {"experiment": "page"}),
            event("null", "see", "2026-11-02 10:00", {"experiment": "page", "variant": None}),
            met("c0", ""),  # and so somebody who met one variant is not in several
        ]
    )
    assert await world.ask("experiment_allocation", "experiment variant users mismatch", **NOVEMBER) == [
        ("page", "control", 10, 0),
        ("page", "new", 10, 0),
    ]
    assert await world.ask("experiment_results", "variant users", **NOVEMBER) == [("control", 10), ("new", 10)]


async def test_another_goal_and_another_control(world: World) -> None:
    """The goal is an event: like, of which a user may have several; b is compared with a and c with a."""
    await world.tell(
        [
            *(met(f"{variant}{n}", variant, experiment="three") for variant in "abc" for n in range(3)),
            *(event(actor, "like", "2026-11-03 10:00") for actor in ("a1", "b1", "b1", "b2", "c0", "c1", "c2")),
            met("x", "a", experiment="other"),
        ]
    )
    columns = "variant users converted difference z t"
    given = {**NOVEMBER, "experiment": "three", "goal": "like", "control": "a"}
    # z of b: (2/3 - 1/3) / sqrt(1/2 * 1/2 * 2/3); of c: (1 - 1/3) / sqrt(2/3 * 1/3 * 2/3).
    # Likes have no value, so there is no t-test.
    assert await world.ask("experiment_results", columns, **given) == [
        ("a", 3, 1, None, None, None),
        ("b", 3, 2, 0.333333, 0.816497, None),
        ("c", 3, 3, 0.666667, 1.732051, None),
    ]


async def test_what_cannot_be_compared_is_null(world: World) -> None:
    """One user a variant, nobody converts; no control; no exposure at all."""
    await world.tell([met("a", "control"), met("b", "new"), met("c", "red", experiment="blind")])
    columns = "experiment variant conversion difference z p_value mde t t_p_value"
    assert await world.ask("experiment_results", columns, **NOVEMBER) == [
        ("blind", "red", 0.0, None, None, None, None, None, None),
        ("page", "control", 0.0, None, None, None, None, None, None),
        ("page", "new", 0.0, 0.0, None, None, None, None, None),
    ]
    await world.tell([])
    assert await world.ask("experiment_results", **NOVEMBER) == []
    assert await world.ask("experiment_allocation", **NOVEMBER) == []


async def test_allocation(world: World) -> None:
    """s1 met the new page first. 5 and 5 of 10: no mismatch. Meant as 1 to 3, expected are 2.5 and 7.5."""
    await world.tell(EVENTS)
    assert await world.ask("experiment_allocation", **NOVEMBER) == [
        ("page", "control", 5, 5.0, 0.5, 0, 0.0, 1.0, 0),
        ("page", "new", 5, 5.0, 0.5, 1, 0.0, 1.0, 0),
    ]
    columns = "variant expected chi_squared p_value mismatch"
    # (5 - 2.5)^2 / 2.5 + (5 - 7.5)^2 / 7.5 = 10 / 3; erfc(sqrt(5 / 3)).
    assert await world.ask("experiment_allocation", columns, **NOVEMBER, experiment="page", shares="1, 3") == [
        ("control", 2.5, 3.333333, 0.067889, 0),
        ("new", 7.5, 3.333333, 0.067889, 0),
    ]
    with pytest.raises(DatabaseError, match="shares: one for each variant"):
        await world.ask("experiment_allocation", **NOVEMBER, experiment="page", shares=[1, 1, 1])


@pytest.mark.parametrize(
    ("sizes", "chi_squared", "p_value"),
    [
        ((6, 2), 2.0, 0.157299),
        ((5, 4, 1), 2.6, 0.272532),
        ((4, 2, 1, 1), 3.0, 0.391625),
        ((60, 40, 20, 10, 5), 77.037037, 0.0),
        ((7,), None, None),
    ],
)
async def test_the_chi_squared_test(
    world: World, sizes: tuple[int, ...], chi_squared: float | None, p_value: float | None
) -> None:
    await world.tell([met(f"{v}{n}", f"v{v}") for v, size in enumerate(sizes) for n in range(size)])
    found = await world.ask("experiment_allocation", "users chi_squared p_value mismatch", **NOVEMBER)
    mismatch = None if p_value is None else int(p_value < 0.001)
    assert found == [(size, chi_squared, p_value, mismatch) for size in sizes]
