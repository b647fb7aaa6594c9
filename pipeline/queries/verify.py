"""`streamgauge verify`: do the live windows equal what ClickHouse computes from the raw events?

A partition's live row says up to which offset it is folded (its version). The raw events before that offset are
counted here and compared with the live windows: events, sums and funnels exactly, users within the sketch's error.
Windows with a row that is newer than its partition's row are still moving and are left out; on a system at rest
there are none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.clickhouse.client import Connection, require_product, require_stream
from pipeline.measure.activity import LG_K, OTHER
from pipeline.measure.funnel_counts import FunnelCell
from pipeline.measure.funnels import definition_of
from pipeline.measure.windows import SLIDING, bounds, grains
from pipeline.queries.activity import activity_sql, window_end, window_start
from pipeline.queries.conditions import value_sql
from pipeline.queries.funnel import COLUMNS, FunnelQuery, cell_of, funnel_sql
from pipeline.queries.persons import ID, owners, with_person
from pipeline.queries.plan_funnels import funnel_query
from pipeline.settings import Settings
from schemas.duration import DAY, MINUTE
from schemas.plan import Funnel, Plan

#: Four standard errors of a HyperLogLog with 2^12 registers: 1.04 / sqrt(4096) each.
USERS_RELATIVE_ERROR = 4 * 1.04 / 2 ** (LG_K / 2)
#: Small counts are exact but for rounding and a few hash collisions.
USERS_ABSOLUTE_ERROR = 3
#: Up to this window the bins of step times are the same in SQL (see `funnel_sql`); beyond, sums are compared.
EXACT_BINS_MS = 390 * DAY
#: How long the archive may lag behind the live windows before that counts as a difference.
CATCH_UP_SECONDS = 30.0


@dataclass
class Difference:
    """One figure that is not the same."""

    measure: str
    where: str
    live: Any
    archived: Any

    def __str__(self) -> str:
        return f"{self.measure} of {self.where}: live {self.live}, archived {self.archived}"


@dataclass
class Verification:
    """What was compared, and what differs."""

    windows: int = 0
    funnels: int = 0
    moving: int = 0
    records: int = 0
    differences: list[Difference] = field(default_factory=list)
    #: Partitions of which worker and archiver have not read the same records, and why.
    left_out: dict[int, str] = field(default_factory=dict)
    #: Windows and funnel counters that were closed when somebody in them was linked: live keeps what it said.
    linked_later: int = 0
    #: What only one of the plans has, the worker's or ours, and was not compared: a sentence each.
    in_one_plan: list[str] = field(default_factory=list)
    ok: bool = True

    def summary(self) -> str:
        """One line for a person."""
        verdict = "no difference" if self.ok else f"{len(self.differences)} differences"
        moving = f", {self.moving} windows still moving" if self.moving else ""
        left_out = "".join(f"; partition {p} not compared: {why}" for p, why in sorted(self.left_out.items()))
        changed = f"; the plan has changed: {len(self.in_one_plan)} things not compared" if self.in_one_plan else ""
        later = (
            f"; {self.linked_later} of them closed before somebody in them was linked, and keep what they said"
            if self.linked_later
            else ""
        )
        return (
            f"verify: {verdict} in {self.windows:,} windows and {self.funnels:,} funnel counters "
            f"over {self.records:,} records{later}{moving}{left_out}{changed}"
        )

    def differ(self, measure: str, where: str, live: Any, archived: Any) -> None:
        """Note a difference."""
        self.differences.append(Difference(measure, where, live, archived))
        self.ok = False


async def verify(settings: Settings, plan: Plan) -> Verification:
    """Compare everything live in the stream of the settings. Raises DependencyError if ClickHouse does not answer."""
    check = _Check(settings, plan)
    try:
        return await check.run()
    finally:
        await check.connection.close()


class _Check:
    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings, self.plan = settings, plan
        self.connection = Connection(settings)
        self.result = Verification()
        self.versions: dict[int, int] = {}

    async def run(self) -> Verification:
        await require_stream(self.connection, self.settings, "live_partition_raw")
        # Another version of the plan is compared; another product has nothing in common.
        await require_product(self.connection, self.settings, self.plan)
        partitions = await self._query(
            "SELECT partition, version, accepted, late, rejected, duplicate FROM live_partition_raw FINAL "
            "WHERE stream = {stream:String}"
        )
        await self._gaps()
        partitions = [row for row in partitions if row[0] not in self.result.left_out]
        self.versions = {row[0]: row[1] for row in partitions}
        await self._partitions(partitions)
        await self._active()
        await self._activity()
        await self._funnels()
        return self.result

    async def _query(self, sql: str, **parameters: Any) -> list[Any]:
        parameters["stream"] = self.settings.stream
        parameters["left_out"] = list(self.result.left_out)
        parameters["versions"] = [self.versions.get(p, 0) for p in range(max(self.versions, default=-1) + 1)]
        return await self.connection.query(sql, parameters)

    def _events(self, columns: str = "*") -> str:
        """A sub-query of the events that count live, with their persons by what the workers know."""
        rows = f"(SELECT {columns} FROM {self._before('events_raw')} AND NOT late)"
        return with_person(rows, owners(self._before("links_raw"), self._before("handovers_raw")))

    def _before(self, table: str) -> str:
        return (
            f"{table} FINAL WHERE stream = {{stream:String}} AND NOT has({{left_out:Array(UInt16)}}, partition) "
            "AND offset < {versions:Array(UInt64)}[partition + 1]"
        )

    async def _gaps(self) -> None:
        """Leave out partitions of which Kafka had removed other records before the one role read them than the other.

        What both have missed is missing on both sides alike.
        """
        rows = await self._query(
            "SELECT partition, role, groupArray((first_offset, end_offset)) FROM "
            "(SELECT * FROM gaps WHERE stream = {stream:String} ORDER BY first_offset) GROUP BY partition, role"
        )
        by_role = {(partition, role): list(found) for partition, role, found in rows}
        for partition in {row[0] for row in rows}:
            worker, archiver = by_role.get((partition, "worker"), []), by_role.get((partition, "archiver"), [])
            if worker != archiver:
                self.result.left_out[partition] = (
                    f"records were gone from Kafka before they were read (worker {_spans(worker)}; "
                    f"archiver {_spans(archiver)})"
                )

    # -- partitions ----------------------------------------------------------------------------------------------

    async def _partitions(self, partitions: list[Any]) -> None:
        """Every record that the worker classified must have been stored as what it was classified."""
        deadline = time.monotonic() + CATCH_UP_SECONDS
        expired = await self._older_than(self.settings.rejected_retention_days)
        while True:
            stored: dict[int, list[int]] = {p: [0, 0, 0, 0] for p in self.versions}
            for table, columns in (("events_raw", (0, 1)), ("rejected_raw", (2,)), ("duplicates_raw", (3,))):
                late = "late" if table == "events_raw" else "0"
                only = " AND outcome = 'duplicate'" if table == "duplicates_raw" else ""
                rows = await self._query(
                    f"SELECT partition, countIf(NOT {late}), countIf({late}) FROM {self._before(table)}{only} "
                    "GROUP BY partition"
                )
                for partition, first, second in rows:
                    for column, count in zip(columns, (first, second), strict=False):
                        stored.setdefault(partition, [0, 0, 0, 0])[column] = count
            live = {row[0]: list(row[2:]) for row in partitions}
            if expired:
                # Rejected records and duplicates are kept for a shorter time: some have gone, none may be too many.
                for partition, counts in live.items():
                    counts[2:] = map(min, counts[2:], stored[partition][2:])
            if stored == live or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        for partition, counts in live.items():
            for measure, ours, theirs in zip(
                ("accepted", "late", "rejected", "duplicate"), counts, stored[partition], strict=True
            ):
                self.result.records += ours
                if ours != theirs:
                    self.result.differ(f"{measure} records", f"partition {partition}", ours, theirs)

    async def _older_than(self, days: int) -> bool:
        """Whether events were stored longer ago than so many days."""
        rows = await self._query(
            "SELECT count() FROM events_raw WHERE stream = {stream:String} "
            "AND stored_at < now() - toIntervalDay({days:UInt32})",
            days=days,
        )
        return bool(rows[0][0])

    async def _active(self) -> None:
        """The persons of the last 1, 5 and 30 minutes, at the time when the partitions' rows were written."""
        since = {
            name: f"ts >= toStartOfMinute(p.updated_at) - toIntervalMinute({minutes})"
            for name, minutes in (("active_1m", 1), ("active_5m", 4), ("active_30m", 29))
        }
        counts = ", ".join(f"uniqExactIf(e.person, {condition})" for condition in since.values())
        # A person counts in the partition that they live in, whose row may be of another minute than that of their
        # device: so all partitions together, where all rows are of one minute.
        rows = await self._query(
            "SELECT sum(active_1m), sum(active_5m), sum(active_30m), uniqExact(toStartOfMinute(updated_at)), "
            "groupUniqArray((partition, version)) FROM live_partition_raw FINAL WHERE stream = {stream:String} "
            "AND NOT has({left_out:Array(UInt16)}, partition)"
        )
        if not rows or rows[0][3] != 1 or any(self.versions.get(p) != version for p, version in rows[0][4]):
            return
        expected = await self._query(
            f"SELECT {counts} FROM (SELECT * FROM {self._events()} WHERE ts >= "
            "(SELECT min(updated_at) - toIntervalMinute(31) FROM live_partition_raw FINAL "
            "WHERE stream = {stream:String})) AS e INNER JOIN (SELECT partition, updated_at FROM live_partition_raw "
            "FINAL WHERE stream = {stream:String}) AS p ON p.partition = e.partition"
        )
        for name, ours, theirs in zip(since, rows[0][:3], expected[0] if expected else (0, 0, 0), strict=True):
            if not _close(ours, theirs, len(self.versions)):
                self.result.differ(f"users of {name}", "all partitions", round(ours), theirs)

    # -- activity ------------------------------------------------------------------------------------------------

    async def _activity(self) -> None:
        # Multiplied in 128 bits: in the column's own 64, nine million would be too much.
        micro = "toInt128(toDecimal128(value, 6) * 1000000) AS value_micro"
        source = self._events(f"*, {micro}")
        # Live windows of a minute are kept for a shorter time than raw events.
        rows = await self._query(
            f"SELECT {window_start('minute', '')} AS start FROM {self._before('events_raw')} GROUP BY start "
            "HAVING max(stored_at) < now() - toIntervalDay({days:UInt32})",
            days=self.settings.minute_retention_days,
        )
        removed = {row[0] for row in rows}
        since = await self._counted_since()
        for name in sorted(since.keys() - {"", *(",".join(d) for d in self.plan.dimensions)}):
            self.result.in_one_plan.append(f"the dimension {name} is counted live, but is not in this plan")
        for dimension in self.plan.dimensions:
            name = ",".join(dimension)
            if since and name not in since:
                self.result.in_one_plan.append(
                    f"the dimension {name} is in this plan, but nothing was counted live by it"
                )
            elif since.get(name, 0) > since.get("", 0):
                self.result.in_one_plan.append(
                    f"the dimension {name} is counted live since {_when(since[name])}: not before"
                )
        bounded = await self._bounded_otherwise()
        for grain in grains(self.plan.zone):
            for dimension in ((), *self.plan.dimensions):
                name = ",".join(dimension)
                if since and name not in since:
                    continue
                # What was late when the plan changed may still have come into the windows before.
                young = since.get(name, 0) > since.get("", 0)
                first = since[name] + self.plan.lateness if young else -1
                rows = await self._query(
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
                self.result.moving += len(moving)
                left_out = moving | bounded.get((grain, name), set())
                left_out |= removed if grain == "minute" else set()
                live = {(row[0], tuple(row[1])): row[2:7] for row in rows if row[0] not in left_out and row[0] > first}
                expected = {
                    (row[0], tuple(row[1])): tuple(row[2:])
                    for row in await self._query(activity_sql(self.plan, grain, dimension, source))
                    if row[0] not in left_out and row[0] > first
                }
                await self._compare(f"{grain} {name or 'total'}", live, expected, grain, dimension)

    async def _bounded_otherwise(self) -> dict[tuple[str, str], set[int]]:
        """By grain and dimension the windows (ms) whose values were counted live with another `max_values`.

        Where a partition has a rest, `(other)`, it has as many values beside it as its plan allowed.
        """
        rows = await self._query(
            "SELECT DISTINCT dimension, grain, start, own FROM ("
            "SELECT dimension, grain, toUnixTimestamp64Milli(start) AS start, partition, "
            "countIf(value != {rest:Array(String)} AND events > 0) AS own, "
            "countIf(value = {rest:Array(String)}) AS others FROM live_activity_raw FINAL "
            "WHERE stream = {stream:String} AND NOT has({left_out:Array(UInt16)}, partition) AND dimension != '' "
            "GROUP BY dimension, grain, start, partition) "
            "WHERE own > {bound:UInt64} OR others > 0 AND own != {bound:UInt64} ORDER BY dimension, grain, start",
            rest=list(OTHER),
            bound=self.plan.max_values,
        )
        found: dict[tuple[str, str], set[int]] = {}
        ours = {",".join(dimension) for dimension in self.plan.dimensions}
        for dimension, grain, start, own in rows:
            if dimension in ours and dimension not in {name for _, name in found}:
                self.result.in_one_plan.append(
                    f"the dimension {dimension} was counted live with another max_values ({own}, not "
                    f"{self.plan.max_values}) in {_when(start)}: such windows not"
                )
            found.setdefault((grain, dimension), set()).add(start)
        return found

    async def _counted_since(self) -> dict[str, int]:
        """By dimension the start of its first window (ms): a dimension that came with a later plan has none before."""
        rows = await self._query(
            "SELECT dimension, max(first) FROM (SELECT dimension, grain, toUnixTimestamp64Milli(min(start)) AS first "
            "FROM live_activity_raw FINAL WHERE stream = {stream:String} "
            "AND NOT has({left_out:Array(UInt16)}, partition) GROUP BY dimension, grain) GROUP BY dimension"
        )
        return {row[0]: row[1] for row in rows}

    async def _compare(
        self, what: str, live: dict[Any, Any], expected: dict[Any, Any], grain: str, dimension: Sequence[str]
    ) -> None:
        nothing = (0, 0, 0, 0, 0)
        later: dict[Any, float] | None = None
        for key in sorted(live.keys() | expected.keys()):
            self.result.windows += 1
            ours, theirs = live.get(key, nothing), expected.get(key, nothing)
            where = f"{what} {_when(key[0])} {' / '.join(key[1])}".rstrip()
            for measure, a, b in zip(("events", "amount"), ours, theirs, strict=False):
                if int(a) != int(b):
                    self.result.differ(measure, where, int(a), int(b))
            if not _close(ours[3], theirs[3]):
                self.result.differ("sessions", where, round(ours[3]), theirs[3])
            off = [(n, name) for n, name in ((2, "users"), (4, "registrations")) if not _close(ours[n], theirs[n])]
            if off and later is None:
                later = await self._linked_later(grain, dimension)
            for n, measure in off:
                known = (later or {}).get(key, 0) + (later or {}).get((key[0], OTHER), 0)
                if _close(ours[n], theirs[n], known):
                    self.result.linked_later += 1
                else:
                    self.result.differ(measure, where, round(ours[n]), theirs[n])

    async def _linked_later(self, grain: str, dimension: Sequence[str]) -> dict[Any, float]:
        """By window and value, by how many persons live may be off because of links.

        By each id that was linked when the window was closed, and by the error of the sketch of those that were taken
        off. Where a window has `(other)`, all of its linked ids stand there: two partitions may count one value in two
        places.
        """
        plan = self.plan
        closing = f"linked_at - {plan.lateness}"
        if grain == "minute":
            closing = f"least({closing}, linked_at - {plan.max_future + SLIDING * MINUTE})"
        value = f"[{', '.join(value_sql(field) for field in dimension)}]::Array(String)"
        rows = await self._query(
            f"SELECT {window_start(grain, plan.timezone)} AS start, {value} AS own, "
            f"uniqExactIf({ID}, {closing} >= {window_end(grain, plan.timezone, 'start')}) AS late_links, "
            f"uniqExact({ID}) AS links FROM {self._events()} WHERE is_linked GROUP BY start, own"
        )
        # Of what is taken off there is a sketch of its own, and as much more in the one that it is taken off.
        found = {(row[0], tuple(row[1])): row[2] + 2 * USERS_RELATIVE_ERROR * row[3] for row in rows}
        values = await self._query(
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

    # -- funnels -------------------------------------------------------------------------------------------------

    async def _funnels(self) -> None:
        """All of ours by the definition that was counted live; what only one side has is named."""
        rows = await self._query(
            "SELECT funnel, groupUniqArray(definition), groupUniqArray(breakdown) FROM live_funnel_raw FINAL "
            "WHERE stream = {stream:String} AND NOT has({left_out:Array(UInt16)}, partition) GROUP BY funnel"
        )
        live = {row[0]: set(row[1]) for row in rows}
        for name in sorted(live.keys() - self.plan.funnels.keys()):
            self.result.in_one_plan.append(f"the funnel {name} is counted live, but is not in this plan")
        for name, funnel in self.plan.funnels.items():
            await self._funnel(name, funnel, live.get(name, set()))

    async def _funnel(self, name: str, funnel: Funnel, definitions: set[str]) -> None:
        definition = definition_of(funnel, self.plan)
        for breakdown in ("", *funnel.breakdown):
            rows = await self._query(
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
            self.result.moving += len(moving)
            live: dict[tuple[int, str], FunnelCell] = {}
            for start, value, users, sums, bins, counts, _ in rows:
                where = f"funnel {name} {_when(start)} {breakdown} {value}".rstrip()
                if list(counts) != list(users[1:]) and start not in moving:
                    self.result.differ("counts of times", where, list(counts), list(users[1:]))
                cell = cell_of(users, sums, [(list(m), list(m.values())) for m in bins])
                live.setdefault((start, value), FunnelCell(len(users))).merge(cell)
            query = self.funnel_query(funnel, breakdown)
            wanted = "bucket, value, users, sums, bins"
            assert set(wanted.split(", ")) <= COLUMNS.keys()
            expected = {
                (int(row[0]), row[1]): cell_of(row[2], row[3], row[4])
                for row in await self._query(f"SELECT {wanted} FROM ({funnel_sql(query)})")
            }
            what = f"the funnel {name}" + (f" by {breakdown}" if breakdown else "")
            if expected and not live:
                other = "was counted live by another definition"
                said = other if definitions - {definition} else "nobody was counted live in it"
                self.result.in_one_plan.append(f"{what} is in this plan, but {said}")
                continue
            since = min((start for start, _ in live), default=0)
            if min((start for start, _ in expected), default=since) < since:
                self.result.in_one_plan.append(f"{what} is counted live since {_when(since)}: not before")
                first = since + self.plan.lateness
                live = {key: cell for key, cell in live.items() if key[0] > first}
                expected = {key: cell for key, cell in expected.items() if key[0] > first}
            nobody = FunnelCell(len(funnel.steps))
            off = {key[0] for key in live.keys() | expected.keys() if live.get(key) != expected.get(key)} - moving
            later = await self._linked_after(funnel, off) if off else {}
            for key in sorted(live.keys() | expected.keys()):
                ours, theirs = live.get(key, nobody), expected.get(key, nobody)
                if key[0] in moving or not (any(ours.counts) or any(theirs.counts)):
                    continue
                self.result.funnels += 1
                where = f"funnel {name} {_when(key[0])} {breakdown} {key[1]}".rstrip()
                known = later.get(key[0], 0)
                if known and ours != theirs and _within(ours, theirs, known):
                    self.result.linked_later += 1
                elif ours.users != theirs.users:
                    self.result.differ("users by step", where, ours.users, theirs.users)
                elif query.has_times and not _same_times(ours, theirs, bins=funnel.window <= EXACT_BINS_MS):
                    self.result.differ("step times", where, _times(ours), _times(theirs))

    async def _linked_after(self, funnel: Funnel, starts: set[int]) -> dict[int, int]:
        """By start of a bucket: ids that were linked when the bucket was final."""
        buckets = [(start, bounds(funnel.bucket, start, self.plan.zone)[1] + funnel.window) for start in sorted(starts)]
        ts, late = "toUnixTimestamp64Milli(ts)", f"linked_at - {self.plan.lateness}"
        rows = await self._query(
            f"SELECT bucket, uniqExact({ID}) FROM (SELECT *, arrayJoin(arrayFilter(b -> {ts} >= b.1 AND {ts} < b.2 "
            f"AND b.2 <= {late}, {{buckets:Array(Tuple(Int64, Int64))}})).1 AS bucket FROM {self._events()} "
            "WHERE is_linked) GROUP BY bucket",
            buckets=buckets,
        )
        return {row[0]: int(row[1]) for row in rows}

    def funnel_query(self, funnel: Funnel, breakdown: str) -> FunnelQuery:
        """The query that counts `funnel` from the raw events."""
        source = f"(SELECT * REPLACE (toUnixTimestamp64Milli(ts) AS ts) FROM {self._events()})"
        return funnel_query(self.plan, funnel, breakdown, source)


def _close(estimate: float, exact: int, more: float = 0) -> bool:
    """Within the sketch's error, and `more` besides."""
    return abs(estimate - exact) <= max(USERS_ABSOLUTE_ERROR, USERS_RELATIVE_ERROR * exact) + more


def _within(a: FunnelCell, b: FunnelCell, more: int) -> bool:
    return all(abs(ours - theirs) <= more for ours, theirs in zip(a.users, b.users, strict=True))


def _same_times(a: FunnelCell, b: FunnelCell, *, bins: bool) -> bool:
    if bins:
        return a.times == b.times
    return [(t.count, t.sum_ms) for t in a.times] == [(t.count, t.sum_ms) for t in b.times]


def _times(cell: FunnelCell) -> list[tuple[int, int, float | None]]:
    return [(times.count, times.sum_ms, times.median) for times in cell.times]


def _when(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))


def _spans(gaps: list[tuple[int, int]]) -> str:
    return ", ".join(f"{first} to {end - 1}" for first, end in gaps) or "none"
