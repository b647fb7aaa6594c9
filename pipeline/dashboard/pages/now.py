"""The page Now: who is here, what they do, where the funnel leaks, and whether anything is wrong."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import bars, dim, lazy, live, note_bad, note_good, panel, term, tile
from pipeline.dashboard.live import rates
from pipeline.dashboard.steps import step_list
from pipeline.dashboard.verdict import Trouble, problems, status
from pipeline.measure.periods import Period
from pipeline.render.chart import Line, fitting, line_chart
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE
from pipeline.serve.answers import LiveAnswer
from schemas.duration import MINUTE

#: The curve of a young system: so many minutes, in so short steps.
_YOUNG_MINUTES, _YOUNG_STEP = 12, 5_000
_SHOWN: Final = 6

_MINUTES_SQL: Final = """
SELECT toUnixTimestamp64Milli(start) AS at, sum(events) AS events FROM live_activity
WHERE stream = {stream:String} AND grain = 'minute' AND dimension = '' AND start >= fromUnixTimestamp64Milli({since:Int64})
GROUP BY start ORDER BY start"""
#: Stored today and yesterday, both up to the same time of day, of all streams: never live against stored.
_DAYS_SQL: Final = """
SELECT countIf(now), uniqExactIf(person, now), toFloat64(sumIf(value, now)),
    countIf(NOT now), uniqExactIf(person, NOT now), toFloat64(sumIf(value, NOT now))
