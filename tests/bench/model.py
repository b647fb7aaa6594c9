"""The Pydantic model that anybody would write for the plan's events, for the other frameworks. Needs only `schemas`."""

from __future__ import annotations

from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from schemas.event import EventDict
from schemas.models import property_type
from schemas.plan import Plan


def model_of(plan: Plan) -> type[BaseModel]:
    """One model with the envelope's fields and the plan's properties, with the same types and limits."""
    strict = ConfigDict(strict=True, allow_inf_nan=False)
    properties: dict[str, Any] = {}
    for spec in plan.events.values():
        for name, prop in spec.properties.items():
            kind = property_type(prop, is_value=name == spec.value)
            properties[name] = (properties[name][0] | kind | None, None) if name in properties else (kind | None, None)
    inner = create_model("Properties", __config__=strict, **properties)
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(EventDict, include_extras=False).items():
        fields[name] = (hint, ...) if name in EventDict.__required_keys__ else (hint, None)
    fields["event"] = (Literal[tuple(plan.events)], ...)
    fields["properties"] = (inner | None, None)
    return create_model("ShopEvent", __config__=ConfigDict(extra="forbid", strict=True), **fields)
