"""The page Data quality: what became of records, why some were rejected, who sends them, and which ids are whose."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from pipeline.dashboard.annotated import marks
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import form, lazy, panel, period_fields, term, tile
from pipeline.dashboard.pages.records import records as live_records
from pipeline.queries.conditions import moments_sql
from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.tables import table
from pipeline.render.vega import lines as line_chart

_SAMPLE_BYTES: Final = 400
#: So many devices and claims are named.
_ROWS: Final = 20
_HAPPENED: Final = moments_sql("{low:Int64}", "{high:Int64}")
_LINKED_THEN: Final = "ts >= fromUnixTimestamp64Milli({low:Int64}) AND ts < fromUnixTimestamp64Milli({high:Int64})"

# Whose the rows are doesn't matter in what follows, so they are read without their persons.
_DAYS_SQL: Final = """
SELECT day, sum(a) AS accepted, sum(l) AS late, sum(d) AS duplicate, sum(r) AS rejected FROM
(
    SELECT toDate(ingested_at, {zone:String}) AS day, countIf(NOT late) AS a, countIf(late) AS l, 0 AS d, 0 AS r
    FROM events_raw FINAL WHERE ingested_at >= fromUnixTimestamp64Milli({low:Int64})
        AND ingested_at < fromUnixTimestamp64Milli({high:Int64}) GROUP BY day
    UNION ALL
    SELECT toDate(at, {zone:String}) AS day, 0, 0, count(), 0
    FROM duplicates WHERE outcome = 'duplicate' AND at >= fromUnixTimestamp64Milli({low:Int64}) AND at < fromUnixTimestamp64Milli({high:Int64}) GROUP BY day
    UNION ALL
    SELECT toDate(at, {zone:String}) AS day, 0, 0, 0, count()
    FROM rejected WHERE at >= fromUnixTimestamp64Milli({low:Int64}) AND at < fromUnixTimestamp64Milli({high:Int64}) GROUP BY day
)
GROUP BY day ORDER BY day"""
_REASONS_SQL: Final = f"""
SELECT reason, count() AS records, toUnixTimestamp64Milli(min(at)) AS first, toUnixTimestamp64Milli(max(at)) AS last,
    any(detail) AS example, arraySlice(groupArray(3)(hex(substring(value, 1, {_SAMPLE_BYTES}))), 1, 2) AS samples
FROM rejected WHERE at >= fromUnixTimestamp64Milli({{low:Int64}}) AND at < fromUnixTimestamp64Milli({{high:Int64}})
GROUP BY reason ORDER BY records DESC, reason LIMIT 50"""
_UNKNOWN_SQL: Final = f"""
SELECT name, sum(n) AS records, any(how) AS how FROM
(
    SELECT JSONExtractString(value, 'event') AS name, count() AS n, 'rejected' AS how FROM rejected
    WHERE reason = 'unknown_event' AND at >= fromUnixTimestamp64Milli({{low:Int64}}) AND at < fromUnixTimestamp64Milli({{high:Int64}})
    GROUP BY name
    UNION ALL
    SELECT event AS name, count() AS n, 'kept' AS how FROM events_raw FINAL
    WHERE event NOT IN {{known:Array(String)}} AND {_HAPPENED}
    GROUP BY name
)
GROUP BY name ORDER BY records DESC LIMIT 50"""
_PRODUCERS_SQL: Final = f"""
SELECT source, platform, version, sum(a) AS accepted, sum(l) AS late, sum(r) AS rejected FROM
(
    SELECT toString(source) AS source, platform, app_version AS version, countIf(NOT late) AS a, countIf(late) AS l, 0 AS r
    FROM events_raw FINAL WHERE {_HAPPENED}
    GROUP BY source, platform, version
    UNION ALL
    SELECT source, JSONExtractString(value, 'platform'), JSONExtractString(value, 'app_version'), 0, 0, count() FROM rejected
    WHERE at >= fromUnixTimestamp64Milli({{low:Int64}}) AND at < fromUnixTimestamp64Milli({{high:Int64}})
    GROUP BY 1, 2, 3
)
GROUP BY source, platform, version ORDER BY rejected / (accepted + late + rejected) DESC, accepted DESC LIMIT 50"""
_LINKS_SQL: Final = f"""
SELECT uniqExactIf(id, outcome = 'linked' AND kind != 'alias') AS linked, countIf(outcome = 'refused') AS refused,
    uniqExactIf(id, outcome = 'shared') AS shared
