"""The operations of the simulated product: a check-in from Monday to Wednesday, then a sale (UTC)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.duration import DAY

_MONDAY: Final = 4 * DAY  # 1970-01-05
_WEEK: Final = 7 * DAY
_SALE_FROM: Final = 3 * DAY


class Operation(NamedTuple):
    """A sale or a check-in, from `start` until `end` (epoch ms, end exclusive)."""

    name: str
    kind: str
    start: int
    end: int


@lru_cache(maxsize=64)
def _of_week(week: int) -> tuple[Operation, Operation]:
    start = _MONDAY + week * _WEEK
    year, number, _ = (datetime.fromtimestamp(start / 1000, UTC) + timedelta(days=3)).isocalendar()
    name = f"{year}w{number:02d}"
    return (
        Operation(f"check-in-{name}", "check-in", start, start + _SALE_FROM),
        Operation(f"sale-{name}", "sale", start + _SALE_FROM, start + _WEEK),
    )


def operation_at(now: int) -> Operation:
    """The operation that runs at `now` (epoch ms): there is always one."""
    week, into = divmod(now - _MONDAY, _WEEK)
    return _of_week(week)[into >= _SALE_FROM]


def operations(start: int, end: int) -> Iterator[Operation]:
    """The operations that run at some time from `start` to `end` (epoch ms)."""
    at = start
    while at < end:
        found = operation_at(at)
        yield found
        at = found.end
