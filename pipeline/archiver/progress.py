"""How far the archiver is, what went wrong on the way, and what it says of that."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from aiokafka import TopicPartition

from pipeline.ingest.records import Outcome
from pipeline.kafka.consumer import LogConsumer

log = logging.getLogger(__name__)

#: After so long without a step it is said that there is none.
STUCK_SECONDS: Final = 10.0


class ArchiveProgress:
    """The archiver's own figures. `topic` is what it reads; one insert may take `patience` seconds."""

    def __init__(self, topic: str, patience: float) -> None:
        self._topic, self._patience = topic, patience
        self.consumer: LogConsumer | None = None
        #: Whether the group has given us our partitions (perhaps none), and they were not taken back since.
        self.assigned = False
        self.totals = dict.fromkeys(Outcome, 0)
        #: By partition owned: everything before this offset is in ClickHouse.
        self.stored: dict[int, int] = {}
        #: By partition, since the start: offsets that were gone from the log before they were read.
        self.missing: dict[int, int] = {}
        #: Records that could not be judged for a reason that nobody foresaw, and the last of them.
        self.unforeseen = 0
        self.last_unforeseen = ""
        #: When records were last taken in, or there was nothing to take in.
        self.stepped_at = time.monotonic()
        #: What ended the archiver.
        self.ended: BaseException | None = None

    def set_aside(self, what: str) -> None:
        """Note a record that met a mistake of ours."""
        self.unforeseen += 1
        self.last_unforeseen = what
        log.error("a record was set aside, because of a mistake in this program: %s", what)

    def lost(self, partition: int, first: int, end: int) -> None:
        """Note offsets that were gone from the log before they were read."""
        log.error(
            "partition %s: offsets %s to %s were gone from the log before they were stored: going on at %s",
            partition, first, end - 1, end,
        )  # fmt: skip
        self.missing[partition] = self.missing.get(partition, 0) + end - first

    def health(self, clickhouse: str | None, inserted: int) -> dict[str, Any]:
        """Whether records are being archived, and which dependency is ill; `clickhouse` is what ails that one."""
        problems = self._late(time.monotonic())
        if clickhouse:
            problems["clickhouse"] = clickhouse
        if not self.assigned:
            problems["kafka"] = "not joined yet"
        ready = not problems
        if self.missing:
            lost = ", ".join(f"{number} of partition {p}" for p, number in sorted(self.missing.items()))
            problems["gaps"] = f"records were gone from Kafka before they were stored: {lost}"
        if self.unforeseen:
            problems["records"] = (
                f"{self.unforeseen} set aside because of a mistake in this program, the last: {self.last_unforeseen}"
            )
        lag = self.lag()
        return {
            "role": "archiver", "ready": ready, "problems": problems,
            "lag": sum(lag.values()) if self.assigned and lag.keys() == self.stored.keys() else None,
            "stored": dict(sorted(self.stored.items())), "inserted": inserted,
            "totals": {outcome.name.lower(): count for outcome, count in self.totals.items()},
        }  # fmt: skip

    def _late(self, now: float) -> dict[str, str]:
        """What has ended, or should have happened by now."""
        problems: dict[str, str] = {}
        if self.ended is not None:
            problems["archiving"] = f"has ended: {self.ended!r}"
            return problems
        consumer = self.consumer
        if consumer is not None and consumer.fetcher is not None and consumer.fetcher.failure is not None:
            problems["fetching"] = repr(consumer.fetcher.failure)
        # With ClickHouse away it waits, and that is told already; an insert has its own time to answer.
        if now - self.stepped_at > STUCK_SECONDS + self._patience:
            problems["archiving"] = f"nothing taken in for {now - self.stepped_at:.0f} s"
        fetcher = consumer.fetcher if consumer is not None and self.stored else None
        silent = now - fetcher.answered_at if fetcher is not None else 0
        if silent > STUCK_SECONDS and now - self.stepped_at < STUCK_SECONDS:
            problems["kafka"] = f"no answer for {silent:.0f} s"
        return problems

    def lag(self) -> dict[int, int]:
        """By partition owned: the records that are not in ClickHouse yet. Partitions not looked at yet are absent."""
        found = {}
        for partition, offset in self.stored.items():
            end = self.consumer.readable_end(TopicPartition(self._topic, partition)) if self.consumer else None
            if end is not None:
                found[partition] = max(0, end - offset)
        return found
