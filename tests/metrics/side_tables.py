"""Side tables for the tests of metrics."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.world import World
from pipeline.clickhouse.side_tables import insert
from schemas.side_tables import SIDES, Side


async def put(world: World, *rows: Side) -> None:
    """Replace what is in all side tables by these rows."""
    for kind in (kind for kind in SIDES.values() if kind.TABLE):
        await world.command(f"TRUNCATE TABLE {kind.TABLE}")
        these: Sequence[Side] = [row for row in rows if isinstance(row, kind)]
        await world.connection.run(lambda client, these=these: insert(client, these))
