"""The plan's funnels over any days, from the raw events: one cohort for the whole span, or one for each day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from typing import Any, Final

from pipeline.queries.conditions import moments_sql, quoted, value_sql
from pipeline.queries.funnel import bucket_templates, cell_of, funnel_sql
from pipeline.queries.plan_funnels import funnel_query
from schemas.duration import DAY
from schemas.event import CONTEXT_FIELDS
from schemas.plan import Funnel, Plan


@dataclass(frozen=True)
class FunnelPeriodRow:
    """A funnel in one bucket and for one breakdown value: users by step, median ms from the step before."""

    bucket: int
    value: str
    users: tuple[int, ...]
    median_ms: tuple[float | None, ...]


#: What a day's cohort is given at most where days are compared: of a longer window the last days would look worse for
#: want of time.
DAILY_WINDOW: Final = DAY


#: What stands between the values of several fields, as people read it and as it is taken apart again.
_BESIDE, _BETWEEN = " / ", "\x1f"


def daily_window(funnel: Funnel) -> int:
    """The time (ms) that each day's cohort has in a series of days."""
    return min(funnel.window, DAILY_WINDOW)


def funnel_period_sql(
    plan: Plan,
    funnel: Funnel,
    first: int,
    end: int,
    by: str = "",
    *,
    daily: bool = False,
    seen: int | None = None,
    only: str = "",
    between: str = _BESIDE,
    times: bool = True,
) -> str:
    """The query for cohorts of `[first, end)` (epoch ms), by the field `by`.

    With `daily` one for each day of the plan, within `daily_window`, and without step times. Several fields in `by` are
    joined by commas, their values by `between`. `seen` is the moment at which one looks: what came later does not
    count, so that an earlier period can be seen as it stood when it was as old as this one. `only` is a condition on
    the events. Without `times` the steps' are not computed.

    The meaning is that of the live funnel (docs/live-measures.md): late events don't count, users are persons.
    """
    if daily and daily_window(funnel) != funnel.window:
        funnel = funnel.model_copy(update={"window": daily_window(funnel)})
    last = end + funnel.window
    if seen is not None:
        last = min(last, seen)
        end = min(end, last)
    source = _events_sql(funnel, first, last, only)
    fields_by = [name for name in by.split(",") if name]
    query = funnel_query(plan, funnel, fields_by[0] if fields_by else "", source)
    if len(fields_by) > 1:
        mark = quoted(between)
        values = [value_sql(name) for name in fields_by]
        if between == _BETWEEN:
            # Of a field of the envelope as it stands: its few different values are looked at, not those of all rows.
            plain = [name if name in CONTEXT_FIELDS else value for name, value in zip(fields_by, values, strict=True)]
            values = [f"replaceAll({value}, {mark}, ' ')" for value in plain]
        query = replace(query, breakdown=f"concat({f', {mark}, '.join(values)})")
    if daily:
        start, stop = bucket_templates("day", plan.timezone)
        # Who begins on the days after the span, which are there for the sake of others' later steps, is in a bucket 0
        # that nobody entered.
        start = f"if({{0}} < {end}, {start.format('{0}')}, 0)"
        query = replace(query, bucket_start=start, bucket_end=stop, times=False)
    else:
        start, stop = (f"toUInt64({moment} + 0 * {{}})" for moment in (first, end))
        query = replace(query, bucket_start=start, bucket_end=stop, times=times)
    return funnel_sql(query)


def funnel_spans_sql(plan: Plan, funnel: Funnel, spans: Sequence[tuple[int, int]]) -> str:
    """The query for cohorts of several spans `[first, end)` (epoch ms), in order and apart, in one look at the events.

    A bucket each, by its first moment, without step times. Who began elsewhere is in a bucket 0 that nobody entered.
    """
    source = _events_sql(funnel, spans[0][0], spans[-1][1] + funnel.window)
    start = ", ".join(f"{{0}} >= {first} AND {{0}} < {end}, {first}" for first, end in spans)
    stop = ", ".join(f"{{0}} = {first}, {end}" for first, end in spans)
    query = funnel_query(plan, funnel, "", source)
    start, stop = (f"toUInt64(multiIf({cases}, 0))" for cases in (start, stop))
    return funnel_sql(replace(query, bucket_start=start, bucket_end=stop, times=False))


