"""Which segment moved most, asked of the raw events in ClickHouse: also by fields that are no labels of metrics."""

from __future__ import annotations

from typing import Any, Final

from pipeline.alerts.conditions import times_before
from pipeline.alerts.segments import Contribution, Part, most_telling
from pipeline.clickhouse.client import Connection
from pipeline.queries.conditions import quoted, step_sql, text_sql
from pipeline.settings import Settings
from schemas.alerts import MINUTE, Alert
from schemas.plan import Plan

#: Fields that people think in when something breaks.
FIELDS: Final = ("platform", "app_version", "channel", "campaign", "country")
#: The alert speaks of a time that has just passed; events need a moment to be stored.
_STORED: Final = 5_000


async def explain(settings: Settings, plan: Plan, alert: Alert, now: int) -> Contribution | None:
    """The value that explains an alert's change, None if none stands out. `now` is epoch ms.

    Raises what the ClickHouse client raises.
    """
    sql = question(plan, alert, now, settings.stream)
    if sql is None:
        return None
    connection = Connection(settings)

    async def ask(client: Any) -> Any:
        return (await client.query(sql)).result_rows

    try:
        rows = await connection.run(ask)
    finally:
        await connection.close()
    #: By field: the parts now, and at each time before.
    found: dict[str, list[dict[str, Part]]] = {}
    for field, value, *numbers in rows:
        times = found.setdefault(field, [{} for _ in numbers[::2]])
        for parts, number, of in zip(times, numbers[::2], numbers[1::2], strict=True):
            parts[value] = Part(float(number), float(of))
    return most_telling({field: (times[0], _first(times[1:])) for field, times in found.items()})


def _first(times: list[dict[str, Part]]) -> dict[str, Part]:
    """The first time at which there was anything."""
    return next((parts for parts in times if any(part.number or part.of for part in parts.values())), {})


def question(plan: Plan, alert: Alert, now: int, stream: str) -> str | None:
    """The SQL that counts what the alert watches, by value of each field, now and then; None if it has no users."""
    counted = _counted(plan, alert)
    if counted is None:
        return None
    span = alert.span_ms if alert.metric != "active_users" else (5 if alert.span == "5m" else 30) * MINUTE
    end = now - _STORED
    times = [f"ts_ms >= {end - back - span} AND ts_ms < {end - back}" for back in (0, *times_before(alert))]
    where = [f"{text_sql(field)} = {quoted(value)}" for field, value in alert.values.items()]
    fields = [field for field in FIELDS if field not in alert.fields]
    pairs = ", ".join(f"({quoted(field)}, {text_sql(field)})" for field in fields)
    count, of = counted
    columns = [what.format(when=when) for when in times for what in (count, of)]
    looked_at = " OR ".join(f"({when.replace('ts_ms', 'toUnixTimestamp64Milli(ts)')})" for when in times)
    return (
        f"SELECT pair.1 AS field, pair.2 AS text, {', '.join(columns)} "
        f"FROM (SELECT *, toUnixTimestamp64Milli(ts) AS ts_ms, arrayJoin([{pairs}]) AS pair FROM events "
        f"WHERE stream = {quoted(stream)} AND NOT late AND ({looked_at})"
        f"{''.join(f' AND {condition}' for condition in where)}) "
        f"GROUP BY field, text"
    )


def _counted(plan: Plan, alert: Alert) -> tuple[str, str] | None:
    """What is counted and, for a rate, of how many; `{when}` stands for the time."""
    only = f" AND event = {quoted(alert.event)}" if alert.event else ""
    match alert.metric:
        case "events":
            return f"countIf({{when}}{only})", "0"
        case "users" | "active_users":
            return f"uniqExactIf(actor, {{when}}{only})", "0"
        case "sessions":
            return f"uniqExactIf(session_id, {{when}} AND session_id != ''{only})", "0"
        case "registrations":
            return f"uniqExactIf(actor, {{when}} AND event = {quoted(plan.registration or '')}{only})", "0"
        case "revenue":
            return f"toFloat64(sumIf(value, {{when}}{only}))", "0"
        case "conversion":
            assert alert.funnel is not None
            funnel = plan.funnels[alert.funnel]
            number = funnel.step_number(alert.step or "")
            reached, entered = (step_sql(funnel.steps[k]).replace("{", "{{").replace("}", "}}")
                                for k in (number - 1, number - 2))  # fmt: skip
            return f"uniqExactIf(actor, {{when}} AND {reached})", f"uniqExactIf(actor, {{when}} AND {entered})"
    return None
