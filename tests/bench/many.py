"""What the worker's state costs an event where that is far from the usual: sparse events, a plan that counts a lot."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from .place import program
from .rows import Row, rounded
from .run import Say
from .sizes import Sizes
from .stages import BATCH, Options

#: µs of CPU an event, at one event a minute in the partition.
SPARSE_US = 30.0
#: Times the cost of the shop's 3 dimensions and 2 funnels.
MANY_TIMES = 3.0
_USERS = 2_000


async def sparse(sizes: Sizes, say: Say) -> list[Row]:
    """A partition with an event a second, and one with an event a minute; rows and a checkpoint after each batch."""
    found: dict[str, list[float]] = {"second": [], "minute": []}
    for number in range(1, sizes.runs + 1):
        for name, rate in (("second", 1.0), ("minute", 1 / 60)):
            say(f"run {number} of {sizes.runs}: an event a {name}")
            found[name].append(await _cost(Options(sizes.stage_events, users=_USERS, rate=rate, each=BATCH)))
    return [
        Row("an event a second in a partition", "µs/event", rounded(*found["second"])),
        Row("an event a minute in a partition", "µs/event", rounded(*found["minute"]), SPARSE_US, at_most=True),
    ]


async def many(sizes: Sizes, say: Say) -> list[Row]:
    """50 funnels and 20 dimensions, by turns with 2 and 3: the shop's two again and again, and different ones.

    More of the events are steps of the different ones.
    """
    usual: list[float] = []
    more: dict[bool, list[float]] = {False: [], True: []}
    for number in range(1, sizes.runs + 1):
        say(f"run {number} of {sizes.runs}: 2 funnels and 3 dimensions, 50 and 20")
        usual.append(await _cost(Options(sizes.stage_events)))
        for which, found in more.items():
            options = Options(sizes.stage_events, dimensions=20, funnels=50, different=which)
            found.append(await _cost(options))
    rows = [Row("2 funnels, 3 dimensions", "µs/event", rounded(*usual))]
    for which, kind in ((False, "50 funnels"), (True, "50 different funnels")):
        times = rounded(*[large / small for small, large in zip(usual, more[which], strict=True)])
        rows += [
            Row(f"{kind}, 20 dimensions", "µs/event", rounded(*more[which])),
            Row(f"{kind}, 20 dimensions to 2 and 3", "x", times, MANY_TIMES, at_most=True),
        ]
    return rows


async def _cost(options: Options) -> float:
    """All stages of an event together; validation is within classification."""
    with tempfile.TemporaryDirectory(prefix="streamgauge-bench-") as folder:
        found = await program("stages", [json.dumps(asdict(options))], Path(folder))
    return sum(cost for stage, cost in found.items() if stage != "validation")
