"""Verdicts in words, of literal rows of the metrics."""

from __future__ import annotations

from datetime import date
from typing import Any

from pipeline.insight.verdicts import campaign_change, campaign_verdict, experiment_verdict
from pipeline.render.language import Language

EN, ZH = Language("en"), Language("zh")
CONTROL = {"variant": "control", "users": 1000}


def variant(**changes: Any) -> dict[str, Any]:
    return {"variant": "new", "users": 1000, "difference": 0.05, "difference_low": 0.01, "difference_high": 0.09,
            "p_value": 0.012, "mde": 0.04, "too_few": 0, **changes}  # fmt: skip


def operation(**changes: Any) -> dict[str, Any]:
    return {"participants": 100, "compared_users": 100, "conversion": 0.4, "compared_conversion": 0.2, "p_value": 0.002,
            "comparison": "before", "roi": None, "whole": 1, "ends": date(2026, 11, 11), **changes}  # fmt: skip


def test_an_experiment() -> None:
    assert experiment_verdict(EN, variant(), CONTROL, False) == (
        "Better: +5.0 points (95 %: +1.0 … +9.0 points), p = 0.012."
    )
    shown = experiment_verdict(EN, variant(p_value=0.62, difference_low=-0.1), CONTROL, False)
    assert shown.startswith("No difference shown: it lies within −10.0 … +9.0 points.")


def test_of_too_few_nothing_is_said_though_p_is_small() -> None:
    """A thousand users a group, of whom three converted: fewer than five are expected."""
    assert experiment_verdict(EN, variant(too_few=1), CONTROL, False) == "Too few users to say (1,000)."
    assert experiment_verdict(EN, variant(users=1), CONTROL, False) == "Too few users to say (1)."


def test_an_operation() -> None:
    assert campaign_verdict(EN, operation()) == "40.0 % bought, against 20.0 % of the days before."
    assert campaign_verdict(EN, operation(p_value=0.06)) == (
        "Bought no more than the days before: a difference within chance."
    )
    assert campaign_verdict(EN, operation(conversion=0.0, compared_conversion=0.0, p_value=None)).startswith(
        "Bought no"
    )


def test_an_operation_against_the_one_before() -> None:
    def row(people: int, conversion: float | None, before: float, p_value: float | None) -> dict[str, Any]:
        return {"participants": people, "conversion": conversion, "before_participants": 200,
                "before_conversion": before, "p_value": p_value}  # fmt: skip

    more = row(200, 0.3, 0.2, 0.0209)
    assert campaign_change(EN, more) == "More of them bought: +10.0 points, p = 0.021."
    assert campaign_change(EN, row(200, 0.2, 0.3, 0.0209)) == "Fewer of them bought: −10.0 points, p = 0.021."
    assert campaign_change(EN, row(200, 0.2, 0.2, 1.0)) == "Bought as before: a difference within chance (p = 1.000)."
    # Nobody bought, then or now: there is nothing to test.
    assert campaign_change(EN, row(200, 0.0, 0.0, None)) == "Bought as before: a difference within chance (p = 1.000)."
    assert campaign_change(EN, row(29, 1.0, 0.2, 0.0001)) == "Too few users to compare (29)."
    assert campaign_change(EN, row(0, None, 0.2, None)) == "Nobody took part yet."
    assert campaign_change(ZH, more).startswith("购买率更高：+10.0")


def test_an_operation_that_is_not_over_says_so() -> None:
    assert campaign_verdict(EN, operation(whole=0)) == (
        "Not over. So far: 40.0 % bought, against 20.0 % of the days before."
    )
    assert campaign_verdict(ZH, operation(whole=0)).startswith("尚未结束。目前：")
