"""What each stage of the live state costs, without Kafka: records in memory, one partition.

`python -m tests.bench.stages OPTIONS` (JSON, see `Options`) prints microseconds of CPU an event as JSON. The costs of
the shop's plan, and of plans with more or fewer dimensions and funnels, with more users, and with event time that
moves faster, so that a batch falls into more windows.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from dataclasses import dataclass
from typing import Final

from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Outcome, Record
from pipeline.ingest.validate import Validator
from pipeline.measure.activity import Activity
from pipeline.measure.funnels import Funnels
from pipeline.state.checkpoint import encode
from pipeline.state.partition import PartitionState
from schemas.plan import Plan
from schemas.plan_io import load_plan

from .events import RATE, USERS, make_events
from .funnels import different, repeated

#: Records fetched together, about as many as the worker gets.
BATCH: Final = 4_000
#: Checkpoints (every 2 s) and live rows (every second) of one of 4 partitions at 100,000 events a second.
_CHECKPOINT_EVENTS, _ROWS_EVENTS = 48_000, 24_000
STAGES: Final = ("validation", "classification", "activity", "funnels", "checkpoint", "live rows")
_DIMENSIONS: Final = (
    ("event",), ("platform",), ("channel",), ("app_version",), ("event", "platform"), ("event", "channel"),
    ("platform", "channel"), ("event", "platform", "channel"), ("event", "app_version"), ("platform", "app_version"),
    ("channel", "app_version"), ("event", "platform", "app_version"), ("event", "channel", "app_version"),
    ("platform", "channel", "app_version"), ("country",), ("campaign",), ("device",), ("os",), ("language",),
    ("country", "platform"),
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What is measured: `events` of `users`, after `warm` others; `rate`: events a second of event time.

    `each`: so many events between two checkpoints, and between rows; 0: as many as there are at 100,000 a second.
    """

    events: int
    users: int = USERS
    rate: float = RATE
    dimensions: int = 3
    funnels: int = 2
    warm: int = 0
    large: bool = False
    each: int = 0
    different: bool = False

    def plan(self) -> Plan:
        """The shop's plan with so many dimensions and funnels; these are the shop's two again, or `different` ones."""
        shop = load_plan("shop")
        funnels = different(self.funnels) if self.different else repeated(shop, self.funnels)
        return shop.model_copy(update={"dimensions": _DIMENSIONS[: self.dimensions], "funnels": funnels})


def stage_costs(options: Options) -> dict[str, float]:
    """Microseconds of CPU an event, by stage; classification includes validation."""
    now = int(time.time() * 1000)
    total = options.warm + options.events
    keys, values = make_events(total, now, users=options.users, rate=options.rate, large=options.large)
    records = [Record(i, now, key, value) for i, (key, value) in enumerate(zip(keys, values, strict=True))]
    plan = options.plan()
    validator = Validator(plan)
    classifier, activity, funnels = PartitionClassifier(plan, validator, 0, 1), Activity(plan), Funnels(plan)
    state = PartitionState(plan, validator, 0, 1)
    spent = dict.fromkeys(STAGES, 0.0)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # as the worker has it
    clock = time.process_time  # not the wall's: what else the machine does is no cost of ours
    for start in range(0, total, BATCH):
        if start <= options.warm:
            spent = dict.fromkeys(STAGES, 0.0)
            measured_from = start
        batch = records[start : start + BATCH]
        version = start + len(batch)
        t0 = clock()
        validator.parse_all([record.value for record in batch], [record.offset for record in batch])
        t1 = clock()
        watermark = classifier.watermark
        result = classifier.classify(batch)
        t2 = clock()
        if result.outcomes != [Outcome.ACCEPTED] * len(batch):
            raise RuntimeError("an event of the benchmark was not accepted")
        events = [event for event in result.events if event is not None]
        t3 = clock()
        activity.fold(events, version)
        t4 = clock()
        funnels.fold(events, version, watermark)
        t5 = clock()
        state.fold(batch)
        t6 = clock()
        if version % (options.each or _CHECKPOINT_EVENTS) < BATCH or version == total:
            encode(state.checkpoint(), b"12345678")
        t7 = clock()
        if version % (options.each or _ROWS_EVENTS) < BATCH or version == total:
            state.changed_rows(now)
            state.published()
        t8 = clock()
        for name, seconds in zip(STAGES, (t1 - t0, t2 - t1, t4 - t3, t5 - t4, t7 - t6, t8 - t7), strict=True):
            spent[name] += seconds
    return {name: seconds / (total - measured_from) * 1e6 for name, seconds in spent.items()}


if __name__ == "__main__":
    print(json.dumps(stage_costs(Options(**json.loads(sys.argv[1])))))
