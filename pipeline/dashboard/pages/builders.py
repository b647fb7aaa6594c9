"""The forms of Explore: one builder a kind of question. Each has room for one more series, step or condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pipeline.dashboard.bar import FIELDS, Controls, segment_options
from pipeline.explore.address import MAX_EXCLUDED
from pipeline.explore.formula import LETTERS
from pipeline.explore.question import MAX_CONDITIONS, MAX_FORMULAS, MAX_SERIES, MAX_STEPS, MEASURES, ORDER_NAMES
from pipeline.render.html import Safe, h
from pipeline.render.language import Language

GRAINS: Final = ("day", "hour", "week", "month")
COMPARES: Final = {
    "": "nothing",
    "before": "the period before",
    "week": "a week earlier",
    "year": "a year earlier (364 days)",
    "segment": "another segment",
}


def _words(t: Language, meaning: str, names: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, t.of(meaning, text)) for name, text in names.items()]


def event_row(controls: Controls, name: str, title: str, none: str, *more: Safe) -> Safe:
    """An event: which, others that count as it, and conditions on it, which are folded away until there are some."""
    t, state = controls.context.t, controls.state
    also = [state.get(f"{name}{one}") for one in "ab"]
    conditions = controls.conditions(name, MAX_CONDITIONS, title)
    others = [controls.events(f"{name}{one}", t("{title}: or", title=title), t("(or …)"), seen=False) for one in "ab"]
    opened = len(conditions) > 1 or any(also)
    return h(
        "div",
        h("span", title, class_="letter"),
        controls.events(name, title, none, seen=False),
        *more,
        h("details", h("summary", t("conditions")), h("div", *others, *conditions, class_="conditions"),
          open=opened),
        class_="item",
    )  # fmt: skip


def _by(controls: Controls, name: str, label: str) -> Safe:
    return controls.entry(name, label, list=FIELDS, size=16)


def _than(controls: Controls) -> list[Safe]:
    t = controls.context.t
    segments = [("", "–"), *segment_options(controls.context)[1:]]
    return [
        controls.select("than", _words(t, "against", COMPARES), t("Against")),
        controls.select("vs", segments, t("Segment to compare with")),
    ]


def _grain(controls: Controls, *names: str) -> list[Safe]:
    t = controls.context.t
    weeks = [("monday", t("Monday")), ("sunday", t("Sunday"))]
    return [
        controls.select("grain", [(name, t.of("grain", name)) for name in names], t("Granularity")),
        controls.select("week", weeks, t("Weeks begin on")),
    ]


def trend(controls: Controls) -> list[Safe]:
    """Series, formulas, breakdowns, period, comparison."""
    t, state = controls.context.t, controls.state
    there = max((k for k in range(1, MAX_SERIES + 1) if state.get(f"m{k}")), default=0)
    rows = []
    for k in range(1, min(MAX_SERIES, there + 1) + 1):
        measures = [*([("", t("(none)"))] if k > 1 else []), *_words(t, "measure", MEASURES)]
        letter = LETTERS[k - 1]
        rows.append(
            event_row(
                controls, f"e{k}", letter, t("any event"),
                controls.select(f"m{k}", measures, t("{letter}: counted as", letter=letter), seen=False),
                controls.entry(f"p{k}", t("{letter}: property", letter=letter), seen=False, list=FIELDS, size=14,
                               placeholder=t("of a property")),
            )
        )  # fmt: skip
    formulas = max((k for k in range(1, MAX_FORMULAS + 1) if state.get(f"x{k}")), default=0)
    lines = [
        controls.entry(f"x{k}", t("Formula {k}", k=k), size=14, placeholder="A / B %")
        for k in range(1, min(MAX_FORMULAS, formulas + 1) + 1)
    ]
    return [
        *rows,
        h("div", *lines, _by(controls, "by", t("By")), _by(controls, "by2", t("and by")),
          *_grain(controls, "day", "hour", "week", "month"), *_than(controls), class_="line"),
    ]  # fmt: skip


def funnel(controls: Controls) -> list[Safe]:
    """Steps, exclusions, window, order, breakdown, comparison."""
    t, state = controls.context.t, controls.state
    there = max((k for k in range(1, MAX_STEPS + 1) if state.get(f"e{k}")), default=0)
    none = t("(no step)")
    rows = [
        event_row(controls, f"e{k}", t("Step {k}", k=k), none) for k in range(1, min(MAX_STEPS, max(2, there + 1)) + 1)
    ]
    out = max((k for k in range(1, MAX_EXCLUDED + 1) if state.get(f"n{k}")), default=0)
    excluded = [
        event_row(controls, f"n{k}", t("Not in between"), t("(nothing)"))
        for k in range(1, min(MAX_EXCLUDED, out + 1) + 1)
    ]
    per = [("person", t("person")), ("session", t("session"))]
    return [
        *rows,
        *excluded,
        h("div", controls.entry("window", t("All within"), size=6, placeholder="1h30m"),
          controls.select("order", _words(t, "order", ORDER_NAMES), t("Order")),
          controls.select("per", per, t("Per")),
          _by(controls, "by", t("By")), *_than(controls), class_="line"),
    ]  # fmt: skip


def retention(controls: Controls) -> list[Safe]:
    """The two events, the period, first time or every time."""
    t = controls.context.t
    times = [("first", t("for the first time ever")), ("every", t("in every period"))]
    anything = t("any event")
    return [
        event_row(controls, "e1", t("Began with"), anything),
        event_row(controls, "e2", t("Came back with"), anything),
        h("div", controls.select("first", times, t("Began")),
          *_grain(controls, "day", "hour", "week", "month"), class_="line"),
    ]  # fmt: skip


def distribution(controls: Controls) -> list[Safe]:
    """The event, and what of it is counted for each person."""
    t = controls.context.t
    of = [
        ("times", t("how often")),
        ("days", t("on how many days")),
        ("sum", t("sum of a property")),
    ]
    return [
        event_row(controls, "e1", t("Event"), t("any event")),
        h("div", controls.select("of", of, t("Of each person")),
          controls.entry("p1", t("Property"), list=FIELDS, size=16), class_="line"),
    ]  # fmt: skip


def lifecycle(controls: Controls) -> list[Safe]:
    """The event, the period, and when somebody counts as gone."""
    t = controls.context.t
    away = t("Dormant after so many periods")
    return [
        event_row(controls, "e1", t("Event"), t("any event")),
        h("div", *_grain(controls, "day", "week", "month"), controls.entry("away", away, size=4, inputmode="numeric"),
          class_="line"),
    ]  # fmt: skip


def paths(controls: Controls) -> list[Safe]:
    """The event, whether before or after it, and how far."""
    t = controls.context.t
    ways = [("from", t("after an event")), ("to", t("before an event"))]
    return [
        h("div", controls.select("way", ways, t("Ways")),
          controls.events("event", t("Event"), t("(start of the session)")),
          controls.select("depth", [(d, d) for d in "12345"], t.of("number", "Steps")), class_="line"),
    ]  # fmt: skip


BUILDERS: Final[dict[str, Callable[[Controls], list[Safe]]]] = {
    "trend": trend,
    "funnel": funnel,
    "retention": retention,
    "distribution": distribution,
    "lifecycle": lifecycle,
    "paths": paths,
}
