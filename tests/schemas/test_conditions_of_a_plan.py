# ruff: noqa: E501 - tables are read by their columns
"""Conditions, dimensions and figures that can never be: each is a mistake with its line, wherever it stands."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.conditions import mistakes, satisfiable
from schemas.plan import PropertySpec
from schemas.plan_io import PlanError, parse_plan
from schemas.where import Condition

PLAN = """\
product: Norway
events:
  view: {properties: {n: integer, kind: {enum: [a, b]}, at: timestamp, size: {type: number, min: 0, max: 10}, gift: boolean, tags: array, code: {max_length: 3, pattern: "^x"}, level: {type: integer, enum: [1, 2]}}}
  buy: {value: amount, properties: {amount: number}}
  bare:
dimensions: [event, platform]
"""
FUNNEL = PLAN + "funnels:\n  f: {steps: [{event: view, where: {%s}}, buy]}\n"
MEANING = PLAN + "meanings:\n  share: {event: view, where: {%s}}\n"
EXCLUDE = PLAN + "funnels:\n  f: {steps: [view, buy], exclude: [{event: view, where: {%s}}]}\n"
ONBOARDING = PLAN + "meanings:\n  onboarding: [{event: view, where: {%s}}]\n"
PLACES = {
    FUNNEL: "funnels.f.steps.0.where",
    EXCLUDE: "funnels.f.exclude.0.where",
    MEANING: "meanings.share.0.where",
    ONBOARDING: "meanings.onboarding.0.where",
}


def said(text: str) -> list[str]:
    with pytest.raises(PlanError) as found:
        parse_plan(text)
    return [str(problem) for problem in found.value.problems]


NEVER = [
    ('properties.n: "5"', "properties.n.eq: properties.n is a whole number, '5' is a text"),
    ("properties.n: 1.5", "properties.n.eq: properties.n can't be 1.5: it has to be a whole number"),
    ("properties.n: true", "properties.n.eq: properties.n is a whole number, true is true or false"),
    ("properties.n: 9223372036854775808", "properties.n.eq: properties.n can't be 9223372036854775808: it has to be less than or equal to 9223372036854775807"),
    ("properties.kind: c", "properties.kind.eq: properties.kind can't be 'c': it has to be one of a, b"),
    ("properties.kind: [a, c]", "properties.kind.in.1: properties.kind can't be 'c': it has to be one of a, b"),
    ("properties.kind: {ne: c}", "properties.kind.ne: properties.kind can't be 'c': it has to be one of a, b"),
    ("properties.kind: A", "properties.kind.eq: properties.kind can't be 'A': it has to be one of a, b"),
    ("properties.level: 3", "properties.level.eq: properties.level can't be 3: it has to be one of 1, 2"),
    ("properties.level: {gt: 2}", "properties.level: no value of properties.level is gt 2"),
    ("properties.size: 11", "properties.size.eq: properties.size can't be 11: it has to be less than or equal to 10"),
    ("properties.size: {gt: 10}", "properties.size: no value of properties.size is gt 10"),
    ("properties.size: {lt: 0}", "properties.size: no value of properties.size is lt 0"),
    ("properties.size: 1e1", "properties.size.eq: properties.size is a number, '1e1' is a text: write it with a point, like 1.0e+3"),
    ("properties.code: xlong", "properties.code.eq: properties.code can't be 'xlong': it has to have at most 3 characters"),
    ("properties.code: y", "properties.code.eq: properties.code can't be 'y': it has to match pattern '^x'"),
    ("properties.gift: 1", "properties.gift.eq: properties.gift is true or false, 1 is a number"),
    ('properties.gift: "true"', "properties.gift.eq: properties.gift is true or false, 'true' is a text"),
    ("properties.gift: {eq: true, ne: true}", "properties.gift: no value of properties.gift is eq true and ne true"),
    ("properties.tags: 1", "properties.tags: properties.tags is a list: conditions compare texts, numbers, true and false"),
    ('properties.at: "2026-11-25"', "properties.at.eq: properties.at can't be '2026-11-25': input should be an RFC 3339 time with a zone"),
    ("properties.n: {gt: 5, lt: 3}", "properties.n: no value of properties.n is gt 5 and lt 3"),
    ("properties.n: {gt: 5, lte: 5}", "properties.n: no value of properties.n is gt 5 and lte 5"),
    ("properties.n: {gt: 1, lt: 2}", "properties.n: no value of properties.n is gt 1 and lt 2"),
    ("properties.n: {gte: 1, lte: 1, ne: 1}", "properties.n: no value of properties.n is ne 1 and gte 1 and lte 1"),
    ("properties.n: {eq: 1, gt: 1}", "properties.n: no value of properties.n is eq 1 and gt 1"),
    ("properties.n: {in: [1, 2], gt: 2}", "properties.n: no value of properties.n is in [1, 2] and gt 2"),
    ("properties.n: {in: []}", "properties.n: no value of properties.n is in []"),
    ("platform: {eq: ios, ne: ios}", "platform: no value of platform is eq 'ios' and ne 'ios'"),
    ("platform: {gt: 3}", "platform.gt: platform is a text: gt compares numbers"),
    ('platform: ""', "platform.eq: an empty platform counts as missing, and what is missing fulfils no condition"),
    ("app_version: 1.10", 'app_version.eq: app_version is a text, 1.1 is a number: if the text is meant, put it in quotes: "1.10"'),
    ("app_version: 2", 'app_version.eq: app_version is a text, 2 is a number: if the text is meant, put it in quotes: "2"'),
    ("country: true", 'country.eq: country is a text, true is true or false: if the text is meant, put it in quotes: "true"'),
    ("event: buy", "event.eq: event can't be 'buy': it has to be one of view"),
    ("properties.amount: 5", "properties.amount: the plan gives view no property 'amount', which buy has: declare it under events.view.properties, or mend the name"),
    ("properties.knid: a", "properties.knid: the plan gives view no property 'knid' (did you mean kind?): declare it under events.view.properties, or mend the name"),
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=PLACES.values())
@pytest.mark.parametrize(("where", "message"), NEVER, ids=[where for where, _ in NEVER])
def test_what_can_never_hold(place: str, where: str, message: str) -> None:
    assert said(place % where) == [f"line 8: {PLACES[place]}.{message}"]


@pytest.mark.parametrize(
    "where",
    [
        "properties.n: 5", "properties.n: 5.0", "properties.n: {gt: 1, lt: 3}", "properties.n: {gte: 1, lte: 1}",
        "properties.kind: [a, b]", "properties.kind: {ne: a}", "properties.size: {gt: 0, lt: 0.001}",
        "properties.size: {gte: 10}", 'properties.at: "2026-11-25T10:00:00Z"', "properties.gift: false",
        "country: \"NO\"", 'app_version: "1.10"', "app_version: 1.10.0", "event: view",
        "properties.code: xyz", "properties.level: {gt: 1}", "platform: {ne: ios}", 'platform: "it\'s \\\\ 支付"',
    ],
)  # fmt: skip
def test_what_can_hold_is_fine(where: str) -> None:
    for place in PLACES:
        parse_plan(place % where)


def test_an_event_without_declared_properties_may_have_any() -> None:
    text = PLAN + "funnels:\n  f: {steps: [{event: bare, where: {properties.x: 1}}, buy]}\n"
    assert parse_plan(text).funnels["f"].steps[0].event == "bare"
    # ... but still no number is greater than 5 and less than 3, and what it rejects it never has.
    assert said(text.replace("properties.x: 1", "properties.x: {gt: 5, lt: 3}")) == [
        "line 8: funnels.f.steps.0.where.properties.x: no value of properties.x is gt 5 and lt 3"
    ]
    assert "the plan gives bare no property 'x'" in said("unknown_properties: reject\n" + text)[0]


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        (
            "[properties.nope]",
            "line 6: dimensions.0: no event of the plan has the property 'nope': declare it, or mend the name",
        ),
        (
            "[event, [platform, properties.knid]]",
            "line 6: dimensions.1: no event of the plan has the property 'knid' (did you mean kind?): declare it, or mend the name",
        ),
        (
            "[properties.tags]",
            "line 6: dimensions.0: properties.tags is array: only texts, numbers, true and false can be counted by",
        ),
    ],
)
def test_dimensions_that_no_event_has(dimensions: str, message: str) -> None:
    assert said(PLAN.replace("dimensions: [event, platform]", f"dimensions: {dimensions}")) == [message]


def test_a_breakdown_that_no_step_has() -> None:
    text = PLAN + "funnels:\n  f: {steps: [view, buy], breakdown: [properties.nope, properties.amount]}\n"
    assert said(text) == [
        "line 8: funnels.f.breakdown.0: the plan gives view, buy no property 'nope': declare it under "
        "events.view.properties, or mend the name"
    ]


@pytest.mark.parametrize(
    ("meaning", "message"),
    [
        ("payment: {event: buy, amount: properties.total}", "payment.0.amount: the plan gives buy no property 'total': declare it under events.buy.properties, or mend the name"),
        ("refund: {event: view, amount: properties.kind}", "refund.0.amount: amount is a number, and properties.kind of view is string: name another property"),
        ("share: {event: view, item: properties.tags}", "share.0.item: item is one value, and properties.tags of view is array: name another property"),
    ],
)  # fmt: skip
def test_fields_of_meanings(meaning: str, message: str) -> None:
    assert said(PLAN + f"meanings:\n  {meaning}\n") == [f"line 8: meanings.{message}"]


ALERT = """\
product: x
registration: view
dimensions: [event, platform, app_version, [event, platform], [event, properties.n], properties.n]
events: {view: {properties: {n: integer}}, buy: }
alerting:
  labels: [event, platform, app_version, [event, platform], [event, properties.n], properties.n]
  receivers: {team: {print: true}}
  alerts:
    a: {%s}
