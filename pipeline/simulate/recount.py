"""What must become of every record of a log: a second opinion, slow and obvious, for tests and fault runs.

Plain dictionaries, one record at a time, none of the code that the worker runs. Where this and
`pipeline.ingest.classify` differ, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from aiokafka.partitioner import murmur2

from pipeline.ingest.sent import Sent
from pipeline.simulate.recount_persons import (
    ALIASES,
    AliasesSeen,
    ClaimSeen,
    Headers,
    LetterSeen,
    OwnersSeen,
    Ruling,
    claims_of,
    follow,
    header,
    letters_of,
    told_person,
)
from pipeline.simulate.rules import Seen, Wrong, event_of
from schemas.duration import DAY
from schemas.event import EARLIEST_TS, LATEST_TS
from schemas.plan import Plan

Outcome = Literal["accepted", "late", "duplicate", "rejected", "forwarded", "forwarded_again", "link"]
_ORIGIN = "streamgauge-origin"


class Logged(NamedTuple):
    """A record as it stands in its partition. `broker_time`: the timestamp is the broker's, not the producer's."""

    timestamp: int
    value: bytes | None
    headers: Headers = ()
    broker_time: bool = True


class Judged(NamedTuple):
    """What must have become of a record."""

    outcome: Outcome
    #: None where there is none.
    event: Seen | None = None
    #: As whom an event is counted or sent on, and after how many links.
    counted_as: str = ""
    hops: int = 0
    #: Of a device that is nobody's: it counts as itself, whoever it belonged to before.
    nobodys: bool = False
    #: Claims that this partition decides on and that changed something; those that another one has to know, which, and
    #: whether they are aliases that hold.
    links: tuple[tuple[ClaimSeen, Ruling], ...] = ()
    tells: tuple[tuple[int, ClaimSeen, bool], ...] = ()
    #: The partition's after the record, epoch ms.
    watermark: int = 0


def home_of(actor: str, partitions: int) -> int:
    """The partition of an actor, as Kafka's Java client and aiokafka choose it."""
    hashed: int = murmur2(actor.removeprefix("$device:").encode()) & 0x7FFFFFFF
    return hashed % partitions


def expected(logs: Mapping[int, Sequence[Logged]], plan: Plan, partitions: int) -> dict[int, list[Outcome]]:
    """The outcome of each record of each partition, in the order of the log."""
    return {p: [one.outcome for one in found] for p, found in judged(logs, plan, partitions).items()}


def judged(logs: Mapping[int, Sequence[Logged]], plan: Plan, partitions: int) -> dict[int, list[Judged]]:
    """What must become of each record of each partition, in the order of the log."""
    found = {}
    for partition, log in logs.items():
        judge = _Judge(plan, partition, partitions)
        found[partition] = [judge.judge(record) for record in log]
    return found


