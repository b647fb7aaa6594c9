"""The page Explore: a question that is built in a form, its answer, its SQL, and the people behind each number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.answers import scale_of
from pipeline.dashboard.bar import Controls, filter_bar, given, said_of
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import fold, lazy, note_bad, panel
from pipeline.dashboard.pages import one_metric
from pipeline.dashboard.pages.answers import answer_of, as_csv, as_page
from pipeline.dashboard.pages.builders import BUILDERS
from pipeline.errors import UserError
from pipeline.explore.address import read
from pipeline.explore.question import Question
from pipeline.explore.written import write, write_scope
from pipeline.render.html import Safe, h, text

#: Kind to its name, and what it answers.
KINDS: Final[dict[str, tuple[str, str]]] = {
    "trend": ("Trend", "How much of something, over time"),
    "funnel": ("Funnel", "How many go on from step to step"),
    "retention": ("Retention", "Who comes back, and when"),
    "distribution": ("Distribution", "How often people do something"),
    "lifecycle": ("Lifecycle", "Who is new, who comes back, who falls away"),
    "paths": ("Paths", "How sessions go on"),
    "metric": ("Catalogue", "Any metric that is defined already"),
}


def kind_of(context: Context) -> str:
    """The kind that is asked for; a metric by its name alone."""
    asked = context.query.get("kind", "")
    return asked if asked in KINDS else "metric" if "metric" in context.query else "trend"


def asked_question(context: Context) -> Question:
    """The question of the address. Raises UserError."""
    return read(given(context), kind_of(context))


def body(context: Context) -> Safe:
    """Tabs, the form, and the place for the answer."""
    kind = kind_of(context)
    if kind == "metric":
        return text(_tabs(context, kind, {}), one_metric.body(context))
    t, problem = context.t, None
    try:
        question = asked_question(context)
        state: Mapping[str, str] = write(question)
        shared = write_scope(question.scope)
    except UserError as exc:
        state, shared, problem = context.query, {}, note_bad(t.said(exc))
    controls = Controls(context, state)
    scale = scale_of(context.query)
    form = h(
        "form",
        h("input", type="hidden", name="kind", value=kind),
        h("input", type="hidden", name="scale", value="log") if scale else None,
        h("div", *BUILDERS[kind](controls), class_="builder"),
        filter_bar(controls),
        h("div", h("button", t("Show"), class_="primary"), class_="buttons"),
        class_="asked question", action="/explore",
    )  # fmt: skip
    answer = problem or lazy(replace(context, query={**state, "kind": kind, **scale}), "explore", rows=8)
    return text(
        _tabs(context, kind, shared),
        panel(t.of("question", KINDS[kind][1]), fold(t, form, t("Change the question"))),
        panel(t("Answer"), answer),
    )


def _tabs(context: Context, kind: str, shared: Mapping[str, str]) -> Safe:
    """The kinds. Days, filters and segment are taken along."""
    t = context.t
    links = [
        h("li", h("a", t.of("question", title), href=f"/explore?{urlencode({'kind': name, **shared})}", title=t.of("question", what),
                  aria_current="page" if name == kind else None))
        for name, (title, what) in KINDS.items()
    ]  # fmt: skip
    return h("nav", h("ul", *links), class_="tabs", aria_label=t("Kinds of questions"))


async def result(context: Context) -> Safe:
    """The answer: chart, tables, SQL."""
    if kind_of(context) == "metric":
        return await one_metric.result(context)
    question = asked_question(context)
    said = said_of(context, question.scope)
    only = h("p", context.t("Only: "), context.t.of("of clauses", ", ").join(said), class_="note") if said else None
    return text(only, as_page(context, await answer_of(context, question), write(question)))


async def download(context: Context) -> tuple[str, str, bytes]:
    """The answer as CSV. Raises StoreError."""
    if kind_of(context) == "metric":
        return await one_metric.download(context)
    try:
        question = asked_question(context)
        return f"{kind_of(context)}.csv", "text/csv", as_csv(await answer_of(context, question))
    except UserError as exc:
        raise StoreError("other", context.t.said(exc)) from None
