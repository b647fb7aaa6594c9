"""The live funnels beside those of the archive, exactly."""

from __future__ import annotations

from pipeline.measure.funnel_counts import FunnelCell
from pipeline.measure.funnels import definition_of
from pipeline.measure.windows import bounds
from pipeline.queries.comparison import Comparison, when
from pipeline.queries.funnel import COLUMNS, cell_of, funnel_sql
from pipeline.queries.persons import ID
from pipeline.queries.plan_funnels import funnel_query
from schemas.duration import DAY
from schemas.plan import Funnel
from schemas.translatable import Sentence

#: Up to this window the bins of step times are the same in SQL (see `funnel_sql`); beyond, sums are compared.
EXACT_BINS_MS = 390 * DAY


async def compare_funnels(comparison: Comparison) -> None:
    """All of ours by the definition that was counted live; what only one side has is named."""
    rows = await comparison.query(
        "SELECT funnel, groupUniqArray(definition), groupUniqArray(breakdown) FROM live_funnel_raw FINAL "
        "WHERE stream = {stream:String} AND NOT has({left_out:Array(UInt16)}, partition) GROUP BY funnel"
    )
    live = {row[0]: set(row[1]) for row in rows}
    for name in sorted(live.keys() - comparison.plan.funnels.keys()):
        comparison.result.in_one_plan.append(
            Sentence("the funnel {name} is counted live, but is not in this plan", name=name)
        )
    for name, funnel in comparison.plan.funnels.items():
        await _funnel(comparison, name, funnel, live.get(name, set()))


async def _funnel(comparison: Comparison, name: str, funnel: Funnel, definitions: set[str]) -> None:
    definition = definition_of(funnel, comparison.plan)
    for breakdown in ("", *funnel.breakdown):
        rows = await comparison.query(
            "SELECT toUnixTimestamp64Milli(start), value, users, step_sum_ms, bins, step_count, "
            "version > {versions:Array(UInt64)}[partition + 1] "
            "FROM live_funnel_raw FINAL WHERE stream = {stream:String} "
            "AND NOT has({left_out:Array(UInt16)}, partition) AND funnel = {funnel:String} "
            "AND definition = {definition:String} AND breakdown = {breakdown:String}",
            funnel=name,
            definition=definition,
            breakdown=breakdown,
        )
        moving = {row[0] for row in rows if row[6]}
        comparison.result.moving += len(moving)
        live: dict[tuple[int, str], FunnelCell] = {}
        source = f"(SELECT * REPLACE (toUnixTimestamp64Milli(ts) AS ts) FROM {comparison.events()})"
        query = funnel_query(comparison.plan, funnel, breakdown, source)
        for start, value, users, sums, bins, counts, _ in rows:
            where = f"funnel {name} {when(start)} {breakdown} {value}".rstrip()
            # Where SQL knows no times, what `rebuild` has written has none.
            without = not query.has_times and not counts
            if not without and list(counts) != list(users[1:]) and start not in moving:
                comparison.result.differ("counts of times", where, list(counts), list(users[1:]))
            cell = cell_of(users, sums, [(list(m), list(m.values())) for m in bins])
            live.setdefault((start, value), FunnelCell(len(users))).merge(cell)
        wanted = "bucket, value, users, sums, bins"
        assert set(wanted.split(", ")) <= COLUMNS.keys()
        expected = {
            (int(row[0]), row[1]): cell_of(row[2], row[3], row[4])
            for row in await comparison.query(f"SELECT {wanted} FROM ({funnel_sql(query)})")
        }
        what = f"{name} by {breakdown}" if breakdown else name
        if expected and not live:
            said = Sentence("the funnel {name} is in this plan, but nobody was counted live in it", name=what)
            if definitions - {definition}:
                said = Sentence(
                    "the funnel {name} is in this plan, but was counted live by another definition", name=what
                )
            comparison.result.in_one_plan.append(said)
            continue
        if comparison.removed_up_to >= 0:
            # Somebody who entered may have begun before.
            complete = comparison.removed_up_to + funnel.window
            live = {key: cell for key, cell in live.items() if key[0] > complete}
            expected = {key: cell for key, cell in expected.items() if key[0] > complete}
        since = min((start for start, _ in live), default=0)
        if min((start for start, _ in expected), default=since) < since:
            comparison.result.in_one_plan.append(
                Sentence("the funnel {name} is counted live since {time}: not before", name=what, time=when(since))
            )
            first = since + comparison.plan.lateness
            live = {key: cell for key, cell in live.items() if key[0] > first}
            expected = {key: cell for key, cell in expected.items() if key[0] > first}
        nobody = FunnelCell(len(funnel.steps))
        off = {key[0] for key in live.keys() | expected.keys() if live.get(key) != expected.get(key)} - moving
        later = await _linked_after(comparison, funnel, off) if off else {}
        for key in sorted(live.keys() | expected.keys()):
            ours, theirs = live.get(key, nobody), expected.get(key, nobody)
            if key[0] in moving or not (any(ours.counts) or any(theirs.counts)):
                continue
            comparison.result.funnels += 1
            where = f"funnel {name} {when(key[0])} {breakdown} {key[1]}".rstrip()
            known = later.get(key[0], 0)
            if known and ours != theirs and _within(ours, theirs, known):
                comparison.result.linked_later += 1
            elif ours.users != theirs.users:
                comparison.result.differ("users by step", where, ours.users, theirs.users)
            elif query.has_times and not _same_times(ours, theirs, bins=funnel.window <= EXACT_BINS_MS):
                comparison.result.differ("step times", where, _times(ours), _times(theirs))


async def _linked_after(comparison: Comparison, funnel: Funnel, starts: set[int]) -> dict[int, int]:
    """By start of a bucket: ids that were linked when the bucket was final."""
    buckets = [
        (start, bounds(funnel.bucket, start, comparison.plan.zone)[1] + funnel.window) for start in sorted(starts)
    ]
    ts, late = "toUnixTimestamp64Milli(ts)", f"linked_at - {comparison.plan.lateness}"
    rows = await comparison.query(
        f"SELECT bucket, uniqExact({ID}) FROM (SELECT *, arrayJoin(arrayFilter(b -> {ts} >= b.1 AND {ts} < b.2 "
        f"AND b.2 <= {late}, {{buckets:Array(Tuple(Int64, Int64))}})).1 AS bucket FROM {comparison.events()} "
        "WHERE is_linked) GROUP BY bucket",
        buckets=buckets,
    )
    return {row[0]: int(row[1]) for row in rows}


def _within(a: FunnelCell, b: FunnelCell, more: int) -> bool:
    return all(abs(ours - theirs) <= more for ours, theirs in zip(a.users, b.users, strict=True))


def _same_times(a: FunnelCell, b: FunnelCell, *, bins: bool) -> bool:
    if bins:
        return a.times == b.times
    return [(t.count, t.sum_ms) for t in a.times] == [(t.count, t.sum_ms) for t in b.times]


def _times(cell: FunnelCell) -> list[tuple[int, int, float | None]]:
    return [(times.count, times.sum_ms, times.median) for times in cell.times]
