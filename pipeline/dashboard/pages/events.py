"""The page Events: records as they come in, what became of each, and property by property against the plan."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import dim, field, fold, form, lazy, note_bad, panel, select
from pipeline.dashboard.people import person_link
from pipeline.render.html import Child, Safe, h, text
from pipeline.render.language import Language
from pipeline.render.tables import table
from schemas.duration import MINUTE
from schemas.event import DEVICE
from schemas.models import mistake

#: How far back is looked, and how much of it is shown.
SPAN: Final = 15 * MINUTE
ROWS: Final = 50
#: A larger record is not compared; what is no event is shown up to so many characters, and a value.
_BYTES: Final = 50_000
_SHOWN, _CHARACTERS = 4_000, 200
#: What can become of a record.
OUTCOMES: Final = {
    "accepted": "accepted",
    "late": "late: stored, not counted live",
    "duplicate": "duplicate",
    "rejected": "rejected",
    "link": "link",
    "attributes": "attributes",
}
_HELD: Final = "stored_at >= fromUnixTimestamp64Milli({since:Int64})"
_NEWEST: Final = "ORDER BY stored_at DESC, offset DESC LIMIT 1 BY stream, partition, offset LIMIT {rows:UInt32}"
#: Raw tables: the views know whose each event is, which costs a join every second. A row that was inserted twice is
#: taken once here.
SQL: Final = f"""
SELECT outcome, stream, partition, offset, event, user, device, source, toUnixTimestamp64Milli(at) AS ts, reason, detail, body
FROM
(
    (SELECT stored_at, if(late, 'late', 'accepted') AS outcome, toString(stream) AS stream, partition, offset,
        toString(e.event) AS event, user_id AS user, anonymous_id AS device, toString(e.source) AS source, ts AS at,
        '' AS reason, '' AS detail, if(length(properties) <= {_BYTES}, properties, '') AS body
    FROM events_raw AS e
    WHERE {_HELD} AND {{outcome:String}} IN ('', outcome) AND {{event:String}} IN ('', event)
        AND {{id:String}} IN ('', user, device) AND {{source:String}} IN ('', source)
    {_NEWEST})
    UNION ALL
    (SELECT stored_at, 'rejected' AS outcome, toString(stream) AS stream, partition, offset,
        JSONExtractString(value, 'event') AS event, JSONExtractString(value, 'user_id') AS user,
        JSONExtractString(value, 'anonymous_id') AS device,
        if(r.source = '', JSONExtractString(value, 'source'), toString(r.source)) AS source, at,
        toString(reason) AS reason, detail, hex(substring(value, 1, {_BYTES})) AS body
    FROM rejected_raw AS r
    WHERE {_HELD} AND {{outcome:String}} IN ('', outcome) AND {{event:String}} IN ('', event)
        AND {{id:String}} IN ('', user, device, key) AND {{source:String}} IN ('', source)
    {_NEWEST})
    UNION ALL
    (SELECT stored_at, 'duplicate' AS outcome, toString(stream) AS stream, partition, offset,
        toString(d.event) AS event, actor AS user, '' AS device, '' AS source, at, '' AS reason, event_id AS detail, '' AS body
    FROM duplicates_raw AS d
    WHERE {_HELD} AND d.outcome = 'duplicate' AND {{outcome:String}} IN ('', 'duplicate') AND {{event:String}} IN ('', event)
        AND {{id:String}} IN ('', user) AND {{source:String}} = ''
    {_NEWEST})
    UNION ALL
    (SELECT stored_at, 'link' AS outcome, toString(stream) AS stream, partition, offset,
        '' AS event, person AS user, id AS device, '' AS source, ts AS at, toString(l.outcome) AS reason,
        toString(kind) AS detail, '' AS body
    FROM links_raw AS l
    WHERE {_HELD} AND {{outcome:String}} IN ('', 'link') AND {{event:String}} = ''
        AND {{id:String}} IN ('', user, device, substring(device, {len(DEVICE) + 1})) AND {{source:String}} = ''
    ORDER BY stored_at DESC, offset DESC LIMIT 1 BY stream, partition, offset, user, device LIMIT {{rows:UInt32}})
    UNION ALL
    (SELECT stored_at, 'attributes' AS outcome, '' AS stream, 0 AS partition, 0 AS offset,
        '' AS event, actor AS user, '' AS device, '' AS source, max(told) AS at, change AS reason, '' AS detail,
        toJSONString(mapFromArrays(groupArray(name), groupArray(value))) AS body
    FROM
    (
        SELECT stored_at, actor, name, value, '' AS change, imported_at AS told FROM user_attributes_raw WHERE {_HELD}
        UNION ALL
        SELECT stored_at, actor, name, value, toString(change), ts FROM attribute_changes_raw WHERE {_HELD}
    )
    WHERE {{outcome:String}} IN ('', 'attributes') AND {{event:String}} = ''
        AND {{id:String}} IN ('', actor, substring(actor, {len(DEVICE) + 1})) AND {{source:String}} = ''
    GROUP BY stored_at, actor, change
    ORDER BY stored_at DESC LIMIT {{rows:UInt32}})
)
ORDER BY stored_at DESC, partition, offset DESC, outcome LIMIT {{rows:UInt32}}"""


class Came(NamedTuple):
    """A record: what became of it, where it lies in the log, and what it says. `ts` is epoch ms."""

    outcome: str
    stream: str
    partition: int
    offset: int
    event: str
    user: str
    device: str
    source: str
    ts: int
    reason: str
    detail: str
    body: str


def body(context: Context) -> Safe:
    """The filters, and a place for the records."""
    t = context.t
    choices = [("", t("all")), *[(name, t.of("outcome", words)) for name, words in OUTCOMES.items()]]

    def words(name: str, label: str) -> Safe:
        return field(label, h("input", name=name, value=context.query.get(name, ""), autocomplete="off"))

    return text(
        fold(
            t,
            form(
                context,
                field(t("What became of it"), select("outcome", choices, context.choice("outcome", ["", *OUTCOMES]))),
                words("event", t("Event")),
                words("id", t("User or device")),
                words("source", t("Source")),
            ),
            t("Filters"),
        ),
        panel(
            t("As they come"),
            lazy(context, "events", every=1, rows=8),
            note=t("the last {rows} of the last 15 minutes, the newest first; the list waits while one of them is "
"open", rows=ROWS),
            wide=True,
        ),
    )  # fmt: skip


async def rows(context: Context) -> Safe:
    """The newest records that fit the filters."""
    t = context.t
    asked = {name: context.query.get(name, "").strip() for name in ("event", "id", "source")}
    asked["outcome"] = context.choice("outcome", ["", *OUTCOMES])
    # By whole seconds: browsers that ask at the same time ask once.
    bounds = {"since": context.now // 1_000 * 1_000 - SPAN, "rows": ROWS}
    answer = await context.store.ask(SQL, {**asked, **bounds}, keep=0.5)
    found = [Came(*row) for row in answer.rows]
    heads = [
        t("When"), t("Event"), t("User"), t("Device"), t("Source"),
        t("What became of it"),
    ]  # fmt: skip
    return text(
        _meant_filter(context, asked["event"]) if not found else None,
        table(
            heads,
            [_cells(context, row) for row in found],
            label=t("Records as they come"),
            empty=t("Nothing came in the last 15 minutes that fits."),
        ),
    )


def _meant_filter(context: Context, event: str) -> Safe | None:
    """Where the plan has no event that is asked for: the one that was probably meant."""
    t = context.t
    if not event or event in context.plan.events:
        return None
    meant = _meant(event, context.plan.events)
    link = None
    if meant is not None:
        asked = {**{k: v for k, v in context.query.items() if v}, "event": meant}
        link = text(
            " ", t.of("search", "Did you mean "), h("a", h("code", meant), href=f"/events?{urlencode(asked)}"), "?"
        )
    return note_bad(t("The plan has no event "), h("code", _short(event)), t("."), link)


def _cells(context: Context, row: Came) -> list[Child]:
    t = context.t
    said = h("span", t.of("outcome", OUTCOMES[row.outcome]), class_="bad-word" if row.outcome == "rejected" else None)
    held = _held(context, row)
    opened = h("details", h("summary", said), *held, data_hold=True) if held else said
    name = h("code", _short(row.event)) if row.event else "–"
    return [
        t.clock(row.ts, context.plan.zone, seconds=True),
        name,
        person_link(context, row.user, _short(row.user)) if row.user else "–",
        person_link(context, row.device, _short(row.device.removeprefix(DEVICE))) if row.device else "–",
        _short(row.source) or "–",
        opened,
    ]


def _held(context: Context, row: Came) -> list[Child]:
    """What is behind a record: why it was refused, what it says, where it lies."""
    t = context.t
    lies = t("partition {partition}, offset {offset}", partition=row.partition, offset=row.offset)
    place = h("p", lies, class_="note")
    match row.outcome:
        case "duplicate":
            return [h("p", t("Seen before: event_id "), h("code", _short(row.detail))), place]
        case "link":
            return [h("p", _link(t, row)), place]
        case "attributes":
            how = [h("p", h("code", row.reason))] if row.reason else []
            return [*how, _plain(t, _object(row.body))]
        case "rejected":
            return [h("p", h("code", row.reason), " ", t.read(row.detail)), *_refused(context, row), place]
    if not row.body:
        return [h("p", t("Too large to be shown here.")), place]
    return [_compared(context, row.event, _object(row.body), refused=False), place]


def _link(t: Language, row: Came) -> str:
    return {
        "linked": t("The device, or old id, is this user's from now on."),
        "refused": t("It is another user's already, and stays theirs."),
        "shared": t("Too many users claimed it: it is nobody's from now on."),
    }.get(row.reason, row.reason)


def _refused(context: Context, row: Came) -> list[Child]:
    """Of a rejected record its properties beside the plan's, where it can be read, and its bytes."""
    # Hexadecimal, for it may be any bytes.
    shown = bytes.fromhex(row.body).decode("utf-8", "backslashreplace")
    found = _object(shown)
    parts: list[Child] = []
    if row.event and row.event not in context.plan.events and (meant := _meant(row.event, context.plan.events)):
        parts.append(h("p", context.t("Did you mean "), h("code", meant), "?"))
    properties = found.get("properties")
    if isinstance(properties, dict):
        parts.append(_compared(context, row.event, properties, refused=True))
    return [*parts, h("pre", shown[:_SHOWN], tabindex="0")]


