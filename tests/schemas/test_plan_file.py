# ruff: noqa: E501 - tables are read by their columns
"""Tracking plans as people write them: what is understood, and the line of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.duration import format_duration, parse_duration
from schemas.plan import Condition, Plan, PropertySpec, Step
from schemas.plan_io import MAX_PLAN_BYTES, PlanError, load_plan, parse_plan, ready_plans

SMALL = """\
product: Shop
events:
  look:
  buy:
    value: amount
    properties:
      amount: number!
      method: {type: string, enum: [card, cash]}
funnels:
  sale:
    steps: [look, buy]
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        parse_plan(text)
    assert str(caught.value) == "\n".join(f"plan: {p}" for p in caught.value.problems)
    return [str(p) for p in caught.value.problems]


def with_event(lines: str) -> str:
    """A plan whose event `a` has these lines (from line 4 on)."""
    return "product: x\nevents:\n  a:\n" + "".join(f"    {line}\n" for line in lines.splitlines())


def test_a_small_plan_has_sensible_defaults() -> None:
    plan = parse_plan(SMALL)
    assert (plan.lateness, plan.dedupe, plan.max_future) == (3_600_000, 3_600_000, 300_000)
    assert (plan.timezone, plan.unknown_events, plan.unknown_properties) == ("UTC", "reject", "keep")
    assert plan.dimensions == (("event",), ("platform",), ("channel",))
    funnel = plan.funnels["sale"]
    assert (funnel.window, funnel.bucket, funnel.attribution, funnel.per) == (3_600_000, "day", "first", "user")
    assert [step.title for step in funnel.steps] == ["look", "buy"]


def test_short_forms() -> None:
    plan = parse_plan(
        """\
product: x
dimensions: [event, [platform, channel], properties.size]
events:
  a:
  b:
    properties: {size: integer, name: string!}
funnels:
  f:
    steps:
      - a
      - {event: b, name: big one, where: {properties.size: {gte: 10}, platform: ios, country: [DE, FR]}}
    breakdown: platform
    modes: strict_order
    window: 1h30m
"""
    )
    assert plan.dimensions == (("event",), ("platform", "channel"), ("properties.size",))
    assert plan.events["b"].properties == {
        "size": PropertySpec(type="integer"),
        "name": PropertySpec(type="string", required=True),
    }
    funnel = plan.funnels["f"]
    assert funnel.steps[1] == Step(
        event="b",
        name="big one",
        where={
            "properties.size": Condition(gte=10),
            "platform": Condition(eq="ios"),
            "country": Condition.model_validate({"in": ("DE", "FR")}),
        },
    )
    assert (funnel.breakdown, funnel.modes, funnel.window) == (("platform",), ("strict_order",), 5_400_000)


@pytest.mark.parametrize("name", ready_plans())
def test_the_plans_that_come_along_load_and_survive_a_round_trip(name: str) -> None:
    plan = load_plan(name)
    assert plan.events
    assert plan.funnels
    assert Plan.model_validate(plan.model_dump(mode="json", by_alias=True, exclude_unset=True)) == plan


def test_the_ready_plans() -> None:
    assert set(ready_plans()) >= {"shop", "content", "ecom"}


def test_a_plan_is_found_by_path_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.yaml").write_text(SMALL)
    (tmp_path / "shop").mkdir()  # a folder of the same name doesn't hide the ready plan
    monkeypatch.chdir(tmp_path)
    assert load_plan("my.yaml").product == "Shop"
    assert load_plan("shop").product == "Demo shop"
    (tmp_path / "mine").write_text(SMALL)
    assert load_plan("mine").product == "Shop"
    with pytest.raises(FileNotFoundError):
        load_plan("none.yaml")
    with pytest.raises(FileNotFoundError, match="no plan none: give a YAML file, or one of content, ecom"):
        load_plan("none")


