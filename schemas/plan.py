"""The tracking plan: one YAML file that says which events exist and what is measured live.

Everything else derives from it: validation models (`schemas.models`), live counters (`pipeline.measure`),
the SQL that recomputes them (`pipeline.store`). Loading with line numbers is in `schemas.plan_io`.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import SchemaError

from schemas.alerts import Alerting, check_alerting
from schemas.annotations import MAX_ANNOTATIONS, AnnotationSpec
from schemas.collect import Collect
from schemas.duration import HOUR, Duration
from schemas.funnel import Funnel
from schemas.identity import Identity
from schemas.meanings import Meanings
from schemas.names import Name, Title
from schemas.scorecard import Scorecard
from schemas.segments import SegmentSpec, check_segments
from schemas.translatable import TranslatableValueError
from schemas.where import Condition, Scalar, Step, Where, check_field
from schemas.where import StrictModel as _Model

__all__ = ["Condition", "EventSpec", "Funnel", "Plan", "PropertySpec", "Scalar", "Step", "Where", "check_field"]


class PropertySpec(_Model):
    """One property of an event: its type and bounds. `type: number` accepts integers too."""

    type: Literal["string", "integer", "number", "boolean", "timestamp", "array", "object"] = "string"
    description: str = ""
    required: bool = False
    enum: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    min: float | None = None
    max: float | None = None
    max_length: int | None = Field(default=None, ge=1)
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                TypeAdapter(Annotated[str, Field(pattern=value)])
            except SchemaError as exc:
                raise TranslatableValueError(
                    "{value} is not a regular expression (look-around is not supported)", value=repr(value)
                ) from exc
        return value

    @model_validator(mode="after")
    def _bounds_fit_type(self) -> PropertySpec:
        if (self.min is not None or self.max is not None) and self.type not in ("integer", "number"):
            raise TranslatableValueError("min and max are for numbers, not for type {type}", type=self.type)
        if (self.max_length is not None or self.pattern) and self.type != "string":
            raise TranslatableValueError("max_length and pattern are for strings, not for type {type}", type=self.type)
        for bound in (self.min, self.max):
            if self.type == "integer" and bound is not None and (bound % 1 or abs(bound) >= 2**63):
                raise TranslatableValueError(
                    "{bound} is not a bound for type integer: it is a 64-bit whole number", bound=bound
                )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise TranslatableValueError("min {min} is greater than max {max}", min=self.min, max=self.max)
        return self

    @model_validator(mode="after")
    def _enum_fits_type(self) -> PropertySpec:
        for value in self.enum or ():
            fits = {
                "string": isinstance(value, str),
                "integer": isinstance(value, int) and not isinstance(value, bool),
                "number": isinstance(value, int | float) and not isinstance(value, bool),
                "boolean": isinstance(value, bool),
            }
            if not fits.get(self.type, False):
                raise TranslatableValueError(
                    "enum: {value} is not of type {type}: give the type that it has", value=repr(value), type=self.type
                )
            if not self._within_bounds(value):
                raise TranslatableValueError(
                    "enum: {value} is outside of the property's other bounds: no event can have it", value=repr(value)
                )
        return self

    def _within_bounds(self, value: Scalar) -> bool:
        if isinstance(value, bool):
            return True  # has none
        adapter: TypeAdapter[Any] = (
            TypeAdapter(Annotated[str, Field(max_length=self.max_length, pattern=self.pattern)])
            if isinstance(value, str)
            else TypeAdapter(Annotated[float, Field(ge=self.min, le=self.max)])
        )
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True


class EventSpec(_Model):
    """One event of the product. `value` names the property that is summed as its value (revenue)."""

    description: str = ""
    value: str | None = None
    unknown_properties: Literal["keep", "reject"] | None = None
    properties: dict[Name, PropertySpec] = Field(default_factory=dict)

    @field_validator("properties", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """`amount: number` is short for `amount: {type: number}`; a trailing `!` makes it required."""
        if not isinstance(value, dict):
            return value
        out = {}
        for name, spec in value.items():
            if isinstance(spec, str):
                spec = {"type": spec.rstrip("!"), "required": spec.endswith("!")}
            out[name] = spec
        return out

    @model_validator(mode="after")
    def _value_is_a_number(self) -> EventSpec:
        if self.value is not None:
            spec = self.properties.get(self.value)
            if spec is None or spec.type not in ("number", "integer"):
                raise TranslatableValueError(
                    "value: {value} must be a property of this event, of type number", value=self.value
                )
        return self


def _dimension(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Dimension = Annotated[tuple[str, ...], BeforeValidator(_dimension)]


class Plan(_Model):
    """A tracking plan. Durations are milliseconds here; see the README for the YAML."""

    product: Title
    description: str = ""
    timezone: str = "UTC"
    #: How long after its time an event still counts live, measured in the partition's stream time.
    lateness: Duration = HOUR
    #: For how long (stream time) an event_id is remembered, at least.
    dedupe: Duration = HOUR
    #: How far an event's time may lie after the time its record was written.
    max_future: Duration = 300_000
    #: Ids that mean nobody ("null", "undefined", zeros): turned away, or counted as if they were somebody's.
    nobody_ids: Literal["reject", "keep"] = "reject"
    #: Events of programs that crawl the web (the field `bot` names one): turned away, or counted as people's.
    bots: Literal["reject", "keep"] = "reject"
    unknown_events: Literal["keep", "reject"] = "reject"
    unknown_properties: Literal["keep", "reject"] = "keep"
    dimensions: tuple[Dimension, ...] = (("event",), ("platform",), ("channel",))
    #: Distinct values of a dimension kept per window and partition; the rest is counted under `(other)`.
    max_values: int = Field(default=1000, ge=1, le=100_000)
    #: Who is one person.
    identity: Identity = Field(default_factory=Identity)
    #: What the front door does with events before they are judged.
    collect: Collect | None = None
    registration: Name | None = None
    events: dict[Name, EventSpec] = Field(min_length=1)
    funnels: dict[Name, Funnel] = Field(default_factory=dict)
    #: What the metrics read: which events mean a payment, an invitation and so on.
    meanings: Meanings = Field(default_factory=Meanings)
    #: What the product is measured by, as its stage wants it, and the targets.
    scorecard: Scorecard | None = None
    #: People by what they did and who they are, for questions.
    segments: dict[Name, SegmentSpec] = Field(default_factory=dict)
    #: What happened, for charts over time.
    annotations: tuple[AnnotationSpec, ...] = Field(default=(), max_length=MAX_ANNOTATIONS)
    #: Alerts, and what `/metrics` shows for them.
    alerting: Alerting = Field(default_factory=Alerting)

    @field_validator("events", mode="before")
    @classmethod
    def _bare_events(cls, value: Any) -> Any:
        return {k: ({} if v is None else v) for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("lateness", "dedupe", "max_future")
    @classmethod
    def _not_negative(cls, value: int) -> int:
        if value < 0:
            raise TranslatableValueError("a duration can't be negative")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise TranslatableValueError(
                "{value} is not a time zone: write it like Asia/Shanghai or UTC", value=repr(value)
            ) from exc
        return value

    @model_validator(mode="after")
    def _names_resolve(self) -> Plan:
        self.meanings.check(self.events if self.unknown_events == "reject" else None)
        if self.unknown_events == "reject":
            if self.registration is not None:
                self._known("registration", self.registration)
            if self.scorecard is not None and self.scorecard.feature is not None:
                self._known("scorecard.feature", self.scorecard.feature)
            if self.identity.alias is not None:
                self._known("identity.alias", self.identity.alias.event)
            if self.collect is not None:
                for event in (*self.collect.events.values(), *self.collect.properties):
                    self._known("collect", event)
            for name, funnel in self.funnels.items():
                for step in (*funnel.steps, *funnel.exclude):
                    self._known(f"funnels.{name}", step.event)
        for name, funnel in self.funnels.items():
            for field in funnel.breakdown:
                check_field(field, f"funnels.{name}.breakdown")
            if len(set(funnel.breakdown)) < len(funnel.breakdown):
                raise TranslatableValueError("{place}: a field stands here twice", place=f"funnels.{name}.breakdown")
            for step in (*funnel.steps, *funnel.exclude):
                for field in step.where:
                    check_field(field, f"funnels.{name}: where")
        check_segments(self.segments, self.events if self.unknown_events == "reject" else None)
        for dimension in self.dimensions:
            if not dimension:
                raise TranslatableValueError("dimensions: an empty one is the total, which is always counted")
            for field in dimension:
                check_field(field, "dimensions")
        if len(set(self.dimensions)) < len(self.dimensions):
            raise TranslatableValueError("dimensions: one stands here twice")
        for dimension in self.dimensions:
            if len(set(dimension)) < len(dimension):
                raise TranslatableValueError("dimensions: [{fields}] names a field twice", fields=", ".join(dimension))
        check_alerting(
            self.alerting,
            dimensions=self.dimensions,
            funnels=self.funnels,
            events=self.events if self.unknown_events == "reject" else None,
            lateness=self.lateness,
        )
        return self

    def _known(self, where: str, event: str) -> None:
        if event not in self.events:
            raise TranslatableValueError(
                "{place}: the event {event} is not among this plan's events", place=where, event=repr(event)
            )

    @property
    def aliases(self) -> bool:
        """Whether an old user id may be linked to a new one: by an event of the plan, or by the front door."""
        return self.identity.on and (
            self.identity.alias is not None or (self.collect is not None and self.collect.aliases)
        )

    @cached_property
    def digest(self) -> str:
        """The same for two plans by which records are judged and counted alike: not alerts, segments, targets and
        annotations."""
        text = self.model_dump_json(exclude={"alerting", "scorecard", "segments", "annotations"})
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone of the plan's days."""
        return ZoneInfo(self.timezone)
