"""The filter bar: period, source, platform, channel, version, country, any property, a segment. One for every page.

What is chosen stands in the address (`pipeline.explore.address`), so a page that is sent on is seen filtered alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import fold, note_bad
from pipeline.errors import UserError
from pipeline.explore import catalogue
from pipeline.explore.address import MAX_OWN_RULES, QUICK, read_scope
from pipeline.explore.filters import ATTRIBUTE, OPERATORS, PROPERTY, Filter
from pipeline.explore.given import AddressReader
from pipeline.explore.question import MAX_FILTERS, Scope
from pipeline.explore.segments import ChosenSegment
from pipeline.explore.written import write_scope
from pipeline.kept.things import OF_SEGMENT
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import Language
from pipeline.render.metric import column_name
from schemas.event import CONTEXT_FIELDS

#: The parameters of the bar.
_OF_BAR: Final = re.compile(r"from|to|seg|vs|g(\d.*)?|[fov]\d|" + "|".join(QUICK))
#: The list of fields that inputs suggest.
FIELDS: Final = "fields"
_SUGGESTED: Final = 50


def is_of_bar(name: str) -> bool:
    """Whether a parameter is one of the bar's."""
    return _OF_BAR.fullmatch(name) is not None


def given(context: Context) -> AddressReader:
    """The address of a page, to be read."""
    return reading(context, context.query)


def reading(context: Context, query: Mapping[str, str]) -> AddressReader:
    """Parameters, to be read with what the plan and the kept segments name."""
    people = context.settings.dashboard_people
    return AddressReader(query, context.plan, context.today, people, context.kept.now.rules)


def field_name(t: Language, field: str) -> str:
    """What people read for a field."""
    if field.startswith(PROPERTY):
        return field.removeprefix(PROPERTY)
    if field.startswith(ATTRIBUTE):
        return t("{field} (of the user)", field=field.removeprefix(ATTRIBUTE))
    return column_name(t, field)


def filter_words(t: Language, one: Filter) -> str:
    """A condition in words."""
    return " ".join(
        [field_name(t, one.field), t.of("operator", OPERATORS[one.operator]), t(", ").join(one.values)]
    ).strip()


@dataclass(frozen=True)
class Controls:
    """Controls of a form, filled with the state of the address."""

    context: Context
    state: Mapping[str, str]

    def select(self, name: str, options: Iterable[tuple[str, str]], label: str, *, seen: bool = True) -> Safe:
        """A list to choose from; its label stands above it, or is heard only."""
        chosen, found = self.state.get(name, ""), list(options)
        if chosen and chosen not in [value for value, _ in found]:
            found.append((chosen, chosen))
        items = [h("option", shown, value=value, selected=value == chosen) for value, shown in found]
        control = h("select", items, name=name, aria_label=None if seen else label)
        return h("label", h("span", label), control) if seen else control

    def entry(self, name: str, label: str, *, seen: bool = True, **more: object) -> Safe:
        """An input."""
        control = h(
            "input", name=name, value=self.state.get(name) or None, aria_label=None if seen else label,
            **({} if more.get("type") == "date" else {"autocomplete": "off"}), **more,
        )  # fmt: skip
        return h("label", h("span", label), control) if seen else control

    def events(self, name: str, label: str, none: str, *, seen: bool = True) -> Safe:
        """An event of the plan."""
        return self.select(name, [("", none), *((e, e) for e in self.context.plan.events)], label, seen=seen)

    def conditions(self, prefix: str, most: int, label: str) -> list[Safe]:
        """The conditions that there are, and room for one more."""
        t = self.context.t
        there = [k for k in range(1, most + 1) if self.state.get(f"{prefix}f{k}")]
        operators = [(name, t.of("operator", word)) for name, word in OPERATORS.items()]
        return [
            h(
                "span",
                self.entry(f"{prefix}f{k}", t("{label}: field", label=label), seen=False, list=FIELDS, size=16,
                           placeholder=t("field")),
                self.select(f"{prefix}o{k}", operators, t("{label}: comparison", label=label), seen=False),
                self.entry(f"{prefix}v{k}", t("{label}: value", label=label), seen=False, size=12,
                           placeholder=t("value")),
                class_="condition",
            )
            for k in range(1, min(most, max(there, default=0) + 1) + 1)
        ]  # fmt: skip


