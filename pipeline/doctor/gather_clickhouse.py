"""What the doctor asks ClickHouse: only questions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.clickhouse.client import Connection, error_code
from pipeline.clickhouse.codes import NO_SCHEMA
from pipeline.doctor.data import LastHour, Parts
from pipeline.doctor.machine import DiskSpace
from pipeline.doctor.model import Unknown
from pipeline.errors import UserError
from pipeline.metrics.installed import INSTALLED, difference
from pipeline.settings import Settings
from schemas.plan import Plan

_MIGRATIONS = "SELECT name, checksum FROM schema_migrations FINAL"
_LAST_HOUR = """
SELECT
    (SELECT count() FROM events_raw WHERE stream = {stream:String} AND stored_at > now() - INTERVAL 1 HOUR)
  + (SELECT count() FROM duplicates_raw WHERE stream = {stream:String} AND stored_at > now() - INTERVAL 1 HOUR),
    count(), topK(1)(reason)[1], argMax(detail, stored_at)
FROM rejected_raw WHERE stream = {stream:String} AND stored_at > now() - INTERVAL 1 HOUR
"""


@dataclass(frozen=True)
class ClickHouseFacts:
    """What ClickHouse knows."""

    version: str | Unknown
    clock: float | Unknown
    disks: Sequence[DiskSpace] | Unknown
    migrations: Mapping[str, str] | Unknown
    plan: UserError | Unknown | None
    parts: Parts | Unknown
    last_hour: LastHour | Unknown

    @classmethod
    def unknown(cls, why: str) -> ClickHouseFacts:
        """ClickHouse doesn't answer."""
        no = Unknown(why)
        return cls(no, no, no, no, no, no, no)


async def stored(settings: Settings, plan: Plan) -> ClickHouseFacts:
    """Ask. Raises what the client raises if ClickHouse doesn't answer, or refuses us."""
    # There may be no database yet.
    asking = _Asking(Connection(settings.model_copy(update={"clickhouse_database": "default"})), settings)
    try:
        (version,) = (await asking.rows("SELECT version()"))[0]
        return ClickHouseFacts(
            version=version,
            clock=await asking.clock(),
            disks=await asking.disks(),
            migrations=await asking.migrations(),
            plan=await asking.plan(plan),
            parts=await asking.parts(),
            last_hour=await asking.last_hour(),
        )
    finally:
        await asking.close()


class _Asking:
    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection, self._own = connection, Connection(settings)
        self._database, self._stream = settings.clickhouse_database, settings.stream
        self._where = f"{settings.clickhouse_database} at {settings.clickhouse_url}"

    async def close(self) -> None:
        await self._connection.close()
        await self._own.close()

    async def rows(self, sql: str, **parameters: Any) -> list[Sequence[Any]]:
        return await self._connection.query(sql, parameters)

    async def clock(self) -> float | Unknown:
        before = time.time()
        (theirs,) = (await self.rows("SELECT toUnixTimestamp64Milli(now64(3))"))[0]
        after = time.time()
        # What lies within the time that the question took is no difference.
        ahead = float(theirs) / 1000
        return max(0.0, ahead - after) or min(0.0, ahead - before + 0.001)

    async def disks(self) -> Sequence[DiskSpace] | Unknown:
        try:
            rows = await self.rows("SELECT name, free_space, total_space FROM system.disks WHERE type = 'Local'")
        except ClickHouseError as exc:
            return _refused(exc)
        return [DiskSpace(f"the disk {name} of ClickHouse", free, total) for name, free, total in rows]

    async def migrations(self) -> Mapping[str, str] | Unknown:
        try:
            return {str(row[0]): str(row[1]) for row in await self._own.query(_MIGRATIONS)}
        except ClickHouseError as exc:
            # Nothing was migrated: what is missing is told.
            return {} if error_code(exc) in NO_SCHEMA else _refused(exc)

    async def plan(self, plan: Plan) -> UserError | Unknown | None:
        try:
            return difference(plan, await self._own.query(INSTALLED), self._where)
        except ClickHouseError as exc:
            return _refused(exc)

    async def parts(self) -> Parts | Unknown:
        try:
            most = await self.rows(
                "SELECT count() AS n, table, partition FROM system.parts WHERE active AND database = {database:String} "
                "GROUP BY table, partition ORDER BY n DESC, table, partition LIMIT 1",
                database=self._database,
            )
            ((broken,),) = await self.rows(
                "SELECT count() FROM system.detached_parts WHERE database = {database:String} AND reason LIKE 'broken%'",
                database=self._database,
            )
        except ClickHouseError as exc:
            return _refused(exc)
        n, table, partition = most[0] if most else (0, "", "")
        return Parts(n, table, "" if partition == "tuple()" else partition, broken)

    async def last_hour(self) -> LastHour | Unknown:
        try:
            rows = await self._own.query(_LAST_HOUR, {"stream": self._stream})
        except ClickHouseError as exc:
            return _refused(exc)
        kept, rejected, reason, detail = rows[0]
        return LastHour(kept, rejected, reason, str(detail))


def _refused(exc: ClickHouseError) -> Unknown:
    return Unknown(str(exc).strip().splitlines()[0][:200])
