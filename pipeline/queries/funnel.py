"""The ClickHouse query that counts a funnel from events, with the meaning of `pipeline.measure.funnel`.

Levels come from `windowFunnel` itself. What it does not return, the times of the chain, is computed beside
it by folding over the events; the query fails if the two disagree. Per actor the events are gathered into
one sorted array, which is cut to each cohort bucket's range, so an actor with first steps in several
buckets counts in each.

Only builds text: names, conditions and expressions are the caller's and must be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.measure.funnel import MODES, Attribution
from pipeline.measure.funnel_counts import GAMMA, ZERO_BIN, FunnelCell, StepTimes

#: The columns of the result and their types.
COLUMNS: Final = {
    "bucket": "UInt64",  # start, epoch ms
    "value": "String",  # breakdown value
    "users": "Array(UInt64)",  # actors that got to each step or further
    "sums": "Array(UInt64)",  # for each pair of steps: sum of the times between, ms; [] under strict_once
    "bins": "Array(Tuple(Array(Int16), Array(UInt64)))",  # and the bins of `StepTimes` with their counts
}


@dataclass(frozen=True)
class FunnelQuery:
    """A funnel over a table.

    `ts` is an expression of epoch ms. `bucket_start` and `bucket_end` are templates: `{}` stands for an
    expression of epoch ms, any time in a bucket in the first and its start in the second (see
    `bucket_templates`). `exclude` and `where` are conditions, "" for none. `where` restricts the events
    before anything else; under strict_order every event that it leaves counts, as one without a step. A
    condition that is NULL is false. `breakdown` must not be NULL.
    """

    table: str
    steps: tuple[str, ...]
    window_ms: int
    bucket_start: str
    bucket_end: str
    actor: str = "actor"
    ts: str = "ts"
    breakdown: str = "''"
    attribution: Attribution = "first"
    modes: frozenset[str] = frozenset()
    exclude: str = ""
    where: str = ""
    #: Whatever the order: how many of the steps an actor took within the window, the earliest of them in the bucket.
    any_order: bool = False
    #: Without step times the query is several times as fast.
    times: bool = True

    @property
    def has_times(self) -> bool:
        """Whether the query gives step times: not under strict_once, where a chain is not a simple
        fold, nor in any order."""
        return self.times and not self.any_order and "strict_once" not in self.modes


def bucket_templates(grain: str, timezone: str = "UTC") -> tuple[str, str]:
    """`bucket_start` and `bucket_end` for hours (UTC), or days of a time zone."""
    if grain == "hour":
        return "intDiv(toUInt64({}), 3600000) * 3600000", "toUInt64({}) + 3600000"
    if grain == "day":
        zone = timezone.replace("\\", "\\\\").replace("'", "\\'")
        local = f"fromUnixTimestamp64Milli(toInt64({{}}), '{zone}')"
        start = f"toUInt64(toUnixTimestamp(toStartOfDay({local}))) * 1000"
        # 36 hours after its start every day is over and the next is not, whatever the clocks do at midnight.
        return start, start.format("{} + 129600000")
    raise ValueError(f"no such bucket: {grain}")


def funnel_sql(query: FunnelQuery) -> str:
    """The query: one row per bucket and breakdown value, with the columns `COLUMNS`, sorted by both."""
    steps = len(query.steps)
    users = [f"countIf(level >= {k})" for k in range(1, steps + 1)]
    waits = range(1, steps) if query.has_times else ()
    sums = [f"sum(toUInt64(waits[{k}]))" for k in waits]
    bins = [f"sumMapIf([{_bin(f'waits[{k}]')}], [toUInt64(1)], level > {k})" for k in waits]
    return f"""\
SELECT
    bucket,
    value,
    [{", ".join(users)}] AS users,
    [{", ".join(sums)}]::Array(UInt64) AS sums,
    [{", ".join(bins)}]::Array(Tuple(Array(Int16), Array(UInt64))) AS bins
