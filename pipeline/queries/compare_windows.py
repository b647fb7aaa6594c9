"""The live windows beside those of the archive: events and sums exactly, users within the sketch's error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeline.measure.activity import OTHER
from pipeline.measure.windows import SLIDING, grains
from pipeline.queries.activity import activity_sql, window_end, window_start
from pipeline.queries.comparison import Comparison, close, taken_off, when
from pipeline.queries.conditions import value_sql
from pipeline.queries.persons import ID
from pipeline.queries.removed import kept_days
from schemas.duration import MINUTE
from schemas.translatable import Sentence

#: How far the archiver may have been behind the worker without a word here of what that left. Seconds.
_BEHIND: Final = 86_400


async def compare_windows(comparison: Comparison) -> None:
    """All windows of both plans; what was counted by another plan is named. Notes what differs."""
    # Multiplied in 128 bits: in the column's own 64, nine million would be too much.
    micro = "toInt128(toDecimal128(value, 6) * 1000000) AS value_micro"
    source = comparison.events(f"*, {micro}")
    # Live windows of a minute are kept for a shorter time than raw events, and from when they were written: where the
    # archiver was behind, that was long before their events were stored.
    days = await kept_days(comparison, "live_activity_raw", comparison.settings.minute_retention_days)
    rows = await comparison.query(
        f"SELECT {window_start('minute', '')} AS start FROM {comparison.before('events_raw')} GROUP BY start "
        "HAVING max(stored_at) < now() - toIntervalSecond({seconds:UInt32})",
        seconds=days * 86_400 - min(_BEHIND, days * 43_200),
    )
    removed = {row[0] for row in rows}
    since = await _counted_since(comparison)
    for name in sorted(since.keys() - {"", *(",".join(d) for d in comparison.plan.dimensions)}):
        comparison.result.in_one_plan.append(
            Sentence("the dimension {name} is counted live, but is not in this plan", name=name)
        )
    for dimension in comparison.plan.dimensions:
        name = ",".join(dimension)
        if since and name not in since:
            comparison.result.in_one_plan.append(
                Sentence("the dimension {name} is in this plan, but nothing was counted live by it", name=name)
            )
        elif since.get(name, 0) > since.get("", 0):
            comparison.result.in_one_plan.append(
                Sentence(
                    "the dimension {name} is counted live since {time}: not before", name=name, time=when(since[name])
                )
            )
    bounded = await _bounded_otherwise(comparison)
    for grain in grains(comparison.plan.zone):
        for dimension in ((), *comparison.plan.dimensions):
            name = ",".join(dimension)
            if since and name not in since:
                continue
            # What was late when the plan changed may still have come into the windows before.
            young = since.get(name, 0) > since.get("", 0)
            first = max(comparison.removed_up_to, since[name] + comparison.plan.lateness if young else -1)
            rows = await comparison.query(
                "SELECT toUnixTimestamp64Milli(start), value, sum(events), toInt128(sum(amount) * 1000000), "
                "sum(users), sum(sessions), sum(registrations), "
                "max(version > {versions:Array(UInt64)}[partition + 1]) "
                "FROM live_activity_raw FINAL WHERE stream = {stream:String} "
                "AND NOT has({left_out:Array(UInt16)}, partition) AND grain = {grain:String} "
                "AND dimension = {dimension:String} GROUP BY start, value",
                grain=grain,
                dimension=name,
            )
            moving = {row[0] for row in rows if row[7]}
            comparison.result.moving += len(moving)
            left_out = moving | bounded.get((grain, name), set())
            left_out |= removed if grain == "minute" else set()
            live = {(row[0], tuple(row[1])): row[2:7] for row in rows if row[0] not in left_out and row[0] > first}
            expected = {
                (row[0], tuple(row[1])): tuple(row[2:])
                for row in await comparison.query(activity_sql(comparison.plan, grain, dimension, source))
                if row[0] not in left_out and row[0] > first
            }
            await _compare(comparison, f"{grain} {name or 'total'}", live, expected, grain, dimension)


async def _bounded_otherwise(comparison: Comparison) -> dict[tuple[str, str], set[int]]:
    """By grain and dimension the windows (ms) whose values were counted live with another `max_values`.

    Where a partition has a rest, `(other)`, it has as many values beside it as its plan allowed.
    """
    rows = await comparison.query(
        "SELECT DISTINCT dimension, grain, start, own FROM ("
        "SELECT dimension, grain, toUnixTimestamp64Milli(start) AS start, partition, "
        "countIf(value != {rest:Array(String)} AND events > 0) AS own, "
        "countIf(value = {rest:Array(String)}) AS others FROM live_activity_raw FINAL "
        "WHERE stream = {stream:String} AND NOT has({left_out:Array(UInt16)}, partition) AND dimension != '' "
        "GROUP BY dimension, grain, start, partition) "
        "WHERE own > {bound:UInt64} OR others > 0 AND own != {bound:UInt64} ORDER BY dimension, grain, start",
        rest=list(OTHER),
        bound=comparison.plan.max_values,
    )
    found: dict[tuple[str, str], set[int]] = {}
    ours = {",".join(dimension) for dimension in comparison.plan.dimensions}
    for dimension, grain, start, own in rows:
        if dimension in ours and dimension not in {name for _, name in found}:
            comparison.result.in_one_plan.append(
                Sentence(
                    "the dimension {name} was counted live with another max_values ({live}, not {own}) in {time}: such "
                    "windows not",
                    name=dimension,
                    live=own,
                    own=comparison.plan.max_values,
                    time=when(start),
                )
            )
        found.setdefault((grain, dimension), set()).add(start)
    return found


async def _counted_since(comparison: Comparison) -> dict[str, int]:
    """By dimension the start of its first window (ms): a dimension that came with a later plan has none before."""
    rows = await comparison.query(
        "SELECT dimension, max(first) FROM (SELECT dimension, grain, toUnixTimestamp64Milli(min(start)) AS first "
        "FROM live_activity_raw FINAL WHERE stream = {stream:String} "
        "AND NOT has({left_out:Array(UInt16)}, partition) GROUP BY dimension, grain) GROUP BY dimension"
    )
    return {row[0]: row[1] for row in rows}


async def _compare(
    comparison: Comparison,
    what: str,
    live: dict[Any, Any],
    expected: dict[Any, Any],
    grain: str,
    dimension: Sequence[str],
) -> None:
    nothing = (0, 0, 0, 0, 0)
    later: dict[Any, float] | None = None
    for key in sorted(live.keys() | expected.keys()):
        comparison.result.windows += 1
        ours, theirs = live.get(key, nothing), expected.get(key, nothing)
        where = f"{what} {when(key[0])} {' / '.join(key[1])}".rstrip()
        for measure, a, b in zip(("events", "amount"), ours, theirs, strict=False):
            if int(a) != int(b):
                comparison.result.differ(measure, where, int(a), int(b))
        if not close(ours[3], theirs[3]):
            comparison.result.differ("sessions", where, round(ours[3]), theirs[3])
        off = [(n, name) for n, name in ((2, "users"), (4, "registrations")) if not close(ours[n], theirs[n])]
        if off and later is None:
            later = await _linked_later(comparison, grain, dimension)
        for n, measure in off:
            known = (later or {}).get(key, 0) + (later or {}).get((key[0], OTHER), 0)
            if close(ours[n], theirs[n], known):
                comparison.result.linked_later += 1
            else:
                comparison.result.differ(measure, where, round(ours[n]), theirs[n])


async def _linked_later(comparison: Comparison, grain: str, dimension: Sequence[str]) -> dict[Any, float]:
    """By window and value, by how many persons live may be off because of links.

    By each id that was linked when the window was closed, and by the error of the sketch of those that were taken
    off. Where a window has `(other)`, all of its linked ids stand there: two partitions may count one value in two
    places.
    """
    plan = comparison.plan
    closing = f"linked_at - {plan.lateness}"
    if grain == "minute":
        closing = f"least({closing}, linked_at - {plan.max_future + SLIDING * MINUTE})"
    value = f"[{', '.join(value_sql(field) for field in dimension)}]::Array(String)"
    rows = await comparison.query(
        f"SELECT {window_start(grain, plan.timezone)} AS start, {value} AS own, "
        f"uniqExactIf({ID}, {closing} >= {window_end(grain, plan.timezone, 'start')}) AS late_links, "
        f"uniqExact({ID}) AS links FROM {comparison.events()} WHERE is_linked GROUP BY start, own"
    )
    found = {(row[0], tuple(row[1])): row[2] + taken_off(row[3]) for row in rows}
    values = await comparison.query(
        "SELECT DISTINCT toUnixTimestamp64Milli(start) FROM live_activity_raw FINAL "
        "WHERE stream = {stream:String} AND grain = {grain:String} AND dimension = {dimension:String} "
        "AND value = {other:Array(String)}",
        grain=grain, dimension=",".join(dimension), other=list(OTHER),
    )  # fmt: skip
    full = {row[0] for row in values}
    for start, _, _, links in rows:
        if start in full:
            found[start, OTHER] = found.get((start, OTHER), 0) + int(links)
    return found
