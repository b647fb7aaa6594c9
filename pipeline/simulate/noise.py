"""Noise: what happens to events between the user and the log, each kind counted and with a known outcome."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from heapq import heappop, heappush
from itertools import accumulate
from random import Random
from typing import Any, Final

from aiokafka.partitioner import murmur2

from pipeline.ingest.sent import Sent
from pipeline.simulate.malformed import MALFORMED, dumps, oversize
from schemas.duration import DAY, MINUTE
from schemas.plan import Plan

#: Held records take memory: none is held longer than this, ms.
_MAX_HOLD: Final = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Noise:
    """How many records of each kind come with one clean event (0.01 is one in a hundred).

    Malformed, duplicate, late and oversize records come besides the clean events; the other kinds happen to
    clean events, so what is accepted is the same with noise as without.
    """

    #: Records that are rejected, of all kinds in `MALFORMED`.
    malformed: float = 0.004
    #: A producer's retry: the same bytes again, within two seconds.
    retry: float = 0.006
    #: The same bytes again after minutes, within half the plan's dedupe horizon.
    slow_retry: float = 0.002
    #: An event older than the plan's lateness, from a device that was offline.
    late: float = 0.002
    #: Sent up to a minute after it happened (a quarter of the lateness at most).
    out_of_order: float = 0.02
    #: Without a key: it lands in any partition.
    no_key: float = 0.001
    #: With a key that isn't its actor's.
    wrong_key: float = 0.001
    #: Put into a partition that isn't its actor's, by a producer with another partitioner.
    wrong_partition: float = 0.001
    #: Larger than an event may be (1 MB each, so only if asked for).
    oversize: float = 0.0

    def times(self, factor: float) -> Noise:
        """The same noise, more or less of it."""
        return Noise(**{f.name: getattr(self, f.name) * factor for f in fields(self)})

    @classmethod
    def none(cls) -> Noise:
        """No noise."""
        return cls().times(0.0)

    @property
    def records_per_event(self) -> float:
        """Records sent for one clean event, on average."""
        return 1.0 + self.malformed + self.retry + self.slow_retry + self.late + self.oversize


def add_noise(
    events: Iterable[Sent], noise: Noise, plan: Plan, *, seed: int | str, partitions: int = 1
) -> Iterator[Sent]:
    """Add noise to clean events in time order, for a topic of so many `partitions`; in the order of sending.

    Raises ValueError if the shares of noise add up to more than 1.
    """
    kinds = [f.name for f in fields(noise) if getattr(noise, f.name) > 0]
    sums = list(accumulate(getattr(noise, kind) for kind in kinds))
    total = sums[-1] if sums else 0.0
    if total > 1:
        raise ValueError(f"the shares of noise add up to {total:g}: at most 1 is possible")
    maker = _Maker(plan, Random(f"noise:{seed}"), partitions)
    make: list[Callable[[Sent], list[Sent]]] = [getattr(maker, kind) for kind in kinds]
    random = maker.rng.random
    held: list[tuple[int, int, Sent]] = []
    number = 0
    for sent in events:
        while held and held[0][0] <= sent.at:
            yield heappop(held)[2]
        draw = random()
        if draw >= total:
            yield sent
            continue
        for record in make[bisect(sums, draw, 0, len(sums) - 1)](sent):
            if record.at <= sent.at:
                yield record
            else:
                number += 1
                heappush(held, (record.at, number, record))
    while held:
        yield heappop(held)[2]


class _Maker:
    """One method a kind: the records that take the place of a clean one, each at the time it is sent."""

    def __init__(self, plan: Plan, rng: Random, partitions: int) -> None:
        self.rng, self._partitions = rng, partitions
        self._lateness = plan.lateness
        self._delay = max(1, min(plan.lateness // 4, plan.dedupe // 4, MINUTE))
        self._retry = min(plan.dedupe // 2, 2_000)
        self._slow_retry = min(plan.dedupe // 2, _MAX_HOLD)
        self._malformed = list(MALFORMED)
        self._turn = 0

    def malformed(self, sent: Sent) -> list[Sent]:
        kind = self._malformed[self._turn % len(self._malformed)]  # in turn, so that no kind is missing
        self._turn += 1
        value = MALFORMED[kind].make(_fields(sent))
        return [sent, sent._replace(value=value, truth="rejected", why=kind)]

    def oversize(self, sent: Sent) -> list[Sent]:
        value = oversize({**_fields(sent), "event_id": self._new_id()})
        return [sent, sent._replace(value=value, truth="rejected", why="oversize")]

    def retry(self, sent: Sent) -> list[Sent]:
        delay = int(self.rng.random() * self._retry)
        return [sent, sent._replace(at=sent.at + delay, truth="duplicate", why="retry")]

    def slow_retry(self, sent: Sent) -> list[Sent]:
        delay = int(self.rng.random() * self._slow_retry)
        return [sent, sent._replace(at=sent.at + delay, truth="duplicate", why="slow_retry")]

    def late(self, sent: Sent) -> list[Sent]:
        # Of the same actor, right after an event of now: that one has moved the partition's watermark.
        fields = _fields(sent)
        fields["ts"] -= self._lateness + MINUTE + int(self.rng.random() * DAY)
        fields["event_id"] = self._new_id()
        return [sent, sent._replace(value=dumps(fields), truth="late", why="late")]

    def out_of_order(self, sent: Sent) -> list[Sent]:
        return [sent._replace(at=sent.at + 1 + int(self.rng.random() * self._delay), why="out_of_order")]

    def no_key(self, sent: Sent) -> list[Sent]:
        return [sent._replace(key=None, why="no_key")]

    def wrong_key(self, sent: Sent) -> list[Sent]:
        return [sent._replace(key=b"device-%d" % self.rng.getrandbits(16), why="wrong_key")]

    def wrong_partition(self, sent: Sent) -> list[Sent]:
        if self._partitions == 1:
            return [sent]
        home = (murmur2(sent.key) & 0x7FFFFFFF) % self._partitions
        other = (home + 1 + int(self.rng.random() * (self._partitions - 1))) % self._partitions
        return [sent._replace(partition=other, why="wrong_partition")]

    def _new_id(self) -> str:
        return f"{self.rng.getrandbits(128):032x}"


def _fields(sent: Sent) -> dict[str, Any]:
    assert sent.value is not None
    fields: dict[str, Any] = json.loads(sent.value)
    return fields
