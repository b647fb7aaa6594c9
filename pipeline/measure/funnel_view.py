"""One funnel under one breakdown: its actors' entries, its counters, and how a batch's events change both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

from pipeline.measure.conditions import text_getter
from pipeline.measure.entries import Entries
from pipeline.measure.funnel import FunnelSpec
from pipeline.measure.funnel_alone import fold_alone
from pipeline.measure.funnel_counts import FunnelCounters
from pipeline.measure.funnel_extend import Change
from pipeline.measure.funnel_fold import FunnelFold
from pipeline.measure.funnel_steps import Named
from schemas.event import Event
from schemas.funnel import Funnel


class CounterKey(NamedTuple):
    """What one counter counts: users of a cohort bucket and breakdown value."""

    funnel: str
    definition: str
    breakdown: str
    bucket: int
    value: str


class FunnelView:
    """One funnel under one breakdown."""

    def __init__(
        self,
        name: str,
        funnel: Funnel,
        breakdown: str,
        definition: str,
        spec: FunnelSpec,
        actors: Entries,
        linked: bool,
    ) -> None:
        self.name, self.funnel, self.breakdown, self.definition, self.spec = name, funnel, breakdown, definition, spec
        self.actors = actors
        #: An event's value of the breakdown.
        self._text = text_getter(breakdown or "event")
        #: Codes whose events' values matter.
        self._carriers = spec.carriers if breakdown else 0
        #: Entries that changed since they were saved.
        self.changed: dict[str, bytes] = {}
        self.folder = FunnelFold(spec, linked)
        self.counters = FunnelCounters(spec)
        self.versions: dict[tuple[int, str], int] = {}
        #: Codes of events are below this.
        self.codes = 1 << spec.steps + bool(funnel.exclude)

    def key(self, bucket: int, value: str) -> CounterKey:
        """The key of a counter."""
        return CounterKey(self.name, self.definition, self.breakdown, bucket, value)

    def fold_alone(
        self, named: Named, code: int, rows: Sequence[int] | None, horizon: int, version: int
    ) -> set[CounterKey]:
        """Fold events of one name and code, each the only one of its actor in the batch; returns what changed."""
        actors = named.actors(self.funnel.per == "session")
        values = named.texts(self.breakdown) if code & self._carriers else repeat("", len(actors))
        own: Iterable[tuple[str, int, str]] = zip(actors, named.ts, values, strict=True)
        if rows is not None:
            every = list(own)
            own = [every[row] for row in rows]
        if self.funnel.per == "session":
            own = [item for item in own if item[0]]
        return self._fold_column(own, code, horizon, version)

    def _fold_column(
        self, own: Iterable[tuple[str, int, str]], code: int, horizon: int, version: int
    ) -> set[CounterKey]:
        changes, begun, chain = fold_alone(self.folder, self.actors, code, own, horizon, self.changed)
        changed = self.apply(changes, version)
        for bucket, value in self.counters.begin(begun, chain):
            self.versions[bucket, value] = version
            changed.add(self.key(bucket, value))
        return changed

    def put(self, actor: str, entry: bytes) -> None:
        """Put an actor's entry, empty for one that is not needed any more."""
        self.actors[actor] = self.changed[actor] = entry

    def fold_together(
        self, events: Iterable[tuple[int, str, Event, int]], horizon: int, version: int
    ) -> set[CounterKey]:
        """Fold events (place in the batch, actor, event, code) in their order, of actors that have several."""
        actors, text, fold, changed = self.actors, self._text, self.folder.fold, self.changed
        carriers = self._carriers
        by_actor: dict[str, list[tuple[int, int, str]]] = {}
        for _, actor, event, code in events:
            item = (event.ts, code, text(event) if code & carriers else "")
            same = by_actor.get(actor)
            if same is None:
                by_actor[actor] = [item]
            else:
                same.append(item)
        all_changes: list[Change] = []
        alone: dict[int, list[tuple[str, int, str]]] = {}
        for actor, new in by_actor.items():
            if len(new) == 1:
                ((ts, code, value),) = new
                alone.setdefault(code, []).append((actor, ts, value))
                continue
            before = entry = actors.get(actor) or None
            if len({value for _, code, value in new if code & carriers}) < 2:
                entry, changes = fold(before, new, horizon)
            else:
                # Events with several values are taken one by one: whoever folds them in smaller batches counts the
                # actor under each for a moment, and what it published or saved of that must be taken back here too.
                changes = []
                for item in new:
                    entry, more = fold(entry, [item], horizon)
                    changes += more
            if changes:
                all_changes += changes
            if entry is not None and entry != before:
                actors[actor] = changed[actor] = entry
        counters = self.apply(all_changes, version)
        for code, own in alone.items():
            counters |= self._fold_column(own, code, horizon, version)
        return counters

    def apply(self, changes: Iterable[Change], version: int) -> set[CounterKey]:
        """Change the counters; returns which."""
        changed: set[CounterKey] = set()
        for bucket, value in self.counters.apply(changes):
            self.versions[bucket, value] = version
            changed.add(self.key(bucket, value))
        return changed
