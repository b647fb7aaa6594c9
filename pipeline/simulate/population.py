"""The scheduler: who visits when, and the events of all visits in time order.

Visits begin as a Poisson process whose rate is set so that events come at the wanted rate; each visit is a
generator of steps, and a heap holds the next step of each. The population starts as if it had been there all
along, with visits under way, so that the rate is steady from the first second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import count
from random import Random
from typing import Final

from pipeline.simulate.behaviour import Habits
from pipeline.simulate.sent import Sent
from pipeline.simulate.shop import shop
from pipeline.simulate.visit import Journey, Person, Step, Visit

#: Activity by the hour of the day, mean 1: a low at four in the morning, lunch, and a peak in the evening.
#: Between the hours it is interpolated.
HOURLY: Final = (
    0.55, 0.36, 0.25, 0.20, 0.20, 0.27, 0.45, 0.72, 0.95, 1.08, 1.14, 1.22,
    1.36, 1.26, 1.15, 1.13, 1.16, 1.24, 1.38, 1.58, 1.75, 1.80, 1.62, 1.18,
)  # fmt: skip
_HOUR: Final = 3_600_000
#: Visits that are tried out beforehand, to learn how many events and how much time one takes.
_TRIALS: Final = 12_000
#: How often a visit is tried that shall still be under way at the start.
_TRIES: Final = 30
#: Share of the visits that somebody new makes.
_NEW_VISITORS: Final = 0.05
#: Share of the people that have an account when the simulation starts.
_REGISTERED: Final = 0.7


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How much of the daily curve `HOURLY` is felt: depth 0 is a steady rate, 1 the whole curve.

    At depth d the rate lies between 1 - 0.8 d and 1 + 0.8 d times the average, which stays the same.
    """

    depth: float = 0.0
    utc_offset_hours: float = 0.0

    def factor(self, now: float) -> float:
        """Activity at `now` (epoch ms), relative to the average."""
        if not self.depth:
            return 1.0
        hours = (now / _HOUR + self.utc_offset_hours) % 24
        hour = int(hours)
        this, following = HOURLY[hour % 24], HOURLY[(hour + 1) % 24]
        return 1.0 + self.depth * (this + (following - this) * (hours - hour) - 1.0)


_STEADY: Final = Rhythm()
# (time, number, visit, its steps, event, properties): the number keeps equal times in order.
_Entry = tuple[int, int, Visit, Iterator[Step], str, str]


