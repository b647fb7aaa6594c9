"""What each stage of the live state costs, without Kafka: records in memory, one partition.

`python -m tests.bench.stages EVENTS` prints microseconds of CPU an event, and bytes a remembered event id, as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time

import numpy as np

from pipeline.ingest.classify import Outcome, PartitionClassifier, Record
from pipeline.ingest.seen import SeenIds
from pipeline.ingest.validate import Validator
from pipeline.measure.activity import Activity
from pipeline.measure.funnels import Funnels
from schemas.plan_io import load_plan

from .events import SEED, make_events

#: Records fetched together, about as many as the worker gets.
BATCH = 4_000
REMEMBERED_IDS = 1_000_000


def stage_costs(count: int) -> dict[str, float]:
    """Microseconds of CPU an event of validation, of classification (with it), and of the two folds."""
    now = int(time.time() * 1000)
    keys, values = make_events(count, now)
    records = [Record(i, now, key, value) for i, (key, value) in enumerate(zip(keys, values, strict=True))]
    plan = load_plan("shop")
    validator = Validator(plan)
    classifier, activity, funnels = PartitionClassifier(plan, validator, 0, 1), Activity(plan), Funnels(plan)
    spent = dict.fromkeys(("validation", "classification", "activity", "funnels"), 0.0)
    gc.collect()
    gc.freeze()
    clock = time.process_time  # not the wall's: what else the machine does is no cost of ours
    for start in range(0, count, BATCH):
        batch = records[start : start + BATCH]
        version = start + len(batch)
        t0 = clock()
        for record in batch:
            validator.parse(record.value)
        t1 = clock()
        result = classifier.classify(batch)
        t2 = clock()
        if result.outcomes != [Outcome.ACCEPTED] * len(batch):
            raise RuntimeError("an event of the benchmark was not accepted")
        events = [event for event in result.events if event is not None]
        t3 = clock()
        activity.fold(events, result.actor_hashes, version)
        t4 = clock()
        funnels.fold(events, version, classifier.watermark)
        t5 = clock()
        for name, seconds in zip(spent, (t1 - t0, t2 - t1, t4 - t3, t5 - t4), strict=True):
            spent[name] += seconds
    return {name: seconds / count * 1e6 for name, seconds in spent.items()}


def bytes_an_id() -> float:
    """The most that a remembered id takes while the memory grows: just after it has made itself room."""
    seen = SeenIds(2**40)
    rng = np.random.default_rng(SEED)
    worst = 0.0
    for _ in range(REMEMBERED_IDS // BATCH):
        seen.add(rng.integers(1, 2**64, size=BATCH, dtype=np.uint64))
        worst = max(worst, seen.nbytes() / len(seen))
    return worst


if __name__ == "__main__":
    print(json.dumps({**stage_costs(int(sys.argv[1])), "bytes_an_id": bytes_an_id()}))
