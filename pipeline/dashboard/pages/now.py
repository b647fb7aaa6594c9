"""The first page: the product today, what needs attention, where funnels leak, and how it goes right now."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from pipeline.clickhouse.questions import StoreError
from pipeline.dashboard.context import Context
from pipeline.dashboard.frame import bars, dim, lazy, live, note_bad, note_good, panel, term, tile
from pipeline.dashboard.live import rates
from pipeline.dashboard.pages import attention, scorecard, today
from pipeline.dashboard.steps import step_list
from pipeline.dashboard.verdict import Trouble, problems, status
from pipeline.render.chart import Line
from pipeline.render.figure import figure
from pipeline.render.html import Safe, h, text
from pipeline.render.language import NONE
from pipeline.render.vega import lines
from pipeline.serve.answers import LiveAnswer
from schemas.duration import MINUTE

#: The curve of a young system: so many minutes, in so short steps.
_YOUNG_MINUTES, _YOUNG_STEP = 12, 5_000
_SHOWN: Final = 6

_MINUTES_SQL: Final = """
SELECT toUnixTimestamp64Milli(start) AS at, sum(events) AS events FROM live_activity
WHERE stream = {stream:String} AND grain = 'minute' AND dimension = '' AND start >= fromUnixTimestamp64Milli({since:Int64})
GROUP BY start ORDER BY start"""


def body(context: Context) -> Safe:
    """What stands on the page at once: the product first, then what needs attention, then how it goes right now."""
    t = context.t
    none = dim(NONE)
    estimate = t("Estimated, standard error at most 1.6 %.")
    tiles = [
        tile(term(t("Active now"), t("Different users with an event in this minute or the one before. {estimate}", estimate=estimate)), none, key="active-now"),
        tile(term(t("Active in the last 5 minutes"), t("Different users with an event in the last 5 minutes. {estimate} Below it who is stored of five "
"whole minutes, against the same minutes of yesterday.", estimate=estimate)), none,
            lazy(context, "recently", every=60, rows=1), key="active-5m"),
        tile(term(t("Events per second"), t("Records that arrived in the last seconds, whatever became of them, per second.")), none, key="rate"),
    ]  # fmt: skip
    tops = [
        panel(_dimension(context, d), live(f"top-{k}"), note=t("events of the last 5 minutes"))
        for k, d in enumerate(context.plan.dimensions)
    ]
    funnels = [
        panel(
            t("Funnel: {name}", name=name), live(f"funnel-{k}"),
            h("p", h("a", t("More about this funnel"), href=f"/funnels?{urlencode({'funnel': name})}"), class_="more"),
            note=t("today") if funnel.bucket == "day" else t("this hour"),
        )
        for k, (name, funnel) in enumerate(context.plan.funnels.items())
    ]  # fmt: skip
    return text(
        live("pipeline", class_="pipeline"),
        h("div", *today.panels(context), class_="grid days"),
        h("section", h("h2", t("What needs attention")), live("verdict", class_="verdict"),
          lazy(context, "drops", every=15, rows=1), class_="attention"),
        scorecard.section(context),
        h("div", *funnels, class_="grid") if funnels else None,
        h("h2", t("Right now"), class_="part-of-page"),
        h("div", *tiles, class_="tiles"),
        h("div", panel(t("Events per second"), lazy(context, "hour", every=2), wide=True), *tops, class_="grid"),
    )  # fmt: skip


def fragments(context: Context) -> dict[str, Safe]:
    """The live places of the page."""
    t, numbers = context.t, context.live.numbers
    found = {"pipeline": pipeline(context), "verdict": attention.alerts(context)}
    if numbers is None:
        return found
    active = numbers["active"]
    found |= {
        "active-now": text(t.number(active["now"])),
        "active-5m": text(t.number(active["last_5m"])),
        "rate": text(t.compact(context.live.rate())),
        "rate-below": text(dim(_behind(context, numbers))),
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
        found[f"top-{k}"] = bars(rows, empty=t("Nothing in the last 5 minutes."))
    return found


def head_status(context: Context) -> Safe:
    """The line in the head of every page."""
    said, good = status(context.t, context.live.numbers, len(_problems(context)))
    return (note_good if good else note_bad)(h("a", said, href="/"))


def pipeline(context: Context) -> Safe:
    """Whether the pipeline is well, in one line; what is wrong with it, and what to do about it."""
    t, numbers = context.t, context.live.numbers
    found = _problems(context, alerts=False)
    if found:
        rows = [h("li", note_bad(h("strong", f.what), " ", f.advice)) for f in found]
        return h("ul", *rows, class_="findings")
    assert numbers is not None
    if not sum(numbers["totals"].values()):
        return h("div", note_good(h("strong", t("Ready, but no events yet.")), " ",
                 t("Send some: "), h("code", _send(context))))  # fmt: skip
    said = t("The pipeline is well: ") + _behind(context, numbers)
    waiting = numbers["lag"]
    if waiting is not None:
        said += t(", {waiting} records waiting", waiting=t.number(waiting))
    if context.alerts.firing == []:
        said += t(", no alert fires")
    said += t(".")
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
            "the last {minutes} minutes, in steps of 5 seconds; the whole hour once there is more", minutes=minutes
        )
    else:
        begins = [since + k * MINUTE for k in range(59)]
        measured = rates(samples, begins[-1] + MINUTE, MINUTE, 59)
        values = [stored[at] / 60 if at in stored else value for at, value in zip(begins, measured, strict=True)]
        note = t("the last hour, by minute")
    if not any(v is not None for v in values):
        return h("p", t("The curve begins with the first events."), class_="empty")
    names = [t.clock(at, context.plan.zone, seconds=begins[1] - begins[0] < MINUTE) for at in begins]
    line = Line(t("events per second"), values)

    chart = lines(
        t("Events per second") + ", " + note, names, [line],
        lambda v: t.compact(None if v is None else round(v, 1)), area=True,
    )  # fmt: skip
    return text(figure(t, chart), h("p", note, class_="note"))


async def _stored_minutes(context: Context, since: int) -> dict[int, int]:
    """Events by minute, of ClickHouse; without it the curve has what was read from the workers."""
    try:
        answer = await context.store.ask(_MINUTES_SQL, {"stream": context.settings.stream, "since": since}, keep=20)
    except StoreError:
        return {}
    return {int(at): int(events) for at, events in answer.rows}


def _problems(context: Context, *, alerts: bool = True) -> list[Trouble]:
    """What is wrong; without `alerts` only with the pipeline itself."""
    live, store = context.live, context.store.problem
    return problems(
        context.t, live.numbers, away=live.away, failing=live.failing, store=store.kind if store else None,
        alerts=context.alerts, now=context.now, told=alerts,
    )  # fmt: skip


def _behind(context: Context, numbers: LiveAnswer) -> str:
    t = context.t
    if numbers["freshness_ms"] is None:
        return t("no events yet")
    behind = t.ago(numbers["freshness_ms"])
    return t("{behind} behind", behind=behind)


def _dimension(context: Context, dimension: tuple[str, ...]) -> str:
    t = context.t
    names = {
        "event": t("Top events"), "platform": t("Platforms"), "channel": t("Channels"),
        "country": t("Countries"), "app_version": t("App versions"),
        "campaign": t("Campaigns"), "device": t("Devices"), "os": t("Operating systems"),
        "language": t("Languages"), "referrer": t("Referrers"),
        "source": t("Sources"), "browser": t("Browsers"), "region": t("Regions"),
        "city": t("Cities"),
    }  # fmt: skip
    return " + ".join(names.get(field, field) for field in dimension)


def _value(context: Context, value: str) -> str:
    return {"(none)": context.t("(not given)"), "(other)": context.t("(other)")}.get(value, value)


def _send(context: Context) -> str:
    return f"streamgauge send FILE --kafka {context.settings.kafka_bootstrap}"
