"""How large a cluster must be for a rate of events, computed from measured figures. docs/performance.md explains it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .rows import NOT_RUN, Row

RATES: Final = (10_000, 100_000, 1_000_000)
#: Of what a process can do, so much is used; the rest is for catching up and for peaks.
LOAD: Final = 0.5
#: Partitions a worker has: enough to spread evenly, and to double the workers twice.
PARTITIONS_A_WORKER: Final = 4
#: Ids are remembered for one to one and a half times the plan's `dedupe` (1 h in the shop's plan).
DEDUPE_SECONDS: Final = 1.5 * 3600
#: Funnel state lives for conversion window and lateness (1 h each), and one of so many events is of a new user in it.
FUNNEL_SECONDS: Final = 2 * 3600
EVENTS_A_USER: Final = 20
#: The archiver inserts when it has so many records, or after a second; a worker inserts into three tables a second.
ARCHIVER_ROWS: Final = 50_000
WORKER_TABLES: Final = 3


@dataclass(frozen=True)
class Measured:
    """The figures that sizes follow from."""

    worker_rate: float  # events a second of one process
    archiver_rate: float
    bytes_a_user: float
    bytes_an_id: float


@dataclass(frozen=True)
class Size:
    """What a rate needs."""

    rate: int
    workers: int
    partitions: int
    archivers: int
    ids_bytes: float
    users_bytes: float
    inserts: float  # into ClickHouse, a second

    @property
    def bytes_a_worker(self) -> float:
        """State of ids and funnels in one worker."""
        return (self.ids_bytes + self.users_bytes) / self.workers


def size(rate: int, measured: Measured) -> Size:
    """Processes, partitions, state and inserts for `rate` events a second."""
    workers = math.ceil(rate / (measured.worker_rate * LOAD))
    archivers = math.ceil(rate / (measured.archiver_rate * LOAD))
    inserts = workers * WORKER_TABLES + max(archivers, rate / ARCHIVER_ROWS)
    return Size(
        rate,
        workers,
        max(8, 1 << math.ceil(math.log2(workers * PARTITIONS_A_WORKER))),
        archivers,
        rate * DEDUPE_SECONDS * measured.bytes_an_id,
        rate * FUNNEL_SECONDS / EVENTS_A_USER * measured.bytes_a_user,
        inserts,
    )


def measured(rows: Sequence[Row]) -> Measured | None:
    """The figures from a run; None if one of them was not run."""
    prefixes = (
        "worker, 230-byte events: events a second",
        "archiver: events a second",
        "memory a user in a three-step funnel",
        "memory of a remembered event id",
    )
    # Of the two figures of a user's memory the larger one.
    found = [max((row.value for row in rows if row.name.startswith(p) and row.value), default=None) for p in prefixes]
    values = [value for value in found if value is not None]
    return Measured(*values) if len(values) == len(prefixes) else None


def sizing_table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    figures = measured(rows)
    if figures is None:
        return NOT_RUN
    lines = [
        "| events/s | workers | partitions | archivers | ids | funnel users | state of a worker | inserts/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rate in RATES:
        found = size(rate, figures)
        lines.append(
            f"| {rate:,} | {found.workers} | {found.partitions} | {found.archivers} | {found.ids_bytes / 1e9:.2f} GB "
            f"| {found.users_bytes / 1e9:.2f} GB | {found.bytes_a_worker / 1e9:.2f} GB | {found.inserts:.0f} |"
        )
    return "\n".join(lines)
