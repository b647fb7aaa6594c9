"""People with devices: whoever a simulated event comes from, it says so by the ids of the moment.

They visit before they log in, log out, change to another device or to one that many share, get a new user id, and some
have a device that is called as somebody else's user.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, Final
from zlib import crc32

from pipeline.simulate import Sent

#: Chances of what somebody may do before each event.
_LOG_IN, _LOG_OUT, _CHANGE, _RENAME = 0.15, 0.1, 0.06, 0.02
#: Devices that many share: more than the plan lets one device have users.
SHARED: Final = tuple(f"tablet{n}" for n in range(12))
#: So many people: few enough that windows count them exactly.
_PEOPLE: Final = 500
#: A user id is replaced so often at most: one alias more than may follow each other.
_RENAMED: Final = 4
#: And how often the same is told the wrong way round, too: that would close a circle.
_REVERSED: Final = 0.15


class _Human:
    """Somebody, and how they come at the moment."""

    def __init__(self, name: str, rng: Random) -> None:
        self.rng, self.user, self.renamed = rng, name, 0
        self.devices = [f"{name}-phone", f"{name}-laptop"]
        if rng.random() < 0.05:
            self.devices[1] = f"u{rng.randrange(_PEOPLE)}"  # as somebody else's user is called
        self.device, self.logged_in = self.devices[0], rng.random() < 0.4
        self.old, self.reversing = "", False

    def ids(self) -> dict[str, Any]:
        """What the next event says of who it is; `event` and `properties` too where it tells an old id."""
        rng = self.rng
        if rng.random() < _CHANGE:
            self.device = rng.choice(SHARED) if rng.random() < 0.3 else rng.choice(self.devices)
        if rng.random() < (_LOG_OUT if self.logged_in else _LOG_IN):
            self.logged_in = not self.logged_in
        if not self.logged_in:
            return {"anonymous_id": self.device}
        if self.reversing:
            self.reversing = False
            told = {"event": "account_merged", "properties": {"old_user_id": self.user}}
            return {"user_id": self.old, **told}
        if self.renamed < _RENAMED and rng.random() < _RENAME:
            self.renamed, self.old = self.renamed + 1, self.user
            self.user = f"{self.user.partition('.')[0]}.{self.renamed}"
            told = {"event": "account_merged", "properties": {"old_user_id": self.old}}
            self.reversing = rng.random() < _REVERSED
            return {"user_id": self.user, "anonymous_id": self.device, **told}
        # One of the old id's apps still has it; a server knows no device.
        user = self.old if self.old and rng.random() < 0.2 else self.user
        return {"user_id": user} if rng.random() < 0.2 else {"user_id": user, "anonymous_id": self.device}


def with_people(events: Iterable[Sent], seed: int) -> Iterator[Sent]:
    """The events, each by the ids of whom it is of, and with that key."""
    rng = Random(f"people:{seed}")
    people = [_Human(f"u{n}", rng) for n in range(_PEOPLE)]
    for sent in events:
        human = people[crc32(sent.key or b"") % _PEOPLE]
        fields = json.loads(sent.value or b"")
        fields.pop("user_id", None)
        fields.pop("anonymous_id", None)
        fields |= human.ids()
        actor = fields.get("user_id") or fields["anonymous_id"]
        yield sent._replace(key=actor.encode(), value=json.dumps(fields, separators=(",", ":")).encode())
