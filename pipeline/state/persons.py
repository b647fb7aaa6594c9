"""Who is who in one partition: what becomes of a link, of what is handed over, and of where ids were counted.

Pure: a classified batch in, counters changed, and letters to other partitions out. A letter is a record of the events
topic; what it says is a function of this partition's log, so one that is written twice says the same twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Final, NamedTuple

import numpy as np

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.handover import Handover, Portion, Presence, Steps, handover_mark, packed, parts
from pipeline.ingest.links import DECIDED, LINK_HEADER, TOLD, Claim, Link, link_value
from pipeline.ingest.partitioner import homes_of
from pipeline.ingest.records import Classified, Outcome
from pipeline.ingest.seen import U64, SeenIds, distinct
from pipeline.measure.activity import Activity, Counted, WindowKey
from pipeline.measure.entries import Entries
from pipeline.measure.funnel_view import CounterKey
from pipeline.measure.funnels import Funnels
from pipeline.measure.trails import Trail, Trails
from schemas.event import Event
from schemas.plan import Plan

#: Behind the id of a device that is nobody's any more: as somebody else than whom was taken off the counters.
_AGAIN = "\x1f"


class Letter(NamedTuple):
    """A record for another partition of the events topic."""

    partition: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes | None], ...]


#: Claims that are told in one record: far below what a topic takes.
_CLAIMS: Final = 500


class Changed(NamedTuple):
    """What links have changed in the counters."""

    accumulators: set[WindowKey]
    counters: set[CounterKey]


def _id_of(turn: Link | Handover) -> str:
    return turn.claim.id if isinstance(turn, Link) else turn.id


def _told(result: Classified) -> list[Letter]:
    """What other partitions are told of the claims of a batch."""
    together: dict[tuple[int, bytes], list[Claim]] = {}
    for _, partition, claim, decided in result.tellings:
        together.setdefault((partition, DECIDED if decided else TOLD), []).append(claim)
    return [
        Letter(partition, None, link_value(*claims[n : n + _CLAIMS]), ((LINK_HEADER, kind),))
        for (partition, kind), claims in together.items()
        for n in range(0, len(claims), _CLAIMS)
    ]


class Persons:
    """The ids of one partition, over its classifier (who owns them) and its counters."""

    def __init__(
        self,
        plan: Plan,
        partition: int,
        partitions: int,
        classifier: PartitionClassifier,
        activity: Activity,
        funnels: Funnels,
        entries: Entries,
    ) -> None:
        self._plan, self._partition, self._partitions = plan, partition, partitions
        self._classifier, self._activity, self._funnels = classifier, activity, funnels
        self.trails = Trails(plan, activity.fields, entries)
        #: Handovers that were taken, so that one that comes twice counts once.
        self.taken = SeenIds(plan.dedupe)
        self.unsaved_taken: list[tuple[int, U64]] = []
        self._aliases = plan.aliases
        #: What a batch hands over for users who may be somebody else: the watermark before it, and each with its own.
        self._joining: dict[str, tuple[int, list[tuple[Trail, int]]]] = {}

    def counted_as(self, result: Classified) -> list[Event]:
        """The accepted events of a batch, each under whom it counts."""
        for i in result.shared:
            event = result.events[i]
            assert event is not None
            event.actor += _AGAIN
        if result.outcomes.count(Outcome.ACCEPTED) == len(result.outcomes):
            return result.events  # type: ignore[return-value]
        accepted = [outcome is Outcome.ACCEPTED for outcome in result.outcomes]
        return list(compress(result.events, accepted))  # type: ignore[arg-type]

    def note(self, result: Classified, counted: Iterable[Event], watermark: int) -> None:
        """Note where ids that belong to nobody yet were counted; `watermark` is the partition's before the batch."""
        if self._aliases:
            self.trails.add([event for event in counted if not event.actor.endswith(_AGAIN)], watermark)
            return
        events, outcomes = result.events, result.outcomes
        alone = [events[i] for i in result.alone if outcomes[i] is Outcome.ACCEPTED]
        self.trails.add(
            [event for event in alone if event and event.actor[0] == "$" and event.actor[-1] != _AGAIN], watermark
        )

    def follow(self, result: Classified, version: int) -> tuple[list[Letter], Changed]:
        """Do what the links and handovers of a batch say whose events are counted; `version`: the offset after it."""
        changed = Changed(set(), set())
        letters = _told(result)
        turns: list[tuple[int, Link | Handover]] = [(link.at, link) for link in result.links if link.ruling == "linked"]
        turns += result.handovers
        if not turns:
            return letters, changed
        # By the links before each: those that come later in the batch take it on when their turn comes.
        persons = [(turn.person, turn.hops) for _, turn in turns if isinstance(turn, Link)] + result.handed
        homes = homes_of([person for person, _ in persons], self._partitions).tolist()
        order = sorted(range(len(turns)), key=lambda n: turns[n][0])
        watermarks = result.watermarks_at([i for i, _ in turns])
        new = self._new_handovers([(turns[n][1], watermarks[n]) for n in order])
        gone: list[Counted] = []
        brought: list[Counted] = []
        come: list[Counted] = []
        numbers: dict[int, int] = {}
        leaving: dict[int, list[tuple[str, bytes]]] = {}
        for n in order:
            (i, turn), watermark, (person, hops), home = turns[n], watermarks[n], persons[n], homes[n]
            if isinstance(turn, Link):
                shares = self._take_off(turn.claim.id, watermark, version, changed, gone, brought)
            elif turn.mark not in new:
                continue
            else:
                new.discard(turn.mark)
                shares = {max(watermark, turn.watermark): turn.share}
            for open_at, share in shares.items():
                handover = Handover(_id_of(turn), person, hops, open_at, share)
                if home == self._partition:
                    self._put_on(handover, watermark, version, changed, come)
                    continue
                origin = f"{self._partition}:{result.records[i].offset}"
                for value in parts(handover):
                    # A record may link many ids, and each hands over: the parts are numbered through.
                    number = numbers[i] = numbers.get(i, -1) + 1
                    leaving.setdefault(home, []).append((f"{origin}:{number}", value))
        for one in list(self._joining):
            self._join(one)
        for home, marked in leaving.items():
            letters += [Letter(home, None, value, (header,)) for header, value in packed(marked)]
        # Taking off and putting on don't meet in a sketch, so all can be done at once; whoever goes has come before.
        changed.accumulators.update(self._activity.put_on(come, version, self._classifier.watermark))
        changed.accumulators.update(self._activity.take_off(gone, version))
        changed.accumulators.update(self._activity.take_back(brought, version))
        return letters, changed

    def _take_off(
        self, one: str, watermark: int, version: int, changed: Changed, gone: list[Counted], brought: list[Counted]
    ) -> dict[int, Portion]:
        """Count an id as nobody; its share by the watermark at which a window must be open to count it elsewhere."""
        self._join(one)
        visits, sessions = self.trails.of(one, watermark)
        if visits:
            gone.append((one, visits, watermark))
        by_watermark = {watermark: visits}
        for open_at, more in self.trails.brought(one, watermark).items() if self._aliases else ():
            brought.append((one, more, open_at))
            by_watermark[open_at] = by_watermark.get(open_at, []) + more
        self.trails.drop(one)
        steps, counters = self._funnels.take_off(one, sessions, watermark, version)
        if not visits and not steps and len(by_watermark) == 1:
            return {}
        changed.counters.update(counters)
        shares = {
            open_at: Portion(self._activity.fields, [Presence(*visit) for visit in found], ())
            for open_at, found in by_watermark.items()
        }
        shares[watermark] = shares[watermark]._replace(steps=[Steps(*each) for each in steps])
        return {open_at: share for open_at, share in shares.items() if share}

    def _put_on(self, handover: Handover, watermark: int, version: int, changed: Changed, come: list[Counted]) -> None:
        """Count a share that was handed over; `watermark` is the partition's own."""
        person, open_at, share = handover.person, handover.watermark, handover.share
        visits = self._own_fields(share)
        come.append((person, visits, open_at))
        # Steps of what was final where they come from are not among them; what the user has is final by our own time.
        changed.counters.update(self._funnels.put_on(person, share.steps, watermark, version))
        if self._aliases:
            sessions = [steps.session for steps in share.steps if steps.session]
            _, shares = self._joining.setdefault(person, (watermark, []))
            shares.append((Trail(visits, sessions), open_at))

    def _join(self, one: str) -> None:
        """Note what was handed over for an id: all of a batch at once, and before it goes on."""
        if found := self._joining.pop(one, None):
            watermark, shares = found
            self.trails.join(one, shares, watermark)

    def _own_fields(self, share: Portion) -> list[tuple[int, tuple[str, ...], bool]]:
        """The visits with the values of our plan's fields; another plan may have others."""
        fields = self._activity.fields
        if share.fields == fields:
            return list(share.visits)
        at = [share.fields.index(name) if name in share.fields else -1 for name in fields]
        return [
            (minute, tuple(["" if place < 0 else values[place] for place in at]), registered)
            for minute, values, registered in share.visits
        ]

    def _new_handovers(self, turns: Iterable[tuple[Link | Handover, int]]) -> set[str]:
        """The marks of handovers that come for the first time; notes that they were taken.

        `turns` are in the order of the log, each with the watermark after its record.
        """
        new: set[str] = set()
        waiting: list[str] = []

        def note() -> None:
            marks = np.array([handover_mark(mark) for mark in waiting], np.uint64)
            _, first = np.unique(marks, return_index=True)
            fresh = first[~self.taken.contains(marks[first])]
            if len(fresh):
                self.taken.add(marks[fresh])
                self.unsaved_taken.append((self.taken.generation, marks[fresh]))
            new.update(waiting[place] for place in fresh.tolist())
            waiting.clear()

        for turn, watermark in turns:
            if isinstance(turn, Handover):
                generation = self.taken.generation_of(watermark)
                if generation > self.taken.generation:
                    note()
                    self.taken.move_to(generation)
                waiting.append(turn.mark)
        note()
        return new

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def changed_owners(self) -> Iterator[tuple[str, bytes]]:
        """The owners that changed since the last call."""
        owners = self._classifier.owners
        changed, owners.changed = owners.changed, set()
        return ((one, owners.entry(one)) for one in changed)

    def changed_aliases(self) -> Iterator[tuple[str, bytes]]:
        """The aliases that changed since the last call."""
        aliases = self._classifier.aliases
        changed, aliases.changed = aliases.changed, set()
        return ((one, aliases.entry(one)) for one in changed)

    def changed_trails(self) -> Iterator[tuple[str, bytes]]:
        """The trails that changed since the last call; empty where there is none any more."""
        changed, self.trails.changed = self.trails.changed, set()
        return ((one, self.trails.entries.get(one) or b"") for one in changed)

    def restore_taken(self, marks: Mapping[int, Sequence[U64]]) -> None:
        """Remember the handovers that were taken, by generation."""
        for generation in sorted(marks)[-self.taken.KEPT - 1 :]:
            self.taken.move_to(generation)
            self.taken.add(distinct(np.concatenate(list(marks[generation]))))
