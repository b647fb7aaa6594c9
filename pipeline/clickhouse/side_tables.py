"""Side tables in ClickHouse: rows in, each replacing the earlier one of its key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.side_tables import Side


async def insert(client: Any, rows: Iterable[Side]) -> None:
    """Insert rows of one kind, in one block. Raises what the client raises."""
    rows = list(rows)
    if not rows:
        return
    kind = type(rows[0])
    names = list(kind.model_fields)
    columns = [[getattr(row, name) for row in rows] for name in names]
    await client.insert(kind.TABLE, columns, column_names=names, column_oriented=True)
