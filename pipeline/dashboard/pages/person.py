"""The page of one person: who it is, what they did session by session, how far they got in funnels, what they are worth."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import dim, lazy, note_bad, panel, term
from pipeline.dashboard.pages import timeline
from pipeline.dashboard.people import ask_of, find, person_link, search
from pipeline.errors import UserError
from pipeline.metrics.person import (
    ATTRIBUTES,
    LINKS,
    SIMILAR,
    PersonIds,
    export_sql,
    progress_sql,
    summary_sql,
    value_sql,
)
from pipeline.metrics.spreadsheet import harmless
from pipeline.queries.funnel_period import funnel_rows
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import NONE
from pipeline.render.metric import column_name
from pipeline.render.tables import table
from schemas.event import CONTEXT_FIELDS, DEVICE

#: Events of a file, and days of a funnel that are listed.
EXPORTED: Final = 50_000
_DAYS: Final = 10
_SHOWN: Final = 200


def body(context: Context) -> Safe:
    """The box to search in, and a place for whoever is found."""
    t = context.t
    box = search(context, main=True)
    if not _asked(context):
        return text(box, h("p", t("An id of a user or of a device leads to the person, with all devices and old ids."), class_="empty"))  # fmt: skip
    return text(box, lazy(context, "person", rows=8))


async def found(context: Context) -> Safe:
    """The panels about the person; or that there is nobody, and whose ids begin so."""
    t, asked = context.t, _asked(context)
    ids = await find(context, asked)
    if ids is None:
        return await _nobody(context, asked)
    query = urlencode({"id": ids.person})
    downloads = h("div", h("a", t("Events as CSV"), href=f"/download/person.csv?{query}"),
                  h("a", t("Everything as JSON"), href=f"/download/person.json?{query}"), class_="buttons")  # fmt: skip
    kind = t("device that no user owns") if ids.person.startswith(DEVICE) else t("user")
    parts = [
        panel(t("Who it is"), lazy(context, "person-who", rows=4)),
        panel(
            term(t.of("of a person", "Value"), t("Orders and amounts by the plan's meanings: payments, refunds, and what is left (the lifetime "
"value so far).")),
            lazy(context, "person-value", rows=3)),
        panel(t("Devices and ids"), lazy(context, "person-ids", rows=3)),
        panel(t("Attributes"), lazy(context, "person-attributes", rows=3)),
        *(panel(t("Funnel: {name}", name=name), lazy(context, "person-funnel", rows=3, funnel=name),
                note=t("by the day on which it was begun"))
          for name in context.plan.funnels),
        panel(t("What they did"), lazy(context, "person-timeline", rows=10), wide=True,
              note=t("by session, the newest first")),
    ]  # fmt: skip
    return text(
        h("p", h("strong", h("code", _short(ids.person.removeprefix(DEVICE)))), " ", dim(kind), class_="who"),
        downloads,
        h("div", *parts, class_="grid"),
    )


async def who(context: Context) -> Safe:
    """First and last seen, how much they did, and the last context."""
    t, ids = context.t, await _ids(context)
    rows = (await ask_of(context, ids, summary_sql(context.plan))).dicts()
    whole = next((row for row in rows if row["id"] == ""), None)
    if whole is None or not whole["events"]:
        return h("p", t("Linked, but there is no event of theirs."), class_="empty")
    facts: list[tuple[str, Child]] = [
        (t("First seen"), _moment(context, whole["first"])),
        (t("Last seen"), text(_moment(context, whole["last"]), " ",
                                      dim(t("({now} ago)", now=t.ago(context.now - whole['last']))))),
        (t("Events"), t.number(whole["events"])),
        (t("Sessions"), t.number(whole["sessions"]) if whole["sessions"] else NONE),
        (t("Days with events"), t.number(whole["days"])),
    ]  # fmt: skip
    facts += [
        (column_name(t, field), _short(whole[f"last_{field}"])) for field in CONTEXT_FIELDS if whole[f"last_{field}"]
    ]
    return _facts(facts)


async def value(context: Context) -> Safe:
    """Orders, revenue, refunds, lifetime value."""
    t = context.t
    row = (await ask_of(context, await _ids(context), value_sql(context.plan))).dicts()[0]
    if not context.plan.meanings.payment:
        return h("p", t("The plan's `meanings` name no payment."), class_="empty")
    average = float(row["paid"]) / row["orders"] if row["orders"] else None
    facts: list[tuple[str, Child]] = [
        (t("Orders"), t.number(row["orders"])),
        (t("Paid"), t.money(row["paid"])),
        (t("Refunded"), t.money(row["refunded"])),
        (t("Lifetime value so far"), h("strong", t.money(row["paid"] + row["refunded"]))),
        (t("Average order"), t.money(average)),
        (t("First order"), _moment(context, row["first"])),
        (t("Last order"), _moment(context, row["last"])),
    ]
    return _facts(facts)


async def devices(context: Context) -> Safe:
    """Every id of the person: its kind, since when it is theirs and by what, and what it did."""
    t = context.t
    ids = await _ids(context)
    did = {row["id"]: row for row in (await ask_of(context, ids, summary_sql(context.plan))).dicts()}
    links = (await ask_of(context, ids, LINKS)).dicts()
    since = {row["id"]: row for row in links if row["outcome"] == "linked"}
    kinds = {"login": t("login"), "alias": t("alias"), "import": t("import")}
    shared = {key.split("\0", 1)[1] for key in ids.shared}
    rows: list[list[Child]] = []
    for id_ in [ids.person, *(i for i in ids.owned if i != ids.person)]:
        own, link = did.get(id_), since.get(id_) if id_ != ids.person else None
        kind = t("device") if id_.startswith(DEVICE) else t("user")
        by: Child = NONE
        if link is not None:
            what = kinds.get(link["kind"], link["kind"])
            by = t("{what}, {when}", what=what, when=_moment(context, link["since"]))
        mark = h("span", " ", t("shared by too many"), class_="bad-word") if id_ in shared else None
        rows.append([
            text(h("code", _short(id_.removeprefix(DEVICE))), mark), kind, by,
            t.number(own["events"]) if own else "0", _moment(context, own["last"]) if own else NONE,
        ])  # fmt: skip
    refused = [row for row in links if row["outcome"] == "refused"]
    heads = [
        t("Id"),
        t("Kind"),
        t("Theirs since"),
        t("Events"),
        t("Last seen"),
    ]
    listed = table(heads, rows, label=t("Devices and ids"), numeric=[3])
    if not refused:
        return listed
    claims = t.listed([_short(row["id"].removeprefix(DEVICE)) for row in refused[:5]])
    return text(listed, h("p", t("Claims that were refused, as it is another user's: {claims}.", claims=claims), class_="note"))  # fmt: skip


async def attributes(context: Context) -> Safe:
    """What is known of the person besides events."""
    t = context.t
    ids = await _ids(context)
    rows = (await ask_of(context, ids, ATTRIBUTES)).rows
    listed: list[list[Child]] = [[h("code", _short(name)), _short(told)] for name, told, _ in rows]
    return table([t("Attribute"), t("Value")], listed, label=t("Attributes"),
                 empty=t("None were told."))  # fmt: skip


async def progress(context: Context) -> Safe:
    """How far they got in one funnel, each day on which they began it."""
    t, plan = context.t, context.plan
    name = context.choice("funnel", list(plan.funnels))
    if not name:
        return text()
    funnel = plan.funnels[name]
    rows = (await ask_of(context, await _ids(context), progress_sql(plan, funnel))).rows
    by_day = {int(row[0]): row for row in rows}
    begun = sorted(funnel_rows(rows), key=lambda row: -row.bucket)
    titles = [step.title for step in funnel.steps]
    if not begun:
        return h("p", t("Never begun."), class_="empty")
    furthest = max(begun, key=lambda row: (_level(row.users), row.bucket))
    level = _level(furthest.users)
    said = t("Furthest: {step} ({level} of {steps}), on {day}. Begun on {days} days.", step=titles[level - 1], level=level, steps=len(titles), day=_day(context, furthest.bucket), days=t.number(len(begun)))  # fmt: skip
    listed: list[list[Child]] = []
    for row in begun[:_DAYS]:
        level = _level(row.users)
        waits = by_day[row.bucket][3]
        times = [
            t("{step} after {time}", step=titles[k], time=t.duration(waits[k - 1] / row.users[k]))
            for k in range(1, level) if len(waits) >= k
        ]  # fmt: skip
        listed.append(
            [_day(context, row.bucket), f"{level}/{len(titles)}", titles[level - 1], " → ".join(times) or NONE]
        )
    heads = [t("Day"), t.of("number", "Step"), t("Got to"), t("Time from step to step")]
    return text(h("p", said), table(heads, listed, label=t("Funnel: {name}", name=name)))


async def did(context: Context) -> Safe:
    """The timeline."""
    return await timeline.draw(context, await _ids(context))


async def events_file(context: Context) -> tuple[str, str, bytes]:
    """The person's events as CSV, the oldest first. Raises StoreError, UserError."""
    answer = await _export(context)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([harmless(one) for one in row])
    return "person.csv", "text/csv", ("\ufeff" + out.getvalue()).encode(errors="replace")


