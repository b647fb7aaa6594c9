"""Days by the minute, from the facts: people as they came, orders and revenue, or any one event.

Each row: day, minute of the day (by the plan's clock), and what came new in it, so that sums of rows are the figures of
the day: a person counts at their first event, an order at its first payment. What the catalogue says of a whole day
(`active_users_daily`, `revenue`) is the sum of its rows. Late events are in it, as in all facts.

Parameters: `days`, the days; `near`, those and their neighbours, which are the days of UTC that may hold their events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from schemas.plan import Plan

_MINUTE: Final = "toUInt16(toHour(local_time) * 60 + toMinute(local_time))"
_OF_DAYS: Final = "day IN {days:Array(Date)} AND toDate(ts) IN {near:Array(Date)}"
PEOPLE: Final = f"""\
SELECT day, minute, toFloat64(count()) FROM
    (SELECT day, person, min({_MINUTE}) AS minute FROM activity WHERE {_OF_DAYS} GROUP BY day, person)
GROUP BY day, minute"""
#: Two figures: orders, and payments minus refunds.
MONEY: Final = f"""\
SELECT day, moment.1 AS minute, toFloat64(sum(moment.3)) AS orders, toFloat64(sum(moment.2)) AS revenue FROM
(
    SELECT day, order_id, groupArray(({_MINUTE}, amount, toUInt8(0))) AS amounts,
        countIf(kind = 'payment') > 0 AS is_order, minIf({_MINUTE}, kind = 'payment') AS first,
        arrayConcat(amounts, if(is_order, [(first, toDecimal64(0, 6), toUInt8(1))], [])) AS moments
    FROM money WHERE {_OF_DAYS} GROUP BY day, order_id
)
ARRAY JOIN moments AS moment
GROUP BY day, minute"""
EVENT: Final = f"""\
SELECT day, {_MINUTE} AS minute, toFloat64(count()) FROM activity
WHERE event = {{event:String}} AND {_OF_DAYS}
GROUP BY day, minute"""


def parameters(days: Sequence[date]) -> dict[str, Any]:
    """What these questions are bound with."""
    near = {day + timedelta(days=k) for day in days for k in (-1, 0, 1)}
    return {
        "days": [day.isoformat() for day in sorted(days)],
        "near": [day.isoformat() for day in sorted(near)],
    }


def key_event(plan: Plan) -> str | None:
    """What stands where a product without payments has no orders: what activates, else the end of the first funnel."""
    if plan.meanings.activation:
        return plan.meanings.activation[0].event
    funnel = next(iter(plan.funnels.values()), None)
    return funnel.steps[-1].event if funnel is not None else None
