"""The page Data quality: what became of records, why some were rejected, who sends them, and which ids are whose."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from pipeline.dashboard.annotated import marks
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import form, lazy, panel, period_fields, table, term, tile
from pipeline.dashboard.pages.records import records as live_records
from pipeline.queries.conditions import moments_sql
from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
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
            panel(t("Records by day", "每日记录"), lazy(context, "quality-days"), wide=True,
                  note=t("by the time at which they came", "按到达时间")),
            panel(t("Since the workers began", "worker 启动以来"), live_records(context), note=t("live", "实时")),
            panel(t("Why records were rejected", "拒绝原因"), lazy(context, "quality-reasons"), wide=True,
                  note=t("each is kept whole; `streamgauge rejected redrive` sends those again that a later plan accepts",
                         "原文均保留；方案更新后可用 `streamgauge rejected redrive` 重新发送")),
            panel(t("Events that the plan doesn't know", "方案之外的事件"), lazy(context, "quality-unknown")),
            panel(t("By producer", "按上报端"), lazy(context, "quality-producers"),
                  note=t("platform and app version; the worst first", "平台与应用版本；最差的在前")),
            panel(t("Devices and their users", "设备与用户"), lazy(context, "quality-links"), wide=True,
                  note=t("a device belongs to the first user who logs in on it, and all that it did counts as theirs",
                         "设备归第一个在上面登录的用户，它的全部行为都算这个人的")),
            class_="grid",
        ),
        h("p", h("a", t("The tracking plan, and how often each event and property was seen",
                        "埋点方案，以及每个事件和属性出现的次数"), href="/plan")),
    )  # fmt: skip


async def days(context: Context) -> Safe:
    """Duplicates, late and rejected by day, as shares of all records, and all in a table."""
    t = context.t
    answer = await context.store.ask(_DAYS_SQL, {**_span(context), "zone": context.plan.timezone}, keep=15)
    found = {row["day"]: row for row in answer.dicts()}
    if not found:
        return h("p", t("No records in these days.", "这些天没有记录。"), class_="empty")
    first, last = context.period()
    wanted = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    names = {"rejected": t("rejected", "被拒绝"), "duplicate": t("duplicate", "重复"), "late": t("late", "迟到")}

    def share(day: Any, what: str) -> float | None:
        row = found.get(day)
        total = sum(row[k] for k in ("accepted", "late", "duplicate", "rejected")) if row else 0
        return row[what] / total if row and total else None

    lines = [Line(label, [share(day, what) for day in wanted]) for what, label in names.items()]

    happened = marks(context, wanted)
    chart = line_chart(t("Share of records by day", "每日记录占比"), [t.day(d) for d in wanted], lines,
                       lambda v: t.percent(v, 1), height=150, annotations=happened.drawn)  # fmt: skip

    heads = [t("Day", "日期"), t("accepted", "已接受"), *names.values()]
    rows = [
        [t.day(day, weekday=True), *[t.number(found[day][k]) for k in ("accepted", "rejected", "duplicate", "late")]]
        for day in reversed(wanted) if day in found
    ]  # fmt: skip
    label = t("Records by day", "每日记录")
    return text(figure(t, chart), happened.words,
                h("details", h("summary", t("As a table", "表格")), table(heads, rows, label=label, numeric=range(1, 5))))  # fmt: skip


async def reasons(context: Context) -> Safe:
    """Each reason, with sample records."""
    t = context.t
    answer = await context.store.ask(_REASONS_SQL, _span(context), keep=10)
    rows = []
    for reason, records, _, last, example, samples in answer.rows:
        shown = [bytes.fromhex(sample).decode("utf-8", "backslashreplace") for sample in samples]
        found = [h("pre", sample, tabindex="0") for sample in shown]
        label = h("details", h("summary", example), *found)
        rows.append([h("code", reason), t.number(records), _when(context, last), label])
    heads = [
        t("Reason", "原因"),
        t("Records", "记录数"),
        t("Last", "最近"),
        t("Such as, and sample records", "例子与样本"),
    ]
    return table(heads, rows, label=t("Why records were rejected", "拒绝原因"), numeric=[1],
                 empty=t("No record was rejected in these days.", "这些天没有记录被拒绝。"))  # fmt: skip


async def unknown(context: Context) -> Safe:
    """Names of events that are not in the plan."""
    t = context.t
    answer = await context.store.ask(_UNKNOWN_SQL, {**_span(context), "known": list(context.plan.events)}, keep=15)
    said = {"rejected": t("rejected", "被拒绝"), "kept": t("kept", "已保留")}
    rows = [
        [h("code", name or t("(no name)", "（无名）")), t.number(n), said.get(how, how)] for name, n, how in answer.rows
    ]
    return table([t("Event", "事件"), t("Records", "记录数"), ""], rows, label=t("Unknown events", "未知事件"), numeric=[1],
                 empty=t("None in these days.", "这些天没有。"))  # fmt: skip


async def producers(context: Context) -> Safe:
    """Who sends what, and how much of it is rejected."""
    t = context.t
    answer = await context.store.ask(_PRODUCERS_SQL, _span(context), keep=15)
    rows = []
    for source, platform, version, accepted, late, rejected in answer.rows:
        total = accepted + late + rejected
        app = " ".join(filter(None, (platform, version)))
        name = ": ".join(filter(None, (source, app))) or t("(not given)", "（未提供）")
        rows.append([name, t.number(accepted), t.percent(late / total, 2), t.percent(rejected / total, 2)])
    heads = [
        t("Producer", "上报端"), t("Accepted", "已接受"),
        term(t("Late", "迟到"), t("Share of its records that came later than the plan's lateness.", "迟于方案允许时间的记录占比。")),
        term(t("Rejected", "被拒绝"), t("Share of its records that are not events of the plan; of those that can't be read, "
                                    "the producer is not known.", "不符合方案的记录占比；无法解析的记录不知道来自谁。")),
    ]  # fmt: skip
    return table(
        heads,
        rows,
        label=t("By producer", "按上报端"),
        numeric=[1, 2, 3],
        empty=t("No records in these days.", "这些天没有记录。"),
    )


async def links(context: Context) -> Safe:
    """How many devices were linked to a user, which claims were refused, and which devices are nobody's any more."""
    t, span = context.t, _span(context)
    linked, refused, shared = (await context.store.ask(_LINKS_SQL, span, keep=15)).rows[0]
    if not linked + refused + shared:
        return h("p", t("Nobody logged in on a device for the first time in these days.",
                        "这些天没有人在新设备上登录。"), class_="empty")  # fmt: skip
    tiles = h(
        "div",
        tile(t("Devices linked", "新关联设备"), t.number(linked), t("to the first user who logged in", "归第一个登录的用户")),
        tile(t("Claims refused", "被拒绝的关联"), t.number(refused),
             t("another user's login: the device stays with the first", "其他用户在该设备登录；设备仍归第一个用户")),
        tile(t("Devices shared by too many", "多人共用的设备"), t.number(shared),
             t("nobody's from then on", "从那时起不再归任何人")),
        class_="tiles",
    )  # fmt: skip
    rows = (await context.store.ask(_SHARED_SQL, span, keep=15)).rows
    claims = (await context.store.ask(_REFUSED_SQL, span, keep=15)).rows
    label_shared, label_refused = t("Shared devices", "共用设备"), t("Refused claims", "被拒绝的关联")
    return text(
        tiles,
        h("h3", label_shared),
        table([t("Device", "设备"), t("Users who claimed it", "登录过的用户数"), t("Since", "起始时间")],
              [[h("code", name), t.number(n), _when(context, at)] for name, n, at in rows],
              label=label_shared, numeric=[1], empty=t("None in these days.", "这些天没有。")),
        h("h3", label_refused),
        table([t("Device or old user", "设备或旧用户 ID"), t("Belongs to", "归属"), t("Claimed by", "谁来关联"), t("When", "时间")],
              [[h("code", name), h("code", owner) if owner else "–", h("code", user), _when(context, at)]
               for name, owner, user, at in claims],
              label=label_refused, empty=t("None in these days.", "这些天没有。")),
    )  # fmt: skip


def _span(context: Context) -> dict[str, int]:
    low, high = context.bounds(*context.period())
    return {"low": low, "high": high}


def _when(context: Context, ms: int) -> str:
    day = datetime.fromtimestamp(ms / 1000, context.plan.zone).date()
    return f"{context.t.day(day)} {context.t.clock(ms, context.plan.zone)}"
