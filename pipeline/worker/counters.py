"""What a worker process has done since it started: batches, time per stage, how fresh. Read by `/metrics`."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import Final

log = logging.getLogger(__name__)

#: Upper bounds of the batch sizes that are told apart.
SIZES: Final = (1, 10, 100, 500, 1000, 2500, 5000)
STAGES: Final = ("fold", "checkpoint", "publish")


class Counters:
    """Counters of one process."""

    def __init__(self) -> None:
        #: Batches by size: one more than there are bounds.
        self.sizes = [0] * (len(SIZES) + 1)
        self.records = 0
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.runs = dict.fromkeys(STAGES, 0)
        #: By partition: when the last record folded was written, epoch ms.
        self.written_at: dict[int, int] = {}
        #: By partition: when an event last moved the watermark, and how old it was then; both ms.
        self.freshness: dict[int, tuple[int, int]] = {}
        self.published_rows = 0
        self.publish_failures = 0
        #: Records that could not be judged for a reason that nobody foresaw, and the last of them.
        self.unforeseen = 0
        self.last_unforeseen = ""

    def set_aside(self, what: str) -> None:
        """A record was set aside because of a mistake of ours."""
        self.unforeseen += 1
        self.last_unforeseen = what
        log.error("a record was set aside, because of a mistake in this program: %s", what)

    def folded(self, partition: int, records: int, written_at: int, newest: int | None, seconds: float) -> None:
        """A batch is counted; `newest` is the time (epoch ms) of an event that moved the watermark, if one did."""
        self.sizes[bisect_left(SIZES, records)] += 1
        self.records += records
        self.seconds["fold"] += seconds
        self.runs["fold"] += 1
        self.written_at[partition] = written_at
        if newest is not None:
            now = int(time.time() * 1000)
            self.freshness[partition] = (now, max(0, now - newest))

    def took(self, stage: str, started: float) -> None:
        """A stage has ended that began at `started` (`time.perf_counter()`)."""
        self.seconds[stage] += time.perf_counter() - started
        self.runs[stage] += 1
