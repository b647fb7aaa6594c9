"""Live windows into ClickHouse, as upserts: the row with the highest version of a key is the one that counts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pipeline.clickhouse.client import Connection
from pipeline.clickhouse.gaps import GAP_COLUMNS, GAPS_TABLE, gap_columns
from pipeline.measure.rows import ActivityRow, FunnelRow, GapRow, PartitionRow
from pipeline.settings import Settings
from schemas.plan import Plan

_NOTHING = Decimal(0)
_ACTIVITY = ["stream", "partition", "grain", "start", "end", "dimension", "value", "version",
             "events", "amount", "users", "sessions", "registrations"]  # fmt: skip
_FUNNEL = ["stream", "partition", "funnel", "definition", "start", "end", "breakdown", "value", "version",
           "users", "step_count", "step_sum_ms", "bins"]  # fmt: skip
_PARTITION = ["stream", "partition", "version", "watermark", "lateness_ms", "accepted", "late", "duplicate",
              "rejected", "moved", "repeated", "links", "updated_at", "active_1m", "active_5m",
              "active_30m"]  # fmt: skip
#: The fields of a row for the columns `accepted` to `links`: two columns are older than the words.
_OUTCOMES = ("accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again", "links")


def decimal(micro: int) -> Decimal:
    """A decimal from 10^-6 units."""
    return Decimal(micro).scaleb(-6) if micro else _NOTHING


class Publisher:
    """Writes live rows. One attempt a call: the caller has the rows again if it fails."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._settings, self._plan = settings, plan
        self.connection = Connection(settings)
        self.published = 0

    async def publish(
        self,
        activity: Sequence[ActivityRow],
        funnels: Sequence[FunnelRow],
        partitions: Sequence[PartitionRow],
        gaps: Sequence[GapRow] = (),
    ) -> None:
        """Insert the rows; the partitions' last, so that what they claim is there."""
        if gaps:
            await self.connection.insert(GAPS_TABLE, GAP_COLUMNS, gap_columns(self._settings.stream, "worker", gaps))
        if activity:
            await self.connection.insert("live_activity_raw", _ACTIVITY, self._activity_columns(activity))
        if funnels:
            await self.connection.insert("live_funnel_raw", _FUNNEL, self._funnel_columns(funnels))
        if partitions:
            await self.connection.insert("live_partition_raw", _PARTITION, self._partition_columns(partitions))
        self.published += len(activity) + len(funnels) + len(partitions)

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    def _activity_columns(self, rows: Sequence[ActivityRow]) -> list[Any]:
        stream = self._settings.stream
        return [
            [stream] * len(rows),
            [r.partition for r in rows],
            [r.grain for r in rows],
            [r.start for r in rows],
            [r.end for r in rows],
            [r.dimension for r in rows],
            [list(r.value) for r in rows],
            [r.version for r in rows],
            [r.events for r in rows],
            [decimal(r.amount) for r in rows],
            [r.users for r in rows],
            [r.sessions for r in rows],
            [r.registrations for r in rows],
        ]

    def _funnel_columns(self, rows: Sequence[FunnelRow]) -> list[Any]:
        stream = self._settings.stream
        return [
            [stream] * len(rows),
            [r.partition for r in rows],
            [r.funnel for r in rows],
            [r.definition for r in rows],
            [r.start for r in rows],
            [r.end for r in rows],
            [r.breakdown for r in rows],
            [r.value for r in rows],
            [r.version for r in rows],
            [list(r.users) for r in rows],
            [list(r.step_count) for r in rows],
            [list(r.step_sum_ms) for r in rows],
            [list(r.bins) for r in rows],
        ]

    def _partition_columns(self, rows: Sequence[PartitionRow]) -> list[Any]:
        stream, lateness = self._settings.stream, self._plan.lateness
        columns: list[Any] = [[stream] * len(rows), [r.partition for r in rows], [r.version for r in rows]]
        columns += [[r.watermark for r in rows], [lateness] * len(rows)]
        columns += [[getattr(r, name) for r in rows] for name in _OUTCOMES]
        return [*columns, [r.at for r in rows], *([getattr(r, name) for r in rows] for name in _PARTITION[13:])]
