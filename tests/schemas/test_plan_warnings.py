# ruff: noqa: E501 - tables are read by their columns
"""What `plan check` warns of: plans that are valid and surely not meant so. Each is silent on its sound neighbour."""

from __future__ import annotations

import pytest

from schemas.plan_io import read_plan, ready_plans

SHOP = """\
product: x
events:
  view: {properties: {kind: {enum: [a, b]}, n: integer}}
  cart:
  buy: {value: amount, properties: {amount: {type: number, min: 0}}}
  refund: {value: amount, properties: {amount: {type: number%s}}}
meanings: {payment: buy, refund: refund}
funnels:
  f: {steps: [%s], %s}
"""


def warnings(text: str) -> list[str]:
    return [str(warning) for warning in read_plan(text)[1]]


def funnel(steps: str, more: str = "window: 1h") -> list[str]:
    return warnings(SHOP % (", max: 0", steps, more))


ONCE = "line 9: funnels.f.steps.1: one view can be step 1 and step 2 at once; to ask for two of them say modes: [strict_once]"
NEVER = "line 9: funnels.f.steps.1: with strict_increase nobody gets to step 2, as each view of it begins step 1 anew; to ask for two of them say modes: [strict_once]"


@pytest.mark.parametrize(
    ("steps", "more", "expected"),
    [
        ("view, view, buy", "window: 1h", [ONCE]),
        ("view, view, buy", "modes: [strict_deduplication]", [ONCE]),
        ("view, view, buy", "modes: [strict_order]", [ONCE]),
        ("view, view, buy", "modes: [strict_increase]", [NEVER]),
        ("view, view, buy", "modes: [strict_once]", []),
        ("view, view, buy", "modes: [strict_once, strict_increase]", []),
        ("view, cart, view, buy", "window: 1h", []),
        ("view, {event: view, where: {platform: ios}}", "window: 1h", [ONCE]),
        ("{event: view, where: {platform: ios}}, view", "modes: [strict_increase]", []),
        ("view, {event: view, where: {platform: ios}}", "modes: [strict_increase]", [NEVER]),
        ("{event: view, where: {platform: web}}, {event: view, where: {platform: ios}}", "window: 1h", []),
        ("{event: view, where: {properties.kind: a}}, {event: view, where: {properties.kind: {ne: a}}}", "window: 1h", []),
        ("{event: view, where: {properties.n: {lt: 3}}}, {event: view, where: {properties.n: {gte: 3}}}", "window: 1h", []),
        ("{event: view, where: {properties.n: {lte: 3}}}, {event: view, where: {properties.n: {gte: 3}}}", "window: 1h", [ONCE]),
        ("view, cart, buy", "exclude: [cart]", ["line 9: funnels.f.exclude.0: every event that is step 2 (cart) also ends the way: hardly anybody gets to step 3; exclude another event, or fewer of these by where"]),
        ("view, {event: cart, where: {platform: ios}}, buy", "exclude: [cart]", ["line 9: funnels.f.exclude.0: every event that is step 2 (cart) also ends the way: hardly anybody gets to step 3; exclude another event, or fewer of these by where"]),
        ("view, cart, buy", "exclude: [{event: cart, where: {platform: ios}}]", []),
        ("view, cart, buy", "exclude: [buy]", []),
    ],
)  # fmt: skip
def test_steps(steps: str, more: str, expected: list[str]) -> None:
    assert funnel(steps, more) == expected


REFUND = "line 6: events.refund.properties.amount: refund is a refund and its amount may be positive: it is taken off the revenue whatever its sign; say max: 0 and send it negative, so that everybody who reads the events sees the same"


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [("", [REFUND]), (", min: 0", [REFUND]), (", max: 1", [REFUND]), (", max: 0", []), (", max: -0.01", [])],
)
def test_a_refund_is_negative(bounds: str, expected: list[str]) -> None:
    assert warnings(SHOP % (bounds, "view, buy", "window: 1h")) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  cart:\n", "  cart: {value: p, properties: {p: number}}\n", ["line 4: events.cart.value: the live revenue adds up the p of cart, which is not a payment or refund in meanings: the metrics of revenue leave the rest out"]),
        ("payment: buy", "payment: {event: buy, where: {platform: ios}}", ["line 5: events.buy.value: the live revenue adds up the amount of buy, which is only in part a payment or refund in meanings: the metrics of revenue leave the rest out"]),
        ("{value: amount, properties: {amount: {type: number, min: 0}}}", "{properties: {paid: number}}", ["line 5: events.buy: the metrics read what buy is worth from properties.paid, the live revenue from its value (none): say value: paid"]),
    ],
)  # fmt: skip
def test_revenue_that_is_two_figures(old: str, new: str, expected: list[str]) -> None:
    text = SHOP % (", max: 0", "view, buy", "window: 1h")
    if "paid" in new:
        text = text.replace("payment: buy", "payment: {event: buy, amount: properties.paid}")
    assert warnings(text.replace(old, new)) == expected


def test_ids_are_remembered_as_long_as_events_count() -> None:
    text = "product: x\nlateness: 2h\ndedupe: %s\nevents: {a: }\n"
    assert warnings(text % "10m") == [
        "line 3: dedupe: ids are remembered for 10m and events count for 2h: one that is sent again in between counts twice; make dedupe at least 2h"
    ]
    assert warnings(text % "2h") == []


def test_what_the_plan_does_not_declare() -> None:
    text = "product: x\nunknown_events: keep\nevents: {view: , buy: }\nfunnels:\n  f: {steps: [%s, buy]}\n"
    assert warnings(text % "veiw") == [
        "line 5: funnels.f.steps.0: the plan doesn't declare the event 'veiw' (did you mean view?): nothing checks what it is"
    ]
    assert warnings(text % "{event: view, where: {properties.n: 1}}") == [
        "line 5: funnels.f.steps.0.where.properties.n: the plan gives view no property 'n': declare it under events.view.properties, or mend the name"
    ]


@pytest.mark.parametrize("name", ready_plans())
def test_the_plans_that_come_along_are_without_any(name: str) -> None:
    assert read_plan(ready_plans()[name], name)[1] == []
