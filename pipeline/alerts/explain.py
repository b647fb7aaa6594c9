"""Which segment explains an alert, asked of the raw events in ClickHouse: by fields that are no labels too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeline.alerts.conditions import times_before
from pipeline.clickhouse.client import Connection
from pipeline.insight.contribution import Amount, SegmentChange, segment_of_share, segment_of_sum
from pipeline.queries.conditions import quoted, step_sql, value_sql
from pipeline.settings import Settings
from schemas.alerts import Alert
from schemas.duration import MINUTE
from schemas.plan import Plan

#: Fields that people think in when something breaks.
FIELDS: Final = ("platform", "app_version", "channel", "campaign", "country")
#: The alert speaks of a time that has just passed; events need a moment to be stored.
_STORED: Final = 5_000


async def explain(settings: Settings, plan: Plan, alert: Alert, now: int) -> SegmentChange | None:
    """The value that explains what an alert is about, None if none does. `now` is epoch ms.

    Raises what the ClickHouse client raises.
    """
    sql = question(plan, alert, now, settings.stream)
    if sql is None:
        return None
    connection = Connection(settings)
    try:
        rows = await connection.query(sql)
    finally:
        await connection.close()
    return explained(alert, rows)


def explained(alert: Alert, rows: Sequence[Sequence[Any]]) -> SegmentChange | None:
    """The value that explains it, of the rows of `question`: field, value, and two numbers of each time."""
    #: By field: of each time the numbers of each value that had any.
    found: dict[str, list[dict[str, tuple[float, float]]]] = {}
    for field, value, *numbers in rows:
        times = found.setdefault(field, [{} for _ in numbers[::2]])
        for time, pair in zip(times, zip(numbers[::2], numbers[1::2], strict=True), strict=True):
            if any(pair):
                time[value] = (float(pair[0]), float(pair[1]))
    # What it is compared with is the first time before at which there was anything.
    spans = {field: (next(filter(None, before), {}), now) for field, (now, *before) in found.items()}
    if alert.metric == "conversion":
        return segment_of_share(spans)
    return segment_of_sum({field: (_amounts(before), _amounts(now)) for field, (before, now) in spans.items()})


def _amounts(values: dict[str, tuple[float, float]]) -> dict[str, Amount]:
    return {value: Amount(*pair) for value, pair in values.items()}


def question(plan: Plan, alert: Alert, now: int, stream: str) -> str | None:
    """The SQL that counts what the alert watches, by value of each field, now and then; None if it has no users."""
    counted = _counted(plan, alert)
    if counted is None:
        return None
    span = alert.span_ms if alert.metric != "active_users" else (5 if alert.span == "5m" else 30) * MINUTE
    end = now - _STORED
    times = [f"ts_ms >= {end - back - span} AND ts_ms < {end - back}" for back in (0, *times_before(alert))]
    where = [f"{value_sql(field)} = {quoted(value)}" for field, value in alert.values.items()]
    fields = [field for field in FIELDS if field not in alert.fields]
    pairs = ", ".join(f"({quoted(field)}, {value_sql(field)})" for field in fields)
    columns = [what.format(when=when) for when in times for what in counted]
    looked_at = " OR ".join(f"({when.replace('ts_ms', 'toUnixTimestamp64Milli(ts)')})" for when in times)
    return (
        f"SELECT pair.1 AS field, pair.2 AS text, {', '.join(columns)} "
        f"FROM (SELECT *, toUnixTimestamp64Milli(ts) AS ts_ms, arrayJoin([{pairs}]) AS pair FROM events "
        f"WHERE stream = {quoted(stream)} AND NOT late AND ({looked_at})"
        f"{''.join(f' AND {condition}' for condition in where)}) "
        f"GROUP BY field, text"
    )


def _counted(plan: Plan, alert: Alert) -> tuple[str, str] | None:
    """Two expressions; `{when}` stands for the time. Of a conversion who got there, and of how many; else the sum, and
    the sum of the squares of what it is made of."""
    only = f" AND event = {quoted(alert.event)}" if alert.event else ""
    match alert.metric:
        case "events":
            count = f"countIf({{when}}{only})"
        case "users" | "active_users":
            count = f"uniqExactIf(person, {{when}}{only})"
        case "sessions":
            count = f"uniqExactIf(session_id, {{when}} AND session_id != ''{only})"
        case "registrations":
            count = f"uniqExactIf(person, {{when}} AND event = {quoted(plan.registration or '')}{only})"
        case "revenue":
            return f"sumIf(toFloat64(value), {{when}}{only})", f"sumIf(pow(toFloat64(value), 2), {{when}}{only})"
        case "conversion":
            assert alert.funnel is not None
            funnel = plan.funnels[alert.funnel]
            number = funnel.step_number(alert.step or "")
            reached, entered = (step_sql(funnel.steps[k]).replace("{", "{{").replace("}", "}}")
                                for k in (number - 1, number - 2))  # fmt: skip
            return f"uniqExactIf(person, {{when}} AND {reached})", f"uniqExactIf(person, {{when}} AND {entered})"
        case _:
            return None
    return count, count
