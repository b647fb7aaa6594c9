"""The answer of a trend by value and period: what ClickHouse said, and what it means that it said nothing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipeline.explore.question import Trend
from pipeline.explore.scope import first_day, period_number
from pipeline.measure.periods import day_start
from schemas.duration import HOUR

Period = date | datetime
Values = tuple[str, ...]
#: Values of a period: of the series, then of the formulas; None for a measure of nothing.
Numbers = tuple[float | None, ...]
_COUNTS: Final = ("count", "people", "sessions", "sum")


@dataclass(frozen=True)
class TrendTable:
    """What ClickHouse answered: by values and period, None for all of them."""

    found: dict[tuple[Values, Period | None], Numbers]
    #: The values of the breakdown, the largest first, and how many there are.
    values: list[Values]
    many: int

    def number(self, trend: Trend, values: Values, period: Period | None, n: int) -> float | None:
        """A number; what there is none of is 0 where things are counted, and nothing where they are not."""
        found = self.found.get((values, period))
        if found is not None:
            return found[n]
        return 0.0 if n < len(trend.series) and trend.series[n].measure in _COUNTS else None


def read_trend(trend: Trend, rows: Sequence[Sequence[Any]]) -> TrendTable:
    """The answer to `trend_sql`."""
    depth, count = len(trend.by), len(trend.series) + len(trend.formulas)
    found: dict[tuple[Values, Period | None], Numbers] = {}
    values: dict[Values, None] = {}
    for row in rows:
        own = tuple(map(str, row[2 : 2 + depth]))
        values[own] = None
        numbers = tuple(None if n is None else float(n) for n in row[2 + depth : 2 + depth + count])
        found[own, None if row[0] else _period(row[1])] = numbers
    # Without a breakdown there is a row for all even where there is no event.
    if depth == 0 and len(found) < 2:
        return TrendTable({}, [], 0)
    return TrendTable(found, list(values), int(rows[0][-1]) if rows else 0)


def periods_of(trend: Trend, zone: ZoneInfo) -> list[Period]:
    """All periods of the scope, those without events too."""
    scope = trend.scope
    if trend.grain == "hour":
        begin, end = (day_start(day, zone) for day in (scope.first, scope.last + timedelta(days=1)))
        return [datetime.fromtimestamp(at / 1000, UTC) for at in range(begin, end, HOUR)]
    first, last = (period_number(trend.grain, day, monday=trend.monday) for day in (scope.first, scope.last))
    return [first_day(trend.grain, number, monday=trend.monday) for number in range(first, last + 1)]


def at_of(period: Period | None) -> str:
    """A period as `Cell.at` has it; "" for all together."""
    if period is None:
        return ""
    return str(int(period.timestamp())) if isinstance(period, datetime) else period.isoformat()


def _period(value: Any) -> Period:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    assert isinstance(value, date)
    return value