class Population:
    """Users of a product, from `start_ms` on. The same arguments give the same bytes.

    `rate` is the average number of events a second, `users` how many people there are at any time: a new
    visitor takes the place of somebody who doesn't come back, and too few people for the rate bring strangers.
    `habits` belong to one population. Without visits `under_way` it starts at once, but takes minutes to come
    up to its rate.
    """

    def __init__(
        self,
        seed: int | str,
        *,
        start_ms: int,
        rate: float,
        users: int = 10_000,
        rhythm: Rhythm = _STEADY,
        habits: Habits | None = None,
        journeys: Sequence[Journey] = (shop,),
        under_way: bool = True,
    ) -> None:
        if rate <= 0 or users < 1:
            raise ValueError("rate and users must be greater than 0")
        self._rng = Random(f"population:{seed}")
        self._start, self._rate, self._users = start_ms, rate, users
        self._rhythm, self._journeys = rhythm, tuple(journeys)
        self._habits = habits or Habits()
        self._habits.move_to(start_ms)
        self._people: dict[int, Person] = {}  # by place; made when somebody is first needed
        self._next_number = users
        self._numbers = count()
        self._heap: list[_Entry] = []
        self._now = start_ms
        self._under_way = under_way

    def events(self) -> Iterator[Sent]:
        """Clean events in time order, without end. Call it once."""
        visits_per_ms = self._begin()
        heap, habits, rng = self._heap, self._habits, self._rng
        getrandbits, numbers, factor = rng.getrandbits, self._numbers, self._rhythm.factor
        arrival = self._start + rng.expovariate(visits_per_ms * factor(self._start))
        while True:
            while not heap or arrival <= heap[0][0]:
                self._now = int(arrival)
                self._begin_visit(self._now)
                arrival += rng.expovariate(visits_per_ms * factor(arrival))
            now, _, visit, steps, name, properties = heap[0]
            self._now = now
            if now >= habits.next_change:
                habits.move_to(now)
            head = f'{{"event_id":"{getrandbits(128):032x}","event":"{name}","ts":{now},'
            yield Sent(now, visit.key, f"{head}{visit.context}{properties}}}".encode())
            step = next(steps, None)
            if step is None:
                heappop(heap)
                if visit.session is not None:
                    visit.person.busy = False
            else:
                heapreplace(heap, (now + step[0], next(numbers), visit, steps, step[1], step[2]))

    def _begin(self) -> float:
        """Learn what a visit amounts to, put the visits under way on the heap; returns visits per ms."""
        lengths, durations = self._try_out()
        visits_per_ms = self._rate / 1000 * len(lengths) / sum(lengths)
        if not self._under_way or not any(durations):
            return visits_per_ms
        number = visits_per_ms * self._rhythm.factor(self._start) * sum(durations) / len(durations)
        # The longer a visit, the likelier it is met under way; and then at any moment of it.
        met = self._rng.choices(durations, weights=durations, k=round(number))
        for duration in met:
            began = self._start - int(self._rng.random() * duration)
            for _ in range(_TRIES):
                if self._begin_visit(began, self._start):
                    break
        return visits_per_ms

    def _try_out(self) -> tuple[list[int], list[int]]:
        """The number of events and the time of some visits, by people who leave no trace."""
        rng = Random("trial visits")
        lengths, durations = [], []
        later: list[Iterator[Step]] = []
        for number in range(_TRIALS):
            person = Person(number, rng, registered=rng.random() < _REGISTERED)
            visit = Visit(person, self._habits, rng, "s", lambda _visit, _wait, steps: later.append(steps))
            waits = [step[0] for step in self._journey(rng)(visit)]
            lengths.append(len(waits) + sum(1 for steps in later for _ in steps))
            durations.append(sum(waits))
            later.clear()
        return lengths, durations

    def _journey(self, rng: Random) -> Journey:
        journeys = self._journeys
        return journeys[0] if len(journeys) == 1 else journeys[int(rng.random() * len(journeys))]

    def _begin_visit(self, began: int, seen_from: int = 0) -> bool:
        """Put a visit that begins at `began` on the heap, at its first step from `seen_from` on, if any."""
        person = self._somebody()
        session = f"s{self._rng.getrandbits(64):016x}"
        visit = Visit(person, self._habits, self._rng, session, self._happen_later)
        steps = self._journey(self._rng)(visit)
        at = began
        for wait, name, properties in steps:
            at += wait
            self._now = at
            if at >= seen_from:
                person.busy = True
                heappush(self._heap, (at, next(self._numbers), visit, steps, name, properties))
                return True
        return False

    def _happen_later(self, visit: Visit, wait: int, steps: Iterator[Step]) -> None:
        step = next(steps, None)
        # What follows from the time before the start is left out, like the order it follows from.
        if step is not None and self._now >= self._start:
            at = self._now + wait + step[0]
            heappush(self._heap, (at, next(self._numbers), visit, steps, step[1], step[2]))

    def _somebody(self) -> Person:
        """Who comes: some people come much more often than others, and now and then somebody new does."""
        rng, people = self._rng, self._people
        if rng.random() >= _NEW_VISITORS:
            for _ in range(8):
                place = int(rng.random() ** 2 * self._users)
                if place not in people:
                    people[place] = Person(place, rng, registered=rng.random() < _REGISTERED)
                if not people[place].busy:
                    return people[place]
        # Also where all seem to be here already: nobody makes two visits at a time.
        stranger = Person(self._next_number, rng, registered=False)
        self._next_number += 1
        people[int(rng.random() * self._users)] = stranger
        return stranger
