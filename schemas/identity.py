"""Who is one person: how a plan links devices (`anonymous_id`) and users (`user_id`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from schemas.names import Name
from schemas.translatable import TranslatableValueError
from schemas.where import StrictModel


class Alias(StrictModel):
    """An event by which a user's new id tells its old one: `previous` is the property that has the old id."""

    event: Name
    previous: str

    @field_validator("previous")
    @classmethod
    def _is_a_property(cls, value: str) -> str:
        if not value.startswith("properties.") or value == "properties.":
            raise TranslatableValueError(
                "{value} is no property: write properties.NAME, where the event has the old id", value=repr(value)
            )
        return value


class Identity(StrictModel):
    """How ids become persons. A change of it is a change of meaning: records of before were counted by the old one."""

    #: `login`: an event that has both ids links the device to the user. `never`: every id is somebody.
    link: Literal["login", "never"] = "login"
    #: A device that more users than this have claimed is nobody's from then on.
    shared_device: int = Field(default=10, ge=1, le=100)
    alias: Alias | None = None

    @property
    def on(self) -> bool:
        """Whether ids are linked at all."""
        return self.link != "never"
