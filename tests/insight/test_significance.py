"""How surely two figures differ."""

from __future__ import annotations

import pytest

from pipeline.insight.significance import z_of_counts, z_of_shares, z_of_sums
from pipeline.insight.verdicts import campaign_verdict
from pipeline.render.language import Language


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


def test_a_campaign_is_judged_by_the_pooled_test() -> None:
    row = {
        "participants": 40, "compared_users": 400, "conversion": 0.15, "compared_conversion": 0.06,
        "comparison": "others", "roi": None,
    }  # fmt: skip
    # By hand: pooled 30/440, standard error 0.0418; 0.09 / 0.0418 = 2.15. Unpooled it would be 1.56.
    said = campaign_verdict(Language("en"), row)
    assert said == "15.0 % bought, against 6.0 % of those who took no part."
    same = campaign_verdict(Language("en"), {**row, "conversion": 0.10})
    assert same == "Bought no more than those who took no part: a difference within chance."
