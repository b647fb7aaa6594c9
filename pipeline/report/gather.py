"""Asks ClickHouse for everything a report needs: read only, bounded, one question after the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from pipeline.alerts.prometheus import ActiveAlert, PrometheusClient, PrometheusError
from pipeline.clickhouse.questions import Store, StoreError
from pipeline.insight.contribution import Amount
from pipeline.insight.funnel_changes import changes
from pipeline.insight.model import FunnelFacts
from pipeline.measure.periods import Period, local, mature_days, moment_back
from pipeline.metrics import Table, arguments_for, metrics
from pipeline.metrics.ask import ask_metric, require_plan
from pipeline.queries.funnel_period import (
    daily_window,
    funnel_days,
    funnel_days_sql,
    funnel_period_sql,
    funnel_rows,
)
from pipeline.report.model import Facts, Key, Quality, ReportPeriod
from schemas.plan import Funnel, Plan

#: Period in which breaks are looked for, up to the last one of the report.
LOOK_BACK: Final = 28
#: What a key figure is parted by, and what a change of a funnel is.
_KEY_DIMENSIONS: Final = ("platform", "channel", "app_version", "country")
DIMENSIONS: Final = ("platform", "app_version", "platform,app_version", "channel", "campaign", "country")

_PAIRS: Final = ", ".join(f"('{name}', toString({name}))" for name in _KEY_DIMENSIONS)

_KEY: Final = """
SELECT users, sessions, events, orders, buyers, revenue FROM
(SELECT uniqExact(person) AS users, uniqExactIf(session_id, session_id != '') AS sessions, count() AS events
 FROM activity WHERE day BETWEEN {first:Date} AND {last:Date} AND toDate(ts) BETWEEN {first:Date} - 1 AND {last:Date} + 1
    AND ts < fromUnixTimestamp64Milli({end:Int64})) AS a,
(SELECT uniqExactIf(order_id, kind = 'payment') AS orders, uniqExactIf(person, kind = 'payment') AS buyers,
    toFloat64(sum(amount)) AS revenue
 FROM money WHERE day BETWEEN {first:Date} AND {last:Date} AND toDate(ts) BETWEEN {first:Date} - 1 AND {last:Date} + 1
    AND ts < fromUnixTimestamp64Milli({end:Int64})) AS m"""
#: Of both periods and all dimensions at once: one row a period (now or not), dimension and value, with each sum and the
#: sum of the squares of what it is made of (of a count, the count).
_SPANS: Final = (
    "(day BETWEEN {first:Date} AND {last:Date} AND ts < fromUnixTimestamp64Milli({end:Int64}) "
    "OR day BETWEEN {then:Date} AND {until:Date} AND ts < fromUnixTimestamp64Milli({then_end:Int64})) "
    "AND toDate(ts) BETWEEN {then:Date} - 1 AND {last:Date} + 1"
)
_USERS_BY: Final = f"""
SELECT now, d.1 AS dimension, d.2 AS value, uniqExact(who) AS n, n AS squares
FROM (SELECT now, who, arrayJoin([{{pairs}}]) AS d FROM (
    SELECT DISTINCT day >= {{first:Date}} AS now, reinterpretAsUInt128(sipHash128(person)) AS who, {{names}}
    FROM activity WHERE {_SPANS})) GROUP BY now, dimension, value"""
# Of all spans at once: whoever looks for the first event of a person looks through all there are.
_NEW: Final = """
SELECT span, d.1 AS dimension, d.2 AS value, count() AS n
FROM (SELECT arrayJoin(arrayFilter(s -> first_day BETWEEN s.2 AND s.3 AND first_seen < fromUnixTimestamp64Milli(s.4),
        [{spans}])).1 AS span, arrayJoin([('', ''), {pairs}]) AS d FROM users)
