"""Mistakes in the `alerting` part of a plan, and what is said of them."""

from __future__ import annotations

import pytest

from schemas.plan_io import PlanError, parse_plan

PLAN = """product: Test
lateness: 1h
dimensions: [event, platform, channel, [event, platform]]
events: {look: , pay: }
funnels:
  buying: {steps: [look, pay], breakdown: [platform, channel]}
alerting:
  labels: [event, platform, [event, platform]]
  receivers: {team: {print: true}}
  alerts:
    a: {%s}
"""
LINE = "line 11: alerting.alerts.a"


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ("metric: event, below: 1", ".metric: Input should be 'events', 'users', 'sessions', 'registrations', "
         "'revenue', 'active_users', 'conversion', 'rejected_share', 'lag' or 'freshness'"),
        ("metric: events", ": an alert has one condition (above, below, drop, rise, absent or unusual), not none"),
        ("metric: revenue, below: 1.0e+999", ".below: Input should be a finite number"),
        ("metric: revenue, above: 1.0e+999", ".above: Input should be a finite number"),
        ("metric: events, rise: 1.0e+999", ".rise: Input should be a finite number"),
        ("metric: events, unusual: 1.0e+999", ".unusual: Input should be a finite number"),
        ("metric: events, below: 1, at_least: 1.0e+999", ".at_least: Input should be a finite number"),
        ("metric: events, below: 1, drop: 10%", ": an alert has one condition (above, below, drop, rise, absent or "
         "unusual), not below and drop"),
        ("metric: lag, drop: 10%", ": drop is not for lag: use above"),
        ("metric: users, absent: true", ": absent is for events, not for users"),
        ("metric: events, drop: 100%", ": drop: at most 99%: for nothing at all use absent: true"),
        ("metric: conversion, below: 40%", ": funnel and step go with the metric conversion, which needs both"),
        ("metric: conversion, funnel: buying, step: pay, below: 40", ": conversion is a share: write it like 40%"),
        ("metric: events, event: look, by: event, below: 1", ": by: event is set already"),
        ("metric: lag, event: look, above: 1m", ": event is not for lag"),
        ("metric: events, below: 1, over: 30s", ": over: at least 1m, the time that a figure is of"),
        ("metric: events, below: 1, over: soon",
         ".over: 'soon' is not a duration: write it like 30s, 15m, 1h30m or 7d"),
        ("metric: events, below: 1, colour: red", ".colour: not a field that a plan has here"),
        ("metric: events, below: 1, against: yesterday", ": against goes with drop, rise or absent"),
    ],
)  # fmt: skip
def test_a_wrong_alert_is_said_with_its_line(alert: str, said: str) -> None:
    with pytest.raises(PlanError) as found:
        parse_plan(PLAN % alert)
    assert [str(problem) for problem in found.value.problems] == [LINE + said]


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ("metric: events, event: buy, below: 1", "a.event: the event 'buy' is not among this plan's events"),
        ("metric: events, below: 1, tell: me", "a: there is no receiver 'me'"),
        ("metric: events, below: 1, under: b", "a.under: there is no other alert 'b'"),
        ("metric: events, below: 1, by: channel", "a: put channel into the plan's dimensions and into alerting.labels"),
        ("metric: events, event: pay, where: {channel: ads}, below: 1",
         "a: put [event, channel] into the plan's dimensions and into alerting.labels"),
        ("metric: conversion, funnel: sale, step: pay, below: 4%", "a.funnel: there is no funnel 'sale'"),
        ("metric: conversion, funnel: buying, step: look, below: 4%",
         "a.step: 'look' must be one step after the first: pay"),
        ("metric: conversion, funnel: buying, step: pay, by: channel, below: 4%",
         "a: channel must be in the funnel's breakdown and in alerting.labels"),
    ],
)  # fmt: skip
def test_names_must_be_the_plans(alert: str, said: str) -> None:
    with pytest.raises(PlanError) as found:
        parse_plan(PLAN % alert)
    (problem,) = found.value.problems
    assert problem.message == f"alerting.alerts.{said}"
    assert problem.line == 11


def test_labels_and_receivers_are_checked() -> None:
    for old, new, said in (
        ("labels: [event, platform", "labels: [event, country",
         "alerting.labels: country is neither among the plan's dimensions nor a funnel's breakdown"),
        ("{print: true}", "{print: true, webhook: {url: \"http://x\"}}",
         "a receiver is exactly one of webhook, slack, email, wecom, feishu, dingtalk, print"),
        ("lateness: 1h", "lateness: 30s", "alerting.alerts: alerts need a lateness of at least 2m"),
    ):  # fmt: skip
        with pytest.raises(PlanError, match=said.replace(".", r"\.")):
            parse_plan((PLAN % "metric: events, below: 1").replace(old, new))


def test_what_explains_an_alert_fires_first() -> None:
    slow = PLAN % "metric: events, below: 1, over: 10m" + "    b: {metric: events, below: 2, over: 5m, under: a}\n"
    with pytest.raises(PlanError, match=r"alerts\.b\.under: a takes longer to fire"):
        parse_plan(slow)
    parse_plan(slow.replace("over: 5m", "over: 5m, for: 10m"))


def test_shares_and_durations_are_read() -> None:
    alerting = parse_plan(PLAN % "metric: lag, above: 90s, for: 1m30s").alerting
    assert (alerting.alerts["a"].above, alerting.alerts["a"].hold_for) == (90.0, 90_000)
    share = parse_plan(PLAN % "metric: conversion, funnel: buying, step: pay, below: 12.5 %").alerting.alerts["a"]
    assert (share.below, share.enough, share.span_ms) == (0.125, 100.0, 600_000)