"""


@pytest.mark.parametrize(
    ("alert", "message"),
    [
        ("metric: events, event: view, where: {platform: on}, below: 1", '.where.platform: on is read as true: put it in quotes: "on"; or write true or false'),
        ("metric: events, event: view, where: {platform: true}, below: 1", '.where.platform: platform is a text, true is true or false: if the text is meant, put it in quotes: "true"'),
        ("metric: events, where: {app_version: 1.10}, below: 1", '.where.app_version: app_version is a text, 1.1 is a number: if the text is meant, put it in quotes: "1.10"'),
        ('metric: events, event: view, where: {properties.n: "5"}, below: 1', ".where.properties.n: properties.n is a whole number, '5' is a text"),
        ("metric: events, where: {properties.n: 1.5}, below: 1", ".where.properties.n: properties.n can't be 1.5: it has to be a whole number"),
        ("metric: events, where: {event: byu}, below: 1", ".where.event: event can't be 'byu': it has to be one of view, buy"),
        ("metric: events, event: buy, where: {properties.n: 5}, below: 1", ".where.properties.n: the plan gives buy no property 'n', which view has: declare it under events.buy.properties, or mend the name"),
        ("metric: revenue, event: buy, below: 1", ": buy has no value to sum up: say which property is, value: PROPERTY"),
        ("metric: revenue, below: 1", ": no event of the plan has a value to sum up: say which property is one, value: PROPERTY"),
        ("metric: events, below: 0", ": events is never below 0: for none at all use absent: true"),
        ("metric: active_users, span: 5m, below: 0", ": active_users is never below 0"),
        ("metric: lag, below: 0s", ": lag is never below 0"),
        ("metric: events, above: -5", ": events is always above -5: it is never negative"),
        ("metric: rejected_share, above: -0.01", ": rejected_share is always above -0.01: it is never negative"),
        ("metric: registrations, event: buy, below: 1", ": buy is no registration: only view is"),
    ],
)  # fmt: skip
def test_alerts_that_can_never_fire(alert: str, message: str) -> None:
    assert said(ALERT % alert) == [f"line 9: alerting.alerts.a{message}"]


def test_a_revenue_may_be_negative() -> None:
    text = (ALERT % "metric: revenue, below: -1").replace("buy: }", "buy: {value: n, properties: {n: number}}}")
    assert parse_plan(text).alerting.alerts["a"].below == -1


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("type: integer, enum: [1, 2, 3], min: 3", "1"),
        ("type: number, enum: [0.5, 9.5], max: 9", "9.5"),
        ("enum: [abc], max_length: 2", "'abc'"),
        ("enum: [abc, xyz], pattern: ^a", "'xyz'"),
    ],
)
def test_values_that_no_event_can_have(spec: str, value: str) -> None:
    text = PLAN.replace("kind: {enum: [a, b]}", f"kind: {{{spec}}}")
    assert said(text) == [
        f"line 3: events.view.properties.kind: enum: {value} is outside of the property's other bounds: no event can have it"
    ]


def test_a_dimension_of_one_field_twice() -> None:
    assert said(PLAN.replace("[event, platform]", "[event, [platform, platform]]")) == [
        "line 6: dimensions: [platform, platform] names a field twice"
    ]


def test_an_alert_of_no_registration() -> None:
    text = (ALERT % "metric: registrations, below: 1").replace("registration: view\n", "")
    assert said(text) == [
        "line 8: alerting.alerts.a: there are no registrations to watch: say which event is one, registration: EVENT"
    ]


def test_values_of_an_alert_are_texts_of_dimensions() -> None:
    alert = parse_plan(ALERT % "metric: events, where: {properties.n: 5}, below: 1").alerting.alerts["a"]
    assert alert.values == {"properties.n": "5"}
    parse_plan(ALERT % 'metric: events, event: view, where: {platform: "on"}, below: 1')


def condition(**operators: Any) -> Condition:
    return Condition.model_validate(operators)


@pytest.mark.parametrize(
    ("spec", "conditions", "expected"),
    [
        ({"type": "number"}, [{"gt": 1}, {"lt": 1.0000001}], True),
        ({"type": "number"}, [{"gte": 1}, {"lte": 1}, {"ne": 1}], False),
        ({"type": "integer"}, [{"gt": 0.5}, {"lt": 1.5}, {"ne": 1}], False),
        ({"type": "integer"}, [{"gt": 0.5}, {"lt": 2.5}, {"ne": 1}], True),
        ({"type": "integer", "max": 4}, [{"gt": 3}, {"ne": 4}], False),
        ({"type": "number", "enum": (0.5, 1)}, [{"gt": 0.5}, {"lt": 1}], False),
        ({"type": "string"}, [{"eq": "a"}, {"eq": "b"}], False),
        ({"type": "string"}, [{"in": ["a", "b"]}, {"in": ["b", "c"]}], True),
        ({"type": "string"}, [{"ne": "a"}, {"ne": "b"}], True),
        ({"type": "boolean"}, [{"ne": True}, {"ne": False}], False),
        (None, [{"eq": 1}, {"gt": 0}], True),
        (None, [{"eq": "a"}, {"gt": 0}], False),
        (None, [{"ne": 1}], True),
    ],
)
def test_whether_one_value_fulfils_all(spec: dict[str, Any] | None, conditions: list[Any], expected: bool) -> None:
    chosen = None if spec is None else PropertySpec.model_validate(spec)
    assert satisfiable(chosen, [condition(**c) for c in conditions]) is expected


def test_an_unknown_field_can_be_of_any_type() -> None:
    assert mistakes("properties.x", None, condition(eq="5")) == []
    assert [m.message for m in mistakes("properties.x", None, condition(gt=5, lt=3))] == [
        "no value of properties.x is gt 5 and lt 3"
    ]
