"""On what people come: several devices, the family's tablet, logged out, or by a server that knows no device.

Off unless asked for: then each registered person sends one id, as a plain product does, and signs up with both.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple, Protocol

#: Devices that many people use: a tablet at home, a phone in a shop.
_TABLETS: Final = 20


class Owner(Protocol):
    """Who comes."""

    anonymous_id: str
    user_id: str | None
    #: The devices that are theirs alone, the first of them `anonymous_id`.
    devices: tuple[str, ...]


class Way(NamedTuple):
    """The ids of a visit: what its events say. One of them is there."""

    user_id: str | None
    device: str | None


@dataclass(frozen=True)
class Devices:
    """How people come, as shares of the visits; of people, where it says so."""

    #: Of the people: those who have a second device.
    second: float = 0.3
    #: On a device that others use too.
    shared: float = 0.03
    #: Of somebody with an account: without logging in.
    logged_out: float = 0.12
    #: By a server, with the user id alone: a device that is linked later was somebody's all the time.
    by_server: float = 0.15

    def way(self, person: Owner, rng: Random) -> Way:
        """On what somebody comes this time. May give them their second device."""
        if len(person.devices) == 1 and rng.random() < self.second:
            person.devices = (*person.devices, f"b{rng.getrandbits(48):012x}")
        device = rng.choice(person.devices)
        if rng.random() < self.shared:
            device = f"tablet{rng.randrange(_TABLETS)}"
        if person.user_id is None:
            return Way(None, device)
        how = rng.random()
        if how < self.logged_out:
            return Way(None, device)
        return Way(person.user_id, None if how < self.logged_out + self.by_server else device)
