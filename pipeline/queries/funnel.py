"""The ClickHouse query that counts a funnel from events, with the meaning of `pipeline.measure.funnel`.

Levels come from `windowFunnel` itself. What it does not return, the times of the chain, is computed beside
it; the query fails if the two disagree. Per actor the events are gathered into one sorted array, which is cut
to each cohort bucket's range, so an actor with first steps in several buckets counts in each.

Whatever is done to an array takes time in proportion to its length: some actors have a hundred thousand events.
So nothing is folded (`arrayFold` evaluates its expression once for each place of the longest array of a block),
and no array is looked at from within another: "the last such place so far" is `arrayFill`.

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


#: What `FunnelQuery.breakdown` is without one.
NO_BREAKDOWN: Final = "''"
#: An event is one number, its time times this and its bits: 16 steps and the exclusion. Of a step, times the other.
_BITS: Final = 1 << 17
_STEPS: Final = 32


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
    breakdown: str = NO_BREAKDOWN
    attribution: Attribution = "first"
    modes: frozenset[str] = frozenset()
    exclude: str = ""
    where: str = ""
    #: Whatever the order: how many of the steps an actor took within the window, the earliest of them in the bucket.
    any_order: bool = False
    times: bool = True

    @property
    def has_times(self) -> bool:
        """Whether the query gives step times: not under strict_once, where a chain depends on others
        of its time, nor in any order."""
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
    has_chain = query.has_times and len(query.steps) > 1
    cohorts = f"""\
        SELECT
            {of_actor}bucket,
            {_value(query)} AS value,
            {_parts(query)} AS parts,
            arrayMap(part -> {_level(query)}, parts) AS of_parts,
            arrayMax(of_parts) AS level
        FROM (
            -- Per actor and bucket: the events in its range.
            SELECT {of_actor}cohort.1 AS bucket, cohort.2 AS high, cohort.3 AS events, cohort.4 AS carried
            FROM (
                SELECT {of_actor}arrayJoin(arrayMap(
                    b -> (b.1, b.2,
                        arrayFilter(e -> {_ts("e")} >= b.1 AND {_ts("e")} < b.2 + {query.window_ms}, timeline),
                        arrayFilter(c -> c.1 >= b.1 AND c.1 < b.2{_value_until(query)}, carriers)),
                    arrayMap(s -> (s, {query.bucket_end.format("s")}), starts)
                )) AS cohort
                FROM (
                    -- Per actor: its events, each a number of its time and its bits of steps and exclusion; the
                    -- times and values of those that say under which value it counts; the starts of its buckets.
                    SELECT
                        {of_actor}arraySort(groupArray(f_ts * {_BITS} + f_code)) AS timeline,
                        {_carriers(query, carriers)} AS carriers,
                        arrayDistinct(arrayMap(
                            e -> {query.bucket_start.format(_ts("e"))}, arrayFilter(e -> {_begins(query)}, timeline)
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
        )"""
    return _with_waits(query, cohorts, of_actor) if has_chain else cohorts


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


def _ts(event: str) -> str:
    """The time of an event of a timeline."""
    return f"intDiv({event}, {_BITS})"


def _begins(query: FunnelQuery) -> str:
    """Whether an event `e` is one with which an actor can enter."""
    return f"bitAnd(e, {(1 << len(query.steps)) - 1}) != 0" if query.any_order else "bitTest(e, 0)"


def _carriers(query: FunnelQuery, mask: int) -> str:
    if query.breakdown == NO_BREAKDOWN:
        return "[]::Array(Tuple(UInt64, String))"
    return f"groupArrayIf((f_ts, f_value), bitAnd(f_code, {mask}) != 0)"


def _value_until(query: FunnelQuery) -> str:
    return f" + {query.window_ms}" if query.attribution == "last" else ""


def _value(query: FunnelQuery) -> str:
    """The breakdown value that the actor counts under."""
    if query.breakdown == NO_BREAKDOWN:
        return NO_BREAKDOWN
    if query.attribution == "any":
        return "arrayJoin(arrayDistinct(carried.2))"
    return "arrayMax(carried).2" if query.attribution == "last" else "arrayMin(carried).2"


def _parts(query: FunnelQuery) -> str:
    """The segments between exclusions, the first step cleared after the bucket."""
    row = "e" if query.any_order else f"if({_ts('e')} < high, e, bitAnd(e, bitNot(toUInt64(1))))"
    rows = f"arrayMap(e -> {row}, events)"
    # The order of the rows matters to one combination only.
    order = {"strict_once", "strict_deduplication"} <= query.modes
    if not query.exclude:
        return f"[{f'arraySort({rows})' if order else rows}]"
    # An exclusion ends what comes after its time. Its bit is the highest, so it is the last of the events of its time.
    excluded = f"bitTest(e, {len(query.steps)})"
    following = "arrayPushBack(arrayPopFront(events), 0)"
    ends = f"arrayMap((e, next) -> {excluded} AND {_ts('next')} > {_ts('e')}, events, {following})"
    parts = f"arraySplit((e, begins) -> begins, {rows}, arrayPushFront(arrayPopBack({ends}), 0))"
    # Without the exclusion's bit they are ordered as the fold has them.
    steps = f"bitAnd(e, bitNot(toUInt64({1 << len(query.steps)})))"
    return f"arrayMap(part -> arraySort(arrayMap(e -> {steps}, part)), {parts})" if order else parts


def _level(query: FunnelQuery) -> str:
    """windowFunnel over a part; in any order `_most`."""
    if query.any_order:
        return _most(query)
    modes = "".join(f", ''{mode}''" for mode in sorted(query.modes))
    masks = ", ".join(f"arrayMap(e -> bitTest(e, {k}), part)" for k in range(len(query.steps)))
    return f"arrayReduce('windowFunnel({query.window_ms}{modes})', arrayMap(e -> {_ts('e')}, part), {masks})"


def _most(query: FunnelQuery) -> str:
    """The most steps of a part that lie within the window and of which one lies in the bucket.

    At each event: of each step the last time so far, and the last one of any step in the bucket.
    """
    steps = range(len(query.steps))
    last = [f"arrayFill(t -> t > 0, arrayMap(e -> if(bitTest(e, {k}), {_ts('e')}, 0), part))" for k in steps]
    begun = f"if(bitAnd(e, {(1 << len(query.steps)) - 1}) != 0 AND {_ts('e')} < high, {_ts('e')}, 0)"
    early = f"arrayFill(t -> t > 0, arrayMap(e -> {begun}, part))"
    names = ", ".join(f"t{k}" for k in steps)
    near = "{0} > 0 AND {0} + " + str(query.window_ms) + " >= " + _ts("e")
    counted = " + ".join(f"({near.format(f't{k}')})" for k in steps)
    return (
        f"arrayMax(arrayMap((e, early, {names}) -> if({near.format('early')}, {counted}, 0), "
        f"part, {early}, {', '.join(last)}))"
    )


def _with_waits(query: FunnelQuery, cohorts: str, of_actor: str) -> str:
    """The rows with `waits`, the times that `window_chain` finds: `waits[k]` is that from step k to step k + 1.

    Of the part that first came to the level, the `items` are its (time, step) in order. `ends{k}` is, where step k
    continues a chain, until when that chain may go on, elsewhere 0: of several chains the one that began last may go on
    longest, so no other needs to be known. `at{k}` is found from the end: where the level was reached first, and the
    last of each step before. Strict modes that end a chain leave what was before as it is.

    Each layer is a sub-query: a name stands for its whole expression wherever it is used in the same one.
    """
    steps = len(query.steps)
    at, step = f"intDiv(i, {_STEPS})", f"i % {_STEPS}"
    items = ", ".join(
        f"arrayMap(e -> {_ts('e')} * {_STEPS} + {k}, arrayFilter(e -> bitTest(e, {k - 1}), part))"
        for k in range(1, steps + 1)
    )
    part = "if(level > 1, parts[indexOf(of_parts, level)], []) AS part"
    rows = f"SELECT *, {part}, arraySort(arrayConcat({items})) AS items FROM (\n{cohorts}\n)"
    rows = f"SELECT *, arrayMap(i -> if({step} = 1, {at} + {query.window_ms}, 0), items) AS ends1 FROM ({rows})"
    for k in range(2, steps + 1):
        names, arrays = "i, u", f"items, arrayFill(u -> u > 0, ends{k - 1})"
        fits = f"{step} = {k} AND u >= {at}"
        if "strict_increase" in query.modes:
            last = f"arrayFill(t -> t > 0, arrayMap((i, u) -> if(u > 0, {at}, 0), items, ends{k - 1}))"
            names, arrays, fits = f"{names}, t", f"{arrays}, {last}", f"{fits} AND t < {at}"
        rows = f"SELECT *, arrayMap(({names}) -> if({fits}, u, 0), {arrays}) AS ends{k} FROM ({rows})"
    times = []
    for k in range(steps, 0, -1):
        first = f"intDiv(arrayFirst((i, u) -> u > 0, items, ends{k}), {_STEPS})"
        before = f"arrayMax(arrayMap((i, u) -> if(u > 0 AND {at} <= at{k + 1}, {at}, 0), items, ends{k}))"
        times.append(f"{first if k == steps else f'if(level > {k}, {before}, {first})'} AS at{k}")
    waits = ", ".join(f"if(level > {k}, at{k + 1} - at{k}, 0)" for k in range(1, steps))
    reached = ", ".join(f"arrayExists(u -> u > 0, ends{k}), {k}" for k in range(steps, 0, -1))
    # Modes that end a chain may end it below what it would have reached.
    differs = "<" if query.modes & {"strict_order", "strict_deduplication"} else "!="
    return f"""\
    SELECT {of_actor}bucket, value, level, {", ".join(times)}, [{waits}] AS waits
    FROM (
{rows}
    )
    WHERE throwIf(
        level > 1 AND multiIf({reached}, 0) {differs} level, 'the chain of a funnel disagrees with windowFunnel') = 0"""


def _bin(wait: str) -> str:
    """`bin_of` in SQL: the same up to 390 days, from where on the logarithm is not exact enough."""
    return f"toInt16(if({wait} = 0, {ZERO_BIN}, ceil(log({wait}) / {math.log(GAMMA)!r})))"
