"""The page Tracking plan: every event and property, what it means, and how often it was seen in the last day."""

from __future__ import annotations

from typing import Any, Final

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import lazy, panel, term
from pipeline.queries.conditions import moments_sql
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE
from pipeline.render.tables import table
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
        (t("Time zone of days"), plan.timezone),
        (t("Counted live until"), format_duration(plan.lateness)),
        (
            t("Unknown events"),
            t.of("rule", "rejected") if plan.unknown_events == "reject" else t.of("rule", "kept"),
        ),
        (t("Counted live by"), ", ".join(" + ".join(d) for d in plan.dimensions)),
        (t("Registration"), plan.registration or NONE),
    ]
    words = [h("li", h("span", name, class_="dim"), h("br"), value) for name, value in facts]
    return text(
        h("p", plan.description),
        h("ul", *words, class_="facts"),
        panel(t.of("plan", "Events"), lazy(context, "plan", every=30, rows=8),
              note=t("seen in the last 24 hours")),
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
            marks.append(t("registration"))
        if spec is not None and spec.value:
            marks.append(t("value: {value}", value=spec.value))
        if spec is None:
            marks.append(t("not in the plan"))
        head = h(
            "summary",
            h("code", name), " ",
            h("span", t("{n} events, {users} users", n=t.number(n), users=t.number(users)), class_="n")
            if n else h("strong", t("not seen"), class_="leak"),
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
        t("Property"), t("Type"), t("Rules"), t("Meaning"),
        term(t("Sent with"), t("Share of this event's records of the last 24 hours that carry the property.")),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for name in [*specs, *sorted(set(held) - set(specs))]:
        spec = specs.get(name)
        share = t.percent(min(1.0, held.get(name, 0) / n)) if n else NONE
        if spec is None:
            rows.append([h("code", name), NONE, h("strong", t("not in the plan"), class_="leak"), "", share])
        else:
            rows.append([h("code", name), spec.type, _rules(context, spec), spec.description, share])
    return table(heads, rows, label=t("Properties of {event}", event=event), numeric=[4],
                 empty=t("It has no properties of its own."))  # fmt: skip


def _rules(context: Context, spec: PropertySpec) -> str:
    t, found = context.t, []
    if spec.required:
        found.append(t("required"))
    if spec.enum:
        found.append(t("one of ") + ", ".join(map(str, spec.enum)))
    if spec.min is not None:
        found.append(f"≥ {spec.min:g}")
    if spec.max is not None:
        found.append(f"≤ {spec.max:g}")
    if spec.max_length:
        found.append(t("at most {max_length} characters", max_length=spec.max_length))
    if spec.pattern:
        found.append(t("fits {pattern}", pattern=spec.pattern))
    return t("; ").join(found)
