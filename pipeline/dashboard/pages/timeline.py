"""What a person did, session by session. Cutting rows into sessions is pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context, properties
from pipeline.dashboard.frame import dim
from pipeline.dashboard.people import ask_of
from pipeline.metrics.person import PersonIds, timeline_sql
from pipeline.render.html import Child, Safe, h, text
from schemas.event import CONTEXT_FIELDS, DEVICE

#: Events on one page, pages that can be turned, and sessions that are open at first.
EVENTS: Final = 200
_PAGES: Final = 500
_OPEN: Final = 3
#: Of an event's properties so many bytes are read, so many properties shown, and so many characters of each.
_BYTES, _PROPERTIES, _CHARACTERS = 20_000, 30, 120


@dataclass(frozen=True)
class Did:
    """An event of the person. `at` is epoch ms."""

    at: int
    event: str
    session: str
    id: str
    late: bool
    worth: float
    context: dict[str, str]
    is_cut: bool
    properties: dict[str, Any]


def sessions(rows: Sequence[Did], gap: int) -> list[list[Did]]:
    """The rows, the newest first, by session id; those without one by pauses of more than `gap` ms."""
    found: dict[tuple[str, int], list[Did]] = {}
    pauses, last = 0, None
    for row in rows:
        if row.session:
            key = (row.session, -1)
        else:
            if last is not None and last - row.at > gap:
                pauses += 1
            last = row.at
            key = ("", pauses)
        found.setdefault(key, []).append(row)
    return list(found.values())


async def draw(context: Context, ids: PersonIds) -> Safe:
    """The sessions of one page. Raises StoreError."""
    t = context.t
    page = _page(context)
    given = {"most": EVENTS + 1, "skip": EVENTS * page}
    answer = await ask_of(context, ids, timeline_sql(context.plan, _BYTES), given)
    rows = [_did(row) for row in answer.rows]
    if not rows:
        return h("p", t("No events."), class_="empty")
    more, rows = len(rows) > EVENTS, rows[:EVENTS]
    drawn = [
        _session(context, one, opened=k < _OPEN)
        for k, one in enumerate(sessions(rows, context.plan.meanings.thresholds.session_gap))
    ]
    turns = []
    if page:
        turns.append(_turn(context, page - 1, t("← newer")))
    if more and page + 1 < _PAGES:
        turns.append(_turn(context, page + 1, t("older →")))
    return text(*drawn, h("div", *turns, class_="buttons") if turns else None)


def _page(context: Context) -> int:
    asked = context.query.get("page", "")
    return min(int(asked), _PAGES - 1) if asked.isdecimal() and asked.isascii() and len(asked) < 6 else 0


def _turn(context: Context, page: int, words: str) -> Safe:
    return h("a", words, href=f"/person?{urlencode({'id': context.query.get('id', ''), 'page': page})}")


def _did(row: Sequence[Any]) -> Did:
    at, event, session, id_, late, worth, *rest = row
    fields = dict(zip(CONTEXT_FIELDS, rest, strict=False))
    return Did(at, event, session, id_, bool(late), worth, fields, bool(rest[-2]), properties(rest[-1]))


def _session(context: Context, rows: list[Did], *, opened: bool) -> Safe:
    t, zone = context.t, context.plan.zone
    first, last = rows[-1], rows[0]
    begun = datetime.fromtimestamp(first.at / 1000, zone)
    ended = datetime.fromtimestamp(last.at / 1000, zone)
    until = f"{ended:%H:%M}" if ended.date() == begun.date() else f"{t.day(ended.date())} {ended:%H:%M}"
    where = [last.context[name] for name in ("platform", "app_version", "channel", "country") if last.context[name]]
    head = h(
        "summary",
        h("strong", f"{t.day(begun.date(), weekday=True)} {begun:%H:%M}–{until}"), " ",
        dim(" · ".join([t("{rows} events", rows=len(rows)), t.duration(last.at - first.at), *map(_short, where)])),
    )  # fmt: skip
    device = h("p", t("as "), h("code", _short(last.id.removeprefix(DEVICE))), class_="note")
    return h(
        "details",
        head,
        device,
        h("ol", *[_line(context, row) for row in rows], class_="did"),
        open=opened,
        class_="session",
    )


def _line(context: Context, row: Did) -> Safe:
    t = context.t
    told: list[Child] = []
    for name, value in list(row.properties.items())[:_PROPERTIES]:
        told += [h("span", _short(name), class_="dim"), " ", h("code", _short(_said(value))), "  "]
    left = len(row.properties) - _PROPERTIES
    if left > 0:
        told.append(dim(t("and {left} more", left=left)))
    if row.is_cut:
        told.append(dim(t("properties too large to be shown")))
    late = h("span", t("late"), class_="mark") if row.late else None
    known = row.event in context.plan.events
    name = h("strong", _short(row.event), class_=None if known else "bad-word")
    return h(
        "li",
        h("span", t.clock(row.at, context.plan.zone, seconds=True), class_="dim"),
        h("span", name, " ", late),
        h("span", *told),
    )


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _short(words: str) -> str:
    return words if len(words) <= _CHARACTERS else words[:_CHARACTERS] + "…"
