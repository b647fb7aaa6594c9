"""Asks ClickHouse for everything a report needs: read only, bounded, one question after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    funnel_spans_sql,
)
from pipeline.report.model import (
    CHANGED,
    CHANGED_MONEY,
    CHANGED_PEOPLE,
    CHANGED_QUALITY,
    Facts,
    Key,
    Quality,
    ReportPeriod,
    changed_parts,
    changed_steps,
    days_of,
    funnel_part,
    parts_of,
    users_of,
)
from pipeline.report.people import DIMENSIONS as KEY_DIMENSIONS
from pipeline.report.people import parted_people_sql, people_sql
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
    """What is told in these `parts` (see `parts_of` and `pieces_of`), of the whole report if none are named, as
    things stand at `now` (epoch ms). What several need is asked once.

    Raises StoreError if the key figures can't be had, UserError if the views are another plan's; other parts may be missing.
    """
    await require_plan(store, plan)
    asker = _Asker(store, plan, period, now)
    wanted = set(parts_of(plan) if parts is None else parts)
    if CHANGED in wanted:
        wanted |= set(changed_parts(plan))
    found: dict[str, Any] = {}
    if wanted & {"keys", CHANGED_PEOPLE, CHANGED_MONEY}:
        await asker.keys(whole="keys" in wanted, people=CHANGED_PEOPLE in wanted, money=CHANGED_MONEY in wanted)
        key, before, weekday = [asker.key[span.first] for span in (period, period.before, period.same_weekday)]
        found |= {"key": key, "before": before, "same_weekday": weekday, "since": await asker.since()}
        found["segments"] = asker.segments
    if "keys" in wanted:
        found["daily"] = await asker.daily()
    funnels = [
        await asker.funnel(
            name,
            funnel,
            users=bool(wanted & {funnel_part(name), users_of(name)}),
            days=bool(wanted & {funnel_part(name), days_of(name), changed_steps(name)}),
        )
        for name, funnel in plan.funnels.items()
        if wanted & {funnel_part(name), users_of(name), days_of(name), changed_steps(name)}
    ]
    for name, metric, arguments in _metrics(plan, period, now):
        if name in wanted or (name == "allocation" and "experiments" in wanted):
            found[name] = await asker.metric(metric, arguments)
    if wanted & {CHANGED_QUALITY, "quality"}:
        found |= {"quality": await asker.quality(period), "quality_before": await asker.quality(period.before)}
    if "alerts" in wanted:
        found["alerts"] = await asker.alerts()
    happened = tuple((local(one.moment(plan.zone), plan.zone).date(), one.text) for one in plan.annotations)
    return Facts(plan.product, period, **found, funnels=tuple(funnels), happened=happened, missing=tuple(asker.missing))


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


#: What is counted of people, by the kind of `people_sql`.
_MEASURES: Final = {"there": "users", "new": "new_users"}
#: Measure to dimension to the values now and then.
Segments = dict[str, dict[str, tuple[dict[str, Amount], dict[str, Amount]]]]


class _Asker:
    def __init__(self, store: Store, plan: Plan, period: ReportPeriod, now: int) -> None:
        self.store, self.plan, self.period, self.now = store, plan, period, now
        self.missing: list[str] = []
        #: By the first day: the days of the report and the two spans beside them.
        self.spans: dict[date, Period] = {one.first: one for one in (period, period.before, period.same_weekday)}
        #: The key figures of each, as far as they were asked for.
        self.key: dict[date, Key] = dict.fromkeys(self.spans, Key())
        self.segments: Segments = {}

    async def keys(self, *, whole: bool, people: bool, money: bool) -> None:
        """Ask for all key figures (`whole`), or for those of people and of money, with what they are made of."""
        if people:
            await self._parted_people()
        if whole:
            for first, sessions, events in await self._seen():
                self._put(first, sessions=sessions, events=events)
            for kind, first, n in await self._people():
                if kind != "daily":
                    self._put(first, **{_MEASURES[kind]: n})
        if whole or money:
            for is_day, first, orders, buyers, revenue in await self._money():
                if not is_day:
                    self._put(first, orders=orders, buyers=buyers, revenue=float(revenue))
        if money:
            await self._parted_money()

    def _put(self, first: date, **figures: Any) -> None:
        if first in self.key:
            self.key[first] = replace(self.key[first], **figures)

    async def since(self) -> date:
        """The first day of which there are records to speak of."""
        first: date = (await self.store.ask(_SINCE, {"zone": str(self.plan.zone)}, keep=60)).rows[0][0]
        return first

    async def _people(self) -> list[tuple[str, date, int]]:
        """How many were there (`there`) or came new (`new`), by the first day of a span; and of each day (`daily`)."""
        spans = list(self.spans)
        first, last = self._days()
        sql = people_sql([self._bounds(one) for one in self.spans.values()], first, last)
        return [
            (kind, first + timedelta(days=at - 1) if kind == "daily" else spans[at - 1], n)
            for kind, at, n in (await self.store.ask(sql, keep=60)).rows
        ]

    async def _parted_people(self) -> None:
        """People of the period and of the one that findings are measured against, by dimension."""
        compared = self._compared()
        for kind, at, _, dimension, value, n in (
            await self.store.ask(parted_people_sql([self._bounds(self.spans[one]) for one in compared]), keep=60)
        ).rows:
            measure = _MEASURES[kind]
            if dimension:
                self._segment(measure, compared[at - 1], dimension, value, n, n)
            else:
                self._put(compared[at - 1], **{measure: n})

    async def _seen(self) -> list[tuple[date, int, int]]:
        """Sessions and events, by the first day of a span."""
        at, within = self._in(self.spans)
        return [
            (row[0], row[1], row[2]) for row in (await self.store.ask(_SEEN.format(at=at, within=within), keep=60)).rows
        ]

    async def _money(self) -> list[tuple[Any, ...]]:
        """Whether it is of a day, its date or the span's first day; orders, buyers, revenue."""
        at, within = self._in(self.spans)
        first, last = self._days()
        return (await self.store.ask(_MONEY.format(at=at, within=within), {"first": first, "last": last}, keep=60)).rows

    async def _parted_money(self) -> None:
        """Orders and revenue of the period and of the one that findings are measured against, by dimension."""
        at, within = self._in({first: self.spans[first] for first in self._compared()})
        firsts = ", ".join(f"argMinIf({name}, ts, {name} != '') AS {name}" for name in KEY_DIMENSIONS)
        sql = _MONEY_BY.format(at=at, within=within, pairs=_PAIRS, firsts=firsts)
        for first, dimension, value, orders, order_squares, revenue, squares in (
            await self.store.ask(sql, keep=60)
        ).rows:
            self._segment("orders", first, dimension, value, orders, order_squares)
            self._segment("revenue", first, dimension, value, revenue, squares)

    def _compared(self) -> tuple[date, date]:
        return self.period.first, self.period.reference.first

    def _segment(self, measure: str, first: date, dimension: str, value: Any, total: float, squares: float) -> None:
        spans = self.segments.setdefault(measure, {}).setdefault(dimension, ({}, {}))
        spans[0 if first == self.period.first else 1][str(value)] = Amount(float(total), float(squares))

    async def daily(self) -> tuple[tuple[date, int, float], ...]:
        """People and revenue of each day before the report's end on which somebody was there."""
        revenue = {row[1]: float(row[4]) for row in await self._money() if row[0]}
        return tuple(
            sorted((day, n, revenue.get(day, 0.0)) for kind, day, n in await self._people() if kind == "daily")
        )

    def _days(self) -> tuple[date, date]:
        last = self.period.last_whole
        return last - timedelta(days=LOOK_BACK - 1), last

    async def funnel(self, name: str, funnel: Funnel, *, users: bool, days: bool) -> FunnelFacts:
        """How many took each step in the period and in the one before (`users`); the days, and steps that fell (`days`)."""
        titles = tuple(step.title for step in funnel.steps)
        now, before = await self._funnel_users(funnel) if users else ((), ())
        known = mature_days(Period(*self._days()), daily_window(funnel), self.now, self.plan.zone) if days else None
        if known is None:
            return FunnelFacts(name, titles, now, before)
        questions = funnel_days_sql(self.plan, funnel, *self._bounds(known), DIMENSIONS)
        rows = [row for sql in questions for row in (await self.store.ask(sql, keep=60)).rows]
        all_, segments = funnel_days(rows, self.plan.zone)
        found = changes(name, titles, all_, segments)
        return FunnelFacts(name, titles, now, before, tuple(sorted(all_.items())), found)

    async def _funnel_users(self, funnel: Funnel) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """By step, in the period and in the one before."""
        spans = [self.period, self.period.before]
        # As it stood when it was as old as this one: of both as many have had the time to go on.
        back = (self.period.first - self.period.before.first).days
        seen = moment_back(self.now, back, self.plan.zone)
        bounds = [self._bounds(span) for span in spans]
        if bounds[1][1] + funnel.window <= seen:
            # Both are what they will be: one look at the events for both.
            questions = [funnel_spans_sql(self.plan, funnel, sorted(bounds))]
        else:
            questions = [
                funnel_period_sql(self.plan, funnel, *one, seen=moment, times=False)
                for one, moment in zip(bounds, (self.now, seen), strict=True)
            ]
        rows = [row for sql in questions for row in funnel_rows((await self.store.ask(sql, keep=60)).rows)]
        users = {row.bucket: row.users for row in rows}
        nobody = (0,) * len(funnel.steps)
        now, before = [users.get(first, nobody) for first, _ in bounds]
        return now, before

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
