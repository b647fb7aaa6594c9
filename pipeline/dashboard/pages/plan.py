"""The page Tracking plan: every event and property, what it means, and how often it was seen in the last day."""

from __future__ import annotations

from typing import Any, Final

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, panel, table, term
from pipeline.queries.conditions import moments_sql
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE
from schemas.duration import DAY, MINUTE, format_duration
from schemas.plan import PropertySpec

_SINCE: Final = moments_sql("{since:Int64}")
_SEEN_SQL: Final = f"""
SELECT event, count() AS n, uniqExact(person) AS users FROM events
WHERE {_SINCE} GROUP BY event"""
# Whose they are doesn't matter here.
_PROPERTIES_SQL: Final = f"""
SELECT event, arrayJoin(JSONExtractKeys(properties)) AS property, count() AS n FROM events_raw FINAL
WHERE {_SINCE} GROUP BY event, property ORDER BY event, n DESC LIMIT 5000"""


def body(context: Context) -> Safe:
    """The plan's own words, and a place for the counts."""
    t, plan = context.t, context.plan
    facts = [
        (t("Time zone of days", "日期时区"), plan.timezone),
        (t("Counted live until", "实时统计允许迟到"), format_duration(plan.lateness)),
        (
            t("Unknown events", "未知事件"),
            t("rejected", "拒绝") if plan.unknown_events == "reject" else t("kept", "保留"),
        ),
        (t("Counted live by", "实时统计维度"), ", ".join(" + ".join(d) for d in plan.dimensions)),
        (t("Registration", "注册事件"), plan.registration or NONE),
    ]
    words = [h("li", h("span", name, class_="dim"), h("br"), value) for name, value in facts]
    return text(
        h("p", plan.description),
        h("ul", *words, class_="facts"),
        panel(t("Events", "事件"), lazy(context, "plan", every=30, rows=8),
              note=t("seen in the last 24 hours", "最近 24 小时出现次数")),
    )  # fmt: skip


async def seen(context: Context) -> Safe:
    """Every event with its properties, and how often each was seen."""
    t, plan = context.t, context.plan
    since = (context.now - DAY) // MINUTE * MINUTE
    counts = {row[0]: row[1:] for row in (await context.store.ask(_SEEN_SQL, {"since": since}, keep=25)).rows}
    held: dict[str, dict[str, int]] = {}
    for event, name, n in (await context.store.ask(_PROPERTIES_SQL, {"since": since}, keep=25)).rows:
        held.setdefault(event, {})[name] = n
    parts = []
    for name in [*plan.events, *sorted(set(counts) - set(plan.events))]:
        spec = plan.events.get(name)
        n, users = counts.get(name, (0, 0))
        marks = []
        if name == plan.registration:
            marks.append(t("registration", "注册"))
        if spec is not None and spec.value:
            marks.append(t(f"value: {spec.value}", f"金额：{spec.value}"))
        if spec is None:
            marks.append(t("not in the plan", "不在方案中"))
        head = h(
            "summary",
            h("code", name), " ",
            h("span", t(f"{t.number(n)} events, {t.number(users)} users", f"{t.number(n)} 次，{t.number(users)} 人"), class_="n")
            if n else h("strong", t("not seen", "未出现"), class_="leak"),
            [h("span", mark, class_="mark") for mark in marks],
            h("span", spec.description, class_="dim") if spec and spec.description else None,
        )  # fmt: skip
        parts.append(
            h(
                "details",
                head,
                _properties(context, name, dict(spec.properties) if spec else {}, held.get(name, {}), n),
                class_="event",
            )
        )
    return text(*parts)


def _properties(context: Context, event: str, specs: dict[str, PropertySpec], held: dict[str, int], n: int) -> Safe:
    t = context.t
    heads = [
        t("Property", "属性"), t("Type", "类型"), t("Rules", "规则"), t("Meaning", "含义"),
        term(t("Sent with", "携带率"), t("Share of this event's records of the last 24 hours that carry the property.",
                                     "最近 24 小时该事件中带有此属性的比例。")),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for name in [*specs, *sorted(set(held) - set(specs))]:
        spec = specs.get(name)
        share = t.percent(min(1.0, held.get(name, 0) / n)) if n else NONE
        if spec is None:
            rows.append(
                [h("code", name), NONE, h("strong", t("not in the plan", "不在方案中"), class_="leak"), "", share]
            )
        else:
            rows.append([h("code", name), spec.type, _rules(context, spec), spec.description, share])
    return table(heads, rows, label=t(f"Properties of {event}", f"{event} 的属性"), numeric=[4],
                 empty=t("It has no properties of its own.", "没有自己的属性。"))  # fmt: skip


def _rules(context: Context, spec: PropertySpec) -> str:
    t, found = context.t, []
    if spec.required:
        found.append(t("required", "必填"))
    if spec.enum:
        found.append(t("one of ", "取值 ") + ", ".join(map(str, spec.enum)))
    if spec.min is not None:
        found.append(f"≥ {spec.min:g}")
    if spec.max is not None:
        found.append(f"≤ {spec.max:g}")
    if spec.max_length:
        found.append(t(f"at most {spec.max_length} characters", f"最多 {spec.max_length} 个字符"))
    if spec.pattern:
        found.append(t(f"fits {spec.pattern}", f"匹配 {spec.pattern}"))
    return t("; ", "；").join(found)
