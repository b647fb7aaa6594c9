"""What the events of a product mean: the plan's section `meanings`, read by the metrics.

A product names its events as it likes; a metric knows only registrations, payments, invitations and so on. Each
meaning is an event name, or a mapping with conditions and the fields that hold what the metrics read, or a list
of those where several events mean the same.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, field_validator

from schemas.duration import DAY, MINUTE, Duration
from schemas.event import CONTEXT_FIELDS
from schemas.names import Name
from schemas.translatable import TranslatableValueError
from schemas.where import StepItem, StrictModel, Where, check_field

#: Fields of the envelope that say who; a meaning may read them besides the context fields.
IDENTITY_FIELDS: Final = ("actor", "user_id", "anonymous_id", "session_id")

#: Fields of meanings that are read as numbers.
NUMBER_FIELDS: Final = ("amount", "revenue", "discount", "score")


class Meaning(StrictModel):
    """An event that means something, with conditions. What further fields say is in the classes below."""

    event: Name
    where: Where = Field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        """What is read from the event: name of the column to field of the event."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name not in Meaning.model_fields}
        return {name: field for name, field in named.items() if field is not None}


class Money(Meaning):
    """A payment or a refund. `amount`: the event's value unless a field is named. `order_id`: else each is its own."""

    amount: str | None = None
    order_id: str | None = None


class AdImpression(Meaning):
    """An ad was shown. `revenue` is what this one earned."""

    revenue: str | None = None
    ad: str | None = None


class AdClick(Meaning):
    """An ad was clicked."""

    ad: str | None = None


class Coupon(Meaning):
    """A coupon was used: an event without a `code` is none. `discount` is what it took off."""

    code: str
    discount: str | None = None


class Invite(Meaning):
    """An invitation was sent by the actor."""

    invite_id: str | None = None


class InviteAccepted(Meaning):
    """The actor came by an invitation: `inviter` is the actor who sent it; else it is found by `invite_id`."""

    invite_id: str | None = None
    inviter: str | None = None


class SurveyShown(Meaning):
    """A survey was put before the actor."""

    survey: str | None = None


class SurveyAnswer(Meaning):
    """An answer, with a `score` (for NPS: 0 to 10)."""

    score: str
    survey: str | None = None


class Exposure(Meaning):
    """The actor met a variant of an experiment."""

    experiment: str
    variant: str


class Participation(Meaning):
    """The actor took part in an operation: a sale, a check-in, an invitation campaign."""

    campaign: str = "campaign"


class Item(Meaning):
    """Something was done to a piece of content, or a thing was shared."""

    item: str


class Share(Meaning):
    """Something was shared."""

    item: str | None = None
    target: str | None = None


class Thresholds(StrictModel):
    """Where segments begin. A user is at risk after `at_risk` without an event, dormant after `dormant`."""

    session_gap: Duration = 30 * MINUTE
    new: Duration = 7 * DAY
    at_risk: Duration = 14 * DAY
    dormant: Duration = 30 * DAY
    high_value: float = Field(default=100.0, gt=0)

    @field_validator("session_gap", "new", "at_risk", "dormant")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value <= 0:
            raise TranslatableValueError("must be longer than 0")
        return value

    @field_validator("new", "at_risk", "dormant")
    @classmethod
    def _whole_days(cls, value: int) -> int:
        if value % DAY:
            raise TranslatableValueError("must be whole days, like 14d")
        return value

    @field_validator("dormant")
    @classmethod
    def _after_at_risk(cls, value: int, info: Any) -> int:
        if value <= info.data.get("at_risk", 0):
            raise TranslatableValueError("must be longer than at_risk")
        return value


def _listed(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else () if value is None else (value,)
    return tuple({"event": item} if isinstance(item, str) else item for item in items)


_List = BeforeValidator(_listed)


class Meanings(StrictModel):
    """Every meaning that a metric reads. What is left out is empty in the metrics, not an error."""

    #: The top-level `registration` unless it stands here.
    registration: Annotated[tuple[Meaning, ...], _List] = ()
    activation: Annotated[tuple[Meaning, ...], _List] = ()
    #: The checklist of a new user, in the order in which it is shown; the steps may be taken in any order.
    onboarding: tuple[StepItem, ...] = Field(default=(), max_length=16)
    payment: Annotated[tuple[Money, ...], _List] = ()
    refund: Annotated[tuple[Money, ...], _List] = ()
    ad_impression: Annotated[tuple[AdImpression, ...], _List] = ()
    ad_click: Annotated[tuple[AdClick, ...], _List] = ()
    coupon: Annotated[tuple[Coupon, ...], _List] = ()
    share: Annotated[tuple[Share, ...], _List] = ()
    invite: Annotated[tuple[Invite, ...], _List] = ()
    invite_accepted: Annotated[tuple[InviteAccepted, ...], _List] = ()
    survey_shown: Annotated[tuple[SurveyShown, ...], _List] = ()
    survey: Annotated[tuple[SurveyAnswer, ...], _List] = ()
    exposure: Annotated[tuple[Exposure, ...], _List] = ()
    participation: Annotated[tuple[Participation, ...], _List] = ()
    content_view: Annotated[tuple[Item, ...], _List] = ()
    content_complete: Annotated[tuple[Item, ...], _List] = ()
    content_like: Annotated[tuple[Item, ...], _List] = ()
    content_comment: Annotated[tuple[Item, ...], _List] = ()
    content_share: Annotated[tuple[Item, ...], _List] = ()
    content_create: Annotated[tuple[Item, ...], _List] = ()
    thresholds: Thresholds = Field(default_factory=Thresholds)

    def check(self, events: Container[str] | None) -> None:
        """Raise ValueError for an event that is not among `events` (None: any is), or a field that is none."""
        for name in type(self).model_fields:
            if name == "thresholds":
                continue
            for meaning in getattr(self, name):
                where = f"meanings.{name}"
                if events is not None and meaning.event not in events:
                    raise TranslatableValueError(
                        "{place}: the event {event} is not among this plan's events",
                        place=where,
                        event=repr(meaning.event),
                    )
                for field in meaning.where:
                    check_field(field, f"{where}: where")
                for column, field in meaning.fields().items() if isinstance(meaning, Meaning) else ():
                    _check_source(field, f"{where}: {column}")
                    if column in NUMBER_FIELDS and not field.startswith("properties."):
                        raise TranslatableValueError(
                            "{place}: {field} is no number: it must be one of properties.NAME",
                            place=f"{where}: {column}",
                            field=repr(field),
                        )


def _check_source(field: str, where: str) -> None:
    if field in IDENTITY_FIELDS or field in CONTEXT_FIELDS or (field.startswith("properties.") and len(field) > 11):
        return
    raise TranslatableValueError(
        "{where}: {field} is neither a field of the envelope ({fields}) nor properties.NAME",
        where=where,
        field=repr(field),
        fields=", ".join((*IDENTITY_FIELDS, *CONTEXT_FIELDS)),
    )
