"""What a product is measured by: the figures of its stage, and what they should be."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from schemas.names import Name
from schemas.translatable import TranslatableValueError
from schemas.where import StrictModel

Stage = Literal["early", "growth", "mature"]
#: The figures of each stage: does anybody come and get what it is about; do they stay; does it pay.
STAGES: Final[dict[Stage, tuple[str, ...]]] = {
    "early": ("new_users", "cac", "activation"),
    "growth": ("retention", "activity", "penetration"),
    "mature": ("arpu", "paying_rate", "ltv_cac", "nps"),
}
#: Those that are a share of people: a target of them is one too.
SHARES: Final = ("activation", "retention", "activity", "penetration", "paying_rate")
_NAMES: Final = tuple(name for names in STAGES.values() for name in names)


def _share(value: Any) -> Any:
    """`30%` is 0.3; a number stays what it is."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)):
        return float(found[1]) / 100
    return value


Target = Annotated[float, BeforeValidator(_share), Field(allow_inf_nan=False)]


class Scorecard(StrictModel):
    """Which stage the product is in, the targets, and the event whose penetration is looked at."""

    stage: Stage = "early"
    #: By figure; also those of other stages, so that the stage can be changed by itself.
    targets: dict[str, Target] = Field(default_factory=dict)
    feature: Name | None = None

    @field_validator("targets")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        for name, target in value.items():
            if name not in _NAMES:
                raise TranslatableValueError(
                    "there is no figure {name}: there are {known}", name=repr(name), known=", ".join(_NAMES)
                )
            if name in SHARES and not 0 <= target <= 1:
                raise TranslatableValueError("{name} is a share of people: write it like 40%", name=name)
            if name != "nps" and target < 0:
                raise TranslatableValueError("{metric} is never below 0", metric=name)
            if name == "nps" and not -100 <= target <= 100:
                raise TranslatableValueError("nps is between -100 and 100")
        return value