class _Judge:
    """A partition, as it stands before the next record."""

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        self.plan, self.partition, self.partitions = plan, partition, partitions
        self.watermark = 0
        self.half_horizon = max(1, plan.dedupe // 2)
        self.halves = [0]  # those in which the watermark stood: an id is known in its own and the next two of them
        self.ids: dict[str, int] = {}
        self.origins: dict[bytes, int] = {}
        self.clock = _Clock(max(plan.lateness, plan.max_future))
        self.owners = OwnersSeen(plan)
        self.aliases = AliasesSeen(plan) if self._lives_here(ALIASES) else None

    def judge(self, record: Logged) -> Judged:
        """What must become of the next record."""
        try:
            letters = letters_of(record.value, record.headers, self.plan) if self.plan.identity.on else []
        except Wrong:
            return Judged("rejected")
        if not letters:
            return self._event(record)
        if not all(self._belongs_here(letter) for letter in letters):
            return Judged("rejected")
        links: list[tuple[ClaimSeen, Ruling]] = []
        tells: list[tuple[int, ClaimSeen, bool]] = []
        for letter in letters:
            if letter.claim is not None:
                ruled, told = self._claimed([letter.claim], decided=letter.decided)
                links += ruled
                tells += told
        return Judged("link", links=tuple(links), tells=tuple(tells), watermark=self.watermark)

    def _belongs_here(self, letter: LetterSeen) -> bool:
        alias = letter.claim is not None and letter.claim.kind == "alias"
        return self._lives_here(letter.home) or (alias and not letter.decided and self.aliases is not None)

    def _lives_here(self, one: str) -> bool:
        return home_of(one, self.partitions) == self.partition

    def _event(self, record: Logged) -> Judged:
        event = event_of(record.value, self.plan)
        if event is None or EARLIEST_TS <= record.timestamp < event.ts - self.plan.max_future:
            return Judged("rejected")
        identity = self.plan.identity.on
        told = told_person(record.headers) if identity else None
        actor, hops = told or (event.actor, 0)
        if not self._lives_here(actor):
            return Judged("forwarded", event, actor, hops)
        # An event counts as its actor is linked before it, and then links itself.
        actor, hops = follow(actor, hops, self.owners)
        claims = list(claims_of(event, self.plan)) if identity and told is None else []
        links, tells = self._claimed(claims, decided=False)
        outcome = self._outcome(record, event, leaves=not self._lives_here(actor))
        return Judged(outcome, event, actor, hops, actor in self.owners.shared, links, tells, self.watermark)

    def _claimed(
        self, claims: Sequence[ClaimSeen], *, decided: bool
    ) -> tuple[tuple[tuple[ClaimSeen, Ruling], ...], tuple[tuple[int, ClaimSeen, bool], ...]]:
        links: list[tuple[ClaimSeen, Ruling]] = []
        tells: list[tuple[int, ClaimSeen, bool]] = []
        for claim in claims:
            home, ruling = home_of(claim.id, self.partitions), None
            if claim.kind == "alias" and self.aliases is not None:
                ruling = self.aliases.claim(claim)
                if ruling == "decided" and home == self.partition:
                    ruling = self.owners.claim(claim)
                elif ruling == "decided":
                    tells.append((home, claim, True))
            elif claim.kind == "alias" and not decided:
                tells.append((home_of(ALIASES, self.partitions), claim, False))
            elif home == self.partition:
                ruling = self.owners.claim(claim)
            else:
                tells.append((home, claim, False))
            if ruling is not None:
                links.append((claim, ruling))
        return tuple(links), tuple(tells)

    def _outcome(self, record: Logged, event: Seen, leaves: bool) -> Outcome:
        origin = header(record.headers, _ORIGIN)
        origin_known = origin is not None and self._known(self.origins.get(origin))
        outcome: Outcome
        if self._known(self.ids.get(event.event_id)):
            outcome = "forwarded_again" if origin_known else "duplicate"
        elif leaves:
            outcome = "forwarded"
        else:
            has_time = EARLIEST_TS <= record.timestamp <= LATEST_TS
            sure = has_time and record.broker_time
            far, believed = self.clock.tick(record.timestamp if has_time else event.ts, event.ts, sure)
            outcome = "late" if far or event.ts < self.watermark - self.plan.lateness else "accepted"
            self.watermark = max(self.watermark, *believed, 0)
            if self.watermark // self.half_horizon != self.halves[-1]:
                self.halves.append(self.watermark // self.half_horizon)
            self.ids[event.event_id] = self.halves[-1]
        if origin is not None and outcome != "forwarded":
            self.origins[origin] = self.halves[-1]
        return outcome

    def _known(self, half: int | None) -> bool:
        return half is not None and half in self.halves[-3:]


class _Clock:
    """The time that the records of a partition agree on."""

    def __init__(self, tolerance: int) -> None:
        self.tolerance, self.now = tolerance, 0
        self.waiting: list[tuple[int, int]] = []

    def tick(self, time: int, ts: int, sure: bool) -> tuple[bool, list[int]]:
        """Hear a time and the event's; whether it is a month or more ahead, and the event times believed now."""
        believed = [ts] if self.now and ts <= self.now + self.tolerance else []
        if sure or (self.now and time <= self.now + self.tolerance):
            self.now, self.waiting = (time if sure else max(self.now, time)), []
            believed = [ts]
        elif not self.waiting or time < self.waiting[0][0]:
            self.waiting = [(time, ts)]
        elif time < self.waiting[0][0] + 10_000:
            self.waiting.append((time, ts))
        else:
            self.now = self.waiting[0][0]
            believed += [waited for _, waited in self.waiting]
            self.waiting = [(time, ts)]
            if time <= self.now + self.tolerance:
                self.now, self.waiting = time, []
                believed.append(ts)
        return not sure and self.now > 0 and time > self.now + 30 * DAY, believed


def delivered(records: Iterable[Sent], partitions: int, *, forward_for: Plan | None = None) -> dict[int, list[Logged]]:
    """The logs of a topic to which the records are produced in this order.

    Those without a key go round the partitions. With `forward_for`, a record in the wrong partition stands
    right away in the right one too, as if a worker had sent it on.
    """
    logs: dict[int, list[Logged]] = {partition: [] for partition in range(partitions)}
    unkeyed = 0
    for sent in records:
        partition = sent.partition
        if partition is None and sent.key is not None:
            partition = (murmur2(sent.key) & 0x7FFFFFFF) % partitions
        if partition is None:
            partition = unkeyed % partitions
            unkeyed += 1
        logs[partition].append(Logged(sent.at, sent.value))
        event = event_of(sent.value, forward_for) if forward_for is not None else None
        if event is not None and forward_for is not None and event.ts <= sent.at + forward_for.max_future:
            home = home_of(event.actor, partitions)
            if home != partition:
                origin = f"{partition}:{len(logs[partition]) - 1}".encode()
                logs[home].append(Logged(sent.at, sent.value, ((_ORIGIN, origin),)))
    return logs
