"""The ClickHouse query that counts activity windows from raw events, meaning what `pipeline.measure.activity` does."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.store.conditions_sql import quoted, text_sql
from schemas.plan import Plan


def window_start(grain: str, timezone: str) -> str:
    """The start of the window around `ts`, epoch ms (Int64)."""
    match grain:
        case "minute":
            return "intDiv(toUnixTimestamp64Milli(ts), 60000) * 60000"
        case "hour":
            return "intDiv(toUnixTimestamp64Milli(ts), 3600000) * 3600000"
        case "day_utc":
            return "intDiv(toUnixTimestamp64Milli(ts), 86400000) * 86400000"
        case "day":
            return f"toInt64(toUnixTimestamp(toStartOfDay(ts, {quoted(timezone)}))) * 1000"
    raise ValueError(f"no such window: {grain}")


def activity_sql(plan: Plan, grain: str, dimension: Sequence[str], source: str) -> str:
    """One row per window and value: start, value, events, amount, users, sessions, registrations, exactly.

    `source` is what follows FROM: accepted events that are not late, `WHERE` included.
    """
    value = f"[{', '.join(text_sql(field) for field in dimension)}]" if dimension else "[]::Array(String)"
    registration = quoted(plan.registration) if plan.registration else None
    registered = f"uniqExactIf(actor, event = {registration})" if registration else "toUInt64(0)"
    return f"""\
SELECT
    {window_start(grain, plan.timezone)} AS start,
    {value} AS value,
    count() AS events,
    toInt128(sum(value_micro)) AS amount,
    uniqExact(actor) AS users,
    uniqExactIf(session_id, session_id != '') AS sessions,
    {registered} AS registrations
FROM {source}
GROUP BY start, value"""
