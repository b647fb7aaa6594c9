# ruff: noqa: E501 - tables are read by their columns
"""Texts without quotes that YAML reads as something else: one line that says so, wherever a name or a value stands."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

import schemas.alerts
import schemas.plan
import schemas.receivers
from schemas.plan_io import PlanError, parse_plan
from schemas.yaml_text import TRUE_OR_FALSE

NORWAY = """\
product: Norway
events:
  view: {properties: {n: {type: string}}}
  buy:
funnels:
  norway: {steps: [{event: view, where: {country: NO}}, buy], window: 1h}
  version: {steps: [{event: view, where: {app_version: 1.10}}, buy], window: 1h}
  version3: {steps: [{event: view, where: {app_version: 1.10.0}}, buy], window: 1h}
  onn: {steps: [{event: view, where: {platform: on}}, buy], window: 1h}
  sexa: {steps: [{event: view, where: {campaign: 12:30}}, buy], window: 1h}
  oct: {steps: [{event: view, where: {channel: 010}}, buy], window: 1h}
"""


def said(text: str) -> list[str]:
    with pytest.raises(PlanError) as found:
        parse_plan(text)
    return [str(problem) for problem in found.value.problems]


def test_every_word_of_a_plan_is_named_with_its_line() -> None:
    assert said(NORWAY) == [
        'line 6: funnels.norway.steps.0.where.country: NO is read as false: put it in quotes: "NO"; or write true or false',
        'line 7: funnels.version.steps.0.where.app_version.eq: app_version is a text, 1.1 is a number: if the text is meant, put it in quotes: "1.10"',
        'line 9: funnels.onn.steps.0.where.platform: on is read as true: put it in quotes: "on"; or write true or false',
        'line 10: funnels.sexa.steps.0.where.campaign: 12:30 is read as the number 750: put it in quotes: "12:30"; or the number in plain digits',
        'line 11: funnels.oct.steps.0.where.channel: 010 is read as the number 8: put it in quotes: "010"; or the number in plain digits',
    ]
    quoted = NORWAY
    for word in ("NO", "1.10", "on", "12:30", "010"):
        quoted = quoted.replace(f": {word}}}", f': "{word}"}}')
    assert parse_plan(quoted).funnels["norway"].steps[0].where["country"].eq == "NO"


#: What stands without quotes, and what YAML makes of it.
WORDS = [
    ("NO", "false"), ("no", "false"), ("Off", "false"), ("yes", "true"), ("On", "true"),
    ("010", "the number 8"), ("1_000", "the number 1000"), ("0x1F", "the number 31"), ("0b11", "the number 3"),
    ("12:30", "the number 750"), ("1:30.5", "the number 90.5"), ("1_0.5", "the number 10.5"), (".inf", "the number inf"),
    ("-.inf", "the number -inf"), (".nan", "the number nan"),
    ("2026-11-25", "a date"), ("2026-11-25 10:00:00", "a date"), ("2026-13-45", "a date"), ("=", "something else"),
]  # fmt: skip
VALUE = "product: x\nevents: {a: {properties: {n: number, t: string}}, b: }\nfunnels:\n  f:\n    steps: [{event: a, where: {%s: %s}}, b]\n"


@pytest.mark.parametrize(("word", "read"), WORDS, ids=[word for word, _ in WORDS])
def test_a_value(word: str, read: str) -> None:
    for field in ("country", "properties.t", "properties.n"):
        text = VALUE % (field, word)
        (problem,) = said(text)
        # A date that is none can't be read at all: then only it is said.
        assert problem.startswith(
            f"line 5: funnels.f.steps.0.where.{field}: {word} is read as {read}: put it in quotes: "
        ), problem
        assert f'"{word}"' in problem
    assert parse_plan(VALUE % ("country", f'"{word}"')).funnels["f"].steps[0].where["country"].eq == word


@pytest.mark.parametrize(("word", "read"), [*WORDS[:-1], ("~", "nothing"), ("null", "nothing"), ("5", "the number 5"), ("1.5", "the number 1.5"), ("true", "true")])  # fmt: skip
def test_a_name(word: str, read: str) -> None:
    for text, where in (
        (f"product: x\nevents:\n  a:\n  {word}:\n", "events"),
        (f"product: x\nevents:\n  a:\n    properties: {{\n      {word}: string}}\n", "events.a.properties"),
        (f"product: x\nevents:\n  a:\nfunnels:\n  {word}: {{steps: [a]}}\n", "funnels"),
    ):
        line = text.split(word)[0].count("\n") + 1
        found = said(text)
        assert found == [f'line {line}: {where}.{word}: a name, which YAML reads as {read}: put it in quotes: "{word}"']


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("registration: on", 'registration: on is read as true: put it in quotes: "on"; or write true or false'),
        (
            "registration: true",
            'registration: Input should be a valid string: if the text is meant, put it in quotes: "true"',
        ),
        (
            "registration: 42",
            'registration: Input should be a valid string: if the text is meant, put it in quotes: "42"',
        ),
        ("dimensions: [no]", 'dimensions.0: no is read as false: put it in quotes: "no"; or write true or false'),
        (
            "dimensions: [[event, 7]]",
            'dimensions.0.1: Input should be a valid string: if the text is meant, put it in quotes: "7"',
        ),
        (
            "funnels: {f: {steps: [on, b]}}",
            'funnels.f.steps.0: on is read as true: put it in quotes: "on"; or write true or false',
        ),
        (
            "funnels: {f: {steps: [~, b]}}",
            'funnels.f.steps.0: Input should be a valid dictionary or instance of Step: if the text is meant, put it in quotes: "~"',
        ),
        (
            "funnels: {f: {steps: [{event: 5}, b]}}",
            'funnels.f.steps.0.event: Input should be a valid string: if the text is meant, put it in quotes: "5"',
        ),
        (
            "funnels: {f: {steps: [{event: b, name: 1.10}, b]}}",
            'funnels.f.steps.0.name: Input should be a valid string: if the text is meant, put it in quotes: "1.10"',
        ),
        ("funnels: {f: {steps: [b], breakdown: 3}}", "funnels.f.breakdown: Input should be a valid tuple"),
        (
            "funnels: {f: {steps: [{event: b, where: {country: null}}]}}",
            'funnels.f.steps.0.where.country: an empty condition: use one of eq, ne, in, gt, gte, lt, lte: if the text is meant, put it in quotes: "null"',
        ),
        (
            "funnels: {f: {steps: [{event: b, where: {country: [DE, ~]}}]}}",
            'funnels.f.steps.0.where.country.in.1: Input should be a text, a number, true or false: if the text is meant, put it in quotes: "~"',
        ),
        (
            "meanings: {activation: no}",
            'meanings.activation: no is read as false: put it in quotes: "no"; or write true or false',
        ),
        ("description: 2026-11-25", 'description: 2026-11-25 is read as a date: put it in quotes: "2026-11-25"'),
        (
            "lateness: 1:30",
            'lateness: 1:30 is read as the number 90: put it in quotes: "1:30"; or the number in plain digits',
        ),
        (
            "max_values: 1_000",
            'max_values: 1_000 is read as the number 1000: put it in quotes: "1_000"; or the number in plain digits',
        ),
    ],
)
def test_other_places(line: str, expected: str) -> None:
    assert said(f"product: x\nevents: {{b: {{properties: {{p: string}}}}}}\n{line}\n") == [f"line 3: {expected}"]


def test_an_enum() -> None:
    text = "product: x\nevents:\n  a:\n    properties:\n      p: {enum: [DE, %s]}\n"
    assert said(text % "NO") == [
        'line 5: events.a.properties.p.enum.1: NO is read as false: put it in quotes: "NO"; or write true or false',
        'line 5: events.a.properties.p: enum: False is not of type string: give the type that it has: if the text is meant, put it in quotes: "NO"',
    ]
    assert said(text % "1.10") == [
        'line 5: events.a.properties.p: enum: 1.1 is not of type string: give the type that it has: if the text is meant, put it in quotes: "1.10"'
    ]


def test_where_true_or_false_is_asked_for_the_words_say_it() -> None:
    plan = parse_plan("product: x\nevents: {a: {properties: {p: {type: string, required: yes}}}}\n")
    assert plan.events["a"].properties["p"].required is True
    plan = parse_plan(
        "product: x\nevents: {a: {properties: {g: boolean}}}\nfunnels: {f: {steps: [{event: a, where: {properties.g: true}}]}}\n"
    )
    assert plan.funnels["f"].steps[0].where["properties.g"].eq is True


def test_the_fields_that_are_true_or_false_are_known() -> None:
    found = set()
    for module in (schemas.alerts, schemas.plan, schemas.receivers):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, BaseModel):
                found |= {f.alias or name for name, f in model.model_fields.items() if _is_bool(f.annotation)}
    assert found == TRUE_OR_FALSE


def _is_bool(annotation: Any) -> bool:
    return annotation is bool or "Literal[True]" in str(annotation)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('product: x\nevents: {a: }\ndescription: "\\ud800"\n', ["line 3: description: half of a character (a lone surrogate) is no text"]),
        ("product: x\nevents:\n  ? [a]\n  : \n", ["line 3: while constructing a mapping"]),
        ("[" * 20_000, ["line 1: nested too deeply"]),
        ("product: x\nevents: {a: }\ndescription: a\x00b\n", ["line 3: special characters are not allowed"]),
        ("product: " + "9" * 5_000 + "\n", None),
    ],
)  # fmt: skip
def test_what_no_plan_can_be(text: str, expected: list[str] | None) -> None:
    found = said(text)
    assert len(found) >= 1
    if expected is not None and "constructing" not in expected[0]:
        assert found == expected
