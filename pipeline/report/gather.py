"""Asks ClickHouse for everything a report needs: read only, bounded, one question after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from pipeline.alerts.prometheus import ActiveAlert, PrometheusClient, PrometheusError
from pipeline.clickhouse.questions import Store, StoreError
from pipeline.insight.contribution import Amount
from pipeline.insight.funnel_changes import changes
from pipeline.insight.model import FunnelFacts
from pipeline.measure.periods import Period, local, mature_days, moment_back
from pipeline.metrics import Table, arguments_for, metrics
from pipeline.metrics.ask import ask_metric, require_plan
from pipeline.queries.conditions import moments_sql
from pipeline.queries.funnel_period import (
    daily_window,
    funnel_days,
    funnel_days_sql,
    funnel_period_sql,
    funnel_rows,
)
from pipeline.report.model import CHANGED, Facts, Key, Quality, ReportPeriod, funnel_part, parts_of
from pipeline.report.people import DIMENSIONS as KEY_DIMENSIONS
from pipeline.report.people import people_sql
from schemas.plan import Funnel, Plan

#: Period in which breaks are looked for, up to the last one of the report.
LOOK_BACK: Final = 28
#: What a change of a funnel is parted by.
DIMENSIONS: Final = ("platform", "app_version", "platform,app_version", "channel", "campaign", "country")

_PAIRS: Final = ", ".join(f"('{name}', toString({name}))" for name in KEY_DIMENSIONS)

#: What there was in each of some spans, a span named by its first day: `{at}` of an event, `{within}` the condition.
#: Sessions and events are counted without looking up whose they are.
_SEEN: Final = """
SELECT {at} AS at, uniqExactIf(session_id, session_id != '') AS sessions, count() AS events
FROM events_raw FINAL WHERE {within} GROUP BY at
SETTINGS do_not_merge_across_partitions_select_final = 1"""
#: Of the spans, and of each day from `{{first}}` to `{{last}}`.
_MONEY: Final = """
SELECT each.1 = 'day' AS is_day, each.2 AS at, uniqExactIf(order_id, kind = 'payment') AS orders,
    uniqExactIf(person, kind = 'payment') AS buyers, toFloat64(sum(amount)) AS revenue
FROM (SELECT person, order_id, kind, amount, arrayJoin([('span', {at}), ('day', day)]) AS each FROM money
    WHERE {within} OR day BETWEEN {{first:Date}} AND {{last:Date}} AND toDate(ts) BETWEEN {{first:Date}} - 1 AND {{last:Date}} + 1)
GROUP BY is_day, at"""
# A payment is counted where its user was in those days: backends send payments without a platform. Each sum stands beside
# the sum of the squares of what it is made of (of a count, the count).
_MONEY_BY: Final = """
SELECT at, d.1 AS dimension, d.2 AS value, uniqExactIf(order_id, kind = 'payment') AS orders, orders AS order_squares,
    toFloat64(sum(amount)) AS revenue, sum(pow(toFloat64(amount), 2)) AS squares
FROM (SELECT {at} AS at, person, order_id, kind, amount FROM money WHERE {within}) AS m
INNER JOIN (
    SELECT {at} AS at, person, {firsts} FROM activity
    WHERE {within} AND person IN (SELECT person FROM money WHERE {within}) GROUP BY at, person) AS a
    ON a.person = m.person AND a.at = m.at
ARRAY JOIN [{pairs}] AS d GROUP BY at, dimension, value"""
#: The day by which one in 200 of all events had happened: a phone whose clock is years off begins nothing, and neither
#: does a day on which much more happened than ever before.
_SINCE: Final = """
SELECT quantileExactWeighted(0.005)(day, n)
FROM (SELECT toDate(ts, {zone:String}) AS day, count() AS n FROM events_raw GROUP BY day)"""
_QUALITY: Final = """
SELECT e.a, e.l, d.n, r.n FROM
(SELECT countIf(NOT late) AS a, countIf(late) AS l FROM events_raw FINAL
 WHERE ingested_at >= fromUnixTimestamp64Milli({low:Int64}) AND ingested_at < fromUnixTimestamp64Milli({high:Int64})) AS e,
