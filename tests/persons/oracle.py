"""Who is counted where, by the rule applied to whole logs: slow, obvious, and with none of what a worker runs.

What becomes of each record is `pipeline.simulate.recount`'s opinion; here are the persons, and plain counting of them.
For tests in memory and for chaos runs on Kafka alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.measure.funnel import FunnelSpec, contributions
from pipeline.measure.windows import bounds, grains
from pipeline.simulate.recount import Judged, Logged, home_of, judged
from pipeline.simulate.recount_persons import MOST_LINKS, header
from pipeline.simulate.rules import Seen
from schemas.plan import Funnel, Plan

#: Partition, offset.
Place = tuple[int, int]
#: As in `figures`: a window is (grain, start, dimension, value), a cohort (funnel, start, breakdown, value).
Key = tuple[str, int, str, Any]


class Whose(NamedTuple):
    """An event that was stored, and whose it is. A person is an id, and whether it is a device that is nobody's."""

    place: Place
    event: Seen
    late: bool
    person: tuple[str, bool]
    #: As whom it was counted first, before the links that came later.
    first: str


class Oracle:
    """What must have become of the records of whole logs. `offsets` are theirs, where they don't begin at 0."""

    def __init__(self, plan: Plan, logs: Mapping[int, Sequence[Logged]], offsets: Mapping[int, Sequence[int]]) -> None:
        self.plan, self.logs = plan, logs
        self.partitions = len(logs)
        self.judged: dict[Place, Judged] = {}
        self.records: dict[Place, Logged] = {}
        for p, found in judged(logs, plan, self.partitions).items():
            for offset, record, one in zip(offsets[p], logs[p], found, strict=True):
                self.judged[p, offset], self.records[p, offset] = one, record
        #: By id: the first user that claimed it in the log of its home.
        self.owners: dict[str, str] = {}
        for one in self.judged.values():
            for claim, ruling in one.links:
                if ruling == "linked":
                    self.owners[claim.id] = claim.person
        self.events = [
            Whose(place, one.event, one.outcome == "late", self._person(one), one.counted_as)
            for place, one in self.judged.items()
            if one.event is not None and one.outcome in ("accepted", "late")
        ]

    def _person(self, one: Judged) -> tuple[str, bool]:
        found, hops = one.counted_as, one.hops
        while not one.nobodys and hops < MOST_LINKS and found in self.owners:
            found, hops = self.owners[found], hops + 1
        return found, one.nobodys

    def outcomes(self) -> dict[str, int]:
        """Records by what must have become of them."""
        return dict(Counter(one.outcome for one in self.judged.values()))

    # -- what has to be in the logs -------------------------------------------------------------------------------

    def unsent(self) -> list[str]:
        """What a partition should have written to another and what is not there, or is and should not be."""
        sent_on: set[tuple[int, str]] = set()
        told: set[tuple[int, str, str, str, bool]] = set()
        for (p, _), record in self.records.items():
            if (origin := header(record.headers, "streamgauge-origin")) is not None:
                sent_on.add((p, origin.decode()))
            if (link := header(record.headers, "streamgauge-link")) is not None:
                found = json.loads(record.value or b"")
                for claim in found if isinstance(found, list) else [found]:
                    told.add((p, claim["id"], claim["person"], claim["kind"], link == b"decided"))
        forwarded: set[tuple[int, str]] = set()
        tells: set[tuple[int, str, str, str, bool]] = set()
        for (p, offset), one in self.judged.items():
            if one.outcome == "forwarded":
                forwarded.add((home_of(one.counted_as, self.partitions), f"{p}:{offset}"))
            for home, claim, decided in one.tells:
                tells.add((home, claim.id.removeprefix("$device:"), claim.person, claim.kind, decided))
        return [
            f"{what}: {len(different)}, first {sorted(different)[:3]}"
            for what, different in (
                ("not sent on", forwarded - sent_on),
                ("sent on for nothing", sent_on - forwarded),
                ("not told of a link", tells - told),
                ("told of a link for nothing", told - tells),
            )
            if different
        ]

    # -- what is counted ------------------------------------------------------------------------------------------

    def counted(self) -> Iterator[Whose]:
        """The events that count live."""
        return (one for one in self.events if not one.late)

    def windows(self) -> dict[Key, list[Whose]]:
        """The events of each window and value."""
        found: dict[Key, list[Whose]] = {}
        plan = self.plan
        for one in self.counted():
            places: list[tuple[str, tuple[str, ...]]] = [("", ())]
            places += [(",".join(d), tuple(field(one.event, name) for name in d)) for d in plan.dimensions]
            for grain in grains(plan.zone):
                start, _ = bounds(grain, one.event.ts, plan.zone)
                for dimension, value in places:
                    found.setdefault((grain, start, dimension, value), []).append(one)
        return found

    def users(self, events: Sequence[Whose]) -> int:
        """Persons."""
        return len({one.person for one in events})

    def registrations(self, events: Sequence[Whose]) -> int:
        """Persons who registered."""
        return len({one.person for one in events if one.event.fields["event"] == self.plan.registration})

    def cohorts(self) -> dict[Key, Any]:
        """Users by step, and number and sum of the times between steps, of each cohort under each breakdown."""
        found: dict[Key, Any] = {}
        for name, funnel in self.plan.funnels.items():
            spec = self._spec(funnel)
            for breakdown in funnel.breakdown or ("",):
                _count(found, name, breakdown, spec, self._timelines(funnel, breakdown, spec))
            if funnel.attribution == "any" and funnel.breakdown:
                # One may count under several values: the total is of its own.
                total: dict[Key, Any] = {}
                _count(total, name, "", spec, self._timelines(funnel, "", spec))
                found |= total
        return found

    def _spec(self, funnel: Funnel) -> FunnelSpec:
        zone, grain = self.plan.zone, funnel.bucket
        return FunnelSpec(
            len(funnel.steps), funnel.window, lambda ts: bounds(grain, ts, zone), frozenset(funnel.modes),
            funnel.attribution,
        )  # fmt: skip

    def _timelines(self, funnel: Funnel, breakdown: str, spec: FunnelSpec) -> dict[Any, list[tuple[int, int, str]]]:
        assert not any(step.where for step in (*funnel.steps, *funnel.exclude)), "conditions are not recounted"
        timelines: dict[Any, list[tuple[int, int, str]]] = {}
        for one in self.counted():
            name, session = one.event.fields["event"], one.event.fields.get("session_id")
            code = 0
            for bit, step in enumerate(funnel.steps):
                code |= (step.event == name) << bit
            code |= any(step.event == name for step in funnel.exclude) << len(funnel.steps)
            if (not code and "strict_order" not in funnel.modes) or (funnel.per == "session" and not session):
                continue
            actor = (one.person, session) if funnel.per == "session" else one.person
            value = field(one.event, breakdown) if breakdown and spec.carries_value(code) else ""
            timelines.setdefault(actor, []).append((one.event.ts, code, value))
        return timelines

    def reached(self, name: str) -> list[int]:
        """Users at each step of a funnel, over all cohorts."""
        cells = [cell for key, cell in self.cohorts().items() if (key[0], key[2]) == (name, "")]
        return [sum(users[k] for users, _ in cells) for k in range(len(self.plan.funnels[name].steps))]

    def figures(self) -> dict[Any, Any]:
        """Windows to (events, users, registrations), cohorts to their cell."""
        windows = {
            key: (len(events), self.users(events), self.registrations(events)) for key, events in self.windows().items()
        }
        return {**windows, **self.cohorts()}


def field(event: Seen, name: str) -> str:
    """A field of the event as a value of a dimension."""
    return str(event.fields.get(name) or "")


def _count(
    found: dict[Key, Any], name: str, breakdown: str, spec: FunnelSpec, timelines: Mapping[Any, list[Any]]
) -> None:
    cells: dict[tuple[int, str], list[tuple[int, ...]]] = {}
    for events in timelines.values():
        for key, chain in contributions(spec, events).items():
            cells.setdefault(key, []).append(chain)
    totals: dict[int, list[tuple[int, ...]]] = {}
    for (start, value), chains in cells.items():
        found[name, start, breakdown, value] = _cell(spec.steps, chains)
        totals.setdefault(start, []).extend(chains)
    for start, chains in totals.items():
        found[name, start, "", ""] = _cell(spec.steps, chains)


def _cell(steps: int, chains: list[tuple[int, ...]]) -> Any:
    users = [sum(len(chain) >= k for chain in chains) for k in range(1, steps + 1)]
    waits = [[chain[k] - chain[k - 1] for chain in chains if len(chain) > k] for k in range(1, steps)]
    return users, [(len(wait), sum(wait)) for wait in waits]
