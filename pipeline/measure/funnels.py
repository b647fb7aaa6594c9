"""The plan's funnels in one partition: which events are steps, what each actor has done, how many got how far.

The meaning of a funnel is in `funnel.py`; here it is bound to a plan. Each breakdown of a funnel is a view of its
own: its actors' states and its counters. The total is the sum over a view's values (each actor counts under one),
except for the attribution `any`, which gets a view without breakdown.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from pipeline.measure.entries import Entries, NewEntries, in_memory
from pipeline.measure.funnel import FunnelSpec
from pipeline.measure.funnel_steps import SEPARATOR, StepIndex, by_name
from pipeline.measure.funnel_view import CounterKey, FunnelView
from pipeline.measure.rows import FunnelRow
from pipeline.measure.windows import bounds
from schemas.event import Event
from schemas.plan import Funnel, Plan

#: Funnel, definition, breakdown, session (of a funnel per session, else ""), and events (ts, code, value).
Steps = tuple[str, str, str, str, Sequence[tuple[int, int, str]]]


class Reached(NamedTuple):
    """A funnel under one breakdown: by value the users that reached each step."""

    funnel: str
    breakdown: str
    steps: int
    current: dict[str, tuple[int, ...]]
    previous: dict[str, tuple[int, ...]]


def definition_of(funnel: Funnel, plan: Plan) -> str:
    """A short hash of what a funnel means: state of an older meaning is not mixed with the new one."""
    text = funnel.model_dump_json(exclude={"description"}) + plan.timezone
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


class Funnels:
    """All funnels of one partition. `new_entries` says where actors have their entries."""

    def __init__(self, plan: Plan, new_entries: NewEntries = in_memory) -> None:
        self.plan = plan
        self._new_entries = new_entries
        self._views: dict[tuple[str, str, str], FunnelView] = {}
        #: The views of each funnel.
        self._funnels: list[list[FunnelView]] = []
        #: Of the funnels that look at their steps, and of those that look at all events.
        self._indexes = (StepIndex(every=False), StepIndex(every=True))
        for index, (name, funnel) in enumerate(plan.funnels.items()):
            self._add(index, name, funnel)

    def _add(self, index: int, name: str, funnel: Funnel) -> None:
        zone, grain = self.plan.zone, funnel.bucket
        spec = FunnelSpec(
            len(funnel.steps),
            funnel.window,
            lambda ts: bounds(grain, ts, zone),
            frozenset(funnel.modes),
            funnel.attribution,
        )
        definition = definition_of(funnel, self.plan)
        fields: Sequence[str] = funnel.breakdown or ("",)
        if funnel.attribution == "any" and funnel.breakdown:
            fields = ("", *fields)
        views = [
            FunnelView(
                name, funnel, field, definition, spec, self._new_entries(name, definition, field), self.plan.identity.on
            )
            for field in fields
        ]
        for view in views:
            self._views[name, definition, view.breakdown] = view
        self._funnels.append(views)
        self._indexes["strict_order" in funnel.modes].add(index, funnel)

    # -- folding -------------------------------------------------------------------------------------------------

    def fold(self, events: Sequence[Event], version: int, watermark: int) -> set[CounterKey]:
        """Count accepted events; returns the counters that changed.

        `version` is the offset after the batch, `watermark` the partition's before it, in epoch ms.
        """
        changed: set[CounterKey] = set()
        horizon = watermark - self.plan.lateness
        for index in self._indexes:
            alone, together = by_name(index.of(events))
            for name, named in alone.items():
                for number, code, rows in index.matches(name, named):
                    for view in self._funnels[number]:
                        changed |= view.fold_alone(named, code, rows, horizon, version)
            work: dict[int, list[tuple[int, str, Event, int]]] = {}
            for name, named in together.items():
                for number, code, rows in index.matches(name, named):
                    actors = named.actors(self._funnels[number][0].funnel.per == "session")
                    work.setdefault(number, []).extend(
                        (named.places[row], actors[row], named.events[row], code)
                        for row in (range(len(actors)) if rows is None else rows)
                        if actors[row]
                    )
            for number, several in work.items():
                several.sort(key=itemgetter(0))
                for view in self._funnels[number]:
                    changed |= view.fold_together(several, horizon, version)
        return changed

    # -- persons -------------------------------------------------------------------------------------------------

    def take_off(
        self, who: str, sessions: Iterable[str], watermark: int, version: int
    ) -> tuple[list[Steps], set[CounterKey]]:
        """Take an id's steps out of the counters that are not final; they can be put on for somebody else.

        `sessions` are those of the id: a funnel per session has an entry for each.
        """
        taken: list[Steps] = []
        changed: set[CounterKey] = set()
        horizon = watermark - self.plan.lateness
        actors = [(f"{who}{SEPARATOR}{session}", session) for session in sessions]
        for view in self._views.values():
            for actor, session in actors if view.funnel.per == "session" else ((who, ""),):
                entry = view.actors.get(actor)
                if not entry:
                    continue
                events, changes = view.folder.withdraw(entry, horizon)
                view.put(actor, b"")
                changed |= view.apply(changes, version)
                if events:
                    taken.append((view.name, view.definition, view.breakdown, session, events))
        return taken, changed

    def put_on(self, who: str, steps: Iterable[Steps], watermark: int, version: int) -> set[CounterKey]:
        """Count steps that were taken off somebody for `who`; of funnels or steps that this plan lacks, none."""
        changed: set[CounterKey] = set()
        horizon = watermark - self.plan.lateness
        for name, definition, breakdown, session, events in steps:
            view = self._views.get((name, definition, breakdown))
            if view is None or bool(session) != (view.funnel.per == "session"):
                continue
            actor = f"{who}{SEPARATOR}{session}" if session else who
            own = [event for event in events if event[1] < view.codes]
            entry, changes = view.folder.take_over(view.actors.get(actor) or None, own, horizon)
            if entry is not None:
                view.put(actor, entry)
            changed |= view.apply(changes, version)
        return changed

    # -- rows ----------------------------------------------------------------------------------------------------

    def rows(self, keys: Iterable[CounterKey], partition: int) -> Iterator[FunnelRow]:
        """The rows of these counters, and of the totals that they change."""
        totals: dict[tuple[str, str], set[int]] = {}
        for key in keys:
            view = self._views.get((key.funnel, key.definition, key.breakdown))
            if view is None:
                continue
            row = self._row(view, key.bucket, [key.value], key.breakdown, key.value, partition)
            if row is not None:
                yield row
                if view is self._first_view(view) and view.breakdown:
                    totals.setdefault((key.funnel, key.definition), set()).add(key.bucket)
        for (name, definition), buckets in totals.items():
            view = next(v for k, v in self._views.items() if k[:2] == (name, definition))
            values: dict[int, list[str]] = {bucket: [] for bucket in buckets}
            for bucket, value in view.counters.keys():  # noqa: SIM118 - not a dict
                if bucket in values:
                    values[bucket].append(value)
            for bucket, own in values.items():
                row = self._row(view, bucket, own, "", "", partition)
                if row is not None:
                    yield row

    def _first_view(self, view: FunnelView) -> FunnelView:
        return next(v for k, v in self._views.items() if k[:2] == (view.name, view.definition))

    def _row(
        self, view: FunnelView, bucket: int, values: Sequence[str], breakdown: str, value: str, partition: int
    ) -> FunnelRow | None:
        summary = view.counters.summary([(bucket, v) for v in values])
        if summary is None:
            return None
        version = max(view.versions.get((bucket, v), 0) for v in values)
        end = view.spec.bounds(bucket)[1]
        times = summary.times
        return FunnelRow(
            partition, view.name, view.definition, bucket, end, breakdown, value, version,
            tuple(summary.users),
            tuple(t.count for t in times),
            tuple(t.sum_ms for t in times),
            tuple(dict(t.bins) for t in times),
        )  # fmt: skip

    def current(self, now: int) -> dict[str, list[int]]:
        """Per funnel: users that reached each step, in the bucket around `now`, over all values."""
        found: dict[str, list[int]] = {}
        for view in self._views.values():
            if view is not self._first_view(view):
                continue
            bucket = view.spec.bounds(now)[0]
            keys = [key for key in view.counters.keys() if key[0] == bucket]  # noqa: SIM118 - not a dict
            summary = view.counters.summary(keys) if keys else None
            found[view.name] = list(summary.users) if summary else [0] * view.spec.steps
        return found

    def reached(self, now: int) -> Iterator[Reached]:
        """Users that reached each step, by breakdown and value, in the bucket around `now` and in the one before.

        The first breakdown of a funnel is the one whose values add up to its total.
        """
        for view in self._views.values():
            start = view.spec.bounds(now)[0]
            buckets = (start, view.spec.bounds(start - 1)[0])
            by_bucket: tuple[dict[str, tuple[int, ...]], ...] = ({}, {})
            for bucket, value in view.counters.keys():  # noqa: SIM118 - not a dict
                if bucket in buckets and (summary := view.counters.summary([(bucket, value)])) is not None:
                    by_bucket[buckets.index(bucket)][value] = tuple(summary.users)
            yield Reached(view.name, view.breakdown, view.spec.steps, *by_bucket)

    @property
    def actor_count(self) -> int:
        """Entries of actors, of all funnels and breakdowns."""
        return sum(len(view.actors) for view in self._views.values())

    # -- checkpoints and expiry ----------------------------------------------------------------------------------

    def counter_keys(self) -> Iterator[CounterKey]:
        """All counters."""
        for view in self._views.values():
            for bucket, value in view.counters.keys():  # noqa: SIM118 - not a dict
                yield view.key(bucket, value)

    def dump(self, keys: Iterable[CounterKey] | None) -> Iterator[tuple[CounterKey, bytes]]:
        """Counters as bytes for a checkpoint; all of them if None."""
        for key in list(self.counter_keys() if keys is None else keys):
            view = self._views[key.funnel, key.definition, key.breakdown]
            data = view.counters.dump((key.bucket, key.value))
            if data is not None:
                version = view.versions.get((key.bucket, key.value), 0)
                yield key, version.to_bytes(8, "big") + data

    def load_counter(self, key: CounterKey, data: bytes) -> None:
        """Put back a counter; one of a funnel that the plan no longer has in this form is left out."""
        view = self._views.get((key.funnel, key.definition, key.breakdown))
        if view is not None:
            view.counters.load((key.bucket, key.value), data[8:])
            view.versions[key.bucket, key.value] = int.from_bytes(data[:8], "big")

    def final_at(self, key: CounterKey) -> int:
        """When (epoch ms) no event from then on can change a counter; never, if the plan has no such funnel."""
        view = self._views.get((key.funnel, key.definition, key.breakdown))
        return sys.maxsize if view is None else view.spec.final_at(key.bucket)

    def changed_actors(self) -> Iterator[tuple[tuple[str, str, str], dict[str, bytes]]]:
        """The actors' entries that changed since the last call, by funnel, definition and breakdown.

        One that was handed over is empty: it takes the place of what was written before.
        """
        for key, view in self._views.items():
            changed, view.changed = view.changed, {}
            yield key, changed

    def all_actors(self) -> Iterator[tuple[tuple[str, str, str], Entries]]:
        """Every actor's state, by funnel, definition and breakdown."""
        for key, view in self._views.items():
            yield key, view.actors

    def expire(self, watermark: int, keep: set[CounterKey]) -> list[CounterKey]:
        """Forget what no event can change any more, except buckets of counters in `keep`; returns those forgotten."""
        horizon = watermark - self.plan.lateness
        dropped: list[CounterKey] = []
        # A total is the sum over the values: as long as one of a bucket has to be published, all are needed.
        kept = {(key.funnel, key.definition, key.bucket) for key in keep}
        for view in self._views.values():
            view.actors.drop_expired(horizon, view.changed)
            final = [
                (bucket, value)
                for bucket, value in view.counters.keys()  # noqa: SIM118 - not a dict
                if view.spec.final_at(bucket) < horizon and (view.name, view.definition, bucket) not in kept
            ]
            for key in final:
                view.counters.drop(key)
                view.versions.pop(key, None)
                dropped.append(view.key(*key))
        return dropped
