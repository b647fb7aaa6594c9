"""Live windows computed by SQL from the stored events, for a past that the worker did not count.

That is what was put straight into ClickHouse, and what a changed plan asks of the time before: a new dimension, a
funnel that is another now. The queries are those of `verify`, so users are counted exactly, not by sketches. A window's
rows are replaced together: one row has all of it, those of the other partitions are set to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.measure.funnels import definition_of
from pipeline.measure.windows import SLIDING, bounds, grains
from pipeline.queries.activity import activity_sql, window_end
from pipeline.queries.comparison import Comparison
from pipeline.queries.conditions import moments_sql
from pipeline.queries.funnel import funnel_sql
from pipeline.queries.memory import before_disk
from pipeline.queries.plan_funnels import funnel_query
from pipeline.queries.verify import prepare
from pipeline.settings import Settings
from schemas.duration import DAY, MINUTE
from schemas.plan import Funnel, Plan
from schemas.translatable import Sentence

#: Events that are counted together, about: their ids have to be in memory.
_EVENTS_AT_ONCE: Final = 2_000_000
_MEMORY: Final = 2_000_000_000
_SECONDS: Final = 3_600
_SETTINGS: Final = {
    "max_memory_usage": _MEMORY,
    "max_bytes_before_external_group_by": before_disk(_MEMORY),
    "max_bytes_before_external_sort": before_disk(_MEMORY),
    "max_execution_time": _SECONDS,
    "max_partitions_per_insert_block": 0,
}
_MICRO: Final = "toInt128(toDecimal128(value, 6) * 1000000) AS value_micro"


@dataclass
class Rebuilt:
    """What was written: rows of windows and of funnels."""

    windows: int = 0
    funnels: int = 0
    #: Funnels whose step times SQL does not know.
    untimed: list[str] = field(default_factory=list)
    #: What stays as it was counted, for its events may be gone.
    removed: Sentence | None = None


async def rebuild(
    settings: Settings, plan: Plan, *, whole: bool, progress: Callable[[int], None] | None = None
) -> Rebuilt:
    """Count the windows of the settings' stream anew: those that are over, or all if it is `whole` (nobody adds to it).

    `progress` is told how many of its events have been looked at. Raises UserError if the archive doesn't hold what was
    counted live, DependencyError if ClickHouse does not answer.
    """
    comparison = Comparison(settings, plan)
    try:
        await prepare(comparison)
        if not comparison.result.ok or comparison.result.left_out:
            raise UserError(
                "what is stored of the stream {stream} is not what was counted live: see `streamgauge verify`",
                stream=settings.stream,
            )
        return await _Rebuild(comparison, whole=whole, progress=progress).run()
    finally:
        await comparison.connection.close()


class _Rebuild:
    def __init__(self, comparison: Comparison, *, whole: bool, progress: Callable[[int], None] | None) -> None:
        self._comparison, self._plan, self._whole = comparison, comparison.plan, whole
        self._progress = progress or (lambda _: None)
        self._result = Rebuilt(removed=comparison.result.removed)
        self._partition = min(comparison.versions, default=0)
        self._watermark = self._lateness = 0

    async def run(self) -> Rebuilt:
        """All windows and funnels, some days after the other."""
        rows = await self._comparison.query(
            "SELECT min(toUnixTimestamp64Milli(watermark)), toInt64(max(lateness_ms)) FROM live_partition_raw FINAL "
            "WHERE stream = {stream:String} AND watermark > toDateTime64(0, 3, 'UTC')"
        )
        self._watermark, self._lateness = rows[0]
        days = await self._comparison.query(
            "SELECT intDiv(toUnixTimestamp64Milli(ts), 86400000) * 86400000 AS day, count() FROM "
            f"{self._comparison.before('events_raw')} AND NOT late GROUP BY day ORDER BY day"
        )
        looked_at = 0
        for first, end, events in _spans([(row[0], row[1]) for row in days]):
            await self._windows(first, end)
            for name, funnel in self._plan.funnels.items():
                for breakdown in dict.fromkeys(("", *funnel.breakdown)):
                    await self._funnel(name, funnel, breakdown, first, end)
            looked_at += events
            self._progress(looked_at)
        return self._result

    def _source(self, low: int, high: int) -> str:
        """The events that count live from `low` up to `high`, with their persons."""
        return self._comparison.events(f"*, {_MICRO}", f" AND {moments_sql(str(low), str(high))}")

    def _over(self, end: str, grain: str = "") -> str:
        """The condition that nobody adds to what ends then, an expression (epoch ms)."""
        if self._whole:
            return "1"
        closed = self._watermark - self._lateness
        if grain == "minute":  # links come into these for longer
            closed = min(closed, self._watermark - self._plan.max_future - SLIDING * MINUTE)
        return f"{end} <= {closed}"

    def _kept(self, low: int, before: int = 0) -> int:
        """From where on nothing has gone that counts there; what begins earlier keeps what was counted live."""
        removed = self._comparison.removed_up_to
        return low if removed < 0 else max(low, removed + before + 1)

    async def _windows(self, first: int, end: int) -> None:
        for grain in grains(self._plan.zone):
            low, high = _start(grain, first, self._plan), _start(grain, end, self._plan)
            to_end = partial(window_end, grain, self._plan.timezone)
            for dimension in ((), *self._plan.dimensions):
                counted = activity_sql(self._plan, grain, dimension, self._source(low, high))
                written = await self._replace(
                    "live_activity_raw",
                    {"grain": "{grain:String}", "dimension": "{name:String}"},
                    {
                        "start": "fromUnixTimestamp64Milli(at)",
                        "end": f"fromUnixTimestamp64Milli(toInt64({to_end('at')}))",
                        "value": "value",
                        **dict.fromkeys(("events", "users", "sessions", "registrations")),
                        "amount": "toDecimal128(amount, 6) / 1000000",
                    },
                    f"SELECT toInt64(start) AS at, * EXCEPT start FROM ({counted})",
                    partial(self._over, grain=grain), to_end, (self._kept(low), high),
                    grain=grain, name=",".join(dimension),
                )  # fmt: skip
                self._result.windows += written

    async def _funnel(self, name: str, funnel: Funnel, breakdown: str, first: int, end: int) -> None:
        low, high = _start(funnel.bucket, first, self._plan), _start(funnel.bucket, end, self._plan)
        source = f"(SELECT * REPLACE (toUnixTimestamp64Milli(ts) AS ts) FROM {self._source(low, high + funnel.window)})"
        query = funnel_query(self._plan, funnel, breakdown, source)
        if not query.has_times and name not in self._result.untimed:
            self._result.untimed.append(name)

        def settled(at: str) -> str:
            # What a bucket says may change until the window of its last event is over.
            return f"toInt64({query.bucket_end.format(at)}) + {funnel.window}"

        written = await self._replace(
            "live_funnel_raw",
            {"funnel": "{name:String}", "definition": "{definition:String}", "breakdown": "{breakdown:String}"},
            {
                "start": "fromUnixTimestamp64Milli(at)",
                "end": f"fromUnixTimestamp64Milli(toInt64({query.bucket_end.format('at')}))",
                "value": "value",
                "users": "users",
                # Without times nobody was timed.
                "step_count": "arraySlice(users, 2)" if query.has_times else "[]::Array(UInt64)",
                "step_sum_ms": "sums",
                "bins": "arrayMap(b -> mapFromArrays(arrayMap(i -> toInt32(i), b.1), b.2), bins)",
            },
            f"SELECT toInt64(bucket) AS at, * EXCEPT bucket FROM ({funnel_sql(query)})",
            self._over, settled, (self._kept(low, funnel.window), high),
            name=name, definition=definition_of(funnel, self._plan), breakdown=breakdown,
        )  # fmt: skip
        self._result.funnels += written

    async def _replace(
        self, table: str, names: Mapping[str, str], columns: Mapping[str, str | None], counted: str,
        over: Callable[[str], str], to_end: Callable[[str], str], span: tuple[int, int], **parameters: Any,
    ) -> int:  # fmt: skip
        """Set the rows that are there of these windows to nothing, then insert those that are `counted`."""
        kept, fresh = ("start", "end", "value"), ""
        listed = ", ".join((*names, *columns))
        low, high = span
        named = " AND ".join(f"{column} = {value}" for column, value in names.items())
        at = "toUnixTimestamp64Milli(start)"
        here = f"stream = {{stream:String}} AND {named} AND {at} >= {low} AND {at} < {high} AND {over(to_end(at))}"
        if not self._whole:
            # Of the last records that were folded some may have closed a window that others stand in: a worker that is
            # killed now would write its rows again, of the very same version.
            rows = await self._comparison.query(
                f"SELECT DISTINCT {at} FROM {table} FINAL WHERE {here} "
                "AND version >= {versions:Array(UInt64)}[partition + 1]",
                **parameters,
            )
            parameters["last"] = [row[0] for row in rows]
            fresh = " AND NOT has({last:Array(Int64)}, at)"
            here += f" AND NOT has({{last:Array(Int64)}}, {at})"
        nothing = ", ".join(name if name in kept else _NOTHING[table].get(name, "0") for name in columns)
        await self._comparison.command(
            f"INSERT INTO {table} (stream, partition, version, {listed}) SELECT stream, partition, "
            f"greatest(version, {{versions:Array(UInt64)}}[partition + 1]), {', '.join(names)}, {nothing} "
            f"FROM {table} FINAL WHERE {here}",
            _SETTINGS, **parameters,
        )  # fmt: skip
        found = ", ".join(expression or column for column, expression in columns.items())
        computed = (
            f"SELECT {', '.join(names.values())}, {found} FROM ({counted}) "
            f"WHERE at >= {low} AND at < {high} AND {over(to_end('at'))}{fresh}"
        )
        version = self._comparison.versions[self._partition]
        await self._comparison.command(
            f"INSERT INTO {table} (stream, partition, version, {listed}) "
            f"SELECT {{stream:String}}, {self._partition}, {version}, * FROM ({computed})",
            _SETTINGS, **parameters,
        )  # fmt: skip
        written = f"SELECT count() FROM {table} FINAL WHERE {here} AND partition = {self._partition}"
        return int((await self._comparison.query(written, **parameters))[0][0])


def _spans(days: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Days with their events as spans of days: from when, up to when (exclusive), and how many events."""
    first, events = None, 0
    for n, (day, count) in enumerate(days):
        first, events = day if first is None else first, events + count
        following = days[n + 1][0] if n + 1 < len(days) else None
        if following is None:
            # A day of a time zone that begins within the last one of UTC is in it, too.
            yield first, day + 2 * DAY, events
        elif events >= _EVENTS_AT_ONCE:
            yield first, following, events
            first, events = None, 0


def _start(grain: str, at: int, plan: Plan) -> int:
    """Where the windows of a span begin that begins at a day of UTC: with the day of the zone around it."""
    return bounds(grain, at, plan.zone)[0]


#: What stands for nothing where that is not 0: as many places as before.
_NOTHING: Final[dict[str, dict[str, str]]] = {
    "live_activity_raw": {},
    "live_funnel_raw": {
        **{name: f"arrayMap(x -> toUInt64(0), {name})" for name in ("users", "step_count", "step_sum_ms")},
        "bins": "arrayMap(m -> mapFilter((k, v) -> 0, m), bins)",
    },
}
