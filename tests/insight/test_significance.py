"""How surely two figures differ."""

from __future__ import annotations

import pytest

from pipeline.insight.significance import z_of_counts, z_of_shares, z_of_sums


def test_z_of_two_shares() -> None:
    # By hand: pooled 0.5, standard error sqrt(0.25 * (1/100 + 1/100)) = 0.0707; 0.2 / 0.0707 = 2.83.
    assert z_of_shares(40, 100, 60, 100) == pytest.approx(2.8284, abs=1e-4)
    assert z_of_shares(0, 0, 5, 10) == 0.0
    assert z_of_shares(5, 5, 9, 9) == 0.0
    # Users of a few minutes: some came to the step before earlier. No root of a negative number.
    assert z_of_shares(12, 10, 13, 10) == 0.0


def test_z_of_two_counts_and_of_two_sums() -> None:
    assert z_of_counts(100, 80) == pytest.approx(-20 / 180**0.5)
    assert z_of_counts(0, 0) == 0.0
    assert z_of_sums(100, 80, 180) == z_of_counts(100, 80)
    # Ten orders of 10 against eight: as sure as ten orders of 1 against eight.
    assert z_of_sums(100, 80, 18 * 100) == pytest.approx(z_of_counts(10, 8))