def _events_sql(funnel: Funnel, first: int, last: int, only: str = "") -> str:
    """What follows FROM: the events of `[first, last)` that matter to the funnel, `only` those of a condition."""
    events = sorted({step.event for step in (*funnel.steps, *funnel.exclude)})
    names = "1" if "strict_order" in funnel.modes else f"event IN ({', '.join(map(quoted, events))})"
    fields = ", ".join(("person", "session_id", "event", *CONTEXT_FIELDS, "properties"))
    # The column by its full name: `ts` alone would be the number of the same name.
    return (
        f"(SELECT {fields}, toUnixTimestamp64Milli(e.ts) AS ts FROM events AS e "
        f"WHERE {moments_sql(str(first), str(last), 'e.ts')} "
        f"AND NOT late AND {names}{f' AND ({only})' if only else ''})"
    )


def funnel_rows(rows: Sequence[Sequence[Any]]) -> list[FunnelPeriodRow]:
    """The rows of the query, without those that nobody entered."""
    found = []
    for bucket, value, users, sums, bins in rows:
        if not users or not users[0]:
            continue
        cell = cell_of(users, sums, bins) if sums else None
        medians: list[float | None] = [None] * len(users)
        if cell is not None:
            for k, times in enumerate(cell.times, start=1):
                medians[k] = times.median
        found.append(FunnelPeriodRow(int(bucket), str(value), tuple(int(n) for n in users), tuple(medians)))
    return found


def funnel_days_sql(plan: Plan, funnel: Funnel, first: int, end: int, dimensions: Sequence[str]) -> tuple[str, ...]:
    """The queries for a series of days (`daily`) of all and by each dimension, a field or several joined by commas.

    Columns: bucket, dimension ("" for all), value, users by step; the rows go to `funnel_days`. One query answers for
    all: who counts under one value of all fields together counts under the value of each. Where somebody may count
    under several (attribution `any`) it takes one query for each dimension.
    """
    if funnel.attribution == "any":
        return tuple(
            f"SELECT bucket, {quoted(one)} AS dimension, value, users "
            f"FROM ({funnel_period_sql(plan, funnel, first, end, one, daily=True)})"
            for one in ("", *dimensions)
        )
    fields = list(dict.fromkeys(name for one in dimensions for name in one.split(",")))
    places = {name: f"together[{k}]" for k, name in enumerate(fields, 1)}
    each = ", ".join(
        f"({quoted(one)}, concat({f', {quoted(_BESIDE)}, '.join(places[name] for name in one.split(','))}))"
        for one in dimensions
    )
    days = funnel_period_sql(plan, funnel, first, end, ",".join(fields), daily=True, between=_BETWEEN)
    return (
        "SELECT bucket, each.1 AS dimension, each.2 AS value, sumForEach(users) AS users FROM "
        f"(SELECT bucket, users, splitByChar({quoted(_BETWEEN)}, value) AS together FROM ({days})) "
        f"ARRAY JOIN [('', ''), {each}] AS each GROUP BY bucket, dimension, value ORDER BY bucket, dimension, value",
    )


def funnel_days(
    rows: Iterable[Sequence[Any]], zone: tzinfo
) -> tuple[dict[date, tuple[int, ...]], dict[str, dict[str, dict[date, tuple[int, ...]]]]]:
    """The answers to `funnel_days_sql`: users by step and day, of all, and by dimension and value."""
    whole: dict[date, tuple[int, ...]] = {}
    segments: dict[str, dict[str, dict[date, tuple[int, ...]]]] = {}
    for bucket, dimension, value, users in rows:
        if not users or not users[0]:
            continue  # a cohort that nobody entered
        day = datetime.fromtimestamp(int(bucket) / 1000, zone).date()
        days = segments.setdefault(dimension, {}).setdefault(str(value), {}) if dimension else whole
        days[day] = tuple(map(int, users))
    return whole, segments


def funnel_fields(plan: Plan, funnel: Funnel) -> list[str]:
    """The fields that the funnel can be broken down by: those of the envelope, and the first step's own."""
    own = plan.events.get(funnel.steps[0].event)
    plain = [name for name, spec in own.properties.items() if spec.type not in ("array", "object")] if own else []
    first = [*funnel.breakdown, "platform", "channel", "app_version", "country"]
    return list(dict.fromkeys([*first, *CONTEXT_FIELDS, *(f"properties.{name}" for name in plain)]))
