"""How surely two figures differ: in standard errors, and how many of them may be called what. Pure.

Every test of Streamgauge but those written in SQL (`sql/metrics`, each with its formula) and in PromQL is made here.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

#: |z| from which on a difference is said to be likely (two-sided p = 5 %), very likely (1 %), almost certain (0.01 %).
LIKELY: Final = 1.96
VERY_LIKELY: Final = 2.58
ALMOST_CERTAIN: Final = 3.9
#: Users that a figure must rest on before a word is said of it.
ENOUGH: Final = 30


def z_of_shares(k0: float, n0: float, k1: float, n1: float) -> float:
    """z of the two-proportion test, pooled: how many standard errors k1 of n1 lies above k0 of n0.

        z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1)),  p = (k0 + k1) / (n0 + n1)

    0 where there is nothing to compare, or nobody or everybody got there both times.
    """
    if not n0 or not n1:
        return 0.0
    pooled = (k0 + k1) / (n0 + n1)
    spread = sqrt(max(0.0, pooled * (1 - pooled) * (1 / n0 + 1 / n1)))
    return (k1 / n1 - k0 / n0) / spread if spread else 0.0


def z_of_sums(before: float, after: float, squares: float) -> float:
    """z of two sums over equal times, as of a compound Poisson process.

        z = (after - before) / sqrt(squares)

    `squares` is the sum of the squares of all that both sums are made of.
    """
    return (after - before) / sqrt(squares) if squares > 0 else 0.0


def z_of_counts(before: float, after: float) -> float:
    """z of two counts over equal times, as of Poisson: a sum of ones.

    Clustering (one user, many events) makes it too large, so ask more of it.
    """
    return z_of_sums(before, after, before + after)
