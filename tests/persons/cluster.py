"""Several partitions that write to each other, in memory: logs, states, crashes; and the rule applied to all of it at
once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

from pipeline.ingest.classify import ORIGIN_HEADER, Record
from pipeline.ingest.links import person_header
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.validate import Validator
from pipeline.measure.funnel import contributions
from pipeline.measure.funnels import Funnels
from pipeline.measure.windows import bounds, grains
from pipeline.replay.live import collect
from pipeline.replay.measures import Measures
from pipeline.state.checkpoint import Restorer, encode
from pipeline.state.disk import Disk
from pipeline.state.partition import PartitionState
from schemas.event import Event
from schemas.plan import Plan

#: What kind of id, and the id.
Id = tuple[str, str]
WRITTEN = 4_000_000_000_000  # time of the records: later than all events


def home_of(identifier: str, partitions: int) -> int:
    """The partition that an id lives in."""
    return int(partitions_of([identifier.encode()], partitions)[0])


@dataclass
class Cluster:
    """Partitions, each with a log, a worker, and the changelog that it has written."""

    plan: Plan
    partitions: int
    new_disk: Callable[[int], Disk] | None = None
    logs: list[list[Record]] = field(default_factory=list)
    states: list[PartitionState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.validator = Validator(self.plan)
        self.logs = [[] for _ in range(self.partitions)]
        self.restorers = [Restorer() for _ in range(self.partitions)]
        self.disks = [self.new_disk(p) if self.new_disk else None for p in range(self.partitions)]
        self.states = [self._new_state(p) for p in range(self.partitions)]

    def _new_state(self, p: int) -> PartitionState:
        return PartitionState(self.plan, self.validator, p, self.partitions, self.disks[p])

    def write(self, p: int, value: bytes, headers: Sequence[tuple[str, bytes | None]] = ()) -> None:
        """Append a record to a log."""
        self.logs[p].append(Record(len(self.logs[p]), WRITTEN, None, value, tuple(headers)))

    def send(self, event: dict[str, Any], p: int | None = None) -> None:
        """Append an event where its actor lives, or to the log of partition `p`."""
        actor = event.get("user_id") or event["anonymous_id"]
        self.write(home_of(actor, self.partitions) if p is None else p, to_json(event))

    def fold(self, p: int, count: int) -> None:
        """Fold the next records of a partition; what they cause is in the logs afterwards."""
        state, log = self.states[p], self.logs[p]
        position = state.position
        result = state.fold(log[position : position + count])
        letters, state.letters = state.letters, []
        for i, home in (result.forwarded if result is not None else {}).items():
            record, event = result.records[i], result.events[i]  # type: ignore[union-attr]
            assert event is not None
            headers: list[tuple[str, bytes | None]] = [(ORIGIN_HEADER, f"{p}:{record.offset}".encode())]
            if i in result.hops:  # type: ignore[union-attr]
                headers.append(person_header(event.actor, result.hops[i]))  # type: ignore[union-attr]
            self.write(home, record.value or b"", headers)
        for letter in letters:
            self.write(letter.partition, letter.value, letter.headers)

    def save(self, p: int) -> None:
        """Write a checkpoint."""
        checkpoint = self.states[p].checkpoint()
        written = list(encode(checkpoint, b"w"))
        for part in written:
            self.restorers[p].add(part, self.restorers[p].records)
        self.states[p].acknowledged(checkpoint, len(written), self.restorers[p].records - 1)

    def crash(self, p: int) -> None:
        """Lose the state of a partition, and restore it from what was saved."""
        self.states[p] = self._new_state(p)
        disk = self.disks[p]
        self.states[p].restore(self.restorers[p].snapshot if disk is None else disk)

    def drain(self) -> None:
        """Fold until nobody has anything left."""
        for _ in range(50):
            open_ = [p for p in range(self.partitions) if self.states[p].position < len(self.logs[p])]
            if not open_:
                return
            for p in open_:
                self.fold(p, 1000)
        raise AssertionError("the partitions write to each other without end")

    def measures(self) -> Measures:
        """Everything that is counted, over the partitions."""
        found = Measures(self.plan)
        for state in self.states:
            collect(found, state, grains(self.plan.zone))
        return found


def figures(found: Measures) -> dict[Any, Any]:
    """What is counted, without lines of nothing: windows to (events, users, registrations), cohorts to their cell."""
    windows = {
        (w.grain, w.start, w.dimension, w.value): (c.events, round(c.users), round(c.registrations))
        for w, c in found.activity.items()
        if c.events or round(c.users)
    }
    cohorts = {
        (c.funnel, c.start, c.breakdown, c.value): (cell.users, [(t.count, t.sum_ms) for t in cell.times])
        for c, cell in found.funnels.items()
        if any(cell.users)
    }
    return {**windows, **cohorts}


class Oracle:
    """The rule of persons applied to whole logs: who owns what first in the order of its home's log, then plain
    counting."""

    def __init__(self, plan: Plan, logs: Sequence[Sequence[Record]]) -> None:
        self.plan, self._validator = plan, Validator(plan)
        self.owners: dict[Id, Id] = {}
        n = len(logs)
        alias = plan.identity.alias
        for p, log in enumerate(logs):
            for record in log:
                for one, user in self._claims(record, p, n, alias):
                    self.owners.setdefault(one, ("user", user))
        self.events: dict[str, Event] = {}
        for log in logs:
            for record in log:
                if (event := self._event(record)) is not None:
                    self.events.setdefault(event.event_id, event)

    def _event(self, record: Record) -> Event | None:
        if any(name.startswith("streamgauge-link") or name.endswith("handover") for name, _ in record.headers):
            return None
        return self._validator.parse(record.value)

    def _claims(self, record: Record, p: int, n: int, alias: Any) -> list[tuple[Id, str]]:
        headers = dict(record.headers)
        if "streamgauge-link" in headers:
            told = from_json(record.value or b"")
            return [(("user" if told["kind"] == "alias" else "device", told["id"]), told["person"])]
        event = self._event(record)
        if event is None or not event.fields.get("user_id") or "streamgauge-person" in headers:
            return []
        user = event.fields["user_id"]
        if home_of(user, n) != p:
            return []
        ids = [("device", event.fields.get("anonymous_id"))]
        if alias is not None and event.name == alias.event:
            previous = (event.fields.get("properties") or {}).get(alias.previous.removeprefix("properties."))
            ids.append(("user", previous))
        return [(one, user) for one in ids if one[1] and one != ("user", user) and home_of(one[1], n) == p]

    def whose(self, event: Event) -> Id:
        """Whose an event is."""
        user = event.fields.get("user_id")
        return self.person(("user", user) if user else ("device", event.fields["anonymous_id"]))

    def person(self, identifier: Id) -> Id:
        """Who an id is."""
        for _ in range(4):
            if identifier not in self.owners:
                break
            identifier = self.owners[identifier]
        return identifier

    def figures(self) -> dict[Any, Any]:
        """As `figures` of what was counted."""
        plan = self.plan
        windows: dict[Any, tuple[list[int], set[Id], set[Id]]] = {}
        timelines: dict[tuple[str, str], dict[Any, list[tuple[int, int, str]]]] = {}
        funnels = Funnels(plan)
        for event in self.events.values():
            person = self.whose(event)
            registered = {person} if event.name == plan.registration else set()
            for grain in grains(plan.zone):
                start, _ = bounds(grain, event.ts, plan.zone)
                places = [("", ())] + [
                    (",".join(d), tuple(str(event.fields.get(name) or "") for name in d)) for d in plan.dimensions
                ]
                for dimension, value in places:
                    count, users, joined = windows.setdefault((grain, start, dimension, value), ([0], set(), set()))
                    count[0] += 1
                    users.add(person)
                    joined |= registered
            self._steps(event, person, timelines)
        found: dict[Any, Any] = {k: (c[0], len(u), len(j)) for k, (c, u, j) in windows.items()}
        for (name, breakdown), by_actor in timelines.items():
            view = next(v for k, v in funnels._views.items() if k[0] == name and k[2] in (breakdown, ""))
            self._count(found, name, breakdown, view.spec, by_actor)
        return found

    def reached(self, name: str) -> list[int]:
        """Users at each step of a funnel, over all buckets."""
        timelines: dict[tuple[str, str], dict[Any, list[Any]]] = {}
        for event in self.events.values():
            self._steps(event, self.whose(event), timelines)
        spec = next(view.spec for key, view in Funnels(self.plan)._views.items() if key[0] == name)
        found: dict[Any, Any] = {}
        self._count(found, name, "", spec, timelines[name, ""])
        cells = [cell for key, cell in found.items() if key[2] == ""]
        return [sum(users[k] for users, _ in cells) for k in range(spec.steps)]

    def _steps(self, event: Event, person: Id, timelines: dict[tuple[str, str], dict[Any, list[Any]]]) -> None:
        for name, funnel in self.plan.funnels.items():
            code = 0
            for bit, step in enumerate(funnel.steps):
                code |= (step.event == event.name) << bit
            for step in funnel.exclude:
                code |= (step.event == event.name) << len(funnel.steps)
            session = event.fields.get("session_id")
            if (not code and "strict_order" not in funnel.modes) or (funnel.per == "session" and not session):
                continue
            actor: Any = (person, session) if funnel.per == "session" else person
            for breakdown in funnel.breakdown or ("",):
                value = str(event.fields.get(breakdown) or "") if breakdown else ""
                timelines.setdefault((name, breakdown), {}).setdefault(actor, []).append((event.ts, code, value))

    @staticmethod
    def _count(found: dict[Any, Any], name: str, breakdown: str, spec: Any, by_actor: dict[Any, list[Any]]) -> None:
        cells: dict[tuple[int, str], list[tuple[int, ...]]] = {}
        for events in by_actor.values():
            rows = [(ts, code, value if spec.carries_value(code) else "") for ts, code, value in events]
            for key, chain in contributions(spec, rows).items():
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
