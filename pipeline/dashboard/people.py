"""Single people: who an id leads to, asked once for all parts of a page; and how other pages link to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from pipeline.clickhouse.questions import Rows
from pipeline.dashboard.context import Context
from pipeline.metrics.person import FIND, IDS, MAX_ID, PersonIds, ids_of
from pipeline.render.html import Safe, h
from schemas.event import DEVICE

#: Seconds that an answer about a person is kept: whoever watches a test device wants to see it move.
KEEP: Final = 5.0


async def find(context: Context, asked: str) -> PersonIds | None:
    """The person that an id leads to: a user's or a device's, with or without `$device:`. Raises StoreError."""
    if not asked or len(asked) > MAX_ID:
        return None
    ((person, is_known),) = (await context.store.ask(FIND, {"id": asked}, keep=KEEP)).rows
    if not is_known or not person:
        return None
    return ids_of(person, (await context.store.ask(IDS, {"person": person}, keep=KEEP)).rows)


async def ask_of(context: Context, ids: PersonIds, sql: str, more: Mapping[str, Any] | None = None) -> Rows:
    """A question about the person. Raises StoreError."""
    return await context.store.ask(sql, {**ids.parameters(), **(more or {})}, keep=KEEP)


def person_link(context: Context, id_: str, shown: str | None = None) -> Safe:
    """The id, as a link to its person where single people may be looked at."""
    words = h("code", shown or id_.removeprefix(DEVICE))
    if not context.settings.dashboard_people or not id_:
        return words
    return h("a", words, href=f"/person?{urlencode({'id': id_})}", class_="person")


def search(context: Context, *, main: bool = False) -> Safe | None:
    """The box that leads to a person; nothing where single people may not be looked at."""
    if not context.settings.dashboard_people:
        return None
    t = context.t
    label = t("User or device")
    typed = context.query.get("id", "") if main else ""
    box = h("input", name="id", value=typed, autocomplete="off", maxlength=MAX_ID, required=True,
            aria_label=None if main else t("Find a person by id"), placeholder=None if main else t("Find an id"))  # fmt: skip
    button = h("button", t("Find"), class_="primary" if main else None)
    if main:
        return h("form", h("label", h("span", label), box), button, action="/person", class_="asked", role="search")
    return h("form", box, button, action="/person", class_="find", role="search")
