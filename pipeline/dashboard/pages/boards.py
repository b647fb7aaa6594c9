"""Boards: the list of them, and a board with its charts under one filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.answers import scale_of
from pipeline.dashboard.bar import Controls, filter_bar, given, is_of_bar, reading, said_of
from pipeline.dashboard.context import Context
from pipeline.dashboard.forms import changed, form_to, off_note, title_field
from pipeline.dashboard.frame import lazy, note_bad, panel, problem
from pipeline.dashboard.metrics import known, shown
from pipeline.dashboard.pages.answers import answer_of, as_panel
from pipeline.dashboard.pages.groups import is_list
from pipeline.errors import UserError
from pipeline.explore.address import KINDS, quick, read, read_scope
from pipeline.explore.question import MAX_FILTERS, Scope
from pipeline.explore.written import write, write_scope
from pipeline.kept.things import Board, Entry, KeptChart
from pipeline.render.html import Safe, h, text
from pipeline.render.tables import table

#: Seconds after which a chart in sight is asked for again.
_EVERY = 60


def boards(context: Context) -> Safe:
    """All boards, and a form for a new one."""
    t, kept = context.t, context.kept
    rows = [
        [
            h("a", entry.value.title, href=f"/board?{urlencode({'id': entry.id})}"),
            t.number(len(entry.value.charts)),
            entry.owner or t("(no name)"),
            changed(context, entry),
        ]
        for entry in sorted(kept.now.boards.values(), key=lambda one: (one.value.title.lower(), one.id))
    ]
    empty = t("No board yet. Every chart has a link Keep, which puts it onto one.")  # fmt: skip
    heads = [t("Board"), t("Charts"), t("Owner"), t("Last change")]
    listed = table(heads, rows, label=t("Boards"), numeric=[1], empty=empty)
    new = None
    if kept.changeable:
        new = form_to(
            context,
            "board-new",
            title_field(context),
            h("button", t("New board"), class_="primary"),
        )
    return text(off_note(context), panel(t("Boards"), listed, new))


def board(context: Context) -> Safe:
    """One board: the filter bar, and each chart as a panel that is loaded when it is seen."""
    t = context.t
    entry = context.kept.now.boards.get(context.query.get("id", ""))
    if entry is None:
        gone = h("p", t("There is no such board (any more)."), class_="empty")
        return text(off_note(context), gone, h("p", h("a", t("All boards"), href="/boards")))
    it: Board = entry.value
    chosen, wrong = _filter(context, it)
    panels = [
        panel(
            chart.title,
            _chart(context, chart, chosen),
            _chart_buttons(context, entry, chart, chosen),
            wide=True,
        )
        for chart in it.charts
    ]
    empty = t("No chart yet: every chart has a link Keep, which puts it here.")  # fmt: skip
    return text(
        h("p", h("strong", it.title, class_="board-title"), " · ", changed(context, entry), class_="note"),
        wrong,
        _bar(context, entry, chosen),
        h("div", *panels, class_="grid") if panels else h("p", empty, class_="empty"),
        _own(context, entry),
    )


def _filter(context: Context, board_: Board) -> tuple[dict[str, str], Safe | None]:
    """What the bar says, in its normal form: the board's own filter, unless the address has another."""
    asked = {name: value for name, value in context.query.items() if is_of_bar(name) and value}
    if not asked and "f" not in context.query:
        asked = board_.filter.at(context.today)
    try:
        scope = read_scope(reading(context, asked))
    except UserError as exc:
        return {}, note_bad(context.t.said(exc))
    found = write_scope(scope)
    return {name: value for name, value in found.items() if name not in ("from", "to") or asked.get(name)}, None


def _bar(context: Context, entry: Entry, chosen: Mapping[str, str]) -> Safe:
    """The filter bar: empty days are those of each chart."""
    t = context.t
    form = h(
        "form",
        h("input", type="hidden", name="id", value=entry.id),
        # That it was sent, though nothing is chosen: nothing then stands for the board's own filter.
        h("input", type="hidden", name="f", value="1"),
        filter_bar(Controls(context, chosen)),
        h("div", h("button", t("Show"), class_="primary"), class_="buttons"),
        class_="asked question barred",
        action="/board",
    )
    save = None
    own = {name: value for name, value in entry.value.filter.at(context.today).items() if value}
    if context.kept.changeable and dict(chosen) != own:
        save = form_to(
            context,
            "board-edit",
            h("button", t("Keep this filter with the board"), name="do", value="filter"),
            id=entry.id,
            seen=entry.number,
            address=urlencode(chosen),
        )
    return text(form, save)


