# ruff: noqa: E501 - tables are read by their columns
"""Names as SDKs send them are names in a plan, everywhere; what can't be one is refused in words."""

from __future__ import annotations

import pytest
import yaml

from schemas.models import known_events
from schemas.plan_io import PlanError, parse_plan, read_plan

SENT = [
    "$pageview", "$AppStart", "支付成功", "Sign Up (Google)", "Заказ оплачен", "it's 5 o'clock", 'say "hi"', "a\\b", "{x:String}",
    "{{ .Value }}", "%s %(a)s 100%", "a/b?c=d&e#f", "<b>", "null", "NO", "1.10", "🛒 checkout", "re\u0301sume\u0301", "properties", "ts",
    "a" * 200, "-- drop", "$1", "=1+1", "@here", "a,b;c", "`tick`", "event", "__proto__", "|", "[x]", "*", "a: b", "# no comment",
]  # fmt: skip


@pytest.mark.parametrize("name", SENT)
def test_a_name_that_an_sdk_sends(name: str) -> None:
    text = yaml.safe_dump(
        {
            "product": "x",
            "events": {name: {"value": name, "properties": {name: "number"}}, "other": None},
            "registration": name,
            "dimensions": [f"properties.{name}"],
            "funnels": {
                name: {
                    "steps": [{"event": name, "name": name, "where": {f"properties.{name}": 1}}, "other"],
                    "exclude": [name],
                    "breakdown": [f"properties.{name}"],
                }
            },
            "meanings": {"payment": {"event": name, "amount": f"properties.{name}"}},
            "alerting": {
                "labels": [f"properties.{name}"],
                "receivers": {"team": {"print": True}},
                "alerts": {"a": {"metric": "events", "where": {f"properties.{name}": 1}, "below": 1}},
            },
        },
        allow_unicode=True,
        sort_keys=False,
    )
    plan = parse_plan(text)
    assert list(plan.events) == [name, "other"]
    assert plan.funnels[name].steps[0].event == plan.registration == name


REFUSED = [
    ("", "a name can't be empty"),
    (" pay", "' pay': a name can't begin or end with a space"),
    ("pay\u3000", "'pay\\u3000': a name can't begin or end with a space"),
    ("a\nb", "'a\\nb': a line break at position 2 can't stand here"),
    ("a\x00b", "'a\\x00b': a control character at position 2 can't stand here"),
    ("a\x7f", "'a\\x7f': a control character at position 2 can't stand here"),
    ("a\u2028b", "'a\\u2028b': a line break at position 2 can't stand here"),
    ("a\tb", "'a\\tb': a control character at position 2 can't stand here"),
    ("a" * 201, f"'{'a' * 57}...' has 201 characters; a name has at most 200"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED, ids=[repr(name[:9]) for name, _ in REFUSED])
def test_what_can_be_no_name(name: str, message: str) -> None:
    key = yaml.safe_dump(name, default_style='"').strip().replace("\n", " ") if len(name) < 99 else f'"{name}"'
    for text, path in (
        (f"product: x\nevents: {{a: , {key}: }}\n", f"events.{name}"),
        (f"product: x\nevents: {{a: {{properties: {{{key}: string}}}}}}\n", f"events.a.properties.{name}"),
        (f"product: x\nevents: {{a: }}\nfunnels: {{{key}: {{steps: [a]}}}}\n", f"funnels.{name}"),
        (f"product: x\nevents: {{a: }}\nfunnels: {{f: {{steps: [{key}]}}}}\n", "funnels.f.steps.0.event"),
        (f"product: x\nevents: {{a: }}\nregistration: {key}\n", "registration"),
    ):
        with pytest.raises(PlanError) as found:
            parse_plan(text)
        (problem,) = found.value.problems
        assert (problem.path, problem.message, problem.line) == (
            path,
            message,
            3 if path != f"events.{name}" and "events.a" not in path else 2,
        )
    assert "pattern" not in message


def test_a_title_is_one_line() -> None:
    with pytest.raises(PlanError, match="a line break at position 2 can't stand here"):
        parse_plan('product: "x"\nevents: {a: }\nfunnels: {f: {steps: [{event: a, name: "b\\nc"}]}}\n')


def test_names_are_compared_exactly_and_look_alikes_are_told() -> None:
    composed, combining = "caf\u00e9", "cafe\u0301"
    with pytest.raises(PlanError) as found:
        parse_plan(f"product: x\nevents:\n  {composed}:\n  {combining}:\n")
    assert [str(problem) for problem in found.value.problems] == [
        f"line 4: events.{combining}: {combining!r} looks like another name here but is written with other characters: keep one of the two"
    ]
    plan, warnings = read_plan(f"product: x\nevents:\n  {combining}:\n")
    assert list(plan.events) == [combining]
    assert [str(warning) for warning in warnings] == [
        f"line 3: events.{combining}: {combining!r} is written with combining characters (not NFC), and names are compared exactly: is that what the producer sends?"
    ]


def test_the_name_of_an_alert_is_refused_in_words() -> None:
    text = "product: x\nevents: {a: }\nalerting: {alerts: {支付: {metric: lag, above: 1m}}}\n"
    with pytest.raises(PlanError) as found:
        parse_plan(text)
    (problem,) = found.value.problems
    assert problem.message == (
        "'支付' can't be the name of an alert or a receiver: use a letter, then letters, digits and _ (at most 80); a title may be any text"
    )


def test_the_exported_schema_tells_events_apart_by_their_names() -> None:
    plan = parse_plan(
        yaml.safe_dump(
            {"product": "x", "events": {name: {"properties": {name: "number!"}} for name in SENT}}, allow_unicode=True
        )
    )
    schema = known_events(plan).json_schema()
    references = [item["$ref"].removeprefix("#/$defs/") for item in schema["oneOf"]]
    events = [schema["$defs"][reference] for reference in references]
    assert sorted(event["properties"]["event"]["const"] for event in events) == sorted(SENT)
    for event in events:
        name = event["properties"]["event"]["const"]
        properties = schema["$defs"][event["properties"]["properties"]["$ref"].removeprefix("#/$defs/")]
        assert (list(properties["properties"]), properties["required"]) == ([name], [name])