FROM (
{_levels(query)}
)
GROUP BY bucket, value
ORDER BY bucket, value
"""


def funnel_actors_sql(query: FunnelQuery) -> str:
    """One row per actor, bucket and breakdown value: `f_actor`, `bucket`, `value`, and `level`, the steps it took."""
    return _levels(replace(query, times=False), of_actor="f_actor, ")


def _levels(query: FunnelQuery, of_actor: str = "") -> str:
    """One row per actor, bucket and value, as far as the actor came. `of_actor` says whether its name is in them."""
    if unknown := set(query.modes) - MODES:
        raise ValueError(f"unknown funnel mode {min(unknown)!r}: use {', '.join(sorted(MODES))}")
    full = (1 << len(query.steps)) - 1
    conditions = [*query.steps, query.exclude] if query.exclude else query.steps
    code = " + ".join(f"if({condition}, {1 << i}, 0)" for i, condition in enumerate(conditions))
    carriers = full if query.attribution == "last" or query.any_order else 1
    chain, check = (_CHAIN.format(_chain(query)), _CHECK) if query.has_times and len(query.steps) > 1 else ("", "")
    return f"""\
    SELECT
        {of_actor}bucket,
        {_value(query)} AS value,
        {_parts(query)} AS parts,
        arrayMax(arrayMap(part -> {_level(query)}, parts)) AS level{chain}
    FROM (
        -- Per actor and bucket: the events in its range.
        SELECT {of_actor}cohort.1 AS bucket, cohort.2 AS high, cohort.3 AS events
        FROM (
            SELECT {of_actor}arrayJoin(arrayMap(
                b -> (b.1, b.2, arrayFilter(e -> e.1 >= b.1 AND e.1 < b.2 + {query.window_ms}, timeline)),
                arrayMap(s -> (s, {query.bucket_end.format("s")}), starts)
            )) AS cohort
            FROM (
                -- Per actor: its events (time, bits of steps and exclusion, value); starts of its buckets.
                SELECT
                    {of_actor}arraySort(groupArray((f_ts, f_code, f_value))) AS timeline,
                    arrayDistinct(arrayMap(
                        e -> {query.bucket_start.format("e.1")}, arrayFilter(e -> {_begins(query)}, timeline)
                    )) AS starts
                FROM (
                    SELECT
                        {query.actor} AS f_actor,
                        toUInt64({query.ts}) AS f_ts,
                        toUInt32({code}) AS f_code,
                        if(bitAnd(f_code, {carriers}) != 0, toString({query.breakdown}), '') AS f_value
                    FROM {query.table}
                    WHERE {query.where or "1"}
                )
                WHERE {"1" if "strict_order" in query.modes else "f_code != 0"}
                GROUP BY f_actor
            )
        )
    ){check}"""


def cell_of(
    users: Sequence[int], sums: Sequence[int], bins: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> FunnelCell:
    """A row of the result as the live counters hold it. Without times (strict_once) those stay empty."""
    cell = FunnelCell(len(users))
    for k, reached in enumerate(users):
        cell.counts[k + 1] = reached - (users[k + 1] if k + 1 < len(users) else 0)
    for k, (total, (indexes, counts)) in enumerate(zip(sums, bins, strict=True)):
        cell.times[k] = StepTimes(total, dict(zip(indexes, counts, strict=True)))
    return cell


def _value(query: FunnelQuery) -> str:
    """The breakdown value that the actor counts under."""
    if query.attribution == "last":
        full = (1 << len(query.steps)) - 1
        return f"arrayMax(arrayMap(e -> (e.1, e.3), arrayFilter(e -> bitAnd(e.2, {full}) != 0, events))).2"
    firsts = f"arrayFilter(e -> {_begins(query)} AND e.1 < high, events)"
    if query.attribution == "first":
        return f"arrayMin(arrayMap(e -> (e.1, e.3), {firsts})).2"
    return f"arrayJoin(arrayDistinct(arrayMap(e -> e.3, {firsts})))"


def _begins(query: FunnelQuery) -> str:
    """Whether an event `e` is one with which an actor can enter."""
    return f"bitAnd(e.2, {(1 << len(query.steps)) - 1}) != 0" if query.any_order else "bitTest(e.2, 0)"


def _parts(query: FunnelQuery) -> str:
    """The segments between exclusions, each (ts, mask of steps), the first step cleared after the bucket."""
    full = (1 << len(query.steps)) - 1
    if query.any_order:
        row = f"(e.1, bitAnd(e.2, {full}))"
    else:
        row = f"(e.1, bitAnd(e.2, if(e.1 < high, {full}, {full - 1})))"
    # The order of the rows matters to one combination only.
    order = "arraySort" if {"strict_once", "strict_deduplication"} <= query.modes else ""
    if not query.exclude:
        return f"[{order}(arrayMap(e -> {row}, events))]"
    cuts = f"arrayMap(x -> x.1, arrayFilter(x -> bitTest(x.2, {len(query.steps)}), events))"
    segments = f"arrayMap(e -> arrayCount(c -> c < e.1, {cuts}), events)"
    part = f"{order}(arrayMap(e -> {row}, arrayFilter((e, n) -> n = segment, events, {segments})))"
    return f"arrayMap(segment -> {part}, arraySort(arrayDistinct({segments})))"


def _level(query: FunnelQuery) -> str:
    """windowFunnel over a part; in any order `_most`."""
    if query.any_order:
        return _most(query)
    modes = "".join(f", ''{mode}''" for mode in sorted(query.modes))
    masks = ", ".join(f"arrayMap(r -> bitTest(r.2, {k}), part)" for k in range(len(query.steps)))
    return f"arrayReduce('windowFunnel({query.window_ms}{modes})', arrayMap(r -> r.1, part), {masks})"


def _most(query: FunnelQuery) -> str:
    """The most steps of a part that lie within the window and of which one lies in the bucket.

    A fold over the events: of each step the last time so far, and the last one in the bucket; beside them the most.
    """
    steps = range(1, len(query.steps) + 1)
    last = [f"if(bitTest(e.2, {k - 1}), e.1, s.1[{k}])" for k in steps]
    early = [f"if(bitTest(e.2, {k - 1}) AND e.1 < high, e.1, s.2[{k}])" for k in steps]
    near = f"t -> t > 0 AND t + {query.window_ms} >= e.1"
    counted = f"if(arrayExists({near}, [{', '.join(early)}]), arrayCount({near}, [{', '.join(last)}]), 0)"
    zeros = f"arrayWithConstant({len(steps)}, toUInt64(0))"
    state = f"([{', '.join(last)}], [{', '.join(early)}], greatest(s.3, toUInt8({counted})))"
    return f"arrayFold((s, e) -> {state}, arraySort(part), ({zeros}, {zeros}, toUInt8(0))).3"


# `waits[k]`: time from step k to k + 1. Of chains of the same length that of the earliest part is taken.
_CHAIN: Final = """,
        arrayFold((a, c) -> if(length(c) > length(a), c, a), arrayMap(part -> {}, parts), []::Array(UInt64))
            AS chain,
        arraySlice(arrayDifference(chain), 2) AS waits"""
_CHECK: Final = """
    WHERE throwIf(length(chain) != level, 'the chain of a funnel disagrees with windowFunnel') = 0"""


def _chain(query: FunnelQuery) -> str:
    """What `window_chain` does, as a fold over the (ts, step) of a part, sorted.

    State: the latest chain to each step, the best chain, and whether an event has ended it all.
    """
    steps = len(query.steps)
    best, ended = f"s.{steps + 1}", f"s.{steps + 2}"
    order, deduplicate = "strict_order" in query.modes, "strict_deduplication" in query.modes
    items, latest, longest, ends = [], [], [], [ended]
    for k in range(1, steps + 1):
        items.append(f"arrayMap(r -> (r.1, {k}), arrayFilter(r -> bitTest(r.2, {k - 1}), part))")
        fits, chain = f"NOT {ended} AND i.2 = {k}", "[i.1]"
        if k > 1:
            before, chain = f"s.{k - 1}", f"arrayPushBack(s.{k - 1}, i.1)"
            fits += f" AND notEmpty({before}) AND i.1 <= {before}[1] + {query.window_ms}"
            if "strict_increase" in query.modes:
                fits += f" AND {before}[-1] < i.1"
            if deduplicate:
                fits += f" AND empty(s.{k})"
                ends.append(f"(i.2 = {k} AND notEmpty(s.{k}))")
            if order:
                ends.append(f"(i.2 = {k} AND notEmpty({best}) AND empty({before}))")
        latest.append(f"if({fits}, {chain}, s.{k})")
        longest.append(f"{fits} AND length({best}) < {k}, {chain}")
    if order:
        items.append("arrayMap(r -> (r.1, 0), arrayFilter(r -> r.2 = 0, part))")
        ends.append(f"(i.2 = 0 AND notEmpty({best}))")
    state = f"({', '.join(latest)}, multiIf({', '.join(longest)}, {best}), toUInt8({' OR '.join(ends)}))"
    empty = f"({'[]::Array(UInt64), ' * (steps + 1)}toUInt8(0))"
    return f"arrayFold((s, i) -> {state}, arraySort(arrayConcat({', '.join(items)})), {empty}).{steps + 1}"


def _bin(wait: str) -> str:
    """`bin_of` in SQL: the same up to 390 days, from where on the logarithm is not exact enough."""
    return f"toInt16(if({wait} = 0, {ZERO_BIN}, ceil(log({wait}) / {math.log(GAMMA)!r})))"
