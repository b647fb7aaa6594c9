"""What is added to an event where it doesn't say it itself, as the plan says (`collect: enrich: …`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from pipeline.collect.enrich.channel import channel
from pipeline.collect.enrich.place import Places
from pipeline.collect.model import IDENTIFY, Incoming
from pipeline.errors import UserError

#: As in the plan.
Addition = Literal["channel", "agent", "place", "address"]


class Additions:
    """Adds to events. Pure but for what it was made with; `places` None adds no places.

    Raises UserError where a library is missing.
    """

    def __init__(self, which: Collection[Addition], places: Places | None = None) -> None:
        self._agent = _agent() if "agent" in which else None
        self._channel = "channel" in which
        self._places = places if "place" in which else None
        self._address = "address" in which

    def add(self, incoming: Incoming) -> None:
        """Add to one event. What it says itself stays."""
        fields = incoming.fields
        if fields.get("event") == IDENTIFY:
            return
        if self._agent is not None and incoming.user_agent:
            _add(fields, self._agent(incoming.user_agent))
        if self._channel and (found := channel(fields, incoming.user_agent)):
            _add(fields, found)
        if self._places is not None and incoming.address and not fields.get("country"):
            # All or nothing: a city of the one in the country of the other would be none.
            _add(fields, self._places.find(incoming.address))
        if self._address and incoming.address:
            properties = fields.setdefault("properties", {})
            if isinstance(properties, dict):
                properties.setdefault("ip", incoming.address)


def _add(fields: dict[str, object], found: dict[str, str]) -> None:
    for name, value in found.items():
        if not fields.get(name):
            fields[name] = value


def _agent() -> Callable[[str], dict[str, str]]:
    try:
        from pipeline.collect.enrich.agent import agent
    except ImportError:
        raise UserError(
            "`enrich: agent` needs the extra collect: pip install 'streamgauge[collect]', or leave it out of the plan"
        ) from None
    return agent
