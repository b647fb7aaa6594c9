"""A person, and a visit that this person makes: what a behaviour sees of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Final, Protocol

from pipeline.simulate.behaviour import Habits, Segment
from pipeline.simulate.devices import Devices
from pipeline.simulate.library import Library
from pipeline.simulate.world import (
    CAMPAIGNS,
    CHANNELS,
    COUNTRIES,
    LANGUAGES,
    PLATFORMS,
    RETURNS,
    VERSIONS,
    WAITS,
)

#: What a behaviour yields: how long to wait first (ms), the event, `,"properties":{...}` as JSON text or "".
Step = tuple[int, str, str]
#: One kind of behaviour: a generator function. It must end.
Journey = Callable[["Visit"], Iterator[Step]]
#: One of so many people writes articles.
_AUTHORS: Final = 50


class Scene(Protocol):
    """Where visits take place."""

    rng: Random
    habits: Habits
    library: Library
    #: On what people come, and the chance that decides it; None: each with one id.
    devices: Devices | None
    devices_rng: Random
    #: Epoch ms.
    now: int

    def later(self, visit: Visit, wait: int, steps: Iterator[Step]) -> None:
        """Let steps of `visit` happen, beginning `wait` ms from now."""

    def invite(self, visit: Visit, wait: int, invite_id: str) -> None:
        """Let somebody new come by this invitation, `wait` ms from now."""


class Person:
    """Somebody who comes back: with an account (`user_id`) or still without."""

    __slots__ = (
        "anonymous_id", "busy", "campaign", "devices", "invited", "invited_by", "number", "seen", "segment",
        "subscribed", "takes_part", "told_of", "until", "user_id", "visits",
    )  # fmt: skip

    def __init__(self, number: int, rng: Random, *, registered: bool, channel: str = "") -> None:
        self.number = number
        self.user_id = f"u{number}" if registered else None
        self.anonymous_id = f"a{rng.getrandbits(48):012x}"
        #: Those that are this person's alone.
        self.devices: tuple[str, ...] = (self.anonymous_id,)
        self.busy = False
        #: Doesn't come back after this time (epoch ms).
        self.until = float("inf")
        self.visits = 0
        #: Experiments and questions that were put to this person.
        self.seen: frozenset[str] = frozenset()
        #: The last operation this person was told of.
        self.told_of = ""
        #: The last operation this person took part in.
        self.takes_part = ""
        #: Whether an invitation brought this person; and which, of which user, until it is accepted.
        self.invited = False
        self.invited_by: tuple[str, str] | None = None
        self.subscribed = False
        platform, country = PLATFORMS.pick(rng), COUNTRIES.pick(rng)
        channel = channel or CHANNELS.pick(rng)
        self.segment = Segment(platform, VERSIONS[platform].pick(rng), country, channel)
        self.campaign = CAMPAIGNS[channel].pick(rng) if channel in CAMPAIGNS else ""

    @property
    def is_author(self) -> bool:
        """Whether this person publishes articles."""
        return self.number % _AUTHORS == 0


class Visit:
    """One session of a person: randomness, habits, and the fields that its events share."""

    __slots__ = (
        "_behaviour",
        "_device",
        "_epoch",
        "_new",
        "about",
        "context",
        "key",
        "person",
        "rng",
        "scene",
        "segment",
        "session",
    )

    def __init__(self, person: Person, scene: Scene, session: str | None) -> None:
        self.person, self.scene, self.session = person, scene, session
        self.rng = scene.rng
        self.segment, campaign = _way_in(person, scene.rng) if session else (person.segment, person.campaign)
        self._epoch = scene.habits.epoch
        self._behaviour = scene.habits.of(self.segment)
        self._new = False
        segment = self.segment
        named = f'"campaign":"{campaign}",' if campaign else ""
        self.about = (
            f'"platform":"{segment.platform}","app_version":"{segment.app_version}","channel":"{segment.channel}",'
            f'{named}"country":"{segment.country}","language":"{LANGUAGES.get(segment.country, "en")}"'
        )
        devices = scene.devices
        if devices is None:
            self._device = person.anonymous_id
            self._identify(person.user_id, None if person.user_id else person.anonymous_id)
        else:
            user_id, device = devices.way(person, scene.devices_rng)
            self._device = device or person.anonymous_id
            self._identify(user_id, device)

    def _identify(self, user_id: str | None, device: str | None) -> None:
        """Set the key and the shared fields: who it says it is, the session, the surroundings."""
        who = [f'"user_id":"{user_id}",'] if user_id else []
        if device:
            who.append(f'"anonymous_id":"{device}",')
        session = f'"session_id":"{self.session}",' if self.session else ""
        self.key = (user_id or device or "").encode()
        self.context = "".join(who) + session + self.about

    def may(self, what: str) -> bool:
        """Whether it happens: `may("pay")` with the probability that `Behaviour.pay` has now."""
        return self.rng.random() < self.chance(what)

    def chance(self, what: str) -> float:
        """The probability that `Behaviour` has now."""
        habits = self.scene.habits
        if self._epoch != habits.epoch:
            self._epoch = habits.epoch
            self._behaviour = habits.of(self.segment)
        chance: float = getattr(self._behaviour, what)
        return chance

    def think(self) -> int:
        """A time to think before the next step, ms."""
        return int(WAITS[self.rng.getrandbits(12)] * self._behaviour.think_ms) + 200

    def sign_up(self) -> None:
        """The visitor gets an account: from now on events carry both names, and are keyed by the new one."""
        self._new = True
        self.person.user_id = f"u{self.person.number}"
        self._identify(self.person.user_id, self._device)

    def lost(self, event: str) -> None:
        """The event didn't happen, by a fault: a sign-up that failed leaves no account."""
        if event == "sign_up" and self._new:
            self.person.user_id = None

    def apart(self) -> Visit:
        """The same person outside of any session: for what happens later, without the person being there."""
        return Visit(self.person, self.scene, None)

    def later(self, visit: Visit, wait: int, steps: Iterator[Step]) -> None:
        """Let something happen after the visit; see `apart`."""
        self.scene.later(visit, wait, steps)


def _way_in(person: Person, rng: Random) -> tuple[Segment, str]:
    """The segment and the campaign of a visit: the first is by the way that brought the person."""
    person.visits += 1
    segment = person.segment
    if person.visits == 1 or rng.random() < 0.7:
        return segment, person.campaign
    channel = RETURNS.pick(rng)
    campaign = CAMPAIGNS[channel].pick(rng) if channel in CAMPAIGNS else ""
    return segment._replace(channel=channel), campaign
