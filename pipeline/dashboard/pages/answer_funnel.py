"""The answer of a funnel that was built in a page: its steps, against others, and by the values of a field."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from pipeline.dashboard.answers import Answered, Grid, GridItem, ask, people_address, word
from pipeline.dashboard.bar import field_name, filter_words
from pipeline.dashboard.comparing import compared, compared_words
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import panel
from pipeline.dashboard.steps import step_list
from pipeline.explore.funnel import BuiltFunnelRow, built_rows, built_sql
from pipeline.explore.question import BuiltFunnel, Cell
from pipeline.explore.segments import EventSet
from pipeline.render.html import h
from pipeline.render.language import Language


async def answer_funnel(context: Context, funnel: BuiltFunnel) -> Answered:
    """Ask it, and what it is compared with. Raises UserError, StoreError."""
    t, plan = context.t, context.plan
    other = compared(context, funnel)
    asked = [(t("The question"), _whole(funnel))]
    if isinstance(other, BuiltFunnel):
        asked.append((compared_words(context, funnel), _whole(other)))
    if funnel.by:
        asked.append((t("By {by}", by=funnel.by, by2=field_name(t, funnel.by)), funnel))
    queries = [(name, built_sql(question, plan)) for name, question in asked]
    answers = [built_rows(found.rows) for found in await asyncio.gather(*(ask(context, sql) for _, sql in queries))]
    total = answers[0][0] if answers[0] else None
    if total is None:
        return Answered(None, [], queries, empty=True, has_chart=False)
    before = answers[1] if other is not None else []
    titles = [step_title(t, step) for step in funnel.steps]
    shown = step_list(
        t, titles, total.users, before[0].users if before else None, total.median_ms, _people(context, funnel, ())
    )
    above = shown
    if isinstance(other, BuiltFunnel):
        beside = (
            step_list(t, titles, before[0].users, None, before[0].median_ms, _people(context, other, ()))
            if before else h("p", t("Nobody began it then."), class_="empty")
        )  # fmt: skip
        above = h("div", panel(t("These days"), shown), panel(asked[1][0], beside), class_="grid")
    notes = [t("A person counts once in all of these days.")]
    if funnel.scope.last >= context.today:
        notes.append(t("Whoever began just now may still go on."))
    grids = [_grid(context, funnel, titles, answers[-1])] if funnel.by else [_grid(context, funnel, titles, [total])]
    return Answered(above, grids, queries, notes, has_chart=False)


def step_title(t: Language, step: EventSet) -> str:
    """A step in words."""
    names = t(" or ").join(step.names) or t("any event")
    where = t(", ").join(filter_words(t, one) for one in step.where)
    return f"{names} ({where})" if where else names


def _whole(funnel: BuiltFunnel) -> BuiltFunnel:
    """The funnel of everybody."""
    return replace(funnel, by="")


def _people(context: Context, funnel: BuiltFunnel, values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [
        (
            people_address(context, funnel, Cell(k, values=values)),
            people_address(context, funnel, Cell(k, values=values, lost=True)) if k else "",
        )
        for k in range(len(funnel.steps))
    ]


def _grid(context: Context, funnel: BuiltFunnel, titles: Sequence[str], rows: Sequence[BuiltFunnelRow]) -> Grid:
    t = context.t
    heads = [field_name(t, funnel.by)] if funnel.by else []
    for k, title in enumerate(titles):
        heads += [f"{k + 1}. {title}"] + ([t("of the step before")] if k else [])
    heads.append(t("in all"))
    found = []
    for row in rows:
        values = (row.value,) if funnel.by else ()
        people = _people(context, funnel, values)
        items = [word(row.value, t("(not given)"))] if funnel.by else []
        for k, users in enumerate(row.users):
            items.append(GridItem(users, t.number(users), people[k][0]))
            if k:
                share = users / row.users[k - 1] if row.users[k - 1] else None
                items.append(GridItem(share, t.percent(share), people[k][1]))
        share = row.users[-1] / row.users[0]
        found.append([*items, GridItem(share, t.percent(share))])
    title = t("By value") if funnel.by else t("Steps")
    return Grid(title, heads, found, range(1 if funnel.by else 0, len(heads)))
