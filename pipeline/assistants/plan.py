"""The tracking plan for assistants: what may be sent, and what it means. Pure."""

from __future__ import annotations

from typing import Any

from pipeline.assistants.arguments import DescribePlan
from schemas.plan import Plan


def describe_plan(plan: Plan, asked: DescribePlan) -> dict[str, Any]:
    """The plan, or one part of it; durations as people write them. Receivers of alerts are not in it."""
    parts = ("events", "funnels", "meanings", "segments")
    wanted = parts if asked.part == "all" else (asked.part,)
    told = plan.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=set(wanted))
    # Of these a default says as much as what is written.
    if "funnels" in wanted:
        told["funnels"] = {name: one.model_dump(mode="json", by_alias=True) for name, one in plan.funnels.items()}
    if "meanings" in wanted:
        told["meanings"] = told.get("meanings", {}) | {"thresholds": plan.meanings.thresholds.model_dump(mode="json")}
    head = {
        "product": plan.product, "description": plan.description, "time_zone": plan.timezone,
        "registration": plan.registration, "unknown_events": plan.unknown_events,
        "counted_live_by": [list(dimension) for dimension in plan.dimensions],
    }  # fmt: skip
    return {**head, **{name: told.get(name, {}) for name in wanted}}