def filter_bar(controls: Controls) -> Safe:
    """The bar, as a part of a form."""
    t, state = controls.context.t, controls.state
    names = {"app_version": t("Version"), "source": t("Source"), "platform": t("Platform"),
             "channel": t("Channel"), "country": t("Country")}  # fmt: skip
    quick = [controls.entry(name, names[name], list=f"values-{name}", size=9) for name in QUICK]
    rows = controls.conditions("", MAX_FILTERS, t("Filter"))
    own = state.get("seg") in ("in", "out") or state.get("vs") in ("in", "out")
    count = sum(1 for k in range(1, MAX_FILTERS + 1) if state.get(f"f{k}"))
    more = t("More filters") + (f" ({count})" if count else "")
    return h(
        "fieldset",
        h("legend", t("Filters"), class_="unseen"),
        controls.entry("from", t("From"), type="date"),
        controls.entry("to", t("To"), type="date"),
        *quick,
        controls.select("seg", segment_options(controls.context), t("Segment")),
        h("details", h("summary", more), h("div", *rows, class_="conditions"), open=bool(count)),
        h("details", h("summary", t("Make a segment")), _own_segment(controls), open=own),
        _suggested(controls.context),
        class_="bar",
    )


def segment_options(context: Context) -> list[tuple[str, str]]:
    """Everybody, the plan's segments and the kept ones, and who is not in them, the one made in the page."""
    t, found = context.t, [("", context.t("everybody"))]
    for name, spec in context.plan.segments.items():
        title = spec.title or name
        found += [(f"in:{name}", title), (f"out:{name}", t("not {title}", title=title))]
    for name, entry in context.kept.now.segments.items():
        if name not in context.plan.segments:
            title = entry.value.title
            found += [(f"in:{name}", title), (f"out:{name}", t("not {title}", title=title))]
    return [
        *found,
        ("in", t("those made below")),
        ("out", t("all but those made below")),
    ]


def _own_segment(controls: Controls) -> Safe:
    t, state = controls.context.t, controls.state
    there = [k for k in range(1, MAX_OWN_RULES + 1) if state.get(f"g{k}")]
    kinds = [("", t("(no rule)")), ("did", t("did")), ("not", t("did not do"))]
    if controls.context.settings.dashboard_people:
        kinds.append(("has", t("has the attribute")))
    compared = [("gte", t("at least")), ("is", t("exactly")), ("lte", t("at most"))]
    rows = [
        h(
            "span",
            controls.select(f"g{k}", kinds, t("Rule {k}", k=k), seen=False),
            controls.events(f"g{k}e", t("Rule {k}: event", k=k), t("any event"), seen=False),
            controls.select(f"g{k}c", compared, t("Rule {k}: at least or at most", k=k), seen=False),
            controls.entry(f"g{k}n", t("Rule {k}: times", k=k), seen=False, size=4, inputmode="numeric",
                           placeholder=t("times")),
            controls.entry(f"g{k}d", t("Rule {k}: in the last days", k=k), seen=False, size=4,
                           inputmode="numeric", placeholder=t("days")),
            *controls.conditions(f"g{k}", 1, t("Rule {k}", k=k)),
            class_="condition",
        )
        for k in range(1, min(MAX_OWN_RULES, max(there, default=0) + 1) + 1)
    ]  # fmt: skip
    every = [("every", t("every rule holds")), ("any", t("any rule holds"))]
    hint = t("Times and days may be left empty: once at least, ever. Days are the last ones before the end "
"of the period.")  # fmt: skip
    own = {name: value for name, value in state.items() if OF_SEGMENT.fullmatch(name) and value}
    keep = None
    if controls.context.kept.changeable and there:
        address = f"/kept?{urlencode(own)}#segments"
        keep = h("p", h("a", t("Keep this segment under a name"), href=address))
    return h("div", controls.select("g", every, t("People for whom")), *rows, h("p", hint, class_="note"), keep,
             class_="conditions")  # fmt: skip


