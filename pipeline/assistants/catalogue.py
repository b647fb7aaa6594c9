"""The catalogue for assistants: which metrics there are, what one means, and its result with all that."""

from __future__ import annotations

from typing import Any, Final

from pipeline.assistants.arguments import DescribeMetric, ListMetrics, RunMetric
from pipeline.assistants.definitions import OF_STRANGERS, only_of
from pipeline.assistants.questions import scope_of
from pipeline.assistants.sources import AnswerSources
from pipeline.assistants.told import rows_told, told
from pipeline.errors import UserError
from pipeline.explore.catalogue import filter_of
from pipeline.metrics import GROUPS, Metric, Table, arguments_for, metric, metrics
from pipeline.metrics.arguments import last_day
from pipeline.metrics.ask import ask_metric, require_plan
from pipeline.metrics.person import ABOUT_ONE, PERSON_COLUMNS
from pipeline.metrics.run import call, is_number
from pipeline.render.columns import unit_of
from pipeline.render.language import CODES, Language
from pipeline.render.metric import column_name
from schemas.plan import Plan

_LANGUAGES: Final = [Language(code) for code in CODES]


def list_metrics(plan: Plan, asked: ListMetrics) -> dict[str, Any]:
    """The metrics by group, each with titles and definition."""
    words = asked.search.casefold().split()
    found = [
        one
        for one in metrics().values()
        if asked.group in (None, one.group) and all(word in _searched(one) for word in words)
    ]
    groups = {name: {t.code: t.of("group", title) for t in _LANGUAGES} for name, title in GROUPS.items()}
    listed = [
        {"name": one.name, "group": one.group, "title": _in_each(one.title), "definition": one.definition}
        for one in found
    ]
    answer: dict[str, Any] = {"product": plan.product, "groups": groups, "metrics": listed}
    if not listed:
        answer["note"] = "no metric has all of these words: search for fewer of them, or list a group"
    return answer


def describe_metric(sources: AnswerSources, asked: DescribeMetric) -> dict[str, Any]:
    """All that the catalogue says of a metric, with the defaults of today. Raises UserError."""
    one = metric(asked.name)
    try:
        defaults = arguments_for(one, {}, sources.plan, sources.today)
    except UserError as exc:
        defaults, why = {}, str(exc)  # the plan has no funnel: whoever asks has to give the steps
    else:
        why = ""
    parameters = [
        {
            "name": p.name, "type": p.type, "meaning": _in_each(p.meaning), "default": p.default,
            **({"default_today": told(defaults[p.name], sources.plan.zone)} if p.name in defaults else {}),
            **({"choices": list(p.choices)} if p.choices else {}),
        }
        for p in one.parameters
    ]  # fmt: skip
    return {
        **_meaning(one), "parameters": parameters, "example": one.example, "time_zone": sources.plan.timezone,
        "view_sql": one.sql.replace("{database}", sources.settings.clickhouse_database),
        **({"note": why} if why else {}),
    }  # fmt: skip


async def run_metric(sources: AnswerSources, asked: RunMetric) -> dict[str, Any]:
    """The result of a metric. Raises UserError, StoreError."""
    one = metric(asked.name)
    if one.name in ABOUT_ONE:
        sources.require_people(f"{one.name} is about one person")
    arguments = arguments_for(one, asked.parameters, sources.plan, sources.today)
    people, kept = sources.settings.dashboard_people, sources.segments()
    scope = scope_of(asked, last_day(arguments) or sources.today, sources.plan, people=people, kept=kept)
    filters = filter_of(scope, sources.plan)
    await require_plan(sources.store, sources.plan)
    table = await ask_metric(sources.store, one, arguments, filters)
    if PERSON_COLUMNS & set(table.columns):
        sources.require_people(f"{one.name} lists single people")
    zone = sources.plan.zone
    answer = {
        **_meaning(one), **sources.about(), "parameters": {name: told(value, zone) for name, value in arguments.items()},
        **only_of(scope, sources.plan), "columns": _columns(table), **rows_told(table.columns, table.rows, asked.rows, zone),
    }  # fmt: skip
    notes = [OF_STRANGERS]
    if table.truncated:
        notes.append(f"there are more rows than {len(table.rows)}, and those are left out")
    if (last_day(arguments) or sources.today) >= sources.today:
        notes.append("today is not over: its figures are those so far, and are not to be compared with whole days")
    if not table.rows:
        notes.append("nothing in these days: choose others, or see in describe_plan whether `meanings` name the events")
    return {**answer, "notes": notes, "sql": call(one, arguments, filters)}


def _searched(one: Metric) -> str:
    said = (
        text
        for t in _LANGUAGES
        for text in (t.of("group", GROUPS[one.group]), t.of("metric", one.title), t.of("metric", one.definition))
    )
    return " ".join((one.name, one.name.replace("_", " "), one.group, *said)).casefold()


def _in_each(text: str) -> dict[str, str]:
    """A text of a metric's file in every language."""
    return {t.code: t.of("metric", text) for t in _LANGUAGES}


def _meaning(one: Metric) -> dict[str, Any]:
    """What a metric means."""
    return {
        "metric": one.name, "group": one.group, "title": _in_each(one.title),
        "definition": _in_each(one.definition), "formula": _in_each(one.formula), "grain": _in_each(one.grain),
        "mistakes": _in_each(one.mistakes),
    }  # fmt: skip


def _columns(table: Table) -> list[dict[str, str]]:
    """Names in every language, and units."""
    found = []
    for name, kind in zip(table.columns, table.types, strict=True):
        sample = next((value for value in table.column(name) if value is not None), None)
        unit = "time" if "DateTime" in kind else "day" if "Date" in kind else "text"
        if is_number(kind):
            unit = {"share": "share of 1", "money": "money, in the unit of the events"}.get(
                of := unit_of(name, sample), of
            )
        names = {t.code: column_name(t, name) for t in _LANGUAGES[1:]}
        found.append({"name": name, **names, "unit": unit})
    return found