GROUP BY span, dimension, value"""
# A payment is counted where its user was in those days: backends send payments without a platform.
_MONEY_BY: Final = f"""
SELECT now, d.1 AS dimension, d.2 AS value, uniqExactIf(order_id, kind = 'payment') AS orders, orders AS order_squares,
    toFloat64(sum(amount)) AS revenue, sum(pow(toFloat64(amount), 2)) AS squares
FROM (SELECT day >= {{first:Date}} AS now, person, order_id, kind, amount FROM money WHERE {_SPANS}) AS m
INNER JOIN (SELECT day >= {{first:Date}} AS now, person, {{firsts}} FROM activity WHERE {_SPANS} GROUP BY now, person) AS a
    ON a.person = m.person AND a.now = m.now
ARRAY JOIN [{{pairs}}] AS d GROUP BY now, dimension, value"""
_DAILY: Final = """
SELECT a.day AS day, a.users AS users, toFloat64(ifNull(m.revenue, 0)) AS revenue FROM
(SELECT day, uniqExact(person) AS users FROM activity
    WHERE day BETWEEN {first:Date} AND {last:Date} AND toDate(ts) BETWEEN {first:Date} - 1 AND {last:Date} + 1
    GROUP BY day) AS a
LEFT JOIN (SELECT day, sum(amount) AS revenue FROM money
    WHERE day BETWEEN {first:Date} AND {last:Date} AND toDate(ts) BETWEEN {first:Date} - 1 AND {last:Date} + 1
    GROUP BY day) AS m
