"""Conditions on the fields of an event, and what names an event in a plan: shared by funnels, meanings and alerts.

A missing or null field fulfils no condition, and an empty field of the envelope counts as missing. Values compare by
JSON type: a boolean is not a number, `1` equals `1.0`, and the order operators hold for numbers only. An integer that
64 bits can't hold counts as text. `pipeline.queries.conditions` says the same in SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.event import CONTEXT_FIELDS
from schemas.names import Name, Title
from schemas.translatable import TranslatableValueError

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
            raise TranslatableValueError("an empty condition: use one of eq, ne, in, gt, gte, lt, lte")
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
    name: Title = ""

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
    raise TranslatableValueError(
        "{where}: {field} is neither a field of the envelope ({fields}) nor properties.NAME",
        where=where, field=repr(field), fields=", ".join(("event", *CONTEXT_FIELDS)),
    )  # fmt: skip


class Fields(Protocol):
    """The fields of an event: a dictionary as it was sent, or an `Event`."""

    def get(self, name: str, /) -> Any:
        """A field of the envelope; None if it is missing."""


Predicate = Callable[[Fields], bool]


def field_value(fields: Fields, name: str) -> Any:
    """The value of an envelope field or of `properties.NAME` in an event as it was sent; None if it is missing."""
    if name.startswith("properties."):
        properties = fields.get("properties")
        value = properties.get(name[11:]) if properties else None
        if type(value) is int and not -(2**63) <= value < 2**64:
            return str(value)  # what ClickHouse reads in JSON
        return value
    return fields.get(name) or None  # an empty text is stored as one that was not sent


def predicate(where: Where) -> Predicate | None:
    """One predicate for all conditions of `where`; None if there are none."""
    if not where:
        return None
    items = tuple(where.items())
    return lambda fields: all(holds(condition, field_value(fields, name)) for name, condition in items)


def holds(condition: Condition, value: Any) -> bool:
    """Whether the value of a field (None if it is missing) fulfils its condition."""
    if value is None:
        return False
    if condition.eq is not None and not _same(value, condition.eq):
        return False
    if condition.ne is not None and _same(value, condition.ne):
        return False
    if condition.one_of is not None and not any(_same(value, wanted) for wanted in condition.one_of):
        return False
    bounds = (condition.gt, condition.gte, condition.lt, condition.lte)
    if any(bound is not None for bound in bounds):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        gt, gte, lt, lte = bounds
        return (
            (gt is None or value > gt)
            and (gte is None or value >= gte)
            and (lt is None or value < lt)
            and (lte is None or value <= lte)
        )
    return True


def _same(value: Any, wanted: Scalar) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return value == wanted
    return isinstance(value, str) and value == wanted


def scalar_text(value: Scalar) -> str:
    """A value as a dimension's: text as it is, JSON's words for booleans, numbers as ClickHouse writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number_text(value)
    return str(value)


def _number_text(value: float) -> str:
    """The shortest digits that mean `value`, in full from 10^-6 up to 10^21, with an exponent beyond."""
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        digits = format(Decimal(repr(value)), "f")
        return digits.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}"
