"""The job in Quix Streams, as its documentation teaches it: a process of its own, in the peers' environment.

`python -m tests.bench.quix_job BOOTSTRAP TOPIC EVENTS STATE_DIR` prints its figures as JSON.

State is kept: events per minute, and per user how far the two funnels have been walked, in RocksDB with changelog
topics. A window in Quix Streams is of one message key, so the minutes are counted per user: counting them by event and
platform, as the worker does, takes `group_by`, which sends every event through Kafka a second time. No duplicates are
found, no unique users counted, nothing is published. That makes it a lenient yardstick.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from typing import Any

import quixstreams.dataframe.windows.aggregations as agg
from quixstreams import Application

from schemas.plan_io import load_plan

from .model import model_of
from .steps import FUNNELS, walk


def main(bootstrap: str, topic_name: str, expected: int, state_dir: str) -> None:
    """Run until `expected` events are counted."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{os.getpid()}",
        auto_offset_reset="earliest",
        state_dir=state_dir,
        loglevel="WARNING",
    )
    model = model_of(load_plan("shop"))
    topic = app.topic(
        topic_name, value_deserializer="json", timestamp_extractor=lambda value, headers, timestamp, kind: value["ts"]
    )
    sdf = app.dataframe(topic)
    seen, started, cpu = 0, 0.0, 0.0

    def begin(value: Any) -> Any:
        nonlocal started, cpu
        if not started:
            started, cpu = time.perf_counter(), time.process_time()
        return value

    def validate(value: Any) -> Any:
        model.model_validate(value)
        return value

    def funnel(value: Any, state: Any) -> Any:
        for name, steps in FUNNELS.items():
            if value["event"] in steps:
                times = state.get(name, [])
                if walk(times, steps, value["event"], value["ts"]):
                    state.set(name, times)
        return value

    def count(_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == expected:
            figures = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
            print("\n" + json.dumps({"events": seen - 1, **figures}), flush=True)
            os._exit(0)

    sdf = sdf.apply(begin).apply(validate).apply(funnel, stateful=True)
    # Grace: the events are not in order of time, as the worker's are not either.
    sdf = sdf.tumbling_window(timedelta(minutes=1), grace_ms=timedelta(minutes=1)).agg(count=agg.Count()).current()
    sdf.update(count)
    app.run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
