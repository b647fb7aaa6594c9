"""The main comparison: the worker, the floor and idiomatic Faust on the same events, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .events import make_events, produce
from .place import new_place, program
from .rows import Row, rounded
from .sizes import Sizes
from .worker import Span, WorkerFigures, measure

_SAMPLE_TOPIC = "sample"
#: How many times as fast as idiomatic Faust the worker must be: at least, on any machine; and what we aim at.
MIN_RATIO, RATIO = 10.0, 30.0
RATE, SHARE_OF_FLOOR = 100_000.0, 0.6

Say = Callable[[str], None]


@dataclass
class Results:
    """The figures of every run so far."""

    large: bool = False
    workers: list[WorkerFigures] = field(default_factory=list)
    floor: list[Span] = field(default_factory=list)
    idiomatic: list[Span] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """All figures, as rows."""

        def of(items: list[Any], figure: Callable[[Any], float]) -> tuple[float, ...]:
            return rounded(*(figure(item) for item in items))

        pairs = list(zip(self.workers, self.floor, strict=True))
        kind = f"{'900' if self.large else '230'}-byte events"
        rows = [
            Row(f"worker, {kind}: events a second", "1/s", of(self.workers, lambda w: w.span.rate), RATE),
            Row(f"worker, {kind}: events a CPU second", "1/s", of(self.workers, lambda w: w.span.cpu_rate)),
            Row(f"floor, {kind}: events a second", "1/s", of(self.floor, lambda s: s.rate)),
            Row(f"floor, {kind}: events a CPU second", "1/s", of(self.floor, lambda s: s.cpu_rate)),
            Row(f"worker to floor, {kind}", "x", of(pairs, lambda p: p[0].span.rate / p[1].rate), SHARE_OF_FLOOR),
            Row(f"worker to floor, {kind}, by CPU", "x", of(pairs, lambda p: p[0].span.cpu_rate / p[1].cpu_rate)),
            Row(f"worker, {kind}: CPU used", "cores", of(self.workers, lambda w: w.span.cpu / w.span.seconds)),
            Row(
                f"broker and ClickHouse meanwhile, {kind}: CPU used",
                "cores",
                of(self.workers, lambda w: w.servers_cpu / w.span.seconds),
            ),
            Row(f"worker, {kind}: peak memory", "MB", of(self.workers, lambda w: w.peak_memory / 1e6)),
            Row(f"worker, {kind}: last event to ClickHouse", "s", of(self.workers, lambda w: w.published_after)),
        ]
        if self.idiomatic:
            both = list(zip(self.workers, self.idiomatic, strict=True))
            rows += [
                Row("idiomatic Faust: events a second", "1/s", of(self.idiomatic, lambda s: s.rate)),
                Row("idiomatic Faust: events a CPU second", "1/s", of(self.idiomatic, lambda s: s.cpu_rate)),
                Row("worker to idiomatic Faust, by time", "x", of(both, lambda p: p[0].span.rate / p[1].rate), RATIO),
                Row("worker to idiomatic Faust, by CPU", "x", of(both, lambda p: p[0].span.cpu_rate / p[1].cpu_rate)),
            ]
        return rows


async def run(events: int, sample: int, runs: int, say: Say, large: bool = False) -> Results:
    """Measure `runs` times with `events` events, idiomatic Faust with the first `sample` of them (0: not at all).

    Raises what a contender ended with: a run in which an event was lost or not published is no figure.
    """
    results = Results(large)
    async with new_place() as place:
        settings = place.settings
        await place.broker.create_topics({_SAMPLE_TOPIC: settings.partitions})
        say(f"{events:,} events of {900 if large else 230} bytes are made and written to Kafka")
        keys, values = make_events(events, int(time.time() * 1000), large=large)
        await produce(settings.kafka_bootstrap, settings.events_topic, keys, values)
        await produce(settings.kafka_bootstrap, _SAMPLE_TOPIC, keys[:sample], values[:sample])
        del keys, values
        for number in range(1, runs + 1):
            say(f"run {number} of {runs}: the worker")
            results.workers.append(await measure(place, place.named(f"bench-{number}"), events))
            say(f"run {number} of {runs}: the floor")
            arguments: list[Any] = [settings.kafka_bootstrap, settings.events_topic, events]
            results.floor.append(await span("floor", arguments, place.data))
            if sample:
                say(f"run {number} of {runs}: idiomatic Faust")
                arguments = [settings.kafka_bootstrap, _SAMPLE_TOPIC, sample]
                results.idiomatic.append(await span("idiomatic", arguments, place.data))
    return results


async def span(name: str, arguments: list[Any], data: Path, **how: Any) -> Span:
    """What a program of this package has measured of itself; `how` is for `program`."""
    found = await program(name, arguments, data, **how)
    return Span(int(found["events"]), found["seconds"], found["cpu"])


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """Both sizes of events; idiomatic Faust with the small ones."""
    small = await run(sizes.events, sizes.sample, sizes.runs, say)
    large = await run(sizes.events // 2, 0, sizes.runs, say, large=True)
    return small.rows() + large.rows()
