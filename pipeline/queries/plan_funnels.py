"""The plan's funnels as queries over raw events."""

from __future__ import annotations

from pipeline.queries.conditions import step_sql, value_sql
from pipeline.queries.funnel import FunnelQuery, bucket_templates
from schemas.plan import Funnel, Plan


def funnel_query(plan: Plan, funnel: Funnel, breakdown: str, source: str) -> FunnelQuery:
    """The query that counts `funnel` by the field `breakdown` ("" for the total).

    `source` is what follows FROM: accepted events that are not late, with their `person`, their `ts` in epoch ms.
    """
    start, end = bucket_templates(funnel.bucket, plan.timezone)
    per_session = funnel.per == "session"
    return FunnelQuery(
        source,
        tuple(step_sql(step) for step in funnel.steps),
        funnel.window,
        start,
        end,
        actor="(person, session_id)" if per_session else "person",
        breakdown=value_sql(breakdown) if breakdown else "''",
        # Without a breakdown every value is the same: the attribution makes no difference.
        attribution=funnel.attribution if breakdown else "first",
        modes=frozenset(funnel.modes),
        exclude=" OR ".join(f"({step_sql(step)})" for step in funnel.exclude),
        where="session_id != ''" if per_session else "",
    )