def _suggested(context: Context) -> Safe:
    """The lists that inputs suggest: what the plan knows at once, values and attributes as soon as they are asked for."""
    return h("div", _field_list(context, ()), data_part="/part/suggestions", hidden=True)


def known_fields(context: Context) -> list[str]:
    """Fields of the envelope, and of the plan's events those properties that are single values."""
    own = [
        f"{PROPERTY}{name}"
        for spec in context.plan.events.values()
        for name, rule in spec.properties.items()
        if rule.type not in ("array", "object")
    ]
    return list(dict.fromkeys(["event", *CONTEXT_FIELDS, *sorted(own)]))


def _field_list(context: Context, attributes: Sequence[str]) -> Safe:
    fields = [*known_fields(context), *(f"{ATTRIBUTE}{name}" for name in attributes)]
    return h("datalist", *[h("option", field_name(context.t, field), value=field) for field in fields], id=FIELDS)


async def suggestions(context: Context) -> Safe:
    """The most common values of the bar's fields in the last days, and the names of attributes."""
    columns = ", ".join(f"topK({_SUGGESTED})(toString({name}))" for name in QUICK)
    since = "toDate(now() - INTERVAL 14 DAY)"
    values = await context.store.ask(f"SELECT {columns} FROM events_raw WHERE toDate(ts) >= {since}", keep=300.0)
    names = await context.store.ask("SELECT DISTINCT name FROM user_attributes_raw ORDER BY name LIMIT 200", keep=300.0)
    lists = [
        h("datalist", *[h("option", value=value) for value in sorted(filter(None, found))], id=f"values-{name}")
        for name, found in zip(QUICK, values.rows[0], strict=True)
    ]
    attributes = [str(row[0]) for row in names.rows] if context.settings.dashboard_people else []
    return text(_field_list(context, attributes), *lists)


def filtered(context: Context, last: date) -> Scope:
    """The filters and the segment of a page, whatever its days are; `last` is the day from which it is seen.

    Raises UserError.
    """
    asked = {name: value for name, value in context.query.items() if name not in ("from", "to")}
    return read_scope(reading(context, {**asked, "to": last.isoformat()}), 1)


def kept(context: Context) -> dict[str, str]:
    """The filters and the segment as parameters, to be taken to another page."""
    found = write_scope(filtered(context, context.today))
    return {name: value for name, value in found.items() if name not in ("from", "to")}


def condition_of(context: Context, last: date, *, strict: bool = True) -> str:
    """The same as a condition in SQL, "" without any. Raises UserError if it is `strict`."""
    try:
        return catalogue.condition_of(filtered(context, last), context.plan)
    except UserError:
        if strict:
            raise
        return ""


def bar_form(context: Context, first: date, last: date, *own: Child) -> Safe:
    """The form of a page: what it asks for itself, and the bar with its days."""
    try:
        scope: Mapping[str, str] = write_scope(filtered(context, last))
        problem = None
    except UserError as exc:
        scope, problem = {}, note_bad(context.t.said(exc))
    # A filter may stand elsewhere in its normal form: what the bar had before is not kept beside it.
    rest = {name: value for name, value in context.query.items() if problem or not is_of_bar(name)}
    state = {**rest, **scope, "from": first.isoformat(), "to": last.isoformat()}
    form = h(
        "form",
        h("div", *own, class_="line") if own else None,
        filter_bar(Controls(context, state)),
        h("div", h("button", context.t("Show"), class_="primary"), class_="buttons"),
        class_="asked question barred", action=context.path,
    )  # fmt: skip
    return text(problem, fold(context.t, form))


def said_of(context: Context, scope: Scope) -> list[str]:
    """The filters and the segment in words; empty without any."""
    found = [filter_words(context.t, one) for one in scope.where]
    return [*found, segment_name(context, scope.segment)] if scope.segment is not None else found


def segment_name(context: Context, segment: ChosenSegment) -> str:
    """What people read for a segment."""
    t, spec = context.t, context.plan.segments.get(segment.name)
    kept_one = context.kept.now.segments.get(segment.name) if spec is None else None
    title = spec.title if spec is not None else kept_one.value.title if kept_one is not None else ""
    name = title or segment.name or t("own segment")
    return t("not {name}", name=name) if segment.outside else name
