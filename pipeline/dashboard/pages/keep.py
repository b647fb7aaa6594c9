"""The page behind every Keep: a chart onto a board, or an alert of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pipeline.dashboard.answers import scale_of
from pipeline.dashboard.bar import is_of_bar, reading
from pipeline.dashboard.context import Context
from pipeline.dashboard.forms import form_to, off_note, title_field
from pipeline.dashboard.frame import field, note_bad, panel, select
from pipeline.dashboard.metrics import known
from pipeline.dashboard.pages.answer_trend import series_name
from pipeline.dashboard.pages.explore import KINDS as KIND_NAMES
from pipeline.errors import UserError
from pipeline.explore.address import KINDS, read
from pipeline.explore.question import BuiltFunnel, Question, Trend
from pipeline.explore.written import write
from pipeline.kept.current import with_alert
from pipeline.kept.days import moving
from pipeline.kept.things import make
from pipeline.metrics import arguments_for
from pipeline.metrics.arguments import written
from pipeline.render.html import Safe, h, text
from pipeline.render.metric import metric_title
from schemas.plan import Plan


@dataclass(frozen=True)
class Wanted:
    """The chart that shall be kept: its address, what it may be called, its question (None: a metric)."""

    address: dict[str, str]
    title: str
    question: Question | None


def keep(context: Context) -> Safe:
    """Two forms: onto which board, and when to tell somebody."""
    t = context.t
    if (note := off_note(context)) is not None:
        return note
    try:
        wanted = wanted_of(context)
    except UserError as exc:
        return note_bad(t.said(exc))
    boards = sorted(context.kept.now.boards.values(), key=lambda one: (one.value.title.lower(), one.id))
    options = [*((one.id, one.value.title) for one in boards), ("", t("a new board"))]
    moves = "days" in moving(wanted.address, context.today)
    days = h(
        "label",
        h("input", type="checkbox", name="moving", value="1", checked=True),
        h("span", t("the days move on with today")),
        class_="check",
    )
    new = h("input", name="new", maxlength=120, autocomplete="off", size=24)
    onto = form_to(
        context,
        "chart-add",
        title_field(context, wanted.title[:120]),
        field(t("Onto the board"), select("board", options, boards[0].id if boards else "")),
        h("label", h("span", t("Title of a new board")), new),
        days if moves else None,
        h("button", t("Keep"), class_="primary"),
        address=urlencode(wanted.address),
    )
    look = h("p", h("a", t("Back to the chart"), href=f"/explore?{urlencode(wanted.address)}"))
    return text(
        panel(t("Onto a board"), onto),
        panel(t("An alert of it"), alert_form(context, wanted)),
        look,
    )


def wanted_of(context: Context) -> Wanted:
    """The chart of the address. Raises UserError."""
    t, query = context.t, context.query
    kind = query.get("kind", "")
    if kind in KINDS:
        question = read(reading(context, query), kind)
        return Wanted({**write(question), **scale_of(query)}, title_of(context, question), question)
    metric = known(query.get("metric", ""))
    if metric is None:
        raise UserError("which chart? Come here by the link Keep beside it")
    names = {parameter.name for parameter in metric.parameters}
    asked = {name: value for name, value in query.items() if name in names and value}
    usual = {name: written(value) for name, value in arguments_for(metric, {}, context.plan, context.today).items()}
    # What is as always is left to the metric: so its days move on.
    own = {name: value for name, value in asked.items() if usual.get(name) != value}
    bar = {name: value for name, value in query.items() if is_of_bar(name) and value and name not in names}
    address = {"kind": "metric", "metric": metric.name, **bar, **own, **scale_of(query)}
    return Wanted(address, metric_title(t, metric), None)


def title_of(context: Context, question: Question) -> str:
    """What a question may be called."""
    t = context.t
    if isinstance(question, Trend):
        return t(", ").join(series_name(t, one) for one in question.series)
    name = t.of("question", KIND_NAMES[write(question)["kind"]][0])
    if isinstance(question, BuiltFunnel):
        return f"{name}: {' → '.join(step.names[0] for step in question.steps)}"
    return name


# --- the alert ---


def watchable(plan: Plan) -> Iterator[tuple[str, ...]]:
    """What an alert can watch: a figure of the plan, of an event where the plan has a label for it, or a step."""
    # Kept alerts are in the plan, too: a name that none of them has.
    name = "A" + "x" * 79
    found: list[tuple[str, ...]] = [("events",), ("users",), ("sessions",), ("revenue",), ("active_users",)]
    found += [(figure, event) for event in plan.events for figure in ("events", "users")]
    found += [
        ("conversion", funnel, step.name)
        for funnel, spec in plan.funnels.items()
        for step in spec.steps[1:]
    ]  # fmt: skip
    for what in (*found, ("rejected_share",)):
        try:
            with_alert(plan, name, make("alert", data_of_what(what) | {"above": 0.5}))
        except UserError:
            continue
        yield what


def data_of_what(what: tuple[str, ...]) -> dict[str, Any]:
    """The entry's fields of what is watched."""
    kind, *names = what
    if kind == "conversion":
        return {"metric": kind, "funnel": names[0], "step": names[1]}
    return {"metric": kind, **({"event": names[0]} if names else {})}


