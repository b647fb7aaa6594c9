"""What identity costs the live state alone: records in memory, without Kafka, ClickHouse and other processes.

`python -m tests.bench.persons_alone OPTIONS` (JSON, see `Options`) prints microseconds of CPU that folding, checkpoints
and live rows take an event, and bytes that checkpoints have an event, as JSON (see `costs`).

Two sets of states, with identity and without, get the same events piece by piece by turns, in one process. Two worker
processes are hard to compare where a core is slower while others are busy: with identity they keep broker and database
busy in another way than without.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from dataclasses import dataclass
from typing import Final

from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.state.checkpoint import encode
from pipeline.state.partition import PartitionState
from pipeline.worker.truncation import GROWTH, MIN_BYTES
from schemas.plan_io import parse_plan, ready_plans

from .events import PARTITIONS, make_events
from .stages import BATCH

LINKS: Final = ("login", "never")
#: Checkpoints (every 2 s) and rows (every second) at 50,000 events a second in 4 partitions.
_CHECKPOINT_RECORDS, _ROWS_RECORDS = 25_000, 50_000
#: Of how many pieces each side gets its events.
PIECES: Final = 12


@dataclass(frozen=True)
class Options:
    """`events` of `users`, of which the share `anonymous` is of devices alone."""

    events: int
    users: int
    anonymous: float


class Side:
    """The states of all partitions, what they tell each other, and what all of it took."""

    def __init__(self, link: str, now: int) -> None:
        plan = parse_plan(f"{ready_plans()['shop']}\nidentity: {{link: {link}}}\n")
        self._now, validator = now, Validator(plan)
        self._states = [PartitionState(plan, validator, p, PARTITIONS) for p in range(PARTITIONS)]
        self._waiting: list[list[Record]] = [[] for _ in self._states]
        self._ends = [0] * PARTITIONS
        self._unsaved = [0] * PARTITIONS
        #: As `worker.truncation` has it: bytes since the last rewrite began, those of it, and whether it is under way.
        self._written, self._base = [0] * PARTITIONS, [0] * PARTITIONS
        self._rewriting = [False] * PARTITIONS
        self._unpublished = 0
        #: CPU seconds, and bytes of checkpoints, by piece.
        self.cpu: list[float] = []
        self.written: list[int] = []

    def fold(self, homes: list[int], keys: list[bytes], values: list[bytes]) -> None:
        """Fold a piece of the events, and what follows from it."""
        for home, key, value in zip(homes, keys, values, strict=True):
            self._put(home, key, value)
        self.cpu.append(0.0)
        self.written.append(0)
        while any(self._waiting):
            for p, waiting in enumerate(self._waiting):
                while batch := waiting[:BATCH]:
                    del waiting[:BATCH]
                    self._fold(p, batch)
        for p in range(PARTITIONS):
            self._save(p)

    def _put(self, p: int, key: bytes | None, value: bytes, headers: tuple[tuple[str, bytes | None], ...] = ()) -> None:
        self._waiting[p].append(Record(self._ends[p], self._now, key, value, headers))
        self._ends[p] += 1

    def _fold(self, p: int, batch: list[Record]) -> None:
        state, began = self._states[p], time.process_time()
        state.fold(batch)
        state.expire()
        letters, state.letters = state.letters, []
        self.cpu[-1] += time.process_time() - began
        for letter in letters:
            self._put(letter.partition, letter.key, letter.value, letter.headers)
        self._unsaved[p] += len(batch)
        self._unpublished += len(batch)
        if self._unsaved[p] >= _CHECKPOINT_RECORDS:
            self._save(p)
        if self._unpublished >= _ROWS_RECORDS:
            self._publish()

    def _save(self, p: int) -> None:
        state, self._unsaved[p] = self._states[p], 0
        began = time.process_time()
        if not self._rewriting[p] and self._written[p] > max(MIN_BYTES, GROWTH * self._base[p]):
            state.start_rewrite()
            self._rewriting[p], self._written[p] = True, 0
        checkpoint = state.checkpoint()
        size = sum(map(len, encode(checkpoint, b"12345678")))
        self.cpu[-1] += time.process_time() - began
        self.written[-1] += size
        self._written[p] += size
        if checkpoint.rewritten:
            self._rewriting[p], self._base[p] = False, self._written[p]

    def _publish(self) -> None:
        self._unpublished, began = 0, time.process_time()
        for state in self._states:
            state.changed_rows(self._now)
            state.published()
        self.cpu[-1] += time.process_time() - began


def costs(options: Options) -> dict[str, float]:
    """`LINK us THIRD` and `LINK bytes THIRD` (0, 1, 2): microseconds and bytes of checkpoints an event."""
    now = int(time.time() * 1000)
    keys, values = make_events(options.events, now, users=options.users, anonymous=options.anonymous)
    homes = partitions_of(keys, PARTITIONS).tolist()
    sides = {link: Side(link, now) for link in LINKS}
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # as the worker has it
    size = options.events // PIECES
    for piece in range(PIECES):
        at = slice(piece * size, (piece + 1) * size)
        for link in LINKS if piece % 2 else LINKS[::-1]:
            sides[link].fold(homes[at], keys[at], values[at])
    third, found = PIECES // 3, dict[str, float]()
    for link, side in sides.items():
        for number, pieces in enumerate(slice(n, n + third) for n in range(0, PIECES, third)):
            found[f"{link} us {number}"] = sum(side.cpu[pieces]) / size / third * 1e6
            found[f"{link} bytes {number}"] = sum(side.written[pieces]) / size / third
    return found


if __name__ == "__main__":
    print(json.dumps(costs(Options(**json.loads(sys.argv[1])))))
