"""Questions for assistants: the answer with what it counts, and the people behind one of its numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pipeline.assistants.answers import answer_of
from pipeline.assistants.arguments import AskQuestion, PeopleBehind
from pipeline.assistants.definitions import OF_STRANGERS, definition_of, only_of
from pipeline.assistants.questions import Asked, asked_of
from pipeline.assistants.sources import AnswerSources
from pipeline.assistants.told import rows_told
from pipeline.explore.people import COLUMNS, people_sql
from pipeline.explore.written import write, write_cell


async def ask_question(sources: AnswerSources, asked: AskQuestion) -> dict[str, Any]:
    """The answer of a question. Raises UserError, StoreError."""
    people, kept = sources.settings.dashboard_people, sources.segments()
    found = asked_of(asked, sources.plan, sources.today, people=people, kept=kept)
    answer = await answer_of(sources, found.question)
    parts = {
        part.name: {
            "columns": [{"name": name, "unit": unit} for name, unit in part.columns],
            **rows_told([name for name, _ in part.columns], part.rows, asked.rows, sources.plan.zone),
        }
        for part in answer.parts
    }
    notes = [OF_STRANGERS, *answer.notes]
    if not any(part.rows for part in answer.parts):
        notes.append("nothing in these days fits: choose other days, or fewer conditions")
    elif found.question.scope.last >= sources.today:
        notes.append("today is not over: its figures are those so far, and are not to be compared with whole days")
    return {
        **_about(sources, found), "tables": parts, "notes": [*notes, *_ignored(found)],
        "sql": {name: sql.shown() for name, sql in answer.queries},
    }  # fmt: skip


async def people_behind(sources: AnswerSources, asked: PeopleBehind) -> dict[str, Any]:
    """The people behind a number of an answer, those seen last first. Raises UserError, StoreError."""
    sources.require_people("people_behind lists single people")
    people, kept = sources.settings.dashboard_people, sources.segments()
    found = asked_of(asked, sources.plan, sources.today, people=people, kept=kept)
    sql = people_sql(found.question, found.cell, sources.plan)
    rows = (await sources.ask(sql)).rows
    told = rows_told(COLUMNS, [row[: len(COLUMNS)] for row in rows], asked.rows, sources.plan.zone)
    told.pop("cut", None)
    return {
        **_about(sources, found), "number": write_cell(found.cell), **told,
        "rows_in_all": rows[0][-1] if rows else 0,
        "notes": [OF_STRANGERS, "those seen lately are listed first; rows_in_all says how many there are", *_ignored(found)],
        "sql": sql.shown(),
    }  # fmt: skip


def _about(sources: AnswerSources, found: Asked) -> dict[str, Any]:
    address = write(found.question)
    scope = found.question.scope
    return {
        "kind": address["kind"], "definition": definition_of(found.question, address["kind"]), **sources.about(),
        "days": {"from": scope.first.isoformat(), "to": scope.last.isoformat()}, **only_of(scope, sources.plan),
        "address": f"/explore?{urlencode(address)}",
    }  # fmt: skip


def _ignored(found: Asked) -> list[str]:
    return [f"not used, as they say nothing of such a question: {', '.join(found.ignored)}"] if found.ignored else []