FROM (SELECT person, value, ts >= fromUnixTimestamp64Milli({start:Int64}) AS now FROM events
    WHERE (ts >= fromUnixTimestamp64Milli({start:Int64}) AND ts < fromUnixTimestamp64Milli({end:Int64})
        OR ts >= fromUnixTimestamp64Milli({then:Int64}) AND ts < fromUnixTimestamp64Milli({then_end:Int64})) AND NOT late)"""


def body(context: Context) -> Safe:
    """What stands on the page at once; the stream fills it."""
    t = context.t
    none = dim(NONE)
    estimate = t("Estimated, standard error at most 1.6 %.", "估算值，标准误差不超过 1.6%。")
    tiles = [
        tile(term(t("Active now", "现在活跃"), t(
            f"Different users with an event in this minute or the one before. {estimate}",
            f"本分钟和上一分钟内有事件的去重用户数。{estimate}")), none, key="active-now"),
        tile(term(t("Last 5 minutes", "最近 5 分钟"), t(
            f"Different users with an event in the last 5 minutes. {estimate}",
            f"最近 5 分钟内有事件的去重用户数。{estimate}")), none, key="active-5m"),
        tile(term(t("Users today", "今日用户"), t(
            f"Different users that the workers counted today, in the time zone {context.plan.timezone}. {estimate} Below it "
            f"what is stored of today, against yesterday up to the same time.",
            f"worker 今天（时区 {context.plan.timezone}）统计的去重用户数。{estimate}下方为今天已存储的数据与昨天同一时刻的对比。")), none,
            lazy(context, "yesterday", every=60, rows=1, of="users"), key="users-today"),
        tile(term(t("Events per second", "每秒事件"), t(
            "Records that arrived in the last seconds, whatever became of them, per second.",
            "最近几秒到达的记录数（无论接受与否），按秒平均。")), none, key="rate"),
        tile(term(t("Revenue today", "今日收入"), t(
            "Sum of the values of the events that the workers counted today, refunds subtracted. Exact, in the product's own "
            "currency. Below it what is stored of today, against yesterday up to the same time.",
            "worker 今天统计的事件金额之和，已减去退款。精确值，单位为产品自己的货币。下方为今天已存储的数据与昨天同一时刻的对比。")), none,
            lazy(context, "yesterday", every=60, rows=1, of="amount"), key="revenue"),
        tile(term(t("New users today", "今日新用户"), t(
            f"Different users with the event {context.plan.registration or '–'} today. {estimate}",
            f"今天有 {context.plan.registration or '–'} 事件的去重用户数。{estimate}")), none, key="new-today"),
    ]  # fmt: skip
    tops = [
        panel(_dimension(context, d), live(f"top-{k}"), note=t("events of the last 5 minutes", "最近 5 分钟的事件数"))
        for k, d in enumerate(context.plan.dimensions)
    ]
    funnels = [
        panel(
            t(f"Funnel: {name}", f"漏斗：{name}"), live(f"funnel-{k}"),
            h("p", h("a", t("More about this funnel", "查看该漏斗详情"), href=f"/funnels?{urlencode({'funnel': name})}"), class_="more"),
            note=t("today", "今天") if funnel.bucket == "day" else t("this hour", "本小时"),
        )
        for k, (name, funnel) in enumerate(context.plan.funnels.items())
    ]  # fmt: skip
    return text(
        live("verdict", class_="verdict"),
        lazy(context, "drops", every=300, rows=1),
        h("div", *tiles, class_="tiles"),
        h("div", panel(t("Events per second", "每秒事件"), lazy(context, "hour", every=2), wide=True),
          *funnels, *tops, panel(t("What became of all records", "全部记录的去向"), _records(context),
          h("p", h("a", t("Data quality", "数据质量"), href="/quality"), class_="more")), class_="grid"),
    )  # fmt: skip


def fragments(context: Context) -> dict[str, Safe]:
    """The live places of the page."""
    t, numbers = context.t, context.live.numbers
    if numbers is None:
        return {"verdict": verdict(context)}
    today, active = numbers["today"], numbers["active"]
    found = {
        "verdict": verdict(context),
        "active-now": text(t.number(active["now"])),
        "active-5m": text(t.number(active["last_5m"])),
        "users-today": text(t.number(today["users"])),
        "new-today": text(t.number(today["registrations"])),
        "new-today-below": text(
            dim(t(f"{t.number(today['sessions'])} sessions", f"{t.number(today['sessions'])} 次会话"))
        ),
        "rate": text(t.number(context.live.rate())),
        "rate-below": text(dim(_behind(context, numbers))),
        "revenue": text(t.money(today["value_micro"] / 1e6)),
        **_counts(context, numbers),
    }
    for k, name in enumerate(context.plan.funnels):
        funnel = numbers["funnels"].get(name)
        if funnel is not None:
            found[f"funnel-{k}"] = step_list(t, funnel["steps"], funnel["users"])
    for k, dimension in enumerate(context.plan.dimensions):
        values = numbers["top"].get(",".join(dimension), {})
        rows = [
            (_value(context, value), n["events"], t.number(n["events"])) for value, n in list(values.items())[:_SHOWN]
        ]
        found[f"top-{k}"] = bars(rows, empty=t("Nothing in the last 5 minutes.", "最近 5 分钟没有事件。"))
    return found


def head_status(context: Context) -> Safe:
    """The line in the head of every page."""
    said, good = status(context.t, context.live.numbers, len(_problems(context)))
    return (note_good if good else note_bad)(h("a", said, href="/"))


def verdict(context: Context) -> Safe:
    """Whether anything is wrong, and what to do about it."""
    t, numbers = context.t, context.live.numbers
    found = _problems(context)
    if found:
        rows = [h("li", note_bad(h("strong", f.what), " ", f.advice)) for f in found]
        return h("ul", *rows, class_="findings")
    assert numbers is not None
    if not sum(numbers["totals"].values()):
        return h("div", note_good(h("strong", t("Ready, but no events yet.", "已就绪，但还没有事件。")), " ",
                 t("Send some: ", "发送一些："), h("code", _send(context))))  # fmt: skip
    said = t("The pipeline is well: ", "数据链路正常：") + _behind(context, numbers)
    waiting = numbers["lag"]
    if waiting is not None:
        said += t(f", {t.number(waiting)} records waiting", f"，{t.number(waiting)} 条记录等待处理")
    if context.alerts.firing is not None:
        said += t(", no alert fires", "，没有告警")
    said += t(".", "。")
    return note_good(said)


async def hour(context: Context) -> Safe:
    """The curve of events per second, drawn once for all browsers of a language."""
    key = ("hour", context.t.code)
    drawn: Safe = await context.store.remembered(key, 1.0, lambda: _hour(context))
    return drawn


async def _hour(context: Context) -> Safe:
    t, samples = context.t, list(context.live.samples)
    until = context.now
    since = until - until % MINUTE - 59 * MINUTE
    stored = await _stored_minutes(context, since)
    oldest = min([*stored, *(s.at for s in samples[:1])], default=until)
    if until - oldest < _YOUNG_MINUTES * MINUTE:
        until -= until % _YOUNG_STEP
        minutes = min(_YOUNG_MINUTES, max(3, (until - oldest) // MINUTE + 1))
        places = minutes * MINUTE // _YOUNG_STEP
        begins = [until - _YOUNG_STEP * (places - k) for k in range(places)]
        # What was before the dashboard started is known by the minute.
        by_minute = [stored.get(at - at % MINUTE) for at in begins]
        values = [
            value if value is not None or events is None else events / 60
            for value, events in zip(rates(samples, until, _YOUNG_STEP, places), by_minute, strict=True)
        ]
        note = t(
            f"the last {minutes} minutes, in steps of 5 seconds; the whole hour once there is more",
            f"最近 {minutes} 分钟，每 5 秒一点；数据更多后显示一小时",
        )
    else:
        begins = [since + k * MINUTE for k in range(59)]
        measured = rates(samples, begins[-1] + MINUTE, MINUTE, 59)
        values = [stored[at] / 60 if at in stored else value for at, value in zip(begins, measured, strict=True)]
        note = t("the last hour, by minute", "最近一小时，按分钟")
    if not any(v is not None for v in values):
        return h("p", t("The curve begins with the first events.", "有事件后开始绘制曲线。"), class_="empty")
    names = [t.clock(at, context.plan.zone, seconds=begins[1] - begins[0] < MINUTE) for at in begins]
    line = Line(t("events per second", "每秒事件"), values)

    def draw(width: int) -> Safe:
        return line_chart(t("Events per second", "每秒事件") + ", " + note, names, [line],
                          lambda v: t.compact(None if v is None else round(v, 1)), width=width, area=True)  # fmt: skip

    return text(fitting(draw), h("p", note, class_="note"))


async def _stored_minutes(context: Context, since: int) -> dict[int, int]:
    """Events by minute, of ClickHouse; without it the curve has what was read from the workers."""
    try:
        answer = await context.store.ask(_MINUTES_SQL, {"stream": context.settings.stream, "since": since}, keep=20)
    except StoreError:
        return {}
    return {int(at): int(events) for at, events in answer.rows}


async def yesterday(context: Context) -> Safe:
    """Under a number of today: what is stored of today against what yesterday had by the same time."""
    t, zone = context.t, context.plan.zone
    of = context.choice("of", ["users", "amount"])
    today = Period(context.today, context.today).over(context.now, zone)
    if today is None:
        return dim(t("today has only begun", "今天刚刚开始"))
    (start, end), (then, then_end) = today.bounds(zone), today.back(1).bounds(zone)
    given = {"start": start, "end": end, "then": then, "then_end": then_end}
    answer = await context.store.ask(_DAYS_SQL, given, keep=55)
    events, users, amount, events_before, users_before, amount_before = answer.rows[0]
    now, before = (users, users_before) if of == "users" else (amount, amount_before)
    form = t.number if of == "users" else t.money
    if not events_before:
        return dim(t("no yesterday to compare with yet", "还没有昨天的数据可比"))
    if not events:
        return dim(t(f"nothing stored of today yet; yesterday by now {form(before)}",
                     f"今天尚无已存储数据；昨天此时 {form(before)}"))  # fmt: skip
    change = t.change((now - before) / before) if before else NONE
    return dim(h("strong", change), " ", t(f"stored by {t.clock(end, zone)}: {form(now)}, yesterday {form(before)}",
                                           f"截至 {t.clock(end, zone)} 已存储 {form(now)}，昨天同刻 {form(before)}"))  # fmt: skip


def _problems(context: Context) -> list[Trouble]:
    live, store = context.live, context.store.problem
    return problems(
        context.t, live.numbers, away=live.away, failing=live.failing, store=store.kind if store else None,
        alerts=context.alerts, now=context.now,
    )  # fmt: skip


def _behind(context: Context, numbers: LiveAnswer) -> str:
    t = context.t
    if numbers["freshness_ms"] is None:
        return t("no events yet", "还没有事件")
    behind = t.ago(numbers["freshness_ms"])
    return t(f"{behind} behind", f"延迟 {behind}")


def _records(context: Context) -> Safe:
    """What can become of a record; the counts are live."""
    t = context.t
    words = {
        "accepted": (t("accepted", "已接受"), t("Events of the plan, counted and stored.", "符合方案，已统计并存储。")),
        "late": (
            t("late", "迟到"),
            t(
                "Older than the live windows keep: stored, not counted live.",
                "超过允许的迟到时间：已存储，不计入实时。",
            ),
        ),
        "duplicate": (
            t("duplicate", "重复"),
            t("An event_id that was seen before: counted once.", "event_id 已出现过：只计一次。"),
        ),
        "rejected": (
            t("rejected", "被拒绝"),
            t("Not an event of the plan: kept whole, with the reason.", "不符合方案：原文和原因都保留。"),
        ),
    }
    rows = [
        h(
            "tr",
            h("th", term(label, definition), scope="row"),
            live(f"rec-{name}", tag="td", class_="n"),
            live(f"share-{name}", tag="td", class_="n"),
        )
        for name, (label, definition) in words.items()
    ]
    return h("table", h("tbody", *rows), class_="plain")


def _counts(context: Context, numbers: LiveAnswer) -> dict[str, Safe]:
    t, totals = context.t, numbers["totals"]
    seen = sum(totals.values())
    found = {}
    for name in ("accepted", "late", "duplicate", "rejected"):
        count = totals.get(name, 0)
        found[f"rec-{name}"] = text(t.number(count))
        found[f"share-{name}"] = text(t.percent(count / seen, 2) if seen else NONE)
    return found


def _dimension(context: Context, dimension: tuple[str, ...]) -> str:
    t = context.t
    names = {
        "event": t("Top events", "热门事件"), "platform": t("Platforms", "平台"), "channel": t("Channels", "渠道"),
        "country": t("Countries", "国家/地区"), "app_version": t("App versions", "应用版本"),
        "campaign": t("Campaigns", "活动"), "device": t("Devices", "设备"), "os": t("Operating systems", "操作系统"),
        "language": t("Languages", "语言"), "referrer": t("Referrers", "来源"),
        "source": t("Sources", "数据源"), "browser": t("Browsers", "浏览器"), "region": t("Regions", "省份/地区"),
        "city": t("Cities", "城市"),
    }  # fmt: skip
    return " + ".join(names.get(field, field) for field in dimension)


def _value(context: Context, value: str) -> str:
    return {"(none)": context.t("(not given)", "（未提供）"), "(other)": context.t("(other)", "（其他）")}.get(
        value, value
    )


def _send(context: Context) -> str:
    return f"streamgauge send FILE --kafka {context.settings.kafka_bootstrap}"
