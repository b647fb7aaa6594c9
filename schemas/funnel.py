"""A funnel of the plan: ordered steps within a conversion window."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from schemas.duration import HOUR, Duration
from schemas.translatable import TranslatableValueError
from schemas.where import StepItem, StrictModel

Mode = Literal["strict_deduplication", "strict_order", "strict_increase", "strict_once"]


class Funnel(StrictModel):
    """A funnel: ordered steps within a conversion window, counted per cohort bucket.

    The meaning is ClickHouse's `windowFunnel(window, modes...)` with the first step restricted to the bucket.
    """

    description: str = ""
    steps: tuple[StepItem, ...] = Field(min_length=1, max_length=16)
    window: Duration = HOUR
    bucket: Literal["hour", "day"] = "day"
    breakdown: tuple[str, ...] = ()
    attribution: Literal["first", "last", "any"] = "first"
    modes: tuple[Mode, ...] = ()
    exclude: tuple[StepItem, ...] = ()
    per: Literal["user", "session"] = "user"

    @field_validator("breakdown", "modes", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("window")
    @classmethod
    def _window_positive(cls, value: int) -> int:
        if value <= 0:
            raise TranslatableValueError("the conversion window must be longer than 0")
        return value

    def step_number(self, step: str) -> int:
        """The number of a step after the first, by its title; raises ValueError if there is none or several."""
        found = [n for n, s in enumerate(self.steps, start=1) if s.title == step]
        if len(found) != 1 or found[0] == 1:
            names = ", ".join(s.title for s in self.steps[1:])
            raise TranslatableValueError(
                "{step} must be one step after the first: {names}", step=repr(step), names=names
            )
        return found[0]
