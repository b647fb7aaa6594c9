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

GRAINS: Final = {"day": ("day", "日"), "hour": ("hour", "小时"), "week": ("week", "周"), "month": ("month", "月")}
COMPARES: Final = {
    "": ("nothing", "不对比"),
    "before": ("the period before", "上一周期（环比）"),
    "week": ("a week earlier", "一周前"),
    "year": ("a year earlier (364 days)", "去年同期（同比，364 天前）"),
    "segment": ("another segment", "另一人群"),
}


def _words(t: Language, names: Mapping[str, tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, t(*words)) for name, words in names.items()]


def event_row(controls: Controls, name: str, title: str, none: str, *more: Safe) -> Safe:
    """An event: which, others that count as it, and conditions on it, which are folded away until there are some."""
    t, state = controls.context.t, controls.state
    also = [state.get(f"{name}{one}") for one in "ab"]
    conditions = controls.conditions(name, MAX_CONDITIONS, title)
    others = [
        controls.events(f"{name}{one}", t(f"{title}: or", f"{title}：或"), t("(or …)", "（或……）"), seen=False)
        for one in "ab"
    ]
    opened = len(conditions) > 1 or any(also)
    return h(
        "div",
        h("span", title, class_="letter"),
        controls.events(name, title, none, seen=False),
        *more,
        h("details", h("summary", t("conditions", "条件")), h("div", *others, *conditions, class_="conditions"),
          open=opened),
        class_="item",
    )  # fmt: skip


def _by(controls: Controls, name: str, label: str) -> Safe:
    return controls.entry(name, label, list=FIELDS, size=16)


def _than(controls: Controls) -> list[Safe]:
    t = controls.context.t
    segments = [("", "–"), *segment_options(controls.context)[1:]]
    return [
        controls.select("than", _words(t, COMPARES), t("Against", "对比")),
        controls.select("vs", segments, t("Segment to compare with", "对比人群")),
    ]


def _grain(controls: Controls, *names: str) -> list[Safe]:
    t = controls.context.t
    weeks = [("monday", t("Monday", "周一")), ("sunday", t("Sunday", "周日"))]
    return [
        controls.select("grain", [(name, t(*GRAINS[name])) for name in names], t("Granularity", "粒度")),
        controls.select("week", weeks, t("Weeks begin on", "每周起始")),
    ]


def trend(controls: Controls) -> list[Safe]:
    """Series, formulas, breakdowns, period, comparison."""
    t, state = controls.context.t, controls.state
    there = max((k for k in range(1, MAX_SERIES + 1) if state.get(f"m{k}")), default=0)
    rows = []
    for k in range(1, min(MAX_SERIES, there + 1) + 1):
        measures = [*([("", t("(none)", "（无）"))] if k > 1 else []), *_words(t, MEASURES)]
        letter = LETTERS[k - 1]
        rows.append(
            event_row(
                controls, f"e{k}", letter, t("any event", "任意事件"),
                controls.select(f"m{k}", measures, t(f"{letter}: counted as", f"{letter}：统计方式"), seen=False),
                controls.entry(f"p{k}", t(f"{letter}: property", f"{letter}：属性"), seen=False, list=FIELDS, size=14,
                               placeholder=t("of a property", "属性")),
            )
        )  # fmt: skip
    formulas = max((k for k in range(1, MAX_FORMULAS + 1) if state.get(f"x{k}")), default=0)
    lines = [
        controls.entry(f"x{k}", t(f"Formula {k}", f"公式 {k}"), size=14, placeholder="A / B %")
        for k in range(1, min(MAX_FORMULAS, formulas + 1) + 1)
    ]
    return [
        *rows,
        h("div", *lines, _by(controls, "by", t("By", "按")), _by(controls, "by2", t("and by", "再按")),
          *_grain(controls, "day", "hour", "week", "month"), *_than(controls), class_="line"),
    ]  # fmt: skip


def funnel(controls: Controls) -> list[Safe]:
    """Steps, exclusions, window, order, breakdown, comparison."""
    t, state = controls.context.t, controls.state
    there = max((k for k in range(1, MAX_STEPS + 1) if state.get(f"e{k}")), default=0)
    none = t("(no step)", "（无）")
    rows = [
        event_row(controls, f"e{k}", t(f"Step {k}", f"步骤 {k}"), none)
        for k in range(1, min(MAX_STEPS, max(2, there + 1)) + 1)
    ]
    out = max((k for k in range(1, MAX_EXCLUDED + 1) if state.get(f"n{k}")), default=0)
    excluded = [
        event_row(controls, f"n{k}", t("Not in between", "期间排除"), t("(nothing)", "（无）"))
        for k in range(1, min(MAX_EXCLUDED, out + 1) + 1)
    ]
    per = [("person", t("person", "人")), ("session", t("session", "会话"))]
    return [
        *rows,
        *excluded,
        h("div", controls.entry("window", t("All within", "转化窗口"), size=6, placeholder="1h30m"),
          controls.select("order", _words(t, ORDER_NAMES), t("Order", "顺序")),
          controls.select("per", per, t("Per", "统计单位")),
          _by(controls, "by", t("By", "按")), *_than(controls), class_="line"),
    ]  # fmt: skip


def retention(controls: Controls) -> list[Safe]:
    """The two events, the period, first time or every time."""
    t = controls.context.t
    times = [("first", t("for the first time ever", "首次")), ("every", t("in every period", "每个周期"))]
    anything = t("any event", "任意事件")
    return [
        event_row(controls, "e1", t("Began with", "起始事件"), anything),
        event_row(controls, "e2", t("Came back with", "回访事件"), anything),
        h("div", controls.select("first", times, t("Began", "起始方式")),
          *_grain(controls, "day", "hour", "week", "month"), class_="line"),
    ]  # fmt: skip


def distribution(controls: Controls) -> list[Safe]:
    """The event, and what of it is counted for each person."""
    t = controls.context.t
    of = [
        ("times", t("how often", "次数")),
        ("days", t("on how many days", "天数")),
        ("sum", t("sum of a property", "属性总和")),
    ]
    return [
        event_row(controls, "e1", t("Event", "事件"), t("any event", "任意事件")),
        h("div", controls.select("of", of, t("Of each person", "每个人的")),
          controls.entry("p1", t("Property", "属性"), list=FIELDS, size=16), class_="line"),
    ]  # fmt: skip


def lifecycle(controls: Controls) -> list[Safe]:
    """The event, the period, and when somebody counts as gone."""
    t = controls.context.t
    away = t("Dormant after so many periods", "沉睡所需周期数")
    return [
        event_row(controls, "e1", t("Event", "事件"), t("any event", "任意事件")),
        h("div", *_grain(controls, "day", "week", "month"), controls.entry("away", away, size=4, inputmode="numeric"),
          class_="line"),
    ]  # fmt: skip


def paths(controls: Controls) -> list[Safe]:
    """The event, whether before or after it, and how far."""
    t = controls.context.t
    ways = [("from", t("after an event", "从某事件开始")), ("to", t("before an event", "到达某事件"))]
    return [
        h("div", controls.select("way", ways, t("Ways", "方向")),
          controls.events("event", t("Event", "事件"), t("(start of the session)", "（会话开始）")),
          controls.select("depth", [(d, d) for d in "12345"], t("Steps", "步数")), class_="line"),
    ]  # fmt: skip


BUILDERS: Final[dict[str, Callable[[Controls], list[Safe]]]] = {
    "trend": trend,
    "funnel": funnel,
    "retention": retention,
    "distribution": distribution,
    "lifecycle": lifecycle,
    "paths": paths,
}
