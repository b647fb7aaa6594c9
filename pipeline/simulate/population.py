"""The scheduler: who visits when, and the events of all visits in time order.

Visits begin as a Poisson process whose rate is set so that events come at the wanted rate; each visit is a
generator of steps, and a heap holds the next step of each. The population starts as if it had been there all
along, with visits under way, so that the rate is steady from the first second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from heapq import heappop, heappush, heapreplace
from itertools import count
from random import Random
from typing import Final

from pipeline.ingest.sent import Sent
from pipeline.simulate.behaviour import Habits
from pipeline.simulate.besides import CHECKOUT, RANKING
from pipeline.simulate.calendar import operation_at
from pipeline.simulate.devices import Devices
from pipeline.simulate.fault import Fault, Losses
from pipeline.simulate.library import Library
from pipeline.simulate.shop import shop
from pipeline.simulate.visit import Journey, Person, Step, Visit
from schemas.duration import DAY, HOUR

#: Activity by the hour of the day, mean 1: a low at four in the morning, lunch, and a peak in the evening.
#: Between the hours it is interpolated.
HOURLY: Final = (
    0.55, 0.36, 0.25, 0.20, 0.20, 0.27, 0.45, 0.72, 0.95, 1.08, 1.14, 1.22,
    1.36, 1.26, 1.15, 1.13, 1.16, 1.24, 1.38, 1.58, 1.75, 1.80, 1.62, 1.18,
)  # fmt: skip
#: How much more happens on a Saturday or a Sunday.
_WEEKEND: Final = 0.25
#: Visits that are tried out beforehand, to learn how many events and how much time one takes.
_TRIALS: Final = 12_000
#: How often a visit is tried that shall still be under way at the start.
_TRIES: Final = 30
#: Share of the visits that somebody new makes.
_NEW_VISITORS: Final = 0.05
#: Share of the people that have an account when the simulation starts.
_REGISTERED: Final = 0.7
#: Of somebody new, what share stays for how long on average (ms); those who were there before stay as the last.
_STAYS: Final = ((0.45, 0.02 * DAY), (0.75, 3.0 * DAY), (1.0, 45.0 * DAY))


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How much of the daily curve `HOURLY` is felt in the time zone: depth 0 is a steady rate, 1 the whole curve.

    At depth d the rate lies between 1 - 0.8 d and 1 + 0.8 d times the day's average. With a `weekly` depth of 1
    Saturdays and Sundays have a quarter more than the average, the other days a tenth less: a week's average stays.
    """

    depth: float = 0.0
    zone: tzinfo = UTC
    weekly: float = 0.0

    def factor(self, now: float) -> float:
        """Activity at `now` (epoch ms), relative to the average."""
        if not self.depth and not self.weekly:
            return 1.0
        offset = self.zone.utcoffset(datetime.fromtimestamp(now / 1000, self.zone))
        since = now / HOUR + (offset.total_seconds() / 3600 if offset is not None else 0.0)
        hours = since % 24
        hour = int(hours)
        this, following = HOURLY[hour % 24], HOURLY[(hour + 1) % 24]
        # Day 0, the first of 1970, was a Thursday.
        at_weekend = (int(since // 24) + 3) % 7 >= 5
        week = 1.0 + self.weekly * (_WEEKEND if at_weekend else -_WEEKEND * 2 / 5)
        return week * (1.0 + self.depth * (this + (following - this) * (hours - hour) - 1.0))


_STEADY: Final = Rhythm()
# (time, number, visit, its steps, event, properties): the number keeps equal times in order.
_Entry = tuple[int, int, Visit, Iterator[Step], str, str]


class Population:
    """Users of a product, from `start_ms` on. The same arguments give the same bytes.

    `rate` is the average number of events a second, `users` how many people there are at any time: a new
    visitor takes the place of somebody who doesn't come back, and too few people for the rate bring strangers.
    `habits` belong to one population. Without visits `under_way` it starts at once, but takes minutes to come
    up to its rate. `after` is a population that has ended: its people go on here, with what they remember.
    `faults` are what goes wrong, `devices` on what people come. With `remember_people` everybody who did something is
    in `came`.
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
        after: Population | None = None,
        faults: Sequence[Fault] = (),
        devices: Devices | None = None,
        remember_people: bool = False,
    ) -> None:
        if rate <= 0 or users < 1:
            raise ValueError("rate and users must be greater than 0")
        if habits is not None and faults:
            raise ValueError("give either habits, or faults that change the usual ones")
        self.rng = Random(f"population:{seed}")
        self.devices, self.devices_rng = devices, Random(f"devices:{seed}")
        #: By number: everybody who did something, if that is asked for.
        self.came: dict[int, Person] | None = {} if remember_people else None
        self._start, self._rate, self._users = start_ms, rate, users
        self._rhythm, self._journeys = rhythm, tuple(journeys)
        changes = [fault.change for fault in faults if fault.change is not None]
        self._usual = habits is None and not changes
        self.habits = habits or Habits(changes=changes)
        self.habits.move_to(start_ms)
        self._losses = Losses(faults, seed) if faults else None
        self.library: Library = after.library if after is not None else Library(start_ms)
        #: By place; made when somebody is first needed.
        self._people: dict[int, Person] = {}
        self._next_number = users
        if after is not None:
            self._people, self._next_number = after._people, max(users, after._next_number)
            for person in self._people.values():
                person.busy = False
        self._numbers = count()
        self._heap: list[_Entry] = []
        #: Epoch ms; visits see it too.
        self.now = start_ms
        self._under_way = under_way

    def events(self) -> Iterator[Sent]:
        """Clean events in time order, without end. Call it once."""
        visits_per_ms = self._begin()
        heap, habits, rng, losses = self._heap, self.habits, self.rng, self._losses
        getrandbits, numbers, factor = rng.getrandbits, self._numbers, self._rhythm.factor
        arrival = self._start + rng.expovariate(visits_per_ms * factor(self._start))
        while True:
            while not heap or arrival <= heap[0][0]:
                self.now = int(arrival)
                self._begin_visit(self.now)
                arrival += rng.expovariate(visits_per_ms * factor(arrival))
            now, _, visit, steps, name, properties = heap[0]
            self.now = now
            if now >= habits.next_change:
                habits.move_to(now)
            if losses is not None and losses.takes(name, visit.segment, now):
                visit.lost(name)
                step = None
            else:
                if self.came is not None:
                    self.came[visit.person.number] = visit.person
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
        lengths, durations = (
            _usual_visits(self._journeys, self._start)
            if self._usual
            else _tried_out(self._journeys, self._start, self.habits)
        )
        visits_per_ms = self._rate / 1000 * len(lengths) / sum(lengths)
        if not self._under_way or not any(durations):
            return visits_per_ms
        number = visits_per_ms * self._rhythm.factor(self._start) * sum(durations) / len(durations)
        # The longer a visit, the likelier it is met under way; and then at any moment of it.
        met = self.rng.choices(durations, weights=durations, k=round(number))
        for duration in met:
            began = self._start - int(self.rng.random() * duration)
            for _ in range(_TRIES):
                if self._begin_visit(began, self._start):
                    break
        return visits_per_ms

    def _begin_visit(self, began: int, seen_from: int = 0) -> bool:
        """Put a visit that begins at `began` on the heap, at its first step from `seen_from` on, if any."""
        self.now = began
        return self._visit_of(self._somebody(), began, seen_from)

    def _visit_of(self, person: Person, began: int, seen_from: int = 0) -> bool:
        session = f"s{self.rng.getrandbits(64):016x}"
        visit = Visit(person, self, session)
        steps = _journey(self._journeys, self.rng)(visit)
        at = began
        for wait, name, properties in steps:
            at += wait
            self.now = at
            if self._losses is not None and at < seen_from and self._losses.takes(name, visit.segment, at):
                visit.lost(name)
                return False
            if at >= seen_from:
                person.busy = True
                heappush(self._heap, (at, next(self._numbers), visit, steps, name, properties))
                return True
        return False

    def later(self, visit: Visit, wait: int, steps: Iterator[Step]) -> None:
        """Let steps happen apart from any visit. For visits to call."""
        step = next(steps, None)
        # What follows from the time before the start is left out, like the order it follows from.
        if step is not None and self.now >= self._start:
            at = self.now + wait + step[0]
            heappush(self._heap, (at, next(self._numbers), visit, steps, step[1], step[2]))

    def invite(self, visit: Visit, wait: int, invite_id: str) -> None:
        """Let somebody new come, who was invited. For visits to call."""
        inviter = visit.person.user_id
        if self.now < self._start or inviter is None:
            return
        now = self.now
        stranger = self._stranger("organic", stays=True)
        stranger.invited = True
        stranger.invited_by = (invite_id, inviter)
        self._visit_of(stranger, now + wait)
        self.now = now

    def _somebody(self) -> Person:
        """Who comes: some people come much more often than others, and now and then somebody new does."""
        rng, people = self.rng, self._people
        if rng.random() >= _NEW_VISITORS:
            for _ in range(8):
                place = int(rng.random() ** 2 * self._users)
                person = people.get(place)
                if person is None:
                    person = people[place] = Person(place, rng, registered=rng.random() < _REGISTERED)
                    person.until = self.now + rng.expovariate(1 / _STAYS[-1][1])
                if not person.busy and person.until > self.now:
                    return person
        # Also where all seem to be here already: nobody makes two visits at a time.
        return self._stranger()

    def _stranger(self, channel: str = "", *, stays: bool = False) -> Person:
        """Somebody new, who takes the place of somebody else: of one who has left for good, if one is found."""
        rng, people = self.rng, self._people
        stranger = Person(self._next_number, rng, registered=False, channel=channel)
        self._next_number += 1
        draw = 1.0 if stays else rng.random()
        mean = next(mean for share, mean in _STAYS if draw <= share)
        stranger.until = self.now + rng.expovariate(1 / mean)
        for _ in range(4):
            place = int(rng.random() * self._users)
            if place not in people or people[place].until <= self.now:
                break
        people[place] = stranger
        return stranger


def _journey(journeys: tuple[Journey, ...], rng: Random) -> Journey:
    return journeys[0] if len(journeys) == 1 else journeys[int(rng.random() * len(journeys))]


def _tried_out(journeys: tuple[Journey, ...], start: int, habits: Habits) -> tuple[list[int], list[int]]:
    """The number of events and the time of some visits, by people who leave no trace."""
    trial = _Trial(habits, start)
    lengths, durations = [], []
    for number in range(_TRIALS):
        person = Person(number, trial.rng, registered=trial.rng.random() < _REGISTERED)
        if number % 2:  # has been here before
            person.seen, person.told_of = frozenset((CHECKOUT.name, RANKING.name)), operation_at(trial.now).name
        waits = [step[0] for step in _journey(journeys, trial.rng)(Visit(person, trial, "s"))]
        lengths.append(len(waits) + trial.drain())
        durations.append(sum(waits))
    return lengths, durations


@lru_cache(maxsize=4)
def _usual_visits(journeys: tuple[Journey, ...], start: int) -> tuple[list[int], list[int]]:
    """Those of people with the usual habits, which are the same for every population of that start."""
    return _tried_out(journeys, start, Habits())


class _Trial:
    """A scene that leaves no trace, for visits that are tried out."""

    def __init__(self, habits: Habits, now: int) -> None:
        self.rng, self.habits, self.now = Random("trial visits"), habits, now
        self.devices: Devices | None = None
        self.devices_rng = Random("trial devices")
        self.library = Library(now)
        self._later: list[Iterator[Step]] = []

    def later(self, visit: Visit, wait: int, steps: Iterator[Step]) -> None:
        """Note the steps."""
        self._later.append(steps)

    def invite(self, visit: Visit, wait: int, invite_id: str) -> None:
        """Nobody comes: their visits are few."""

    def drain(self) -> int:
        """How many steps were noted since the last time."""
        found = sum(1 for steps in self._later for _ in steps)
        self._later.clear()
        return found
