"""What metrics need besides events: money spent, operations, pieces of content, attributes of users.

One model a side table. Rows come from files (`streamgauge import`), so text is read as what it stands for: `12.50` as
an amount, `2026-11-01` as a day. A row is named by its key: one that comes again replaces the earlier.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from schemas.event import DEVICE, EARLIEST_TS, LATEST_TS, Identifier, Label
from schemas.nobody import is_nobody

#: Exact to six decimals, as the values of events; below what a Decimal(18, 6) holds.
Money = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=6)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
_EARLIEST, _LATEST = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (EARLIEST_TS, LATEST_TS))
Text = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _day(value: Any) -> Any:
    """A day, nothing that may be one: 20261101 would be read as seconds since 1970."""
    if isinstance(value, str | date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a day like 2026-11-01")


Day = Annotated[date, BeforeValidator(_day)]


class Side(BaseModel):
    """A row of a side table. `TABLE` is its table, `KEY` what names a row."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]

    def key(self) -> tuple[Any, ...]:
        """What names the row."""
        return tuple(getattr(self, name) for name in self.KEY)


class Spend(Side):
    """What was paid on a day for a campaign of a channel, and what that bought."""

    TABLE = "spend_raw"
    KEY = ("day", "channel", "campaign")
    day: Day
    channel: Annotated[Label, Field(min_length=1)]
    campaign: Label = ""
    amount: Money
    currency: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    impressions: Count = 0
    clicks: Count = 0


class Campaign(Side):
    """An operation between two days, both inclusive: a sale, a check-in, an invitation campaign.

    `comparison` says what its figures are compared with: `others`, the users that were active in the same days without
    taking part, or `before`, the same users in as many days before.
    """

    TABLE = "campaigns_raw"
    KEY = ("name",)
    name: Annotated[Label, Field(min_length=1)]
    kind: Label = ""
    starts: Day
    ends: Day
    comparison: Annotated[str, StringConstraints(pattern=r"^(others|before)$")] = "others"
    cost: Money = Decimal(0)

    @model_validator(mode="after")
    def _in_order(self) -> Campaign:
        if self.ends < self.starts:
            raise ValueError(f"it ends on {self.ends}, before it starts")
        return self


class ContentItem(Side):
    """A piece of content: an article, a video, a post."""

    TABLE = "content_items_raw"
    KEY = ("item",)
    item: Identifier
    title: Text = ""
    creator: Label = ""
    published: AwareDatetime


class UserAttribute(Side):
    """Something known of a user that no event says: a tariff, a region, a score of another system."""

    TABLE = "user_attributes_raw"
    KEY = ("actor", "name")
    actor: Identifier
    name: Annotated[Label, Field(min_length=1)]
    value: Text = ""


class DeviceOwner(Side):
    """That a device is a user's, from a history of another tool. Sent to Kafka, not to ClickHouse.

    What is right here is right as a link of the log: whoever reads that says nothing to whoever has sent it.
    """

    TABLE = ""
    KEY = ("device", "user")
    device: Identifier
    user: Identifier
    since: Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)]

    @model_validator(mode="after")
    def _is_somebody(self) -> DeviceOwner:
        if is_nobody(self.device) or is_nobody(self.user):
            raise ValueError("an id that means nobody links to nobody")
        if self.user.startswith(DEVICE):
            raise ValueError(f"no user's id begins with {DEVICE}, which stands for a device")
        return self


#: What is imported by the log rather than into a table of its own.
IDENTITIES: Final = "identities"
#: By the name that `streamgauge import` knows them by.
SIDES: Final[dict[str, type[Side]]] = {
    "spend": Spend,
    "campaigns": Campaign,
    "content": ContentItem,
    "users": UserAttribute,
    IDENTITIES: DeviceOwner,
}
