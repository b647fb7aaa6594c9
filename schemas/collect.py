"""What the front door does with events before they are judged: `collect:` of a plan."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.names import Name
from schemas.where import StrictModel

#: A name as an SDK sends it.
Sent = Annotated[str, StringConstraints(min_length=1, max_length=256)]
#: `channel`: channel and campaign, from UTM parameters and the referrer. `agent`: device, os, browser and bot, from
#: the user agent. `place`: country, region and city, from the address. `address`: the address, as the property `ip`.
Addition = Literal["channel", "agent", "place", "address"]


class Collect(StrictModel):
    """The front door's part of a plan. A plan that has this section takes the aliases of SDKs, too."""

    #: An SDK's alias call links an old user id to the new one.
    aliases: bool = True
    #: The plan's name of an event that an SDK calls otherwise.
    events: dict[Sent, Name] = Field(default_factory=dict)
    #: By event (the plan's name): the plan's name of a property that an SDK calls otherwise.
    properties: dict[Name, dict[Sent, Name]] = Field(default_factory=dict)
    #: What is added where an event doesn't say it.
    enrich: tuple[Addition, ...] = ("channel", "agent", "place")