def suggested(plan: Plan, wanted: Wanted, options: list[tuple[str, ...]]) -> tuple[str, ...]:
    """What of the options is the chart's own figure, as near as there is one."""
    guesses: list[tuple[str, ...]] = []
    if isinstance(wanted.question, Trend):
        one = wanted.question.series[0]
        figure = {"count": "events", "people": "users", "sessions": "sessions", "sum": "revenue"}.get(
            one.measure, "events"
        )
        guesses = [(figure, one.events.names[0])] if one.events.names else []
        guesses.append((figure,))
    elif isinstance(wanted.question, BuiltFunnel):
        names = [step.names[0] for step in wanted.question.steps]
        for name, funnel in plan.funnels.items():
            if [step.event for step in funnel.steps] == names:
                guesses.append(("conversion", name, funnel.steps[-1].name))
    else:
        metric = wanted.address.get("metric", "")
        guesses = [("revenue",)] if "revenue" in metric else [("active_users",)] if "active" in metric else []
    return next((guess for guess in guesses if guess in options), options[0])


def alert_form(context: Context, wanted: Wanted, form: Mapping[str, str] | None = None) -> Safe:
    """The form of an alert: what is watched, when it is told, for how long it must be so."""
    t, form = context.t, form or {}
    options = list(watchable(context.plan))
    if not options:
        return h("p", t("The plan has no figure that an alert could watch."), class_="empty")
    chosen = form.get("what") or json.dumps(suggested(context.plan, wanted, options))
    what = [(json.dumps(one), watched_words(context, one)) for one in options]
    conditions = [
        ("below", t("is below")), ("above", t("is above")),
        ("drop", t("fell against last week by")), ("rise", t("rose against last week by")),
    ]  # fmt: skip
    holds = [("2m", t("2 minutes")), ("5m", t("5 minutes")), ("15m", t("15 minutes")),
             ("1h", t("1 hour"))]  # fmt: skip
    grave = [("warning", t("warning")), ("critical", t("critical")), ("info", t("info"))]
    name = h("input", name="name", value=form.get("name"), required=True, pattern="[A-Za-z][A-Za-z0-9_]{0,79}",
             maxlength=80, autocomplete="off", title=t("a letter, then letters, digits and _"))  # fmt: skip
    value = h("input", name="value", value=form.get("value"), required=True, size=8, maxlength=20, autocomplete="off",
              placeholder=t("5, or 30%"))  # fmt: skip
    todo = h("input", name="todo", value=form.get("todo"), size=36, maxlength=300, autocomplete="off")
    title = h("input", name="title", value=form.get("title") or wanted.title[:120], size=28, maxlength=120, autocomplete="off")  # fmt: skip
    note = t(
        "Figures of complete minutes, counted live; a number for how many, a share like 30% for "
        "conversion, drop and rise. It tells the receivers that the plan names."
    )
    return text(
        form_to(
            context,
            "alert-save",
            field(t("Name"), name),
            field(t("Title"), title),
            field(t.of("condition", "When"), select("what", what, chosen)),
            field(t("Condition"), select("condition", conditions, form.get("condition", "below"))),
            field(t.of("threshold", "Value"), value),
            field(t("For"), select("for", holds, form.get("for", "2m"))),
            field(t("Severity"), select("severity", grave, form.get("severity", "warning"))),
            field(t("What to do"), todo),
            h("button", t("Make the alert"), class_="primary"),
        ),
        h("p", note, class_="note"),
    )


def watched_words(context: Context, what: tuple[str, ...]) -> str:
    """What is watched, in words."""
    t = context.t
    kind, *names = what
    if kind == "conversion":
        return t("conversion to {step} ({funnel})", step=names[1], funnel=names[0])
    words = {
        "events": t("events"), "users": t("people"), "sessions": t("sessions"),
        "revenue": t("revenue"), "active_users": t("active people (5 minutes)"),
        "rejected_share": t("share of rejected records"),
    }[kind]  # fmt: skip
    return f"{names[0]}: {words}" if names else words