ON m.day = a.day ORDER BY day"""
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


async def gather(store: Store, plan: Plan, period: ReportPeriod, now: int) -> Facts:
    """Every figure of the report, as things stand at `now` (epoch ms).

    Raises StoreError if the key figures can't be had, UserError if the views are another plan's; other parts may be missing.
    """
    await require_plan(store, plan)
    asker = _Asker(store, plan, period, now)
    key, before, weekday = [await asker.key(span) for span in (period, period.before, period.same_weekday)]
    facts = Facts(plan.product, period, key, before, weekday)
    first, last, whole = period.first.isoformat(), period.last.isoformat(), period.last_whole.isoformat()
    month = (period.last - timedelta(days=29)).isoformat()
    # What a user does after the period counts too, up to the last day that is over.
    until = (local(now, plan.zone).date() - timedelta(days=1)).isoformat()
    return replace(
        facts,
        segments=await asker.segments(),
        happened=tuple((local(one.moment(plan.zone), plan.zone).date(), one.text) for one in plan.annotations),
        daily=tuple((row[0], int(row[1]), float(row[2])) for row in await asker.rows(_DAILY, LOOK_BACK)),
        funnels=tuple([await asker.funnel(name, funnel) for name, funnel in plan.funnels.items()]),
        retention=await asker.metric("retention_by", {"from": (period.last_whole - timedelta(days=37)).isoformat(),
                                                      "to": whole, "until": whole, "days": "1,3,7,14,30"}),
        channels=await asker.metric("acquisition_cost", {"from": first, "to": last}),
        campaigns=await asker.metric("campaign_results", {"from": first, "to": last, "until": until}),
        experiments=await asker.metric("experiment_results", {"from": month, "to": last}),
        allocation=await asker.metric("experiment_allocation", {"from": month, "to": last}),
        quality=await asker.quality(period),
        quality_before=await asker.quality(period.before),
        alerts=await asker.alerts(),
        missing=tuple(asker.missing),
    )  # fmt: skip


#: Measure to dimension to the values now and then.
Segments = dict[str, dict[str, tuple[dict[str, Amount], dict[str, Amount]]]]


class _Asker:
    def __init__(self, store: Store, plan: Plan, period: ReportPeriod, now: int) -> None:
        self.store, self.plan, self.period, self.now = store, plan, period, now
        self.missing: list[str] = []

    async def key(self, span: Period) -> Key:
        given = {"first": span.first, "last": span.last, "end": self._bounds(span)[1]}
        answer = await self.store.ask(_KEY, given, keep=60)
        users, sessions, events, orders, buyers, revenue = answer.rows[0]
        new_users = sum(n for at, dimension, _, n in await self.new_users() if (at, dimension) == (span.first, ""))
        return Key(users, new_users, sessions, events, orders, buyers, float(revenue))

    async def new_users(self) -> list[tuple[Any, ...]]:
        """Rows of the first day of a span of the report, a dimension ("" for all), a value, and how many came new."""
        spans = (self.period, self.period.before, self.period.same_weekday)
        listed = ", ".join(
            f"(toDate('{one.first}'), toDate('{one.first}'), toDate('{one.last}'), {self._bounds(one)[1]}::Int64)"
            for one in {one.first: one for one in spans}.values()
        )
        return (await self.store.ask(_NEW.format(spans=listed, pairs=_PAIRS), keep=60)).rows

    async def rows(self, sql: str, days: int) -> list[tuple[Any, ...]]:
        last = self.period.last_whole
        first = last - timedelta(days=days - 1)
        return (await self.store.ask(sql, {"first": first, "last": last}, keep=60)).rows

    async def segments(self) -> Segments:
        """Key figures by dimension, in the period and in the one that findings are measured against."""
        found: Segments = {}
        firsts = ", ".join(f"argMinIf({name}, ts, {name} != '') AS {name}" for name in _KEY_DIMENSIONS)
        questions = {
            ("users",): _USERS_BY.replace("{pairs}", _PAIRS).replace("{names}", ", ".join(_KEY_DIMENSIONS)),
            ("orders", "revenue"): _MONEY_BY.replace("{pairs}", _PAIRS).replace("{firsts}", firsts),
        }
        then = self.period.reference
        for at, dimension, value, n in await self.new_users():
            if dimension and at in (self.period.first, then.first):
                counted = found.setdefault("new_users", {}).setdefault(dimension, ({}, {}))
                counted[0 if at == self.period.first else 1][str(value)] = Amount(float(n), float(n))
        days = {
            "first": self.period.first, "last": self.period.last, "end": self._bounds(self.period)[1],
            "then": then.first, "until": then.last, "then_end": self._bounds(then)[1],
        }  # fmt: skip
        for measures, sql in questions.items():
            for now, dimension, value, *numbers in (await self.store.ask(sql, days, keep=60)).rows:
                for measure, total, squares in zip(measures, numbers[::2], numbers[1::2], strict=True):
                    spans = found.setdefault(measure, {}).setdefault(dimension, ({}, {}))
                    spans[0 if now else 1][str(value)] = Amount(float(total), float(squares))
        return found

    async def funnel(self, name: str, funnel: Funnel) -> FunnelFacts:
        titles = tuple(step.title for step in funnel.steps)
        before = self.period.before
        back = (self.period.first - before.first).days
        users = await self._funnel_users(funnel, self.period, self.now)
        # As it stood when it was as old as this one: of both as many have had the time to go on.
        earlier = await self._funnel_users(funnel, before, moment_back(self.now, back, self.plan.zone))
        last = self.period.last_whole
        days = mature_days(
            Period(last - timedelta(days=LOOK_BACK - 1), last), daily_window(funnel), self.now, self.plan.zone
        )
        if days is None:
            return FunnelFacts(name, titles, users, earlier)
        questions = funnel_days_sql(self.plan, funnel, *self._bounds(days), DIMENSIONS)
        rows = [row for sql in questions for row in (await self.store.ask(sql, keep=60)).rows]
        whole, segments = funnel_days(rows, self.plan.zone)
        found = changes(name, titles, whole, segments)
        return FunnelFacts(name, titles, users, earlier, tuple(sorted(whole.items())), found)

    async def _funnel_users(self, funnel: Funnel, span: Period, seen: int) -> tuple[int, ...]:
        sql = funnel_period_sql(self.plan, funnel, *self._bounds(span), seen=seen)
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