(SELECT count() AS n FROM duplicates WHERE outcome = 'duplicate' AND at >= fromUnixTimestamp64Milli({low:Int64}) AND at < fromUnixTimestamp64Milli({high:Int64})) AS d,
(SELECT count() AS n FROM rejected WHERE at >= fromUnixTimestamp64Milli({low:Int64}) AND at < fromUnixTimestamp64Milli({high:Int64})) AS r"""
_REASONS: Final = """
SELECT reason, count() AS n, any(detail) FROM rejected
WHERE at >= fromUnixTimestamp64Milli({low:Int64}) AND at < fromUnixTimestamp64Milli({high:Int64})
GROUP BY reason ORDER BY n DESC, reason LIMIT 5"""


async def gather(
    store: Store, plan: Plan, period: ReportPeriod, now: int, parts: Collection[str] | None = None
) -> Facts:
    """What is told in these `parts` (see `parts_of`), of the whole report if none are named, as things stand at `now`
    (epoch ms). What several need is asked once.

    Raises StoreError if the key figures can't be had, UserError if the views are another plan's; other parts may be missing.
    """
    await require_plan(store, plan)
    asker = _Asker(store, plan, period, now)
    wanted = set(parts_of(plan) if parts is None else parts)
    facts = Facts(plan.product, period)
    if wanted & {CHANGED, "keys"}:
        keys = await asker.keys()
        key, before, weekday = [keys[span.first] for span in (period, period.before, period.same_weekday)]
        facts = replace(facts, key=key, before=before, same_weekday=weekday, since=await asker.since())
    found: dict[str, Any] = {}
    if "keys" in wanted:
        found["daily"] = await asker.daily()
    if CHANGED in wanted:
        found["segments"] = await asker.segments()
    named = [name for name in plan.funnels if wanted & {CHANGED, funnel_part(name)}]
    found["funnels"] = tuple([await asker.funnel(name, plan.funnels[name]) for name in named])
    for name, metric, arguments in _metrics(plan, period, now):
        if name in wanted or (name == "allocation" and "experiments" in wanted):
            found[name] = await asker.metric(metric, arguments)
    if wanted & {CHANGED, "quality"}:
        found |= {"quality": await asker.quality(period), "quality_before": await asker.quality(period.before)}
    if "alerts" in wanted:
        found["alerts"] = await asker.alerts()
    happened = tuple((local(one.moment(plan.zone), plan.zone).date(), one.text) for one in plan.annotations)
    return replace(facts, **found, happened=happened, missing=tuple(asker.missing))


def _metrics(plan: Plan, period: ReportPeriod, now: int) -> list[tuple[str, str, dict[str, str]]]:
    """What of the catalogue is told: the field of `Facts`, the metric and what it is run with."""
    first, last, whole = period.first.isoformat(), period.last.isoformat(), period.last_whole.isoformat()
    joined = (period.last_whole - timedelta(days=37)).isoformat()
    month = (period.last - timedelta(days=29)).isoformat()
    # What a user does after the period counts too, up to the last day that is over.
    until = (local(now, plan.zone).date() - timedelta(days=1)).isoformat()
    return [
        ("retention", "retention_by", {"from": joined, "to": whole, "until": whole, "days": "1,3,7,14,30"}),
        ("channels", "acquisition_cost", {"from": first, "to": last}),
        ("campaigns", "campaign_results", {"from": first, "to": last, "until": until}),
        ("experiments", "experiment_results", {"from": month, "to": last}),
        ("allocation", "experiment_allocation", {"from": month, "to": last}),
    ]


#: Measure to dimension to the values now and then.
Segments = dict[str, dict[str, tuple[dict[str, Amount], dict[str, Amount]]]]


class _Asker:
    def __init__(self, store: Store, plan: Plan, period: ReportPeriod, now: int) -> None:
        self.store, self.plan, self.period, self.now = store, plan, period, now
        self.missing: list[str] = []
        #: By the first day: the days of the report and the two spans beside them.
        self.spans: dict[date, Period] = {one.first: one for one in (period, period.before, period.same_weekday)}

    async def keys(self) -> dict[date, Key]:
        """The key figures of the report's spans, by their first day."""
        at, within = self._in(self.spans)
        rows = (await self.store.ask(_SEEN.format(at=at, within=within), keep=60)).rows
        seen = {row[0]: row[1:] for row in rows}
        money = {row[1]: row[2:] for row in await self.money() if not row[0]}
        users = {first: n for first, dimension, _, n in await self.people("there") if not dimension}
        new = {first: n for first, dimension, _, n in await self.people("new") if not dimension}
        found = {}
        for first in self.spans:
            sessions, events = seen.get(first, (0, 0))
            orders, buyers, revenue = money.get(first, (0, 0, 0.0))
            found[first] = Key(users.get(first, 0), new.get(first, 0), sessions, events, orders, buyers, float(revenue))
        return found

    async def since(self) -> date:
        """The first day of which there are records to speak of."""
        first: date = (await self.store.ask(_SINCE, {"zone": str(self.plan.zone)}, keep=60)).rows[0][0]
        return first

    async def people(self, kind: str) -> list[tuple[date, str, str, int]]:
        """How many were there (`there`), came new (`new`) or were there on a day (`daily`).

        By the first day of a span of the report or the day, a dimension ("" for all) and its value.
        """
        spans = list(self.spans)
        first, last = self._days()
        listed = [(one.first, one.last, *self._bounds(one)) for one in self.spans.values()]
        rows = (await self.store.ask(people_sql(listed, first, last), keep=60)).rows
        return [
            (first + timedelta(days=at - 1) if kind == "daily" else spans[at - 1], dimension, value, n)
            for found, at, _, dimension, value, n in rows
            if found == kind
        ]

    async def money(self) -> list[tuple[Any, ...]]:
        """Whether it is of a day, its date or the span's first day; orders, buyers, revenue."""
        at, within = self._in(self.spans)
        first, last = self._days()
        return (await self.store.ask(_MONEY.format(at=at, within=within), {"first": first, "last": last}, keep=60)).rows

    async def daily(self) -> tuple[tuple[date, int, float], ...]:
        """People and revenue of each day before the report's end on which somebody was there."""
        revenue = {row[1]: float(row[4]) for row in await self.money() if row[0]}
        return tuple((day, n, revenue.get(day, 0.0)) for day, _, _, n in sorted(await self.people("daily")))

    def _days(self) -> tuple[date, date]:
        last = self.period.last_whole
        return last - timedelta(days=LOOK_BACK - 1), last

    async def segments(self) -> Segments:
        """Key figures by dimension, in the period and in the one that findings are measured against."""
        found: Segments = {}
        now, then = self.period.first, self.period.reference.first

        def put(measure: str, row: Sequence[Any], total: float, squares: float) -> None:
            at, dimension, value = row[:3]
            if dimension and at in (now, then):
                spans = found.setdefault(measure, {}).setdefault(dimension, ({}, {}))
                spans[0 if at == now else 1][str(value)] = Amount(float(total), float(squares))

        for measure, kind in (("new_users", "new"), ("users", "there")):
            for row in await self.people(kind):
                put(measure, row, row[3], row[3])
        at, within = self._in({first: self.spans[first] for first in (now, then)})
        firsts = ", ".join(f"argMinIf({name}, ts, {name} != '') AS {name}" for name in KEY_DIMENSIONS)
        sql = _MONEY_BY.format(at=at, within=within, pairs=_PAIRS, firsts=firsts)
        for paid in (await self.store.ask(sql, keep=60)).rows:
            put("orders", paid, paid[3], paid[4])
            put("revenue", paid, paid[5], paid[6])
        return found

    async def funnel(self, name: str, funnel: Funnel) -> FunnelFacts:
        titles = tuple(step.title for step in funnel.steps)
        before = self.period.before
        back = (self.period.first - before.first).days
        users = await self._funnel_users(funnel, self.period, self.now)
        # As it stood when it was as old as this one: of both as many have had the time to go on.
        earlier = await self._funnel_users(funnel, before, moment_back(self.now, back, self.plan.zone))
        days = mature_days(Period(*self._days()), daily_window(funnel), self.now, self.plan.zone)
        if days is None:
            return FunnelFacts(name, titles, users, earlier)
        questions = funnel_days_sql(self.plan, funnel, *self._bounds(days), DIMENSIONS)
        rows = [row for sql in questions for row in (await self.store.ask(sql, keep=60)).rows]
        whole, segments = funnel_days(rows, self.plan.zone)
        found = changes(name, titles, whole, segments)
        return FunnelFacts(name, titles, users, earlier, tuple(sorted(whole.items())), found)

    async def _funnel_users(self, funnel: Funnel, span: Period, seen: int) -> tuple[int, ...]:
        sql = funnel_period_sql(self.plan, funnel, *self._bounds(span), seen=seen, times=False)
        rows = funnel_rows((await self.store.ask(sql, keep=60)).rows)
        return rows[0].users if rows else (0,) * len(funnel.steps)

    async def metric(self, name: str, given: dict[str, str]) -> Table | None:
        """A metric of the catalogue; None, with a word under `missing`, if it can't be had."""
        metric = metrics().get(name)
        if metric is None:
            self.missing.append(f"{name}: not in the catalogue")
            return None
        try:
            return await ask_metric(
                self.store, metric, arguments_for(metric, given, self.plan, self.period.last + timedelta(days=1))
            )
        except StoreError as exc:
            if exc.kind == "away":
                raise
            self.missing.append(f"{name}: {exc.detail}")
            return None

    async def quality(self, span: Period) -> Quality:
        low, high = self._bounds(span)
        counts = (await self.store.ask(_QUALITY, {"low": low, "high": high}, keep=60)).rows[0]
        reasons = (await self.store.ask(_REASONS, {"low": low, "high": high}, keep=60)).rows
        accepted, late, duplicate, rejected = (int(n) for n in counts)
        return Quality(accepted, late, duplicate, rejected, tuple((str(r), int(n), str(d)) for r, n, d in reasons))

    async def alerts(self) -> tuple[ActiveAlert, ...] | None:
        """What fired; None if there is nobody to ask."""
        url = self.store.settings.prometheus_url
        if url is None:
            return None
        try:
            return tuple(await PrometheusClient(url).fired(*self._bounds(self.period)))
        except PrometheusError as exc:
            self.missing.append(f"alerts: {exc}")
            return None

    def _bounds(self, span: Period) -> tuple[int, int]:
        return span.bounds(self.plan.zone)

    def _in(self, spans: Mapping[date, Period]) -> tuple[str, str]:
        """In which of the spans an event lies, by its first day, and the condition that it lies in one of them."""
        parts = {first: moments_sql(*map(str, self._bounds(span))) for first, span in spans.items()}
        named = ", ".join(f"{part}, toDate('{first}')" for first, part in parts.items())
        return f"multiIf({named}, toDate(0))", f"({' OR '.join(parts.values())})"
