"""A person, and a visit that this person makes: what a behaviour sees of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from pipeline.simulate.behaviour import Habits, Segment
from pipeline.simulate.world import CAMPAIGNS, CHANNELS, COUNTRIES, LANGUAGES, PLATFORMS, VERSIONS, WAITS

#: What a behaviour yields: how long to wait first (ms), the event, `,"properties":{...}` as JSON text or "".
Step = tuple[int, str, str]
#: One kind of behaviour: a generator function. It must end.
Journey = Callable[["Visit"], Iterator[Step]]


class Person:
    """Somebody who comes back: with an account (`user_id`) or still without."""

    __slots__ = ("about", "anonymous_id", "busy", "number", "segment", "user_id")

    def __init__(self, number: int, rng: Random, *, registered: bool) -> None:
        self.number = number
        self.user_id = f"u{number}" if registered else None
        self.anonymous_id = f"a{rng.getrandbits(48):012x}"
        self.busy = False
        platform, country, channel = PLATFORMS.pick(rng), COUNTRIES.pick(rng), CHANNELS.pick(rng)
        self.segment = Segment(platform, VERSIONS[platform].pick(rng), country, channel)
        campaign = f'"campaign":"{CAMPAIGNS[channel].pick(rng)}",' if channel in CAMPAIGNS else ""
        self.about = (
            f'"platform":"{platform}","app_version":"{self.segment.app_version}","channel":"{channel}",'
            f'{campaign}"country":"{country}","language":"{LANGUAGES.get(country, "en")}"'
        )


class Visit:
    """One session of a person: randomness, habits, and the fields that its events share."""

    __slots__ = ("_behaviour", "_epoch", "_habits", "context", "key", "later", "person", "rng", "session")

    def __init__(
        self,
        person: Person,
        habits: Habits,
        rng: Random,
        session: str | None,
        later: Callable[[Visit, int, Iterator[Step]], None],
    ) -> None:
        self.person, self.rng, self.session = person, rng, session
        #: `later(visit, ms, steps)` lets something happen after the visit; see `apart`.
        self.later = later
        self._habits, self._epoch = habits, habits.epoch
        self._behaviour = habits.of(person.segment)
        self._identify(person.user_id is None)

    def _identify(self, with_anonymous: bool) -> None:
        """Set the key and the shared fields: who it is, the session, the surroundings."""
        person = self.person
        who = [f'"user_id":"{person.user_id}",'] if person.user_id else []
        if with_anonymous:
            who.append(f'"anonymous_id":"{person.anonymous_id}",')
        session = f'"session_id":"{self.session}",' if self.session else ""
        self.key = (person.user_id or person.anonymous_id).encode()
        self.context = "".join(who) + session + person.about

    def may(self, what: str) -> bool:
        """Whether it happens: `may("pay")` with the probability that `Behaviour.pay` has now."""
        if self._epoch != self._habits.epoch:
            self._epoch = self._habits.epoch
            self._behaviour = self._habits.of(self.person.segment)
        chance: float = getattr(self._behaviour, what)
        return self.rng.random() < chance

    def think(self) -> int:
        """A time to think before the next step, ms."""
        return int(WAITS[self.rng.getrandbits(12)] * self._behaviour.think_ms) + 200

    def sign_up(self) -> None:
        """The visitor gets an account: from now on events carry both names, and are keyed by the new one."""
        self.person.user_id = f"u{self.person.number}"
        self._identify(True)

    def apart(self) -> Visit:
        """The same person outside of any session: for what happens later, without the person being there."""
        return Visit(self.person, self._habits, self.rng, None, self.later)