FROM links WHERE {_LINKED_THEN}"""
_SHARED_SQL: Final = f"""
SELECT id, length(users) AS claims, toUnixTimestamp64Milli(since) AS at FROM shared_devices
WHERE since >= fromUnixTimestamp64Milli({{low:Int64}}) AND since < fromUnixTimestamp64Milli({{high:Int64}})
ORDER BY claims DESC, id LIMIT {_ROWS}"""
_REFUSED_SQL: Final = f"""
SELECT id, belongs_to, claimed_by, toUnixTimestamp64Milli(ts) AS at FROM refused_links
WHERE {_LINKED_THEN} ORDER BY ts DESC, id, claimed_by LIMIT {_ROWS}"""


def body(context: Context) -> Safe:
    """The form and places for the answers."""
    t = context.t
    first, last = context.period()
    return text(
        form(context, *period_fields(context, first, last)),
        h(
            "div",
            panel(t("Records by day"), lazy(context, "quality-days"), wide=True,
                  note=t("by the time at which they came")),
            panel(t("Since the workers began"), live_records(context), note=t("live")),
            panel(t("Why records were rejected"), lazy(context, "quality-reasons"), wide=True,
                  note=t("each is kept whole; `streamgauge rejected redrive` sends those again that a later plan accepts")),
            panel(t("Events that the plan doesn't know"), lazy(context, "quality-unknown")),
            panel(t("By producer"), lazy(context, "quality-producers"),
                  note=t("platform and app version; the worst first")),
            panel(t("Devices and their users"), lazy(context, "quality-links"), wide=True,
                  note=t("a device belongs to the first user who logs in on it, and all that it did counts as theirs")),
            class_="grid",
        ),
        h("p", h("a", t("The tracking plan, and how often each event and property was seen"), href="/plan")),
    )  # fmt: skip


async def days(context: Context) -> Safe:
    """Duplicates, late and rejected by day, as shares of all records, and all in a table."""
    t = context.t
    answer = await context.store.ask(_DAYS_SQL, {**_span(context), "zone": context.plan.timezone}, keep=15)
    found = {row["day"]: row for row in answer.dicts()}
    if not found:
        return h("p", t("No records in these days."), class_="empty")
    first, last = context.period()
    wanted = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    names = {"rejected": t("rejected"), "duplicate": t("duplicate"), "late": t("late")}

    def share(day: Any, what: str) -> float | None:
        row = found.get(day)
        total = sum(row[k] for k in ("accepted", "late", "duplicate", "rejected")) if row else 0
        return row[what] / total if row and total else None

    lines = [Line(label, [share(day, what) for day in wanted]) for what, label in names.items()]

    happened = marks(context, wanted)
    chart = line_chart(t("Share of records by day"), [t.day(d) for d in wanted], lines,
                       lambda v: t.percent(v, 1), height=150, annotations=happened.drawn)  # fmt: skip

    heads = [t("Day"), t("accepted"), *names.values()]
    rows = [
        [t.day(day, weekday=True), *[t.number(found[day][k]) for k in ("accepted", "rejected", "duplicate", "late")]]
        for day in reversed(wanted) if day in found
    ]  # fmt: skip
    label = t("Records by day")
    return text(figure(t, chart), happened.words,
                h("details", h("summary", t("As a table")), table(heads, rows, label=label, numeric=range(1, 5))))  # fmt: skip


async def reasons(context: Context) -> Safe:
    """Each reason, with sample records."""
    t = context.t
    answer = await context.store.ask(_REASONS_SQL, _span(context), keep=10)
    rows = []
    for reason, records, _, last, example, samples in answer.rows:
        shown = [bytes.fromhex(sample).decode("utf-8", "backslashreplace") for sample in samples]
        found = [h("pre", sample, tabindex="0") for sample in shown]
        label = h("details", h("summary", t.read(example)), *found)
        rows.append([h("code", reason), t.number(records), _when(context, last), label])
    heads = [
        t("Reason"),
        t("Records"),
        t("Last"),
        t("Such as, and sample records"),
    ]
    return table(heads, rows, label=t("Why records were rejected"), numeric=[1],
                 empty=t("No record was rejected in these days."))  # fmt: skip


async def unknown(context: Context) -> Safe:
    """Names of events that are not in the plan."""
    t = context.t
    answer = await context.store.ask(_UNKNOWN_SQL, {**_span(context), "known": list(context.plan.events)}, keep=15)
    said = {"rejected": t("rejected"), "kept": t("kept")}
    rows = [[h("code", name or t("(no name)")), t.number(n), said.get(how, how)] for name, n, how in answer.rows]
    return table([t("Event"), t("Records"), t("What became of it")], rows, label=t("Unknown events"), numeric=[1],
                 empty=t("None in these days."))  # fmt: skip


async def producers(context: Context) -> Safe:
    """Who sends what, and how much of it is rejected."""
    t = context.t
    answer = await context.store.ask(_PRODUCERS_SQL, _span(context), keep=15)
    rows = []
    for source, platform, version, accepted, late, rejected in answer.rows:
        total = accepted + late + rejected
        app = " ".join(filter(None, (platform, version)))
        name = ": ".join(filter(None, (source, app))) or t("(not given)")
        rows.append([name, t.number(accepted), t.percent(late / total, 2), t.percent(rejected / total, 2)])
    heads = [
        t("Producer"), t("Accepted"),
        term(t("Late"), t("Share of its records that came later than the plan's lateness.")),
        term(t("Rejected"), t("Share of its records that are not events of the plan; of those that can't be read, the "
"producer is not known.")),
    ]  # fmt: skip
    return table(
        heads,
        rows,
        label=t("By producer"),
        numeric=[1, 2, 3],
        empty=t("No records in these days."),
    )


async def links(context: Context) -> Safe:
    """How many devices were linked to a user, which claims were refused, and which devices are nobody's any more."""
    t, span = context.t, _span(context)
    linked, refused, shared = (await context.store.ask(_LINKS_SQL, span, keep=15)).rows[0]
    if not linked + refused + shared:
        return h("p", t("Nobody logged in on a device for the first time in these days."), class_="empty")  # fmt: skip
    tiles = h(
        "div",
        tile(t("Devices linked"), t.number(linked), t("to the first user who logged in")),
        tile(t("Claims refused"), t.number(refused),
             t("another user's login: the device stays with the first")),
        tile(t("Devices shared by too many"), t.number(shared),
             t("nobody's from then on")),
        class_="tiles",
    )  # fmt: skip
    rows = (await context.store.ask(_SHARED_SQL, span, keep=15)).rows
    claims = (await context.store.ask(_REFUSED_SQL, span, keep=15)).rows
    label_shared, label_refused = t("Shared devices"), t("Refused claims")
    return text(
        tiles,
        h("h3", label_shared),
        table([t("Device"), t("Users who claimed it"), t("Since")],
              [[h("code", name), t.number(n), _when(context, at)] for name, n, at in rows],
              label=label_shared, numeric=[1], empty=t("None in these days.")),
        h("h3", label_refused),
        table([t("Device or old user"), t("Belongs to"), t("Claimed by"), t("When")],
              [[h("code", name), h("code", owner) if owner else "–", h("code", user), _when(context, at)]
               for name, owner, user, at in claims],
              label=label_refused, empty=t("None in these days.")),
    )  # fmt: skip


def _span(context: Context) -> dict[str, int]:
    low, high = context.bounds(*context.period())
    return {"low": low, "high": high}


def _when(context: Context, ms: int) -> str:
    day = datetime.fromtimestamp(ms / 1000, context.plan.zone).date()
    return f"{context.t.day(day)} {context.t.clock(ms, context.plan.zone)}"
