"""One benchmark: broker, ClickHouse and events, then each contender a few times, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from pipeline.local.broker import EmbeddedBroker
from pipeline.local.clickhouse import EmbeddedClickHouse
from pipeline.local.process import Child
from pipeline.settings import Settings
from pipeline.store.migrate import migrate
from pipeline.stream.topics import ensure_topics

from .events import PARTITIONS, make_events, produce
from .rows import Row
from .worker import Span, WorkerFigures, measure, tail

_EVENTS_TOPIC, _SAMPLE_TOPIC = "events", "sample"
_PROGRAM_SECONDS = 120.0
#: Events that the stages are measured on: enough for a steady figure.
_STAGE_EVENTS = 100_000
#: How many times as fast as idiomatic Faust the worker must be.
MIN_RATIO = 10.0


@dataclass
class Results:
    """The figures of every run so far."""

    events: int
    workers: list[WorkerFigures] = field(default_factory=list)
    idiomatic: list[Span] = field(default_factory=list)
    floor: list[Span] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)

    @property
    def wall_ratios(self) -> list[float]:
        """Events a second of the worker to those of idiomatic Faust, run by run."""
        return [w.span.rate / i.rate for w, i in zip(self.workers, self.idiomatic, strict=True)]

    @property
    def cpu_ratios(self) -> list[float]:
        """The same of events a CPU second."""
        return [w.span.cpu_rate / i.cpu_rate for w, i in zip(self.workers, self.idiomatic, strict=True)]

    def rows(self) -> list[Row]:
        """All figures, as rows."""

        def of(items: list[Any], figure: Callable[[Any], float]) -> tuple[float, ...]:
            return tuple(round(figure(item), 3) for item in items)

        stages = ("validation", "classification", "activity", "funnels")
        return [
            Row("worker: events a second", "1/s", of(self.workers, lambda w: w.span.rate)),
            Row("worker: events a CPU second", "1/s", of(self.workers, lambda w: w.span.cpu_rate)),
            Row("worker: CPU", "s", of(self.workers, lambda w: w.span.cpu)),
            Row("worker: peak memory", "MB", of(self.workers, lambda w: w.peak_memory / 1e6)),
            Row("worker: last event to ClickHouse", "s", of(self.workers, lambda w: w.published_after)),
            Row("idiomatic Faust: events a second", "1/s", of(self.idiomatic, lambda s: s.rate)),
            Row("idiomatic Faust: events a CPU second", "1/s", of(self.idiomatic, lambda s: s.cpu_rate)),
            Row("floor (fetch, validate): events a second", "1/s", of(self.floor, lambda s: s.rate)),
            Row("floor (fetch, validate): events a CPU second", "1/s", of(self.floor, lambda s: s.cpu_rate)),
            Row("worker to idiomatic Faust, by time", "x", of(self.wall_ratios, float), MIN_RATIO),
            Row("worker to idiomatic Faust, by CPU", "x", of(self.cpu_ratios, float), MIN_RATIO),
            *[Row(f"stage: {name}", "µs/event", of(self.stages, itemgetter(name))) for name in stages],
            Row("memory of a remembered event id", "bytes", of(self.stages, itemgetter("bytes_an_id")), 16.0, True),
        ]


async def run(events: int, sample: int, runs: int, say: Callable[[str], None]) -> Results:
    """Measure `runs` times with `events` events, idiomatic Faust with the first `sample` of them.

    Raises what a contender ended with: a run in which an event was lost or not published is no figure.
    """
    results = Results(events)
    async with contextlib.AsyncExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamgauge-bench-")))
        broker = await stack.enter_async_context(EmbeddedBroker(data))
        clickhouse = await stack.enter_async_context(EmbeddedClickHouse(data))
        settings = Settings(
            plan="shop",
            kafka_bootstrap=broker.bootstrap,
            clickhouse_url=clickhouse.url,
            partitions=PARTITIONS,
            session_timeout_s=6.0,
        )
        await asyncio.gather(migrate(settings), ensure_topics(settings))
        await broker.create_topics({_SAMPLE_TOPIC: PARTITIONS})
        say(f"{events:,} events are made and written to Kafka")
        keys, values = make_events(events, int(time.time() * 1000))
        await produce(broker.bootstrap, _EVENTS_TOPIC, keys, values)
        await produce(broker.bootstrap, _SAMPLE_TOPIC, keys[:sample], values[:sample])
        del keys, values
        for number in range(1, runs + 1):
            say(f"run {number} of {runs}: the worker")
            # A name of its own: a new consumer group, and rows in ClickHouse that are not those of the last run.
            once = settings.model_copy(update={"group": f"bench-{number}", "stream": f"bench-{number}"})
            results.workers.append(await measure(once, events, data / "worker.log"))
            say(f"run {number} of {runs}: idiomatic Faust")
            results.idiomatic.append(await _span("idiomatic", [broker.bootstrap, _SAMPLE_TOPIC, sample], data))
            say(f"run {number} of {runs}: the floor")
            results.floor.append(await _span("floor", [broker.bootstrap, _EVENTS_TOPIC, events], data))
            say(f"run {number} of {runs}: the stages")
            results.stages.append(await _program("stages", [min(events, _STAGE_EVENTS)], data))
    return results


async def _span(name: str, arguments: list[Any], data: Path) -> Span:
    found = await _program(name, arguments, data)
    return Span(int(found["events"]), found["seconds"], found["cpu"])


async def _program(name: str, arguments: list[Any], data: Path) -> dict[str, float]:
    """Run a module of this package in a process of its own, which ends with this one; what it prints."""
    log = data / f"{name}.log"
    child = Child(name, [sys.executable, "-P", "-m", f"tests.bench.{name}", *map(str, arguments)], log)
    child.start()
    deadline = time.monotonic() + _PROGRAM_SECONDS
    while child.running and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    in_time = not child.running
    code = await child.stop(0)
    found = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
    if code != 0 or not found.startswith("{"):
        ended = f"ended with {code}" if in_time else f"was not done after {_PROGRAM_SECONDS:.0f} s"
        raise RuntimeError(f"{name} {ended}: {tail(log)}")
    figures: dict[str, float] = json.loads(found)
    return figures
