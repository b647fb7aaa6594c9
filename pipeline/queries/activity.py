"""The ClickHouse query that counts activity windows from raw events, meaning what `pipeline.measure.activity` does."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.measure.activity import OTHER
from pipeline.queries.conditions import quoted, value_sql
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


def window_end(grain: str, timezone: str, start: str) -> str:
    """The end of the window that begins at `start` (an expression, epoch ms), epoch ms."""
    if grain == "day":
        # 36 hours after its start every day is over and the next is not, whatever the clocks do at midnight.
        inside = f"fromUnixTimestamp64Milli(toInt64({start}) + 129600000, {quoted(timezone)})"
        return f"toInt64(toUnixTimestamp(toStartOfDay({inside}))) * 1000"
    return f"{start} + { {'minute': 60_000, 'hour': 3_600_000, 'day_utc': 86_400_000}[grain] }"


def activity_sql(plan: Plan, grain: str, dimension: Sequence[str], source: str) -> str:
    """One row per window and value: start, value, events, amount, users, sessions, registrations, exactly.

    `source` is what follows FROM: accepted events that are not late, with their `person`, `WHERE` included. A session
    is one of its partition, because live windows add up over partitions. As there, each partition counts the first
    `max_values` values of a window by themselves, in the order of the log, and the rest as `(other)`.
    """
    registration = quoted(plan.registration) if plan.registration else None
    session, has_session = "(partition, session_id)", "session_id != ''"
    start = window_start(grain, plan.timezone)
    if not dimension:
        registered = f"uniqExactIf(person, event = {registration})" if registration else "toUInt64(0)"
        return f"""\
SELECT
    {start} AS start,
    []::Array(String) AS value,
    count() AS events,
    toInt128(sum(value_micro)) AS amount,
    uniqExact(person) AS users,
    uniqExactIf({session}, {has_session}) AS sessions,
    {registered} AS registrations
FROM {source}
GROUP BY start"""
    return f"""\
SELECT
    start,
    if(place > {plan.max_values}, ['{OTHER[0]}'], own_value) AS value,
    sum(own_events) AS events,
    sum(own_amount) AS amount,
    uniqExactMerge(own_users) AS users,
    uniqExactMerge(own_sessions) AS sessions,
    uniqExactMerge(own_registrations) AS registrations
FROM (
    SELECT *, row_number() OVER (PARTITION BY partition, start ORDER BY first_offset) AS place
    FROM (
        SELECT
            partition,
            {start} AS start,
            [{", ".join(value_sql(field) for field in dimension)}] AS own_value,
            min(offset) AS first_offset,
            count() AS own_events,
            toInt128(sum(value_micro)) AS own_amount,
            uniqExactState(person) AS own_users,
            uniqExactStateIf({session}, {has_session}) AS own_sessions,
            uniqExactStateIf(person, {f"event = {registration}" if registration else "0"}) AS own_registrations
        FROM {source}
        GROUP BY partition, start, own_value
    )
)
GROUP BY start, value"""
