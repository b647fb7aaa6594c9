"""How likely users do what, by segment, and how that changes in time: faults, campaigns, releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final, NamedTuple


class Segment(NamedTuple):
    """What behaviour may depend on."""

    platform: str
    app_version: str
    country: str
    channel: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Probabilities of the next step, given the one before, and how long people think in between."""

    search: float = 0.30
    #: Look at one more product.
    look_on: float = 0.66
    share: float = 0.03
    add_to_cart: float = 0.24
    #: A visitor without an account makes one, just so or because the checkout asks for it.
    sign_up: float = 0.03
    sign_up_to_buy: float = 0.62
    checkout: float = 0.58
    pay: float = 0.76
    purchase: float = 0.90
    refund: float = 0.04
    #: Of a visit: looks at an advertisement, reads an article, invites somebody.
    ad_impression: float = 0.10
    article_view: float = 0.08
    invite_sent: float = 0.012
    #: An invitation is accepted.
    invite_accepted: float = 0.35
    #: Of the first visit during an operation (a sale, a check-in): takes part.
    campaign_join: float = 0.15
    #: Of an order, or of a reading visit: is asked how likely a recommendation is. And of those asked: answers.
    survey_shown: float = 0.30
    survey_answered: float = 0.45
    #: Each step of the onboarding after a sign-up.
    onboarding_step: float = 0.70
    #: Of an article that was opened: what follows.
    article_read: float = 0.85
    like: float = 0.15
    comment: float = 0.05
    follow: float = 0.02
    #: Of an author's visit.
    publish: float = 0.12
    #: A reader meets the limit of free articles; and then subscribes. Of a subscriber's visit: ends it.
    paywall: float = 0.12
    subscribe: float = 0.08
    unsubscribe: float = 0.01
    #: Mean time between two steps, ms.
    think_ms: float = 9_000.0


#: Small screens look more and buy less; the web asks for a card, where the apps know a wallet.
BY_PLATFORM: Final[Mapping[str, Behaviour]] = {
    "ios": Behaviour(),
    "android": Behaviour(add_to_cart=0.22, checkout=0.55, pay=0.72, purchase=0.87),
    "web": Behaviour(search=0.42, share=0.01, checkout=0.49, pay=0.64, sign_up_to_buy=0.50, think_ms=12_000.0),
}


@dataclass(frozen=True, slots=True)
class Change:
    """From `start` until `end` (epoch ms), visits of the segments in `where` behave differently.

    `Change(t, {"pay": 0.0}, {"platform": "android"})` breaks the payment on Android from t on; visits under
    way are hit too. Raises ValueError for a probability or a segment that doesn't exist.
    """

    start: int
    values: Mapping[str, float]
    where: Mapping[str, str] = field(default_factory=dict)
    end: int | None = None
    #: Probabilities that are multiplied instead, up to 1.
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {f.name for f in fields(Behaviour)}
        for name in (*self.values, *self.factors):
            if name not in known:
                raise ValueError(f"{name!r} is not a behaviour: use one of {', '.join(sorted(known))}")
        for name in self.where:
            if name not in Segment._fields:
                raise ValueError(f"{name!r} is not part of a segment: use one of {', '.join(Segment._fields)}")

    def holds(self, segment: Segment, now: int) -> bool:
        """Whether it is in force for this segment at `now`."""
        if now < self.start or (self.end is not None and now >= self.end):
            return False
        return all(getattr(segment, name) == value for name, value in self.where.items())


class Habits:
    """The behaviour of every segment at the present moment of the simulation."""

    def __init__(self, by_platform: Mapping[str, Behaviour] = BY_PLATFORM, changes: Sequence[Change] = ()) -> None:
        self._by_platform, self._changes = by_platform, tuple(changes)
        self._moments = sorted({t for c in changes for t in (c.start, c.end) if t is not None}, reverse=True)
        self._now = 0
        self._cache: dict[Segment, Behaviour] = {}
        #: Counts the changes that came into force: who keeps a behaviour knows by it when to ask again.
        self.epoch = 0

    @property
    def next_change(self) -> float:
        """When behaviour changes next, epoch ms."""
        return self._moments[-1] if self._moments else float("inf")

    def move_to(self, now: int) -> None:
        """Let the changes until `now` come into force."""
        while self._moments and self._moments[-1] <= now:
            self._now = self._moments.pop()
            self.epoch += 1
            self._cache.clear()

    def of(self, segment: Segment) -> Behaviour:
        """How people of this segment behave now."""
        found = self._cache.get(segment)
        if found is None:
            found = self._by_platform.get(segment.platform) or Behaviour()
            for change in self._changes:
                if change.holds(segment, self._now):
                    scaled = {name: min(1.0, getattr(found, name) * by) for name, by in change.factors.items()}
                    found = replace(found, **{**change.values, **scaled})
            self._cache[segment] = found
        return found