def _compared(context: Context, event: str, properties: dict[str, Any], *, refused: bool) -> Safe:
    """Properties beside those of the plan. Of a refused record each is judged: the reason names only the first."""
    t, spec = context.t, context.plan.events.get(event)
    known = dict(spec.properties) if spec is not None else {}
    lines: list[list[Child]] = []
    for name, value in list(properties.items())[:200]:
        said: Child = known[name].type if name in known else h("span", t("not in the plan"), class_="dim")
        if name not in known and (meant := _meant(name, known.keys() - properties.keys())):
            said = h("span", t("not in the plan: did you mean "), h("code", meant), class_="dim")
        elif refused and name in known and spec is not None and (wrong := mistake(spec, name, value)):
            said = h("span", h("strong", t.said(wrong), class_="bad-word"), " ", dim(f"({known[name].type})"))
        lines.append([h("code", _short(name)), h("code", _value(value)), said])
    for name, rule in known.items():
        if name not in properties:
            missing = t("missing")
            lines.append(
                [h("code", name), "–", h("strong", missing, class_="bad-word") if rule.required else rule.type]
            )
    heads = [t("Property"), t("Value"), t("In the plan")]
    return table(heads, lines, label=t("Properties"), empty=t("It has no properties."))


def _plain(t: Language, values: dict[str, Any]) -> Safe:
    lines = [[h("code", _short(name)), h("code", _value(value))] for name, value in list(values.items())[:200]]
    return table([t("Attribute"), t("Value")], lines, label=t("Attributes"), empty="–")


def _meant(name: str, names: Collection[str]) -> str | None:
    """The name of the plan that this one was probably meant to be."""
    return next(iter(difflib.get_close_matches(name[:100], names, 1, 0.6)), None)


def _object(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _value(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False))


def _short(words: str) -> str:
    return words if len(words) <= _CHARACTERS else words[:_CHARACTERS] + "…"
