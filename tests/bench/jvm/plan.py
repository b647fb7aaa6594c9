"""The tracking plan for the JVM: what streamgauge.job.Plan reads."""

from __future__ import annotations

from typing import Any

from pipeline.errors import UserError
from schemas.event import CONTEXT_FIELDS
from schemas.models import MAX_STRING, bounds_of
from schemas.nobody import NOBODY
from schemas.plan import EventSpec, Funnel, Plan, PropertySpec

_TYPES = ("string", "integer", "number", "boolean")


def document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON. Raises UserError for what the jobs in Java, written for plans like `shop`, don't know."""
    dimensions = [",".join(fields) for fields in plan.dimensions]
    if other := set(dimensions) - {"event", *CONTEXT_FIELDS}:
        raise UserError(f"the jobs in Java know no dimension {min(other)}")
    if (plan.unknown_events, plan.bots, plan.nobody_ids) != ("reject", "reject", "reject"):
        raise UserError("the jobs in Java know only plans that reject unknown events, bots and ids of nobody")
    return {
        "zone": plan.zone.key,
        "lateness": plan.lateness,
        "dedupe": plan.dedupe,
        "maxFuture": plan.max_future,
        "maxValues": plan.max_values,
        "registration": plan.registration,
        "dimensions": dimensions,
        "events": {name: _event(spec, plan) for name, spec in plan.events.items()},
        "funnels": [_funnel(name, funnel, dimensions) for name, funnel in plan.funnels.items()],
        "nobody": sorted(NOBODY),
    }


def _event(spec: EventSpec, plan: Plan) -> dict[str, Any]:
    return {
        "value": spec.value,
        "keeps": (spec.unknown_properties or plan.unknown_properties) == "keep",
        "properties": {name: _property(name, one, name == spec.value) for name, one in spec.properties.items()},
    }


def _property(name: str, spec: PropertySpec, is_value: bool) -> dict[str, Any]:
    if spec.type not in _TYPES or spec.pattern is not None or (spec.enum is not None and spec.type != "string"):
        raise UserError(f"the jobs in Java don't know what is asked of the property {name}")
    low, high = bounds_of(spec, is_value=is_value)
    if spec.type == "string":
        low, high = 0, spec.max_length or MAX_STRING
    allowed = list(spec.enum) if spec.enum is not None else None
    return {"type": spec.type, "required": spec.required, "low": low, "high": high, "allowed": allowed}


def _funnel(name: str, funnel: Funnel, dimensions: list[str]) -> dict[str, Any]:
    plain = not funnel.modes and not funnel.exclude and funnel.per == "user" and funnel.attribution == "first"
    if not plain or any(step.where for step in funnel.steps) or set(funnel.breakdown) - set(dimensions):
        raise UserError(f"the jobs in Java know no funnel like {name}")
    return {
        "name": name,
        "steps": [step.event for step in funnel.steps],
        "window": funnel.window,
        "bucket": funnel.bucket,
        "breakdowns": list(funnel.breakdown),
    }
