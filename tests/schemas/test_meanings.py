"""The section `meanings` of a plan: its short forms, and its mistakes with their lines."""

from __future__ import annotations

import pytest

from schemas.meanings import Meanings
from schemas.plan_io import PlanError, parse_plan, ready_plans

PLAN = """\
product: Test
events:
  buy: {value: amount, properties: {amount: number!}}
  renew:
registration: renew
meanings:
"""


def meanings(text: str) -> Meanings:
    return parse_plan(PLAN + text).meanings


def test_a_name_a_mapping_and_a_list() -> None:
    for text in ("  payment: buy", "  payment: {event: buy}", "  payment: [buy]"):
        (payment,) = meanings(text).payment
        assert (payment.event, payment.amount, payment.fields()) == ("buy", None, {})
    first, second = meanings(
        "  payment: [buy, {event: renew, amount: properties.price, where: {platform: ios}}]"
    ).payment
    assert first.event == "buy"
    assert second.fields() == {"amount": "properties.price"}
    assert list(second.where) == ["platform"]


def test_nothing_is_said() -> None:
    said = parse_plan(PLAN.removesuffix("meanings:\n")).meanings
    assert said == Meanings()
    assert said.payment == ()
    assert said.thresholds.session_gap == 1_800_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  paiment: buy", "line 7: meanings.paiment: not a field that a plan has here"),
        ("  payment: purchase", "line 7: meanings.payment: the event 'purchase' is not among this plan's events"),
        (
            "  activation: buy\n  refund: {event: buy, amount: amount}",
            "line 8: meanings.refund: amount: 'amount' is neither",
        ),
        ("  survey: {event: buy, score: channel}", "line 7: meanings.survey: score: 'channel' is no number"),
        ("  exposure: {event: buy, experiment: properties.e}", "line 7: meanings.exposure.0.variant: Field required"),
        ("  share: {event: buy, where: {colour: red}}", "line 7: meanings.share: where: 'colour' is neither"),
        ("  onboarding: [renew, open]", "line 7: meanings.onboarding: the event 'open' is not among"),
        ("  thresholds: {at_risk: 30d, dormant: 14d}", "meanings.thresholds.dormant: must be longer than at_risk"),
        ("  thresholds: {at_risk: 36h}", "meanings.thresholds.at_risk: must be whole days, like 14d"),
        ("  thresholds: {high_value: 0}", "meanings.thresholds.high_value: Input should be greater than 0"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(PlanError) as raised:
        meanings(text)
    assert message in str(raised.value)


def test_the_ready_plans_name_payments() -> None:
    assert all(parse_plan(text, name).meanings.payment for name, text in ready_plans().items())
