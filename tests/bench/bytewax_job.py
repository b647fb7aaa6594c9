"""The job in Bytewax, as its documentation teaches it: a process of its own, in the peers' environment.

`python -m tests.bench.bytewax_job BOOTSTRAP TOPIC EVENTS STATE_DIR` prints its figures as JSON.

State is kept: events per minute, event and platform, and per user how far the two funnels have been walked, with
Bytewax's recovery store (SQLite, a snapshot as often as the worker has a checkpoint). No duplicates are found, no
unique users counted, nothing is published. That makes it a lenient yardstick.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from schemas.plan_io import load_plan

from .model import model_of
from .steps import FUNNELS, walk

SNAPSHOT_INTERVAL = timedelta(seconds=2)


class _Counter:
    """Counts what has gone through both stateful steps; prints the figures and ends the process at the last."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.seen = 0
        self.started = self.cpu = 0.0

    def begin(self) -> None:
        if not self.started:
            self.started, self.cpu = time.perf_counter(), time.process_time()

    def add(self, count: int) -> None:
        self.seen += count
        if self.seen >= self.expected:
            figures = {"seconds": time.perf_counter() - self.started, "cpu": time.process_time() - self.cpu}
            print("\n" + json.dumps({"events": self.seen - 1, **figures}), flush=True)
            os._exit(0)


class _Discard(DynamicSink[Any]):
    """A sink that only counts."""

    def __init__(self, counter: _Counter | None) -> None:
        self._counter = counter

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Any:
        counter = self._counter

        class Partition(StatelessSinkPartition[Any]):
            def write_batch(self, items: list[Any]) -> None:
                if counter is not None:
                    counter.add(len(items))

        return Partition()


def make_flow(bootstrap: str, topic: str, counter: _Counter) -> Dataflow:
    """Read, validate, and two stateful steps side by side."""
    model = model_of(load_plan("shop"))

    def parse(message: Any) -> Any:
        counter.begin()
        return model.model_validate_json(message.value)

    def funnel(state: dict[str, list[int]] | None, event: Any) -> tuple[dict[str, list[int]], None]:
        state = {} if state is None else state
        for name, steps in FUNNELS.items():
            if event.event in steps:
                walk(state.setdefault(name, []), steps, event.event, event.ts)
        return state, None

    def when(event: Any) -> datetime:
        return datetime.fromtimestamp(event.ts / 1000, UTC)

    clock = win.EventClock(ts_getter=when, wait_for_system_duration=timedelta(minutes=1))
    minutes = win.TumblingWindower(length=timedelta(minutes=1), align_to=datetime(2020, 1, 1, tzinfo=UTC))
    flow = Dataflow("events")
    events = op.map("validate", op.input("kafka", flow, KafkaSource([bootstrap], [topic])), parse)
    counts = win.count_window("count", events, clock, minutes, key=lambda event: f"{event.event} {event.platform}")
    op.output("windows", counts.down, _Discard(None))
    users = op.key_on("user", events, lambda event: event.user_id)
    op.output("users", op.stateful_map("funnels", users, funnel), _Discard(counter))
    return flow


def main(arguments: Iterable[str]) -> None:
    """Run until all events are counted."""
    bootstrap, topic, expected, state_dir = arguments
    folder = Path(state_dir) / "bytewax"
    folder.mkdir(parents=True)
    init_db_dir(folder, 1)
    cli_main(
        make_flow(bootstrap, topic, _Counter(int(expected))),
        epoch_interval=SNAPSHOT_INTERVAL,
        recovery_config=RecoveryConfig(folder),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
