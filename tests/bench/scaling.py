"""Two workers on two partitions against one on both: what one more process costs, in events a CPU second."""

from __future__ import annotations

import time

from .events import make_events, produce
from .place import new_place
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .worker import Span, measure

_PARTITIONS = 2
#: Of one worker's events a CPU second, two must keep so much.
_SHARE = 0.9


async def section(sizes: Sizes, say: Say) -> list[Row]:
    """One, then two, in each run."""
    spans: dict[int, list[Span]] = {1: [], 2: []}
    async with new_place(partitions=_PARTITIONS) as place:
        settings = place.settings
        keys, values = make_events(sizes.events, int(time.time() * 1000))
        await produce(settings.kafka_bootstrap, settings.events_topic, keys, values, _PARTITIONS)
        del keys, values
        for number in range(1, sizes.runs + 1):
            for workers, found in spans.items():
                say(f"run {number} of {sizes.runs}: {workers} on {_PARTITIONS} partitions")
                named = place.named(f"scaling-{workers}-{number}")
                found.append((await measure(place, named, sizes.events, workers)).span)
    pairs = list(zip(spans[1], spans[2], strict=True))
    return [
        Row("one worker on 2 partitions: events a second", "1/s", rounded(*[s.rate for s in spans[1]])),
        Row("one worker on 2 partitions: events a CPU second", "1/s", rounded(*[s.cpu_rate for s in spans[1]])),
        Row("two workers on 2 partitions: events a second", "1/s", rounded(*[s.rate for s in spans[2]])),
        Row("two workers on 2 partitions: events a CPU second", "1/s", rounded(*[s.cpu_rate for s in spans[2]])),
        Row("two workers to one, by CPU", "x", rounded(*[two.cpu_rate / one.cpu_rate for one, two in pairs]), _SHARE),
    ]