def test_files_that_are_no_plans(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    for content, message in [
        (b"product: x\nname: \xff\n", "line 2: not UTF-8 text"),
        (b"#" * (MAX_PLAN_BYTES + 1), f"line 1: larger than {MAX_PLAN_BYTES} bytes"),
    ]:
        path.write_bytes(content)
        with pytest.raises(PlanError) as caught:
            load_plan(path)
        assert str(caught.value) == f"{path}: {message}"


MISTAKES = {
    "not a mapping": ("- a\n", ["line 1: a plan is a YAML mapping that begins with product:"]),
    "nothing": ("", ["line 1: a plan is a YAML mapping that begins with product:"]),
    "two documents": ("product: x\n---\nproduct: y\n", ["line 2: but found another document"]),
    "a tab": ("product: x\nevents:\n\ta:\n", ["line 3: found character '\\t' that cannot start any token"]),
    "a colon too many": ("product: a: b\n", ["line 1: mapping values are not allowed here"]),
    "an object of Python": ("product: !!python/name:os.system x\n", ["line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'"]),
    "no product": ("events: {a: }\n", ["line 1: product: Field required"]),
    "no events": ("product: x\nevents: {}\n", ["line 2: events: Dictionary should have at least 1 item after validation, not 0"]),
    "a misspelt field": ("product: x\nevents: {a: }\nlatness: 1h\n", ["line 3: latness: not a field that a plan has here"]),
    "a misspelt field of an event": (with_event("valeu: b"), ["line 4: events.a.valeu: not a field that a plan has here"]),
    "a key twice": ("product: x\nevents:\n  a:\n  b:\n  a:\n", ["line 5: events.a: stands here twice"]),
    "a wrong duration": ("product: x\nevents: {a: }\nlateness: 1 hour\n", ["line 3: lateness: '1 hour' is not a duration: write it like 30s, 15m, 1h30m or 7d"]),
    "a negative duration": ("product: x\nevents: {a: }\ndedupe: -5\n", ["line 3: dedupe: a duration can't be negative"]),
    "a wrong time zone": ("product: x\ntimezone: Peking\nevents: {a: }\n", ["line 2: timezone: 'Peking' is not a time zone: write it like Asia/Shanghai or UTC"]),
    "a wrong choice": ("product: x\nunknown_events: drop\nevents: {a: }\n", ["line 2: unknown_events: Input should be 'keep' or 'reject'"]),
    "a name of two lines": ('product: x\nevents:\n  "a\\nb":\n', ["line 3: events.a\\nb: 'a\\nb': a line break at position 2 can't stand here"]),
    "a wrong type": (with_event("properties:\n  n: nmuber"), ["line 5: events.a.properties.n.type: Input should be 'string', 'integer', 'number', 'boolean', 'timestamp', 'array' or 'object'"]),
    "bounds of a text": (with_event("properties:\n  n: {type: string, min: 1}"), ["line 5: events.a.properties.n: min and max are for numbers, not for type string"]),
    "a pattern of a number": (with_event("properties:\n  n: {type: number, pattern: x}"), ["line 5: events.a.properties.n: max_length and pattern are for strings, not for type number"]),
    "a pattern that is none": (with_event("properties:\n  n: {pattern: '['}"), ["line 5: events.a.properties.n.pattern: '[' is not a regular expression (look-around is not supported)"]),
    "look-ahead": (with_event("properties:\n  n: {pattern: '(?=x)'}"), ["line 5: events.a.properties.n.pattern: '(?=x)' is not a regular expression (look-around is not supported)"]),
    "half a number": (with_event("properties:\n  n: {type: integer, min: 0.5}"), ["line 5: events.a.properties.n: 0.5 is not a bound for type integer: it is a 64-bit whole number"]),
    "beyond 64 bits": (with_event("properties:\n  n: {type: integer, max: 1.0e+30}"), ["line 5: events.a.properties.n: 1e+30 is not a bound for type integer: it is a 64-bit whole number"]),
    "bounds the wrong way": (with_event("properties:\n  n: {type: number, min: 2, max: 1}"), ["line 5: events.a.properties.n: min 2.0 is greater than max 1.0"]),
    "no length": (with_event("properties:\n  n: {max_length: 0}"), ["line 5: events.a.properties.n.max_length: Input should be greater than or equal to 1"]),
    "an enum of another type": (with_event("properties:\n  n: {enum: [1, 2]}"), ['line 5: events.a.properties.n: enum: 1 is not of type string: give the type that it has: if the text is meant, put it in quotes: "1"']),
    "words for a number": (with_event("value: n\nproperties:\n  n: {type: number, enum: [free]}"), ["line 6: events.a.properties.n: enum: 'free' is not of type number: give the type that it has"]),
    "true for a number": (with_event("properties:\n  n: {type: integer, enum: [true]}"), ["line 5: events.a.properties.n: enum: True is not of type integer: give the type that it has"]),
    "an enum of nothing": (with_event("properties:\n  n: {enum: []}"), ["line 5: events.a.properties.n.enum: Tuple should have at least 1 item after validation, not 0"]),
    "a value that is no property": (with_event("value: amount"), ["line 4: events.a: value: amount must be a property of this event, of type number"]),
    "a value that is text": (with_event("value: n\nproperties: {n: string}"), ["line 4: events.a: value: n must be a property of this event, of type number"]),
    "an unknown registration": ("product: x\nregistration: join\nevents: {a: }\n", ["line 2: registration: the event 'join' is not among this plan's events"]),
    "an unknown step": ("product: x\nevents: {a: }\nfunnels:\n  f: {steps: [a, b]}\n", ["line 4: funnels.f: the event 'b' is not among this plan's events"]),
    "no step": ("product: x\nevents: {a: }\nfunnels:\n  f:\n    steps: []\n", ["line 5: funnels.f.steps: Tuple should have at least 1 item after validation, not 0"]),
    "no window": ("product: x\nevents: {a: }\nfunnels:\n  f:\n    steps: [a, a]\n    window: 0s\n", ["line 6: funnels.f.window: the conversion window must be longer than 0"]),
    "an empty condition": ("product: x\nevents: {a: }\nfunnels:\n  f:\n    steps:\n      - a\n      - {event: a, where: {platform: {}}}\n", ["line 7: funnels.f.steps.1.where.platform: an empty condition: use one of eq, ne, in, gt, gte, lt, lte"]),
    "an unknown dimension": ("product: x\ndimensions: [colour]\nevents: {a: }\n", ["line 2: dimensions: 'colour' is neither a field of the envelope (event, platform, app_version, channel, campaign, country, device, os, language, referrer, source, browser, region, city, bot) nor properties.NAME"]),
    "a property without a name": ("product: x\ndimensions: [properties.]\nevents: {a: }\n", ["line 2: dimensions: 'properties.' is neither a field of the envelope (event, platform, app_version, channel, campaign, country, device, os, language, referrer, source, browser, region, city, bot) nor properties.NAME"]),
    "several at once": (
        "product: x\nlateness: soon\ntimezone: Mars\nevents:\n  a: {vaule: n}\n",
        [
            "line 2: lateness: 'soon' is not a duration: write it like 30s, 15m, 1h30m or 7d",
            "line 3: timezone: 'Mars' is not a time zone: write it like Asia/Shanghai or UTC",
            "line 5: events.a.vaule: not a field that a plan has here",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_line(name: str) -> None:
    text, expected = MISTAKES[name]
    assert mistakes(text) == expected


def test_unknown_events_may_be_steps_where_they_are_kept() -> None:
    plan = parse_plan("product: x\nunknown_events: keep\nevents: {a: }\nfunnels: {f: {steps: [a, b]}}\n")
    assert plan.funnels["f"].steps[1].event == "b"


def test_anchors_are_understood_and_cannot_blow_up() -> None:
    shared = "product: x\nevents:\n  a: &shared\n    properties: {n: integer}\n  b: *shared\n"
    assert parse_plan(shared).events["b"] == parse_plan(shared).events["a"]
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    assert len(mistakes("product: x\nevents: {a: }\n" + bomb)) == 12
    assert mistakes("product: x\nevents: &e\n  a: *e\n") == ["line 3: events.a.a: not a field that a plan has here"]


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("30s", 30_000), ("15m", 900_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("2w", 1_209_600_000), ("1h 30m", 5_400_000), (1500, 1500), ("0s", 0)],
)  # fmt: skip
def test_durations(text: str | int, ms: int) -> None:
    assert parse_duration(text) == ms
    assert parse_duration(format_duration(ms)) == ms


@pytest.mark.parametrize("text", ["", "h", "1", "1.5h", "-1h", "1h2", "1y", None, 1.5, True, [1]])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it like 30s, 15m, 1h30m or 7d"):
        parse_duration(text)


def test_durations_are_written_short() -> None:
    assert [format_duration(ms) for ms in (0, 1, 90_000, 5_400_000, 604_800_000)] == [
        "0s",
        "1ms",
        "1m30s",
        "1h30m",
        "1w",
    ]
