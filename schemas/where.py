"""Conditions on the fields of an event, and what names an event in a plan: shared by funnels and meanings."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.event import CONTEXT_FIELDS

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.:\-]*$", max_length=100)]
Scalar = str | int | float | bool


class StrictModel(BaseModel):
    """A part of a plan: fields that it doesn't know are mistakes, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


class Condition(StrictModel):
    """A condition on one field: all the operators given must hold. A missing field fulfils none of them."""

    eq: Scalar | None = None
    ne: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = Field(default=None, alias="in")
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Condition:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("an empty condition: use one of eq, ne, in, gt, gte, lt, lte")
        return self


def _condition_short_form(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {"in": value}
    return value if isinstance(value, dict | Condition) else {"eq": value}


#: Field (of the envelope, or `properties.NAME`) to condition: `platform: ios`, `properties.price: {gte: 10}`.
Where = dict[str, Annotated[Condition, BeforeValidator(_condition_short_form)]]


class Step(StrictModel):
    """A funnel step, or an exclusion: an event name and conditions on its fields."""

    event: Name
    where: Where = Field(default_factory=dict)
    name: str = ""

    @property
    def title(self) -> str:
        """What people read: the given name, else the event's."""
        return self.name or self.event


def _step_short_form(value: Any) -> Any:
    return {"event": value} if isinstance(value, str) else value


StepItem = Annotated[Step, BeforeValidator(_step_short_form)]


def check_field(field: str, where: str) -> None:
    """Raise ValueError unless `field` is an envelope field or `properties.NAME`."""
    if field in ("event", *CONTEXT_FIELDS):
        return
    if field.startswith("properties.") and len(field) > len("properties."):
        return
    raise ValueError(
        f"{where}: {field!r} is neither a field of the envelope ({', '.join(('event', *CONTEXT_FIELDS))}) "
        f"nor properties.NAME"
    )
