"""The past of a simulated product: events with times that are over, as fast as they can be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import Final

from pipeline.ingest.sent import Sent
from pipeline.simulate.devices import Devices
from pipeline.simulate.fault import Fault
from pipeline.simulate.population import Population, Rhythm
from pipeline.simulate.products import Product

#: The hours of the day in China.
BY_DAY: Final = Rhythm(1.0, timezone(timedelta(hours=8)))
#: Events of one user in a history that doesn't say how many users there are.
_EVENTS_PER_USER = 60


@dataclass(frozen=True)
class History:
    """About `events` clean events from `start` until `end` (epoch ms, end exclusive), the same for the same arguments.

    Activity follows `rhythm`. `users` is how many people there are at a time;
    without it there are so many that each makes about 60 events.
    """

    product: Product
    start: int
    end: int
    events: int
    users: int | None = None
    seed: int | str = 1
    faults: Sequence[Fault] = ()
    rhythm: Rhythm = BY_DAY
    #: On what people come; None: each with one id.
    devices: Devices | None = None
    #: Remember who came, for `people`.
    remember_people: bool = False
    _population: list[Population] = field(default_factory=list, repr=False, compare=False)

    def records(self) -> Iterator[Sent]:
        """The events in time order, each sent at its own time. Raises ValueError for an empty span."""
        if self.end <= self.start or self.events < 1:
            raise ValueError("a history needs a span of time and at least one event")
        population = Population(
            f"history:{self.seed}",
            start_ms=self.start,
            rate=self.events * 1000 / (self.end - self.start),
            users=self.number_of_users,
            rhythm=self.rhythm,
            journeys=self.product.journeys,
            faults=self.faults,
            devices=self.devices,
            remember_people=self.remember_people,
        )
        self._population[:] = [population]
        for sent in population.events():
            if sent.at >= self.end:
                return
            yield sent

    @property
    def number_of_users(self) -> int:
        """How many people there are at a time."""
        return self.users or max(500, self.events // _EVENTS_PER_USER)

    @property
    def population(self) -> Population | None:
        """Who lived in it, once `records` was read: `Population(after=...)` goes on with them."""
        return self._population[0] if self._population else None

    def people(self) -> Iterator[dict[str, object]]:
        """Everybody who did something, once `records` was read: the truth that no event says.

        `user_id` is None for who has no account; `devices` are those that nobody else uses, used or not.
        """
        came = self._population[0].came if self._population else None
        for number, person in sorted((came or {}).items()):
            yield {"person": number, "user_id": person.user_id, "devices": list(person.devices)}