async def everything_file(context: Context) -> tuple[str, str, bytes]:
    """All that is known of the person as JSON. Raises StoreError, UserError."""
    ids = await _ids(context)
    told = (await ask_of(context, ids, ATTRIBUTES)).dicts()
    links = (await ask_of(context, ids, LINKS)).dicts()
    worth = (await ask_of(context, ids, value_sql(context.plan))).dicts()[0]
    events = (await _export(context)).dicts()
    whole = {"person": ids.person, "ids": ids.all, "attributes": told, "links": links, "value": worth, "events": events,
             "events_left_out": len(events) >= EXPORTED}  # fmt: skip
    return (
        "person.json",
        "application/json",
        json.dumps(whole, ensure_ascii=False, default=str, indent=1).encode(errors="replace"),
    )


async def _export(context: Context) -> Any:
    return await ask_of(context, await _ids(context), export_sql(context.plan), {"most": EXPORTED})


async def _nobody(context: Context, asked: str) -> Safe:
    t = context.t
    said = note_bad(t("No event and no link has the id {asked}.", asked=_short(asked)))
    like = [row[0] for row in (await context.store.ask(SIMILAR, {"id": asked[:100]}, keep=30)).rows]
    if not like:
        return said
    items = [h("li", person_link(context, id_, _short(id_))) for id_ in like]
    return text(said, h("p", t("Ids that begin so:")), h("ul", *items))


async def _ids(context: Context) -> PersonIds:
    """Whom the page is about. Raises UserError if there is nobody, StoreError."""
    ids = await find(context, _asked(context))
    if ids is None:
        raise UserError("nobody has the id {id}", id=repr(_short(_asked(context))))
    return ids


def _asked(context: Context) -> str:
    return context.query.get("id", "").strip()


def _facts(facts: list[tuple[str, Child]]) -> Safe:
    rows = [h("tr", h("th", name, scope="row"), h("td", shown)) for name, shown in facts]
    return h("table", h("tbody", *rows), class_="plain")


def _moment(context: Context, ms: int | None) -> str:
    if ms is None:
        return NONE
    at = datetime.fromtimestamp(ms / 1000, context.plan.zone)
    return f"{context.t.day(at.date(), year=True)} {at:%H:%M}"


def _day(context: Context, ms: int) -> str:
    return context.t.day(datetime.fromtimestamp(ms / 1000, context.plan.zone).date(), weekday=True)


def _level(users: tuple[int, ...]) -> int:
    return sum(1 for count in users if count)


def _short(words: str) -> str:
    return words if len(words) <= _SHOWN else words[:_SHOWN] + "…"