def seen_under(context: Context, address: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """The address of a chart under the filter of its board: both hold. The filter's days come before the chart's.

    Raises UserError where the two don't go together.
    """
    theirs = read_scope(reading(context, chosen))
    days = "from" in chosen and "to" in chosen
    kind = address.get("kind", "")
    if kind in KINDS:
        question = read(reading(context, address), kind)
        seen = write(replace(question, scope=_both(question.scope, theirs, days=days, versus="vs" in address)))
        return {**seen, **scale_of(address)}
    mine = read_scope(reading(context, address))
    found = write_scope(_both(mine, theirs, days=days, versus=False))
    if not days:
        found = {name: value for name, value in found.items() if name not in ("from", "to") or name in address}
    return {name: value for name, value in address.items() if not is_of_bar(name)} | found


def _both(mine: Scope, theirs: Scope, *, days: bool, versus: bool) -> Scope:
    where = (*mine.where, *(one for one in theirs.where if one not in mine.where))
    apart = quick(where)
    if sum(not any(one is known_one for known_one in apart.values()) for one in where) > MAX_FILTERS:
        raise UserError("the filters of the chart and of the board together are more than {most}", most=MAX_FILTERS)
    if mine.segment is not None and theirs.segment is not None and mine.segment != theirs.segment:
        raise UserError("the chart has a segment of its own: choose none for the board, or take it out of the chart")
    if theirs.segment is not None and not theirs.segment.name and versus:
        raise UserError("the chart compares with a segment: keep the one of the board under a name first")
    first, last = (theirs.first, theirs.last) if days else (mine.first, mine.last)
    return replace(mine, first=first, last=last, where=where, segment=theirs.segment or mine.segment)


def _chart(context: Context, chart: KeptChart, chosen: Mapping[str, str]) -> Safe:
    try:
        found = seen_under(context, chart.at(context.today), chosen)
    except UserError as exc:
        return note_bad(context.t.said(exc))
    return lazy(replace(context, query=found), "board-chart", rows=6, every=_EVERY)


def _chart_buttons(context: Context, entry: Entry, chart: KeptChart, chosen: Mapping[str, str]) -> Safe:
    t = context.t
    try:
        address = seen_under(context, chart.at(context.today), chosen)
    except UserError:
        address = chart.at(context.today)
    link = h("a", t("Open in Explore"), href=f"/explore?{urlencode(address)}")
    if not context.kept.changeable:
        return h("div", link, class_="buttons")
    edit = form_to(
        context,
        "board-edit",
        title_field(context, chart.title),
        h("button", t("Rename"), name="do", value="chart-rename"),
        h("button", t("Move up"), name="do", value="chart-up"),
        h("button", t("Move down"), name="do", value="chart-down"),
        h("button", t("Remove from the board"), name="do", value="chart-remove"),
        id=entry.id,
        seen=entry.number,
        key=chart.key,
    )
    named = h("summary", t("Edit"), aria_label=t("Edit {title}", title=chart.title))
    return text(h("div", link, class_="buttons"), h("details", named, edit))


def _own(context: Context, entry: Entry) -> Safe:
    """What can be done with the board itself."""
    t = context.t
    history = h("a", t("History"), href=f"/history?{urlencode({'kind': 'board', 'id': entry.id})}")
    links = h("div", history, h("a", t("All boards"), href="/boards"), class_="buttons")
    if not context.kept.changeable:
        return text(off_note(context), links)
    rename = form_to(
        context,
        "board-edit",
        title_field(context, entry.value.title),
        h("button", t("Rename the board"), name="do", value="rename"),
        id=entry.id,
        seen=entry.number,
    )
    remove = form_to(
        context,
        "remove",
        h("button", t("Remove the board")),
        h("span", t("it can be restored from its history"), class_="note"),
        kind="board",
        id=entry.id,
        seen=entry.number,
    )
    return panel(t("The board"), rename, remove, links)


async def chart_part(context: Context) -> Safe:
    """The chart of a panel, with its table folded."""
    kind = context.query.get("kind", "")
    if kind not in KINDS:
        metric = known(context.query.get("metric", ""))
        names = {parameter.name for parameter in metric.parameters} if metric is not None else set()
        asked = {name: value for name, value in context.query.items() if name in names and value != ""}
        name = context.query.get("metric", "")
        rows = metric is not None and is_list(metric)
        return await shown(context, name, asked, heading=False, most=20, rows=rows)
    try:
        question = read(given(context), kind)
        said = said_of(context, question.scope)
        only = context.t("Only: ") + context.t.of("of clauses", ", ").join(said)
        return text(
            h("p", only, class_="note") if said else None, as_panel(context, await answer_of(context, question))
        )
    except StoreError as exc:
        return problem(context.t, exc, context.settings.clickhouse_url)
    except UserError as exc:
        return note_bad(context.t.said(exc))
